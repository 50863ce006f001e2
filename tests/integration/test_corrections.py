"""Promise: what is said of a reading over the API is judged, shown with every version, taken back.

Whatever was said in whatever order, cases and alerts are those of a judgement from nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ingest.db.connections import Connection
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.corrections_bench import (
    CENTRE,
    EVERYBODY,
    OTHER_DOCTOR,
    CorrectionsBench,
    a_desk,
)


@pytest_asyncio.fixture
async def desk(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[CorrectionsBench]:
    async with a_desk(connection, database, clock, tmp_path) as bench:
        yield bench


async def test_a_corrected_value_is_judged_and_shown_beside_what_came(
    desk: CorrectionsBench,
) -> None:
    reading = a_blood_pressure("182", "94")
    await desk.send(reading)
    await desk.settle()
    told = await desk.say("correction", reading, systolic=128, diastolic="78.0", unit="mmHg")
    await desk.work()

    assert [alert[:2] for alert in await desk.alerts()] == [("BP_EMERGENCY", "cancelled")]
    shown = told.json()
    assert (shown["reported"]["systolic"], shown["reported"]["diastolic"]) == (182, 94)
    assert (shown["stands"]["systolic"], shown["stands"]["diastolic"]) == (128, 78.0)
    assert '"diastolic":78.0' in told.text.replace(" ", "")
    (version,) = shown["amendments"]
    assert version["changes"] == {"systolic": "128", "diastolic": "78.0", "unit": "mmHg"}
    assert (version["kind"], version["author"], version["reason"], version["undone"]) == (
        *("correction", "doctor-east-1-", "as a test"),
        False,
    )
    await desk.require_fresh()


async def test_undoing_a_correction_or_a_retraction_judges_as_if_it_had_not_been_said(
    desk: CorrectionsBench,
) -> None:
    reading, other = a_blood_pressure("182", "94"), a_glucose("7.4")
    await desk.send(reading, other)
    await desk.settle()
    before = await desk.standing()
    said = [
        await desk.say("correction", reading, systolic=128, diastolic=78, unit="mmHg"),
        await desk.say("retraction", other),
        await desk.say("correction", reading, systolic=150, diastolic=78, unit="mmHg"),
    ]
    await desk.work()
    assert await desk.standing() != before

    for each in said:
        shown = each.json()
        last = shown["amendments"][-1]["id"]
        of = {"id": shown["reported"]["id"]}
        told = await desk.say(f"amendments/{last}/undo", of)
        again = await desk.say(f"amendments/{last}/undo", of)
        assert again.json()["amendments"] == told.json()["amendments"]
        await desk.say(f"amendments/{last}/undo", of, reason="another one", status=409)
    await desk.work()

    assert (await desk.standing())[:2] == before[:2]
    await desk.require_fresh()
    shown = (await desk.ask("GET", f"readings/{reading['id']}", status=200)).json()
    assert shown["stands"]["systolic"] == 182
    assert [(each["kind"], each["undone"]) for each in shown["amendments"]] == [
        *[("correction", True)] * 2,
        *[("undo", False)] * 2,
    ]


async def test_the_same_again_changes_nothing_and_another_one_under_its_id_is_refused(
    desk: CorrectionsBench,
) -> None:
    reading, other = a_glucose("7.4"), a_glucose("7.9")
    await desk.send(reading, other)
    body: dict[str, Any] = {
        "id": "019caab0-0000-7000-8000-000000000001",
        "glucose": "7.40",
        "unit": "mmol/L",
    }
    first = await desk.say("correction", reading, **body)
    again = await desk.say("correction", reading, **body)

    assert again.json() == first.json()
    await desk.say("correction", reading, **{**body, "glucose": "7.5"}, status=409)
    await desk.say("correction", reading, **{**body, "reason": "another"}, status=409)
    await desk.say("retraction", reading, id=body["id"], status=409)
    told = await desk.say("correction", other, **body, status=409)
    assert told.json()["type"] == "urn:suifang:problem:conflict"
    assert await desk.rows("SELECT count(*) FROM amendment") == [(1,)]
    assert await desk.rows("SELECT count(*) FROM outbox WHERE kind = 'reading.corrected'") == [(1,)]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (a_glucose(), {"glucose": 7.5, "unit": "mmol/L"}, "glucose"),  # Through a binary fraction.
    (a_glucose(), {"glucose": "7.5"}, "unit"),
    (a_glucose(), {"glucose": 126, "unit": "mmol/L"}, "glucose"),  # It was mg/dL.
    (a_glucose(), {"unit": "mg/dL"}, "glucose"),  # 5.6 mg/dL is nobody's.
    (a_glucose(), {"glucose": "7.5", "unit": "kPa"}, "unit"),
    (a_glucose(), {"arm": "left"}, "arm"),
    (a_glucose(), {"resident_id": "r-9"}, "resident_id"),
    (a_glucose(), {"resident_id": "r-3"}, "resident_id"),  # Of another team.
    (a_glucose(), {}, "id"),
    (a_blood_pressure(), {"systolic": 150, "unit": "mmHg"}, "diastolic"),
    (a_blood_pressure(), {"systolic": 1500, "diastolic": 90, "unit": "mmHg"}, "systolic"),
    (a_blood_pressure(), {"measured_at": "2026-03-02"}, "measured_at"),
    (a_blood_pressure(), {"reason": "  ", "arm": "left"}, "reason"),
    (a_blood_pressure(), {"arm": "left", "pulse": 70}, "pulse"),
]


async def test_a_correction_that_no_such_reading_could_be_is_refused_by_its_field(
    desk: CorrectionsBench,
) -> None:
    for number, (built, fields, field) in enumerate(REFUSED):
        reading = {**built, "device_sequence": number}
        await desk.send(reading)
        refused = await desk.say("correction", reading, **fields, status=422)
        (error,) = refused.json()["errors"]
        assert error["field"].split(".")[-1] == field
    assert await desk.rows("SELECT count(*) FROM amendment") == [(0,)]


async def test_a_reading_moved_to_the_right_resident_is_seen_and_judged_there_only(
    desk: CorrectionsBench,
) -> None:
    reading = a_glucose("7.4", resident_id="r-3")
    await desk.send(reading)
    await desk.work()
    address = f"readings/{reading['id']}"
    await desk.ask("GET", address, status=404)
    await desk.say("correction", reading, resident_id="r-1", status=404)
    moved = await desk.say("correction", reading, resident_id="r-1", who=EVERYBODY)
    await desk.work()

    await desk.ask("GET", address, who=OTHER_DOCTOR, status=404)
    await desk.ask("GET", address, status=200)
    listed = await desk.ask("GET", "residents/r-1/readings", status=200)
    assert [each["id"] for each in listed.json()["items"]] == [reading["id"]]
    assert [row[0] for row in (await desk.standing())[0]] == ["r-1"]
    await desk.require_fresh()
    told = await desk.rows("SELECT payload->>'resident_id' FROM outbox WHERE kind LIKE 'reading%'")
    assert told == [("r-3",), ("r-1",)]

    last = moved.json()["amendments"][-1]["id"]
    await desk.say(f"amendments/{last}/undo", reading, status=204)  # It is hers no more.
    await desk.work()
    await desk.ask("GET", address, status=404)
    await desk.ask("GET", address, who=OTHER_DOCTOR, status=200)
    assert [row[0] for row in (await desk.standing())[0]] == ["r-3"]
    await desk.require_fresh()


async def test_what_retention_has_folded_is_not_corrected_any_more(desk: CorrectionsBench) -> None:
    reading = a_glucose("7.4")
    await desk.send(reading)
    await desk.work()
    await desk.connection.execute(
        "INSERT INTO resident_checkpoint (resident_id, edge, until, state, facts, made_at)"
        " VALUES ('r-1', %(at)s, %(at)s, '', '{}', %(at)s)",
        {"at": AT.replace(month=4)},
    )
    refused = await desk.say("retraction", reading, status=409)

    assert refused.json()["type"] == "urn:suifang:problem:past-is-settled"
    assert await desk.rows("SELECT count(*) FROM amendment") == [(0,)]
    assert await desk.rows("SELECT count(*) FROM due_mark") == [(0,)]


async def test_a_correction_in_the_middle_of_redeliveries_counts_once_and_stays(
    desk: CorrectionsBench,
) -> None:
    reading = a_blood_pressure("182", "94")
    payload = a_batch(reading)
    await desk.store(payload, at=desk.clock.now)

    async def redeliver() -> None:
        for _ in range(10):
            await desk.store(payload, at=desk.clock.now)

    await asyncio.gather(
        redeliver(), desk.say("correction", reading, systolic=128, diastolic=78, unit="mmHg")
    )
    await desk.settle()

    assert await desk.rows("SELECT count(*) FROM reading") == [(1,)]
    assert [case[:2] for case in await desk.cases()] == [("hypertension", "controlled")]
    await desk.require_fresh()


# --- unclaimed readings --------------------------------------------------------------------------


async def test_a_claimed_emergency_goes_to_the_team_and_comes_back_with_the_claim(
    desk: CorrectionsBench,
) -> None:
    reading = a_blood_pressure("200", "95", resident_id=None)
    await desk.send(reading)
    ((raised, _),) = await desk.rows("SELECT id, resident_id FROM alert")
    for _ in range(2):
        await desk.say("claim", reading, resident_id="r-1", who=CENTRE)
        await desk.say("claim", reading, resident_id="r-1", who=CENTRE)  # A retry.
        await desk.settle(minutes=11)
        assert await desk.rows("SELECT id, resident_id, status, team_id FROM alert") == [
            (raised, "r-1", "active", "east-1")
        ]
        assert (await desk.cases())[0][1] == "emergency_referral"
        await desk.say("claim", reading, resident_id="r-2", who=CENTRE, status=409)

        for _ in range(2):
            await desk.ask("DELETE", f"readings/{reading['id']}/claim", who=CENTRE, status=204)
        await desk.settle(minutes=11)
        assert await desk.rows("SELECT id, resident_id, status, team_id, centre_id FROM alert") == [
            (raised, None, "active", None, "east")
        ]
        assert (await desk.standing())[0] == []
    await desk.require_fresh()


@pytest.mark.parametrize("first", ["judge", "claim"])
async def test_nobodys_reading_that_is_corrected_or_retracted_takes_its_alert_along(
    desk: CorrectionsBench, first: str
) -> None:
    urgent = a_blood_pressure("200", "95", resident_id=None)
    calm = a_blood_pressure("120", "70", resident_id=None, at=desk.clock.now)
    await desk.send(urgent, calm)
    if first == "claim":
        await desk.say("claim", urgent, resident_id="r-1", who=CENTRE)
        await desk.settle(minutes=11)
        await desk.ask("DELETE", f"readings/{urgent['id']}/claim", who=CENTRE, status=204)
    said = await desk.say("retraction", urgent, who=CENTRE)
    await desk.say("correction", calm, systolic=190, diastolic=95, unit="mmHg", who=CENTRE)
    await desk.settle(minutes=11)

    found = await desk.rows("SELECT anchor_id::text, status, resident_id FROM alert ORDER BY 2")
    assert found == [(calm["id"], "active", None), (urgent["id"], "cancelled", None)]
    last = said.json()["amendments"][-1]["id"]
    await desk.say(f"amendments/{last}/undo", urgent, who=CENTRE)
    await desk.work()
    found = await desk.rows("SELECT status FROM alert")
    assert found == [("active",)] * 2
    await desk.require_fresh()


async def test_of_two_who_claim_at_once_one_wins_and_the_other_is_told(
    desk: CorrectionsBench,
) -> None:
    reading = a_blood_pressure("200", "95", resident_id=None)
    await desk.send(reading)
    body = {"reason": "mine"}
    answers = await asyncio.gather(
        *(
            desk.ask(
                "PUT", f"readings/{reading['id']}/claim", {**body, "resident_id": r}, who=CENTRE
            )
            for r in ("r-1", "r-2") * 4
        )
    )
    await desk.settle()

    won = {a.json()["stands"]["resident_id"] for a in answers if a.status_code == 200}
    assert len(won) == 1
    assert sorted(a.status_code for a in answers) == [200] * 4 + [409] * 4
    assert await desk.rows("SELECT resident_id, status FROM alert") == [(won.pop(), "active")]
    assert await desk.rows("SELECT count(*) FROM amendment") == [(1,)]


async def test_unclaimed_readings_are_listed_for_their_centre_until_they_are_somebodys(
    desk: CorrectionsBench,
) -> None:
    mine = [a_glucose("7.4", resident_id=None, device_sequence=n) for n in range(3)]
    await desk.send(*mine, a_glucose("5.0"))
    topic = "suifang/v1/west/gw-2/readings"
    await desk.store(a_batch(a_glucose("9.9", resident_id=None)), topic=topic, at=desk.clock.now)
    await desk.say("claim", mine[1], resident_id="r-1", who=CENTRE)

    found, asked = [], "readings/unclaimed?centre=east&from=2026-03-01T00:00:00Z&limit=1"
    address = asked
    while True:
        page = (await desk.ask("GET", address, who=CENTRE, status=200)).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        address = f"{asked}&cursor={page['next_cursor']}"
    assert sorted(found) == sorted(each["id"] for each in (mine[0], mine[2]))
    everywhere = (await desk.ask("GET", "readings/unclaimed", who=CENTRE)).json()["items"]
    assert len(everywhere) == 2
    assert (await desk.ask("GET", "readings/unclaimed", who=OTHER_DOCTOR)).json()["items"] == []
    for status, who in ((404, OTHER_DOCTOR), (409, EVERYBODY)):
        await desk.say("claim", mine[1], resident_id="r-3", who=who, status=status)
