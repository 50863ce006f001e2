"""What is said of a reading later changes what it means, whenever it is said; nothing is erased."""

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.wire.times import format_instant
from ingest.db import amendments
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import JudgeBench, open_bench


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


def _random_glucose(glucose: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
    return a_glucose(glucose, meal_context="unknown", device_sequence=7, boot_id="b", **fields)


async def test_a_corrected_value_takes_the_ground_from_an_alert(bench: JudgeBench) -> None:
    reading = a_blood_pressure("182", "94")
    await bench.send(reading)
    await bench.settle()
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_EMERGENCY", "active")]

    await bench.correct(reading, systolic=Decimal(128), diastolic=Decimal(78))
    await bench.work()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "controlled")]
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_EMERGENCY", "cancelled")]
    assert await bench.rows("SELECT systolic FROM reading") == [(Decimal(182),)]  # As it came.


async def test_the_latest_correction_of_each_field_wins(bench: JudgeBench) -> None:
    reading = a_glucose("5.6")
    await bench.send(reading)
    for glucose, unit in (("126", "mg/dL"), ("130", None)):
        bench.clock.pass_by(minutes=1)
        await bench.correct(reading, glucose=Decimal(glucose), unit=unit)
    await bench.work()

    assert await bench.rows("SELECT code, observed FROM alert") == [
        ("GLU_UNSATISFIED_1", "7.2 mmol/L")
    ]


async def test_a_unit_of_another_kind_is_no_unit(bench: JudgeBench) -> None:
    """Nothing is judged on a guess: the reading drops out until it is corrected again."""
    reading = a_blood_pressure("152", "94")
    await bench.send(reading)
    await bench.correct(reading, unit="mmol/L")
    await bench.settle()

    assert await bench.alerts() == []


