"""What is filed can be found again: its batch, its disposition, whoever filed it first."""

from dataclasses import asdict
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.wire.errors import Reason
from ingest.db import readings
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from ingest.metrics import IngestMetrics
from tests.builders import a_batch, a_glucose, enrol
from tests.fix_db import Database
from tests.integration.quarantine_bench import BATCH, QuarantineBench
from tests.integration.writer_bench import WriterBench, receipts_of


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await readings.prepare(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


@pytest.mark.parametrize("plain", [True, False])
async def test_a_refused_reading_names_its_batch_and_a_refused_message_has_none(
    connection: Connection, *, plain: bool
) -> None:
    """By this a replay knows whether the bytes are one reading or many; on either lane."""
    await enrol(connection)
    await readings.prepare(connection)
    either = WriterBench(connection, plain=plain)
    numbers = [a_glucose("5.6", device_sequence=7), a_glucose("9.9", device_sequence=7)]
    beside = [a_glucose(unit="furlong"), {**a_glucose(), "note": "a NUL \u0000"}]

    await either.store(a_batch(*numbers, *beside, batch=BATCH), b"no batch")
    await either.store(a_batch({**numbers[0], "note": "other"}, batch=BATCH))
    await either.store(a_batch(a_glucose(), batch=BATCH), topic="suifang/v1/west/gw-9/readings")

    found = await either.rows("SELECT reason, batch_id FROM quarantine ORDER BY reason")
    assert found == [
        ("id_conflict", BATCH),
        ("malformed_json", None),
        ("sequence_conflict", BATCH),
        ("unknown_gateway", BATCH),
        ("unknown_unit", BATCH),
        ("unstorable", BATCH),
    ]


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("by_replay", [False, True])
async def test_a_stranger_s_reading_refused_for_good_settles_its_id(
    bench: QuarantineBench, *, by_replay: bool, dropped: bool
) -> None:
    """Its row is there already, without settling; the receipt says quarantined."""
    bad = {**a_glucose(), "glucose": "Hi"}
    await bench.refuse(bad, reason=Reason.UNKNOWN_GATEWAY, enrolled=False)
    bench.expect(bad)
    if dropped:
        await bench.drop()

    if by_replay:
        await bench.replay(Selection(scope="unreplayed", numbers=[1]))
    else:
        settled = await bench.send(bad)
        assert [len(receipt.quarantined) for receipt in receipts_of(settled)] == [1]

    assert bench.counts() == (0, 0, 1, 0)
    assert await bench.resolutions() == [("dropped" if dropped else None, True, "not_a_number")]
    await bench.send(bad)
    assert bench.counts() == (0, 0, 1, 0)


async def test_an_item_that_settles_at_last_does_not_stop_a_worker_s_counters(
    bench: QuarantineBench,
) -> None:
    """It leaves ``unsettling``, and a counter that is told to go back ends the process."""
    bad = {**a_glucose(), "glucose": "Hi"}
    await bench.refuse(bad, reason=Reason.UNKNOWN_GATEWAY, enrolled=False)
    settled = await bench.send(bad)

    booked, metrics = asdict(settled.totals["gw-1"]), IngestMetrics()
    metrics.book(booked)

    assert (booked["quarantined"], booked["unsettling"]) == (1, -1)
    assert metrics.readings.labels("quarantined")._value.get() == 1
