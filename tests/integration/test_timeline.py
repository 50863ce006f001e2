"""Promise: one list tells all that is known of a resident, each thing once, page by page."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest_asyncio

from ingest.db.connections import Connection
from ingest.db.entities import Contract, Package
from ingest.db.residents import Population, load
from tests.builders import AT, a_blood_pressure, a_context, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.corrections_bench import OTHER_DOCTOR, CorrectionsBench, a_desk
from tests.integration.notify_bench import CREW, NotifyBench, Recorder, hire

CONTRACT = Contract(
    id="c-1",
    resident_id="r-1",
    package_id="basic",
    since=date(2026, 1, 1),
    ended_on=date(2026, 6, 1),
    end_reason="other",
)


@pytest_asyncio.fixture
async def desk(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[CorrectionsBench]:
    async with a_desk(connection, database, clock, tmp_path) as bench:
        packages = [Package(id="basic", name="Basic")]
        await load(connection, Population(packages=packages, contracts=[CONTRACT]), at=clock.now)
        yield bench


async def pages(desk: CorrectionsBench, asked: str = "") -> list[dict[str, Any]]:
    """Every item, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        address = f"residents/r-1/timeline?{asked}{cursor}"
        page = (await desk.ask("GET", address, status=200)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        assert page["items"]
        cursor = f"&cursor={page['next_cursor']}"


async def build(desk: CorrectionsBench) -> dict[str, dict[str, Any]]:
    """Ten sittings of three, three glucose values, a visit, a correction, a late context."""
    pressures = [
        a_blood_pressure(
            str(140 + n),
            "85",
            at=AT + timedelta(days=n // 3, minutes=2 * (n % 3)),
            device_sequence=n,
        )
        for n in range(30)
    ]
    glucose = [
        a_glucose(
            "7.40",
            at=AT + timedelta(days=n),
            device_sequence=n,
            boot_id="b",
            meal_context="unknown",
        )
        for n in range(3)
    ]
    desk.clock.now = AT + timedelta(days=20)
    await desk.send(*pressures, *glucose)
    await desk.send(a_context("fasting", of=glucose[0], at=desk.clock.now))
    await desk.settle(minutes=11)
    await desk.record("visit")
    await desk.say("correction", pressures[0], systolic="18.62", diastolic="12.0", unit="kPa")
    await desk.say("retraction", glucose[1])
    await desk.settle(minutes=11)
    return {each["id"]: each for each in (*pressures, *glucose)}


async def tell_and_act(desk: CorrectionsBench, database: Database) -> UUID:
    """An emergency is told to the doctor at the second attempt, who takes it and gives it back."""
    await hire(desk.connection, CREW)
    notifier = NotifyBench(desk.connection, database, desk.clock, [Recorder(fails=1)])
    alert = await notifier.raise_alert()
    await notifier.work()
    await notifier.work(seconds=30)
    await notifier.work(minutes=10)
    await notifier.acknowledge(alert)
    desk.clock.pass_by(minutes=1)
    await notifier.undo(alert)
    return alert


async def test_every_item_is_told_once_in_one_order_whatever_the_page(
    desk: CorrectionsBench, database: Database
) -> None:
    sent = await build(desk)
    await tell_and_act(desk, database)
    whole = await pages(desk, "limit=500")
    for limit in (1, 7, 50):
        assert await pages(desk, f"limit={limit}") == whole

    times = [item["at"] for item in whole]
    assert times == sorted(times, reverse=True)
    places = [(item["kind"], item["id"]) for item in whole]
    assert len(set(places)) == len(places)
    counted = {kind: sum(item["kind"] == kind for item in whole) for kind in KINDS}
    ((alerts, moves),) = await desk.rows(
        "SELECT (SELECT count(*) FROM alert), (SELECT count(*) FROM case_transition)"
    )
    assert counted == {
        "reading": len(sent),
        "session": 10,
        "record": 1,
        "contract": 1,
        "alert": alerts,
        "case": moves,
        "notification": 2,
        "attention": 2,
    }
    assert alerts
    assert moves
    only = await pages(desk, "kind=session&kind=record&limit=3")
    assert only == [item for item in whole if item["kind"] in ("session", "record")]
    some = await pages(desk, "from=2026-03-03T00:00:00Z&to=2026-03-05T00:00:00Z&limit=4")
    assert some == [i for i in whole if "2026-03-03T00:00:00Z" <= i["at"] < "2026-03-05T00:00:00Z"]


KINDS = (
    *("reading", "session", "case", "alert", "record", "contract"),
    *("notification", "attention"),
)


async def test_who_was_told_of_an_alert_and_what_they_did_is_in_it(
    desk: CorrectionsBench, database: Database
) -> None:
    began = desk.clock.now
    alert = await tell_and_act(desk, database)
    items = await pages(desk, "kind=notification&kind=attention&kind=alert")

    expected = [
        ("attention", timedelta(minutes=11, seconds=30)),
        ("attention", timedelta(minutes=10, seconds=30)),
        ("notification", timedelta(minutes=10, seconds=30)),
        ("notification", timedelta(seconds=30)),  # Taken then; planned at once.
        ("alert", timedelta()),
    ]
    assert [(i["kind"], datetime.fromisoformat(i["at"]) - began) for i in items] == expected
    undone, taken, again, first = items[:4]
    assert {i["alert_id"] for i in items[:4]} == {str(alert)}
    assert (undone["what"], taken["what"]) == ("acknowledgement_withdrawn", "acknowledged")
    assert (taken["author"], taken["reason"]) == ("d1", "contacted")
    assert (first["staff_id"], first["channel"], first["rung"]) == ("d1", "recorder", "doctor")
    assert (first["step"], again["step"]) == (1, 2)
    assert datetime.fromisoformat(first["planned_at"]) == began


async def test_a_reading_shows_what_came_what_counts_and_what_was_said(
    desk: CorrectionsBench,
) -> None:
    sent = list(await build(desk))
    told = {item["id"]: item for item in await pages(desk) if item["kind"] == "reading"}

    corrected, retracted, late = told[sent[0]], told[sent[31]], told[sent[30]]
    assert (corrected["systolic"], corrected["unit"]) == (140, "mmHg")
    assert (corrected["systolic_mmhg"], corrected["diastolic_mmhg"]) == (139.66, 90)
    assert [each["kind"] for each in corrected["amendments"]] == ["correction"]
    assert (corrected["quality"], retracted["quality"]) == ("accepted", "retracted")
    assert (late["meal_context"], late["meal_context_judged"]) == ("unknown", "fasting")
    assert late["glucose_mmol_l"] == 7.4
    sessions = [item for item in await pages(desk) if item["kind"] == "session"]
    assert sessions[-1]["reading_ids"] == sent[:3]
    assert sessions[-1]["systolic_mmhg"] == 140.88  # (139.6614… + 141 + 142) / 3, cut.
    explained = [item for item in await pages(desk) if item["kind"] == "case"]
    assert all(item["explanation"]["zh"] for item in explained if item["to_state"] != "none")


async def test_sittings_of_very_many_readings_are_all_told_page_by_page(
    desk: CorrectionsBench,
) -> None:
    """A cuff that measures by itself: more readings in a sitting than are looked at for a page."""
    sent = [
        a_blood_pressure(
            str(120 + n % 40),
            str(70 + n // 40),
            at=AT + timedelta(days=day, seconds=15 * n),
            device_sequence=240 * day + n,
        )
        for day in range(3)
        for n in range(230)
    ]
    desk.clock.now = AT + timedelta(days=4)
    for day in range(3):
        await desk.send(*sent[230 * day : 230 * (day + 1)])
    await desk.settle(minutes=11)
    whole = [item for item in await pages(desk, "limit=500") if item["kind"] == "session"]

    assert sum(len(each["reading_ids"]) for each in whole) == len(sent)
    assert await pages(desk, "kind=session&limit=1") == whole


async def test_strangers_and_nobody_have_the_same_timeline_none(desk: CorrectionsBench) -> None:
    await build(desk)
    told = [
        await desk.ask("GET", f"residents/{who}/timeline", who=OTHER_DOCTOR, status=404)
        for who in ("r-1", "r-9")
    ]
    assert told[0].text.replace("r-1", "r-9") == told[1].text
    bad = "residents/r-1/timeline?from=2026-03-05T00:00:00Z&to=2026-03-03T00:00:00Z"
    await desk.ask("GET", bad, status=400)
