"""Promise: what a doctor says about an alert stands, is told, and never hides a worsening."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.db.connections import Connection
from tests.builders import a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.alert_bench import AlertBench, an_alert_bench

CONTACTED = {"reason": "contacted", "note": "Comes in at three"}
ACTS = (
    ("PUT", "acknowledgement", CONTACTED),
    ("DELETE", "acknowledgement", None),
    ("PUT", "snooze", {"until": "2026-03-03T00:00:00Z"}),
    ("DELETE", "snooze", None),
)


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[AlertBench]:
    """A judge and an API."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        yield opened


async def _history(bench: AlertBench, alert: str, **who: str) -> list[tuple[Any, ...]]:
    items = (await bench.get(f"/{alert}/history", **who))["items"]
    return [(item["what"], item["author"]) for item in items]


async def _told(bench: AlertBench) -> list[str]:
    rows = await bench.rows(
        "SELECT payload ->> 'what' FROM outbox WHERE payload ? 'what' ORDER BY id"
    )
    return [row[0] for row in rows]


async def _an_overdue_alert(bench: AlertBench) -> str:
    """146/92 once, and nobody came for two weeks: high, and the team's."""
    await bench.measure("146", "92")
    await bench.settle(days=15)
    return await bench.alert_of("FOLLOWUP_OVERDUE")


async def test_an_acknowledgement_stands_says_who_and_why_and_is_told(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")

    said = await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)

    assert said["attention"] == "acknowledged"
    (seen,) = (await bench.get("?attention=acknowledged", who="colleague"))["items"]
    assert seen["acknowledgement"] == said["acknowledgement"]
    assert (said["acknowledgement"]["by"], said["acknowledgement"]["reason"]) == (
        "doctor",
        "contacted",
    )
    assert await _history(bench, alert) == [("acknowledged", "doctor")]
    assert await _told(bench) == ["acknowledged"]
    assert not await bench.rows("SELECT FROM outbox WHERE payload::text LIKE '%three%'")


async def test_the_same_again_is_no_second_act_and_another_word_is(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    first = await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)
    bench.clock.pass_by(minutes=1)

    assert await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED) == first
    await bench.ask("PUT", f"/{alert}/acknowledgement", {"reason": "referred"}, who="colleague")

    assert await _history(bench, alert) == [
        ("acknowledged", "doctor"),
        ("acknowledged", "colleague"),
    ]
    assert len(await _told(bench)) == 2


async def test_judging_anew_loses_no_acknowledgement(bench: AlertBench) -> None:
    first = await bench.measure("146", "92")
    alert = await bench.alert_of("BP_UNSATISFIED_1")
    said = await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)

    earlier = bench.clock.now - timedelta(hours=3)
    await bench.send(a_blood_pressure("148", "94", at=earlier))  # Told late: another anchor.
    for profile in ("cn_nbphs_2017", "wuzhou"):
        bench.judge_by(profile)
        await bench.mark()
        await bench.settle()

    found = await bench.get(f"/{alert}")
    assert found["anchor_id"] != first["id"]
    assert found["acknowledgement"] == said["acknowledgement"]


async def test_another_step_of_escalation_opens_it_again(bench: AlertBench) -> None:
    alert = await _an_overdue_alert(bench)
    await bench.ask("PUT", f"/{alert}/acknowledgement", {"reason": "visit_planned"})
    await bench.settle(days=5)
    assert (await bench.get(f"/{alert}"))["attention"] == "acknowledged"

    await bench.settle(days=2)  # Day 7 beyond the due day: the team leader's.

    found = await bench.get(f"/{alert}")
    assert (found["escalation"], found["attention"], found["acknowledgement"]) == (1, "open", None)
    assert (await _history(bench, alert))[-1] == ("reopened", "judge")


async def test_what_got_worse_unseen_is_not_acknowledged(bench: AlertBench) -> None:
    alert = await _an_overdue_alert(bench)
    shown = (await bench.get(f"/{alert}"))["escalation"]
    await bench.settle(days=7)
    body = {**CONTACTED, "seen_escalation": shown}

    problem = await bench.ask("PUT", f"/{alert}/acknowledgement", body, status=412)

    assert problem["type"] == "urn:suifang:problem:precondition-failed"
    body["seen_escalation"] = (await bench.get(f"/{alert}"))["escalation"]
    await bench.ask("PUT", f"/{alert}/acknowledgement", body)


async def test_a_ground_that_comes_back_is_news(bench: AlertBench) -> None:
    reading = await bench.measure("146", "92")
    alert = await bench.alert_of("BP_UNSATISFIED_1")
    await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)
    await bench.correct(reading, systolic=Decimal(136), diastolic=Decimal(82))
    await bench.settle()
    assert (await bench.get(f"/{alert}"))["status"] == "cancelled"
    problem = await bench.ask(
        "PUT", f"/{alert}/acknowledgement", {"reason": "referred"}, status=409
    )
    assert problem["type"] == "urn:suifang:problem:alert-closed"

    await bench.correct(reading, systolic=Decimal(147), diastolic=Decimal(92))
    await bench.settle()

    assert (await bench.get(f"/{alert}"))["attention"] == "open"


