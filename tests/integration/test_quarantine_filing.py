"""What is filed can be found again: its batch, its disposition, whoever filed it first."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.wire.errors import Reason
from gateway.wire.ids import new_id
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from ingest.metrics import IngestMetrics
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_db import Database
from tests.integration.quarantine_bench import BATCH, QuarantineBench, outcomes
from tests.integration.writer_bench import WriterBench, receipts_of
from tests.roles import prepare_ingest


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


@pytest.mark.parametrize("plain", [True, False])
async def test_a_refused_reading_names_its_batch_and_a_refused_message_has_none(
    connection: Connection, *, plain: bool
) -> None:
    """By this a replay knows whether the bytes are one reading or many; on either lane."""
    await enrol(connection)
    await prepare_ingest(connection)
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


async def test_an_item_keeps_its_id_when_its_gateway_is_enrolled_no_more(
    bench: QuarantineBench,
) -> None:
    """Today's decoder takes it for a stranger's, which settles nothing."""
    await bench.refuse(a_glucose(), a_blood_pressure("210", "120"))
    await bench.connection.execute("DELETE FROM gateway")

    tally = await bench.replay()

    assert [(one["reason"], one["items"]) for one in tally.refusals()] == [("unknown_gateway", 2)]
    assert bench.counts() == (0, 0, 2, 0)
    assert await bench.resolutions() == [(None, True, "unknown_unit")] * 2
    await enrol(bench.connection)
    assert outcomes(await bench.replay()) == {"stored": 2}
    assert bench.counts() == (2, 0, 0, 2)


async def test_what_is_older_than_what_is_kept_stays_and_what_only_seems_so_is_stored(
    bench: QuarantineBench,
) -> None:
    old = a_glucose("18.8", at=AT - timedelta(days=400))
    clock_lost = a_glucose(
        "18.8",
        id=new_id(AT - timedelta(days=9_000)),
        captured_at="2001-01-01T00:00:00Z",
        clock_synchronised=False,
        measured_at=None,
    )
    await bench.refuse(old, clock_lost)
    edge = AT - timedelta(days=90)
    await bench.connection.execute(
        "INSERT INTO retention (edge, set_at) VALUES (%s, %s)", (edge, AT)
    )

    tally = await bench.replay()

    assert outcomes(tally) == {"stored": 1, "refused": 1}
    assert await bench.rows("SELECT id FROM reading_held") == [(UUID(clock_lost["id"]),)]
    assert bench.counts() == (1, 0, 1, 1)
    assert await bench.rows("SELECT reason FROM quarantine WHERE settles") == [
        ("before_retention",)
    ]
    await bench.connection.execute("DELETE FROM gateway")
    await bench.replay()
    assert await bench.rows("SELECT reason FROM quarantine WHERE settles") == [
        ("before_retention",)
    ]
    assert bench.counts() == (1, 0, 1, 1)