async def test_a_retracted_reading_cancels_its_alert_which_stays_visible(
    bench: JudgeBench,
) -> None:
    reading = a_blood_pressure("152", "94")
    await bench.send(reading)
    await bench.settle()
    await bench.retract(reading)
    await bench.work()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "none")]
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "cancelled")]
    kinds = await bench.rows("SELECT kind, payload->>'status' FROM outbox WHERE kind LIKE 'alert%'")
    assert kinds == [("alert.raised", "active"), ("alert.changed", "cancelled")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_a_late_context_makes_a_value_fasting_in_any_order_of_arrival(
    bench: JudgeBench, order: tuple[int, ...]
) -> None:
    """The context may come before its reading, and a correction of its value before both."""
    reading = _random_glucose("5.6")
    steps = (
        lambda: bench.send(reading),
        lambda: bench.tell_context(reading, "fasting"),
        lambda: bench.correct(reading, glucose=Decimal("7.4")),
    )
    for step in order:
        await steps[step]()
        await bench.settle(minutes=1)

    assert await bench.cases() == [("diabetes", "second_followup_open", "2026-03-16", None)]
    assert await bench.rows("SELECT observed FROM alert WHERE status = 'active'") == [
        ("7.4 mmol/L",)
    ]


async def test_a_context_stays_with_the_reading_it_came_for(bench: JudgeBench) -> None:
    """A meter whose counter begins anew gives the same number to somebody else's value."""
    first = _random_glucose("7.4")
    await bench.send(first)
    await bench.settle(minutes=1)
    await bench.tell_context(first, "fasting")
    await bench.settle(days=2)
    await bench.send(_random_glucose("7.9", at=bench.clock.now, resident_id="r-2"))
    await bench.settle(minutes=1)
    await bench.mark()
    await bench.work()

    assert await bench.rows("SELECT resident_id, status FROM alert") == [("r-1", "active")]


async def test_a_corrected_time_puts_a_reading_where_it_was_taken(bench: JudgeBench) -> None:
    wrong = a_glucose("7.4", measured_at=format_instant(AT - timedelta(days=30)))
    await bench.send(wrong)
    await bench.work()
    assert [alert[2] for alert in await bench.alerts()] == ["2026-02-14", "2026-02-14"]

    await bench.correct(wrong, measured_at=AT)
    await bench.work()

    assert await bench.alerts() == [
        ("FOLLOWUP_OVERDUE", "cancelled", "2026-02-14"),
        ("GLU_UNSATISFIED_1", "active", "2026-03-16"),
    ]
    assert await bench.rows("SELECT effective_at FROM alert WHERE status = 'active'") == [(AT,)]


async def test_a_claimed_emergency_moves_from_the_centre_to_the_team(bench: JudgeBench) -> None:
    reading = a_blood_pressure("200", "95", resident_id=None)
    await bench.send(reading)
    ((raised, nobody),) = await bench.rows("SELECT id, resident_id FROM alert")
    assert nobody is None

    await bench.settle(minutes=20)
    await bench.correct(reading, resident_id="r-1")
    await bench.work()

    assert await bench.rows("SELECT id, resident_id, status FROM alert") == [
        (raised, "r-1", "active")
    ]
    assert await bench.cases() == [("hypertension", "emergency_referral", None, "2026-03-16")]
    ((team,),) = await bench.rows(
        "SELECT payload->>'team_id' FROM outbox WHERE kind = 'alert.changed'"
    )
    assert team == "east-1"


@pytest.mark.parametrize("known_before", [False, True], ids=["arrives-later", "arrived-before"])
async def test_a_reading_moved_to_the_right_person_leaves_the_wrong_one(
    bench: JudgeBench, *, known_before: bool
) -> None:
    reading = a_glucose("7.4", resident_id="r-2")
    if known_before:
        await bench.send(reading)
        await bench.work()
    await bench.correct(reading, resident_id="r-1")
    await bench.settle(minutes=1)
    if not known_before:
        await bench.send(reading)
        await bench.work()

    assert await bench.rows(
        "SELECT resident_id, state FROM resident_case WHERE state <> 'none'"
    ) == [("r-1", "second_followup_open")]
    told = await bench.rows("SELECT resident_id, status FROM alert ORDER BY 1")
    assert ("r-1", "active") in told
    assert {row for row in told if row[0] == "r-2"} <= {("r-2", "cancelled")}


async def test_an_amendment_that_comes_twice_is_stored_once_and_never_rewritten(
    connection: Connection,
) -> None:
    said: dict[str, Any] = {
        "id": UUID(int=7),
        "kind": "correction",
        "reading_id": UUID(int=1),
        "author": "dr-1",
    }
    changes = [Changes(glucose=Decimal(text)) for text in ("5.60", "5.7")]
    first, other = (Amendment(**said, changes=each) for each in changes)
    assert await amendments.insert_new(connection, [first], at=AT) == {first.id}
    assert await amendments.insert_new(connection, [first], at=AT + timedelta(hours=1)) == set()

    with pytest.raises(UnstorableError, match="other content"):
        await amendments.insert_new(connection, [other], at=AT)
    stored = await (await connection.execute("SELECT changes FROM amendment")).fetchall()
    assert stored == [({"glucose": "5.60"},)]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": "correction", "reading_id": UUID(int=1)}, id="changes-nothing"),
        pytest.param(
            {"kind": "retraction", "reading_id": UUID(int=1), "changes": Changes(unit="kPa")},
            id="retracts-and-changes",
        ),
        pytest.param({"kind": "retraction"}, id="of-no-reading"),
        pytest.param(
            {"kind": "context", "device_id": "d", "changes": Changes(meal_context="fasting")},
            id="context-without-number",
        ),
        pytest.param(
            {"kind": "context", "reading_id": UUID(int=1), "changes": Changes(arm="left")},
            id="context-of-a-reading",
        ),
    ],
)
def test_what_is_said_must_make_sense(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"correction|retraction|context"):
        Amendment(id=UUID(int=7), author="dr-1", **fields)


@pytest.mark.parametrize("value", ["NaN", "-1", "1E7", "0.12345678"])
def test_a_corrected_value_is_a_number_that_an_instrument_could_show(value: str) -> None:
    with pytest.raises(ValueError, match="glucose"):
        Changes(glucose=Decimal(value))
