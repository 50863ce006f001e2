"""A power cut, a lying disk, rotten bytes: what was taken is there, or its loss is told.

A writer is killed in the middle of its work; then the ends of its files are cut off or replaced
at random places, which is what a disk leaves that did not keep what it had said. Whatever comes
out of the spool afterwards is exactly what was put in.
"""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from gateway.counters import read_counters
from gateway.errors import SpoolDamagedError, SpoolError
from gateway.freezer import Stamp, freeze_reading
from gateway.salvage import list_asides, read_back, read_back_new, report_of
from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_json
from tests.unit.gateway.gateway_builders import NOON, a_measurement

WRITER = Path(__file__).with_name("spool_writer.py")
ROOT = Path(__file__).parents[3]
COPIES = int(os.environ.get("SPOOL_COPIES", "3"))
SUFFIXES = ("", "-wal", ".witness", ".lock")


def a_frozen_reading(**fields: object) -> SpooledReading:
    stamp = Stamp(new_id(NOON), NOON, clock_synchronised=True)
    return SpooledReading(stamp.id, NOON, freeze_reading(a_measurement(**fields), stamp, key=None))


def open_at(path: Path) -> Spool:
    spool = Spool(path, gateway="g1", rows_max=10**6, bytes_max=10**9)
    read_back_new(spool)
    return spool


def drain(spool: Spool) -> set[str]:
    """Every reading that leaves, each checked against its own checksum."""
    batches = spool.unreceipted()
    while batch := spool.take_batch(new_id(NOON), NOON):
        batches.append(batch)
    found = set()
    for batch in batches:
        for reading in parse_json(batch.payload)["readings"]:
            assert zlib.crc32(reading.get("note", "").encode()) == reading.get("check", 0)
            found.add(reading["id"])
    return found


@dataclass
class Cut:
    """Files as a killed writer left them, and what it had been told."""

    path: Path
    taken: set[str]
    confirming: set[str]

    def copy(self, to: Path) -> Path:
        """The same files elsewhere."""
        to.mkdir()
        for suffix in SUFFIXES:
            if Path(f"{self.path}{suffix}").exists():
                shutil.copy(f"{self.path}{suffix}", to / f"spool.db{suffix}")
        return to / "spool.db"


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """One long life of a writer that ends in the middle; the log holds many transactions."""
    path = tmp_path_factory.mktemp("cut") / "spool.db"
    command = [sys.executable, str(WRITER), str(path), "600"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    ) as writer:
        assert writer.stdout is not None
        lines = [line for line in writer.stdout if line.endswith(" .\n")]
    assert writer.returncode == -9
    said: dict[str, set[str]] = {"taken": set(), "confirming": set()}
    for line in lines:
        word, *ids, _ = line.split()
        said[word].update(ids)
    assert len(said["taken"]) > 1_500
    return Cut(path, said["taken"], said["confirming"])


Harm = Callable[[random.Random, Path], None]


def cut_short(chance: random.Random, file: Path) -> None:
    """The end never reached the disk."""
    os.truncate(file, chance.randrange(file.stat().st_size))


def tear_the_last_page(chance: random.Random, file: Path) -> None:
    """Only some sectors of the last page reached it."""
    size = file.stat().st_size
    os.truncate(file, max(0, size - chance.randrange(1, 4_096)))


def spoil_the_end(chance: random.Random, file: Path) -> None:
    """From somewhere on, the disk has something else."""
    start = chance.randrange(file.stat().st_size)
    _write(file, start, chance.randbytes(file.stat().st_size - start))


def spoil_a_page(chance: random.Random, file: Path) -> None:
    """One page somewhere has something else."""
    pages = file.stat().st_size // 4_096
    _write(file, 4_096 * chance.randrange(max(1, pages)), chance.randbytes(4_096))


def zero_a_page(chance: random.Random, file: Path) -> None:
    """One page somewhere was never written."""
    pages = file.stat().st_size // 4_096
    _write(file, 4_096 * chance.randrange(max(1, pages)), bytes(4_096))


def flip_a_bit(chance: random.Random, file: Path) -> None:
    """One bit has rotted."""
    place = chance.randrange(file.stat().st_size)
    with file.open("rb") as opened:
        opened.seek(place)
        (byte,) = opened.read(1)
    _write(file, place, bytes([byte ^ 1 << chance.randrange(8)]))


