"""Whatever comes after old readings went: known, too old, or only seemingly old; nobody missed."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from gateway.wire.ids import new_id
from gateway.wire.times import format_instant
from ingest.db import retention
from ingest.db.connections import Connection
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import JudgeBench, open_bench
from tests.integration.retention_bench import (
    KEPT,
    LAW,
    NOW,
    ids_in,
    live_through,
    retain,
    send_at,
)
from tests.integration.writer_bench import WriterBench, receipts_of


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


@pytest.mark.parametrize("plain", [True, False], ids=["plain-lane", "careful-lane"])
async def test_an_older_arrival_is_quarantined_once(bench: JudgeBench, *, plain: bool) -> None:
    await live_through(bench)
    await retain(bench, KEPT)
    late = a_batch(a_glucose("18.8", at=AT))
    writer = WriterBench(bench.connection, plain=plain)

    first = await writer.store(late, at=NOW)
    again = await writer.store(late, at=NOW)

    assert receipts_of(first) == receipts_of(again)
    assert [item.reason for item in receipts_of(first)[0].quarantined] == ["before_retention"]
    assert await bench.rows("SELECT reason, settles FROM quarantine") == [
        ("before_retention", True)
    ]
    assert await bench.rows("SELECT sum(quarantined), sum(redelivered) FROM gateway_day") == [
        (1, 1)
    ]
    assert await bench.alerts() == []  # Years old by a clock that can be believed: filed.
    assert await bench.rows(LAW) == [(0, 0)]


async def test_what_is_stored_in_front_of_the_edge_and_comes_again_is_known(
    bench: JudgeBench,
) -> None:
    high = await send_at(bench, AT, a_glucose("7.4"))
    bench.clock.now = NOW
    await retain(bench, KEPT)

    settled = await bench.store(a_batch(high), at=NOW)

    assert receipts_of(settled)[0].stored == 1
    assert await bench.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_a_gateway_whose_clock_stands_at_2000_is_still_heard(bench: JudgeBench) -> None:
    """Its ids look older than anything; its patients are in danger now."""
    await live_through(bench)
    await retain(bench, KEPT)
    wrong = datetime(2000, 1, 1, tzinfo=UTC)
    reading = a_blood_pressure("200", "95", at=wrong, clock_synchronised=False)
    del reading["measured_at"]

    first = await bench.store(a_batch(reading), at=NOW)
    again = await bench.store(a_batch(reading), at=NOW)
    await bench.settle()

    assert receipts_of(first)[0].stored == receipts_of(again)[0].stored == 1
    assert await ids_in(bench, "reading_held") == {reading["id"]}
    assert await bench.rows("SELECT code, status, page FROM alert") == [
        ("BP_EMERGENCY", "active", True)
    ]
    assert [case[1] for case in await bench.cases()] == ["controlled", "emergency_referral"]
    assert await bench.rows(LAW) == [(0, 0)]


async def test_an_emergency_that_only_the_device_calls_old_is_told(bench: JudgeBench) -> None:
    await live_through(bench)
    await retain(bench, KEPT)
    old = datetime(2021, 1, 1, tzinfo=UTC)
    reading = a_blood_pressure("200", "95", at=old, clock_synchronised=False)

    await bench.store(a_batch(reading), at=NOW)
    await bench.settle()

    assert await bench.rows("SELECT reason FROM quarantine") == [("before_retention",)]
    assert await bench.rows("SELECT code, status, late FROM alert") == [
        ("BP_EMERGENCY", "active", True)
    ]


async def test_an_old_record_of_a_device_is_stored_and_its_emergency_stays(
    bench: JudgeBench,
) -> None:
    """Captured now, measured before the checkpoint: kept, shown, not folded, not cancelled."""
    await live_through(bench)
    await retain(bench, KEPT)
    cases = await bench.cases()
    old = a_glucose("18.8", at=NOW, measured_at=format_instant(AT), stored_record=True)

    await bench.store(a_batch(old), at=NOW)
    await bench.settle(days=1)

    assert old["id"] in await ids_in(bench, "reading")
    assert await bench.rows("SELECT code, status, page FROM alert") == [
        ("GLU_EMERGENCY_HIGH", "active", False)
    ]
    assert await bench.cases() == cases
    assert (await retention.count(bench.connection)).unfolded == 1


async def test_a_return_told_late_is_not_lost_with_the_past(bench: JudgeBench) -> None:
    """Whoever is thought gone is not watched."""
    await live_through(bench, months=2)
    bench.clock.now = AT + timedelta(days=61)
    await bench.record("closure", reason="moved")
    bench.clock.now = NOW
    await bench.work()
    await retain(bench, KEPT)

    await bench.record("return", at=AT + timedelta(days=70))
    await send_at(bench, NOW, a_glucose("7.4", at=NOW))
    await bench.settle()

    assert ("diabetes", "second_followup_open") in [case[:2] for case in await bench.cases()]


async def test_the_key_of_a_device_without_a_clock_outlives_its_reading(bench: JudgeBench) -> None:
    """Uploaded again under a new id it would count as taken today."""
    with_clock = a_glucose("5.6", device_sequence=1, boot_id="b")
    without = a_glucose("5.7", device_sequence=2, boot_id="b", at=AT + timedelta(minutes=1))
    del without["measured_at"]
    await bench.send(with_clock)
    bench.clock.pass_by(minutes=1)
    await bench.send(without)
    await bench.settle()
    bench.clock.now = NOW
    done = await retain(bench, KEPT)
    assert (done.retired, done.keys) == (2, 1)

    later = {"captured_at": format_instant(NOW), "stored_record": True}
    for reading in (with_clock, without):
        await bench.store(a_batch(reading | later | {"id": str(new_id(NOW))}), at=NOW)
    await bench.settle()

    assert await bench.rows("SELECT sum(stored), sum(duplicate) FROM gateway_day") == [(3, 1)]
    assert await bench.rows("SELECT count(*) FROM alert") == [(0,)]


async def test_a_context_never_wanders_from_a_dropped_reading_to_another(
    bench: JudgeBench,
) -> None:
    first = a_glucose("5.6", meal_context="unknown", device_sequence=7, boot_id="b")
    await bench.send(first)
    bench.clock.pass_by(minutes=5)
    await bench.tell_context(first, "fasting")
    await bench.settle()
    bench.clock.now = NOW
    await bench.work()
    await retain(bench, KEPT)

    other = a_glucose("7.9", at=NOW, meal_context="unknown", device_sequence=7, boot_id="b")
    await bench.send(other | {"resident_id": "r-2"})
    await bench.mark()
    await bench.settle()

    assert await bench.rows("SELECT retired FROM amendment") == [(True,)]
    assert await bench.rows("SELECT count(*) FROM alert") == [(0,)]
