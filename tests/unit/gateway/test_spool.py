"""A reading leaves the spool on its batch's receipt and on nothing else.

A frozen batch never changes, full is an answer, and the counters always add up.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.counters import read_counters, waiting_ids
from gateway.errors import Busy, SpoolError
from gateway.spool import Spool
from gateway.spooled import Batch, Settled, SpooledReading
from gateway.wire.ids import new_id
from gateway.wire.limits import BATCH_BYTES_MAX
from gateway.wire.readings import parse_json
from tests.unit.gateway.gateway_builders import NOON, a_reading


def open_at(path: Path, **changes: int) -> Spool:
    limits = {"rows_max": 100_000, "bytes_max": 100_000_000} | changes
    return Spool(path, gateway="g1", **limits)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with open_at(path) as opened:
        yield opened


def take(spool: Spool) -> Batch:
    batch = spool.take_batch(new_id(NOON), NOON)
    assert batch is not None
    return batch


def ids_in(batch: Batch) -> list[UUID]:
    return [UUID(reading["id"]) for reading in parse_json(batch.payload)["readings"]]


def confirm(spool: Spool, batch: Batch) -> Settled:
    return spool.confirm(batch.id, stored=batch.readings, duplicate=0, quarantined=0)


def test_readings_come_out_in_the_order_they_went_in(spool: Spool) -> None:
    readings = [a_reading() for _ in range(700)]
    assert spool.put(readings) == 700

    first, second = take(spool), take(spool)

    assert ids_in(first) + ids_in(second) == [reading.id for reading in readings]
    assert (first.readings, second.readings) == (500, 200)
    assert spool.take_batch(new_id(NOON), NOON) is None


def test_a_batch_of_large_readings_stays_below_the_brokers_limit(spool: Spool) -> None:
    spool.put([a_reading(raw_bytes=4_096) for _ in range(130)])

    sizes = []
    while batch := spool.take_batch(new_id(NOON), NOON):
        assert len(batch.payload) <= BATCH_BYTES_MAX
        sizes.append(batch.readings)

    assert sum(sizes) == 130
    assert sizes[0] == 60


def test_a_batch_is_byte_for_byte_the_same_after_a_restart(path: Path) -> None:
    with open_at(path) as spool:
        spool.put([a_reading() for _ in range(900)])
        before = [take(spool), take(spool)]
        spool.put([a_reading() for _ in range(10)])

    with open_at(path) as spool:
        assert spool.unreceipted() == before
        assert spool.unbatched_rows == 10
        assert take(spool).readings == 10


def test_confirming_a_batch_leaves_exactly_the_others(path: Path, spool: Spool) -> None:
    readings = [a_reading() for _ in range(1_200)]
    spool.put(readings)
    first, second, third = take(spool), take(spool), take(spool)

    assert confirm(spool, second) is Settled.CONFIRMED

    assert waiting_ids(path) == {r.id for r in readings} - set(ids_in(second))
    assert spool.unreceipted() == [first, third]


def test_readings_put_after_the_newest_batch_was_confirmed_are_still_sent(spool: Spool) -> None:
    spool.put([a_reading() for _ in range(600)])
    take(spool)
    confirm(spool, take(spool))
    late = a_reading()

    spool.put([late])

    assert ids_in(take(spool)) == [late.id]


def test_a_second_receipt_of_the_same_batch_is_counted_and_ignored(
    path: Path, spool: Spool
) -> None:
    spool.put([a_reading() for _ in range(3)])
    batch = take(spool)
    confirm(spool, batch)

    assert confirm(spool, batch) is Settled.UNKNOWN

    counters = read_counters(path)
    assert (counters.confirmed_stored, counters.receipts_unknown) == (3, 1)


@pytest.mark.parametrize(
    ("stored", "duplicate", "quarantined"),
    [
        pytest.param(2, 0, 0, id="too-few"),
        pytest.param(2, 1, 1, id="too-many"),
        pytest.param(0, 0, 0, id="none"),
    ],
)
def test_a_receipt_that_does_not_fit_the_batch_confirms_nothing(
    path: Path, spool: Spool, stored: int, duplicate: int, quarantined: int
) -> None:
    spool.put([a_reading() for _ in range(3)])
    batch = take(spool)

    settled = spool.confirm(batch.id, stored=stored, duplicate=duplicate, quarantined=quarantined)

    assert settled is Settled.MISCOUNTED
    assert read_counters(path).waiting == 3
    assert spool.unreceipted() == [batch]


def test_counters_say_what_became_of_every_reading(path: Path, spool: Spool) -> None:
    spool.put([a_reading() for _ in range(510)])
    batch = take(spool)
    spool.confirm(batch.id, stored=490, duplicate=7, quarantined=3)
    spool.count_resent()

    counters = read_counters(path)

    assert counters.conserved
    assert counters.accepted == 510
    assert counters.waiting == 10
    confirmed = (
        counters.confirmed_stored,
        counters.confirmed_duplicate,
        counters.confirmed_quarantined,
    )
    assert confirmed == (490, 7, 3)
    assert (counters.batches_sent, counters.batches_resent) == (1, 1)


@pytest.mark.parametrize(
    "limits", [{"rows_max": 5}, {"bytes_max": 1_000}], ids=["by-rows", "by-bytes"]
)
def test_a_full_spool_takes_what_fits_and_has_room_again_after_a_receipt(
    path: Path, limits: dict[str, int]
) -> None:
    with open_at(path, **limits) as spool:
        assert spool.put([a_reading() for _ in range(8)]) == 5
        assert spool.put([a_reading()]) == 0

    with open_at(path, **limits) as spool:
        assert spool.put([a_reading()]) == 0
        confirm(spool, take(spool))
        assert spool.put([a_reading() for _ in range(8)]) == 5


def test_the_oldest_capture_is_found_though_the_clock_stepped_back(spool: Spool) -> None:
    earlier = NOON - timedelta(hours=1)
    spool.put([a_reading(), a_reading(at=earlier), a_reading()])

    assert take(spool).oldest_captured_at == earlier


def test_only_the_owner_can_read_the_files(path: Path, spool: Spool) -> None:
    spool.put([a_reading()])

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert set(modes.values()) == {0o600}
    assert "spool.db-wal" in modes


def test_two_processes_cannot_open_one_spool(path: Path, spool: Spool) -> None:
    assert spool.waiting_rows == 0
    with pytest.raises(SpoolError, match="in use by another gateway"):
        open_at(path)


def test_another_gateways_spool_is_refused(path: Path) -> None:
    open_at(path).close()

    with pytest.raises(SpoolError, match="is that of gateway g1"):
        Spool(path, gateway="g2", rows_max=1, bytes_max=1)


def test_a_file_that_is_no_spool_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)

    with pytest.raises(SpoolError, match="Set GATEWAY_SPOOL to another file"):
        open_at(path)

    assert path.read_bytes() == b"something else entirely" * 100
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_spool_of_an_earlier_release_is_refused_with_a_remedy(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA user_version = 1")

    with pytest.raises(SpoolError, match=r"has version 1, expected 2\. Let the release"):
        open_at(path)


def test_a_lost_reading_within_a_frozen_batch_is_noticed(path: Path) -> None:
    with open_at(path) as spool:
        spool.put([a_reading() for _ in range(3)])
        take(spool)
    with sqlite3.connect(path) as damage:
        damage.execute("DELETE FROM reading WHERE number = 2")
    damage.close()

    with open_at(path) as spool, pytest.raises(SpoolError, match="damaged"):
        spool.unreceipted()


def test_a_full_database_loses_nothing_and_has_room_again(path: Path, spool: Spool) -> None:
    spool.put([a_reading()])
    connection = spool._file.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")

    assert spool.put([a_reading() for _ in range(1_000)]) == 0
    assert spool.shortage is Busy.DISK_FULL

    counters = read_counters(path)
    assert (counters.accepted, counters.waiting) == (1, 1)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert spool.put([a_reading() for _ in range(1_000)]) == 1_000
    assert [batch.readings for batch in (take(spool), take(spool), take(spool))] == [500, 500, 1]


def test_room_is_left_on_the_disk_for_receipts(path: Path) -> None:
    with open_at(path, free_bytes_min=2**62) as spool:
        assert spool.put([a_reading()]) == 0
        assert spool.shortage is Busy.DISK_FULL


DAY = timedelta(days=1)


def known(at: datetime) -> SpooledReading:
    return replace(a_reading(at=at), clock_known=True)


def test_a_spool_that_nobody_collects_says_so_and_keeps_everything(path: Path) -> None:
    with open_at(path, age_h_max=24) as spool:
        assert spool.put([known(NOON)]) == 1
        assert spool.put([known(NOON + DAY)]) == 1

        assert spool.put([known(NOON + DAY + timedelta(seconds=1))]) == 0
        assert spool.shortage is Busy.UNCOLLECTED
        assert spool.waiting_rows == 2

    with open_at(path, age_h_max=24) as spool:
        assert spool.put([known(NOON + 2 * DAY)]) == 0
        confirm(spool, take(spool))
        assert spool.put([known(NOON + 2 * DAY)]) == 1


def test_one_batch_that_never_gets_a_receipt_does_not_stop_the_others(path: Path) -> None:
    with open_at(path, age_h_max=24) as spool:
        spool.put([known(NOON)])
        stuck = take(spool)
        for day in range(1, 10):
            assert spool.put([known(NOON + day * DAY)]) == 1
            confirm(spool, take(spool))
        assert spool.oldest_captured_at() == NOON
        assert spool.unreceipted() == [stuck]


def test_an_age_by_a_clock_that_nobody_trusts_stops_nothing(path: Path) -> None:
    with open_at(path, age_h_max=24) as spool:
        spool.put([known(NOON)])
        assert spool.put([a_reading(at=NOON + 9_000 * DAY)]) == 1


def test_no_spool_has_no_counters(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be read"):
        read_counters(tmp_path / "absent.db")
    assert list(tmp_path.iterdir()) == []


def test_a_hundred_thousand_readings_are_there_when_opened_again(path: Path) -> None:
    with open_at(path) as spool:
        for _ in range(20):
            spool.put([a_reading(raw_bytes=350) for _ in range(5_000)])

    with open_at(path) as spool:
        assert spool.waiting_rows == 100_000