def _write(file: Path, place: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(data)


@pytest.mark.parametrize("seed", range(COPIES))
@pytest.mark.parametrize("where", ["", "-wal"], ids=["database", "log"])
@pytest.mark.parametrize(
    "harm",
    [cut_short, tear_the_last_page, spoil_the_end, spoil_a_page, zero_a_page, flip_a_bit],
    ids=lambda harm: harm.__name__,
)
def test_what_was_taken_is_there_or_its_loss_is_told(
    cut: Cut, tmp_path: Path, harm: Harm, where: str, seed: int
) -> None:
    path = cut.copy(tmp_path / "harmed")
    harm(random.Random(f"{harm.__name__} {where} {seed}"), Path(f"{path}{where}"))  # noqa: S311 - reproducible

    found: set[str] = set()
    for _ in range(3):  # As its supervisor starts it again.
        try:
            with open_at(path) as spool:
                found |= drain(spool)
            break
        except SpoolDamagedError:
            continue
    else:
        pytest.fail("the gateway does not come up again")

    missing = cut.taken - cut.confirming - found
    counters = read_counters(path)
    assert counters.conserved
    asides = list_asides(path)
    if missing:
        assert asides, f"{len(missing)} are missing and nobody says so"
        assert counters.lost or not report_of(asides[0]).read_text().endswith('"ruined": 0')
        assert counters.lost <= len(missing)
    for aside in asides:
        assert parse_json(report_of(aside).read_bytes())["file"] == str(aside)


def test_without_harm_everything_is_there(cut: Cut, tmp_path: Path) -> None:
    path = cut.copy(tmp_path / "whole")
    with open_at(path) as spool:
        assert cut.taken - cut.confirming <= drain(spool)
    assert not list_asides(path)


def test_a_reading_that_the_disk_has_changed_is_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    readings = [a_frozen_reading(note=f"n{number:03d}") for number in range(50)]
    with open_at(path) as spool:
        spool.put(readings)
    whole = path.read_bytes()
    assert whole.count(b"n007") == 1
    path.write_bytes(whole.replace(b"n007", b"n008"))

    with open_at(path) as spool, pytest.raises(SpoolDamagedError, match="not what was written"):
        spool.take_batch(new_id(NOON), NOON)
    with open_at(path) as spool:
        batch = spool.take_batch(new_id(NOON), NOON)

    assert batch is not None
    (aside,) = list_asides(path)
    sent = {UUID(each["id"]) for each in parse_json(batch.payload)["readings"]}
    assert sent == {reading.id for reading in readings} - {readings[7].id}
    counters = read_counters(path)
    assert (counters.accepted, counters.waiting, counters.lost) == (50, 49, 1)
    report = parse_json(report_of(aside).read_bytes())
    assert (report["rows"], report["ruined"], report["lost"]) == (49, 1, 1)


def test_a_file_read_back_twice_gives_each_reading_once(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with open_at(path) as spool:
        spool.put([a_frozen_reading() for _ in range(20)])
    old = tmp_path / "old.db"
    shutil.copy(path, old)

    with open_at(path) as spool:
        found = read_back(spool, old)
        assert (found.rows, found.known, found.kept) == (20, 20, 0)
        assert spool.waiting_rows == 20
    other = tmp_path / "other.db"
    with open_at(other) as spool:
        assert read_back(spool, old).kept == 20
        assert read_back(spool, old).kept == 0
        with pytest.raises(SpoolError, match="Name a file that was put aside"):
            read_back(spool, tmp_path / "absent")


def test_a_kill_while_a_file_is_put_aside_loses_nothing(tmp_path: Path) -> None:
    """After each rename the power may go; the next start finishes what was begun."""
    path = tmp_path / "spool.db"
    readings = [a_frozen_reading() for _ in range(30)]
    with open_at(path) as spool:
        spool.put(readings)
        with pytest.raises(SpoolDamagedError):
            spool._file.refuse("a test says so")
    moved = Path(f"{path}.damaged-1")
    shutil.copy(path, moved)  # The database is moved, its witness still says "damaged".
    path.write_bytes(b"")

    with open_at(path) as spool:
        assert drain(spool) == {str(reading.id) for reading in readings}
    assert list_asides(path) == [moved]


def test_a_spool_that_is_gone_is_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool.db"
    with open_at(path) as spool:
        spool.put([a_frozen_reading()])
    path.unlink()

    open_at(path).close()

    assert "is gone, and 1 readings with it: stop the gateway and put it back" in caplog.text


def test_what_finds_no_room_is_read_back_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with open_at(path) as spool:
        spool.put([a_frozen_reading() for _ in range(20)])
        with pytest.raises(SpoolDamagedError):
            spool._file.refuse("a test says so")

    with Spool(path, gateway="g1", rows_max=15, bytes_max=10**9) as spool:
        (found,) = read_back_new(spool)
        assert (found.kept, found.roomless) == (15, 5)
        assert "5 found no room yet" in found.complaint
        batch = spool.take_batch(new_id(NOON), NOON)
        assert batch is not None
        sent = {reading["id"] for reading in parse_json(batch.payload)["readings"]}
    with open_at(path) as spool:
        assert len(drain(spool) | sent) == 20
        assert spool.waiting_rows == 20
        assert read_back_new(spool) == []


def test_a_later_releases_file_is_refused_and_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    open_at(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute("PRAGMA user_version = 3")
        later.execute("ALTER TABLE tally RENAME TO other")

    with pytest.raises(SpoolError, match=r"has version 3, expected 2\. Upgrade suifang"):
        open_at(path)
    assert not list_asides(path)


def test_a_file_without_its_tables_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with open_at(path) as spool:
        spool.put([a_frozen_reading()])
    with closing(sqlite3.connect(path)) as harm:
        harm.execute("DROP TABLE tally")

    with open_at(path) as spool:
        assert spool.waiting_rows == 1
    assert list_asides(path)