async def test_a_slip_is_undone_and_both_stay_in_history(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)

    for _ in range(2):  # Twice is as good as once.
        said = await bench.ask("DELETE", f"/{alert}/acknowledgement", who="colleague")
        assert (said["attention"], said["acknowledgement"]) == ("open", None)

    assert await _history(bench, alert) == [
        ("acknowledged", "doctor"),
        ("acknowledgement_withdrawn", "colleague"),
    ]


async def test_an_emergency_is_never_put_aside(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    until = (bench.clock.now + timedelta(minutes=5)).isoformat()

    problem = await bench.ask("PUT", f"/{alert}/snooze", {"until": until}, status=422)

    assert problem["errors"][0]["field"] == "until"
    assert (await bench.get(f"/{alert}"))["attention"] == "open"


@pytest.mark.parametrize(
    ("high", "spans"),
    [
        (True, {timedelta(hours=24): 200, timedelta(hours=24, seconds=1): 422, timedelta(0): 422}),
        # On the fourteenth day it is due.
        (False, {timedelta(days=12): 200, timedelta(days=14): 422}),
    ],
)
async def test_a_snooze_is_bounded_by_severity_and_due_day(
    bench: AlertBench, *, high: bool, spans: dict[timedelta, int]
) -> None:
    if high:
        alert = await _an_overdue_alert(bench)
    else:
        await bench.measure("146", "92")
        alert = await bench.alert_of("BP_UNSATISFIED_1")
    for span, status in spans.items():
        until = (bench.clock.now + span).isoformat()
        await bench.ask("PUT", f"/{alert}/snooze", {"until": until}, status=status)

    assert (await _history(bench, alert)) == [("snoozed", "doctor")]


async def test_a_snooze_holds_and_ends_by_itself_or_by_a_worsening(bench: AlertBench) -> None:
    alert = await _an_overdue_alert(bench)
    bench.clock.pass_by(days=6, hours=6)
    await bench.work()
    until = bench.clock.now + timedelta(hours=20)
    said = await bench.ask("PUT", f"/{alert}/snooze", {"until": until.isoformat()})
    assert said["snooze"]["by"] == "doctor"
    bench.clock.now = until - timedelta(seconds=1)
    assert (await bench.get(f"/{alert}"))["attention"] == "snoozed"
    bench.clock.now = until
    assert (await bench.get(f"/{alert}"))["attention"] == "open"

    later = (bench.clock.now + timedelta(hours=24)).isoformat()
    await bench.ask("PUT", f"/{alert}/snooze", {"until": later})
    await bench.connection.execute("UPDATE alert SET escalation = escalation + 1")

    assert (await bench.get(f"/{alert}"))["attention"] == "open"
    assert (await _history(bench, alert))[-1] == ("reopened", "judge")


async def test_what_is_acknowledged_is_not_put_aside_and_the_other_way_it_is_taken(
    bench: AlertBench,
) -> None:
    alert = await _an_overdue_alert(bench)
    until = {"until": (bench.clock.now + timedelta(hours=2)).isoformat()}
    await bench.ask("PUT", f"/{alert}/snooze", until)

    said = await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)

    assert (said["attention"], said["snooze"]) == ("acknowledged", None)
    await bench.ask("PUT", f"/{alert}/snooze", until, status=409)


async def test_two_doctors_at_once_both_count_and_one_word_stands(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    people = ("doctor", "colleague") * 4

    await asyncio.gather(
        *(bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED, who=who) for who in people)
    )

    standing = (await bench.get(f"/{alert}"))["acknowledgement"]["by"]
    history = await _history(bench, alert)
    assert history[-1] == ("acknowledged", standing)
    assert len(history) == len(await _told(bench))
    assert all(a != b for a, b in itertools.pairwise(history))  # No act twice.


async def test_the_other_teams_doctor_neither_sees_nor_touches_it(bench: AlertBench) -> None:
    await bench.measure("146", "92")
    alert = await bench.alert_of("BP_UNSATISFIED_1")
    nothing = "5f1fa600-0000-7000-8000-00000000beef"
    for method, what, body in ACTS:
        answers = [
            await bench.ask(method, f"/{each}/{what}", body, who="stranger", status=404)
            for each in (alert, nothing)
        ]
        assert answers[0]["detail"] == answers[1]["detail"]
        await bench.ask(method, f"/{alert}/{what}", body, who="supervisor", status=403)
    for path in ("", "/history"):
        await bench.ask("GET", f"/{alert}{path}", who="stranger", status=404)

    assert await _history(bench, alert) == []
    assert await _told(bench) == []


async def test_free_text_is_not_for_who_sees_no_measured_values(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    await bench.ask("PUT", f"/{alert}/acknowledgement", CONTACTED)

    for who, note in (("supervisor", None), ("admin", CONTACTED["note"])):
        found = await bench.get(f"/{alert}", who=who)
        assert found["acknowledgement"]["note"] == note
        history = await bench.get(f"/{alert}/history", who=who)
        assert [entry["note"] for entry in history["items"]] == [note]


async def test_a_reason_is_one_of_the_list_and_other_is_explained(bench: AlertBench) -> None:
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    for body, field in (
        ({"reason": "other"}, "note"),
        ({"reason": "busy"}, "reason"),
        ({"reason": "other", "note": ""}, "note"),
        ({"reason": "other", "note": "x" * 501}, "note"),
        ({**CONTACTED, "by": "somebody else"}, "by"),
    ):
        problem = await bench.ask("PUT", f"/{alert}/acknowledgement", body, status=422)

        assert problem["errors"][0]["field"] == field
