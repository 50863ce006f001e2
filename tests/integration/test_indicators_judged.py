"""Promise: what the judge folds is what indicators count, in any order of arrival."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ingest.db import indicator_years
from ingest.db.connections import Connection
from ingest.db.indicator_years import DAYS
from ingest.db.residents import Population, Resident, load
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench

MARCH = date(2026, 3, 1)


@pytest.fixture
async def bench(connection: Connection, database: Database) -> JudgeBench:
    clock = TestClock(AT)
    return await open_bench(connection, database, clock)


async def marked(bench: JudgeBench, condition: str = "hypertension") -> dict[str, list[str]]:
    """Days that are marked of r-1, by column; columns without a day are left out."""
    found: dict[str, list[str]] = {}
    rows = await indicator_years.fetch(bench.connection, ["r-1"])
    for (_, of, year), bits in sorted(rows.items()):
        if of != condition:
            continue
        for name, days in bits._asdict().items():
            on = [date(year, 1, 1) + timedelta(days=n) for n in range(DAYS) if days >> n & 1]
            if on:
                found.setdefault(name, []).extend(day.isoformat() for day in on)
    return found


async def day(bench: JudgeBench, number: int, *fields: Any) -> None:  # noqa: ANN401 - a reading
    """Something is measured so many days after the first, and judged that day."""
    bench.clock.now = AT + timedelta(days=number)
    await bench.send(*fields)
    await bench.settle()


def pressure(systolic: str, number: int) -> dict[str, Any]:
    return a_blood_pressure(systolic, "80", at=AT + timedelta(days=number))


async def test_an_unsatisfied_value_owes_a_second_follow_up_that_the_next_value_answers(
    bench: JudgeBench,
) -> None:
    start = AT.date()
    await day(bench, 0, pressure("152", 0))
    assert await marked(bench) == {
        "uncontrolled": [start.isoformat()],
        "second_due": [(start + timedelta(days=14)).isoformat()],
    }
    await day(bench, 9, pressure("132", 9))

    assert await marked(bench) == {
        "controlled": [(start + timedelta(days=9)).isoformat()],
        "uncontrolled": [start.isoformat()],
        "second_due": [(start + timedelta(days=14)).isoformat()],
        "second_on_time": [(start + timedelta(days=14)).isoformat()],
    }


async def test_a_late_answer_is_late_and_a_correction_takes_the_ground_away(
    bench: JudgeBench,
) -> None:
    first = pressure("152", 0)
    await day(bench, 0, first)
    await day(bench, 20, pressure("132", 20))
    due = (AT.date() + timedelta(days=14)).isoformat()
    assert (await marked(bench))["second_late"] == [due]

    await bench.correct(first, systolic=Decimal(132))
    await bench.work()

    assert await marked(bench) == {
        "controlled": [(AT.date() + timedelta(days=n)).isoformat() for n in (0, 20)]
    }


async def test_a_referral_is_answered_by_its_follow_up_and_by_no_reading(
    bench: JudgeBench,
) -> None:
    await day(bench, 0, pressure("186", 0))
    await day(bench, 5, pressure("132", 5))
    due = (AT.date() + timedelta(days=14)).isoformat()
    assert "referral_on_time" not in await marked(bench)
    bench.clock.now = AT + timedelta(days=6)
    await bench.record("referral_followup", condition="hypertension")
    await bench.work()

    found = await marked(bench)
    assert found["referral_due"] == found["referral_on_time"] == [due]


async def test_who_is_closed_before_the_due_day_owed_nothing_and_after_it_missed_it(
    bench: JudgeBench,
) -> None:
    await day(bench, 0, pressure("152", 0))
    await bench.record("closure", reason="moved")
    await bench.work()
    assert "second_due" not in await marked(bench)

    bench.clock.now = AT + timedelta(days=30)
    await bench.record("return")
    await day(bench, 31, pressure("152", 31))
    bench.clock.now = AT + timedelta(days=60)
    await bench.record("closure", reason="moved")
    await bench.work()
    found = await marked(bench)
    assert found["second_due"] == [(AT.date() + timedelta(days=45)).isoformat()]
    assert "second_on_time" not in found
    assert "second_late" not in found


async def test_visits_are_days_and_one_without_a_value_is_a_follow_up_not_under_control(
    bench: JudgeBench,
) -> None:
    await day(bench, 0, pressure("132", 0))
    await bench.record("visit", condition="hypertension")
    bench.clock.now = AT + timedelta(days=10)
    await bench.record("visit", condition="hypertension", mode="phone")
    bench.clock.now = AT + timedelta(days=20)
    await bench.record("visit")  # For both.
    await bench.work()

    on = [(AT.date() + timedelta(days=n)).isoformat() for n in (0, 10, 20)]
    found = await marked(bench)
    assert found["controlled"] == [on[0]]
    assert found["uncontrolled"] == [on[2]]
    assert found["visited"] == on
    assert found["face_to_face"] == [on[0], on[2]]
    sugar = await marked(bench, "diabetes")
    assert sugar["visited"] == sugar["face_to_face"] == sugar["uncontrolled"] == [on[2]]


async def test_routine_follow_ups_are_owed_from_the_enrolment_and_from_each_visit(
    bench: JudgeBench, connection: Connection
) -> None:
    enrolled = Resident(id="r-1", conditions=(HYPERTENSION,), enrolled_on=MARCH)
    await load(connection, Population(residents=[enrolled]), at=AT)
    bench.clock.now = AT + timedelta(days=40)
    await bench.record("visit", condition="hypertension")
    await bench.settle(days=1)
    visited = (AT + timedelta(days=40)).date()

    found = await marked(bench)
    first = (MARCH + timedelta(days=90)).isoformat()
    assert found["routine_due"] == [first, (visited + timedelta(days=90)).isoformat()]
    assert found["routine_on_time"] == [first]


async def test_a_low_emergency_is_not_under_control(bench: JudgeBench) -> None:
    bench.clock.now = AT
    await bench.send(a_glucose("3.5"))
    await bench.settle()

    assert (await marked(bench, "diabetes"))["uncontrolled"] == [AT.date().isoformat()]
