"""What can be read of a ruined spool: row by row while SQLite can, then from the bare bytes.

Every reading carries a checksum right before its text, so a reading found among the bytes of a
file is either exactly what was written or not taken. Readings that were confirmed long ago may
lie in free pages and come along: ingest knows their ids, so they are stored once all the same.
The ruined file is only read. A reading that was held for the time goes with its first guess.
"""

import glob
import json
import logging
import mmap
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.errors import SpoolError
from gateway.freezer import FROZEN_HEAD
from gateway.spool import Spool
from gateway.spool_file import waiting_of
from gateway.spooled import SpooledReading, checksum, from_ms
from gateway.wire.ids import time_of
from gateway.wire.limits import READING_BYTES_MAX

_LOG = logging.getLogger(__name__)
_ROWS: Final = "SELECT id, captured_ms, crc, raw FROM reading ORDER BY number"
_ROWS_PER_PUT: Final = 1_000
_CRC_BYTES: Final = 4
_HEAD: Final = re.compile(FROZEN_HEAD)


@dataclass(slots=True)
class Salvaged:
    """What became of one ruined file."""

    file: Path
    rows: int = 0  # Read as rows, whole.
    carved: int = 0  # Found in the bytes besides.
    ruined: int = 0  # Rows whose text is not what was written.
    kept: int = 0  # Put into the spool now.
    known: int = 0  # Lay in the spool already.
    unreadable: str = ""  # SQLite's word, where the rows end early.
    lost: int = 0  # At least so many were said to wait, and were not found.

    @property
    def roomless(self) -> int:
        """Whole readings that found no room."""
        return self.rows + self.carved - self.known - self.kept

    @property
    def complaint(self) -> str:
        """What is missing, for a log line; empty when nothing is known to be."""
        parts = (
            (self.lost, f"at least {self.lost} are lost: have the terminals offer theirs again"),
            (self.ruined, f"{self.ruined} rows were ruined"),
            (self.unreadable, f"its rows could not be read to the end ({self.unreadable})"),
            (self.roomless, f"{self.roomless} found no room yet: they are tried at the next start"),
        )
        return "".join("; " + text for said, text in parts if said)

    def report(self) -> dict[str, object]:
        """As JSON."""
        names = ("rows", "carved", "ruined", "kept", "known", "lost", "unreadable")
        return {"file": str(self.file), **{name: getattr(self, name) for name in names}}


def report_of(file: Path) -> Path:
    """Where the report lies, once a ruined file was read back as a whole."""
    return Path(f"{file}.report.json")


def list_asides(spool: Path) -> list[Path]:
    """The files that were put aside beside a spool, oldest first."""
    found = [
        path
        for path in spool.parent.glob(f"{glob.escape(spool.name)}.damaged-*")
        if re.fullmatch(r"\d+", path.name.rpartition("-")[2], re.ASCII)
    ]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def read_back(spool: Spool, file: Path) -> Salvaged:
    """Take from a ruined file what can be read and does not wait in the spool already.

    Raises:
        SpoolError: The file or the spool cannot be used.
    """
    if not file.exists():
        msg = f"{file} is not there. Name a file that was put aside: {spool.path}.damaged-1"
        raise SpoolError(msg)
    again = report_of(file).exists()
    found = Salvaged(file)
    group: list[SpooledReading] = []
    for reading in salvage_file(file, found, spool.waiting_ids()):
        group.append(reading)
        if len(group) == _ROWS_PER_PUT:
            found.kept += spool.put(group)
            group.clear()
    found.kept += spool.put(group)
    found.lost = max(0, _said_to_wait(file) - found.rows - found.carved)
    if not found.roomless:
        if found.lost and not again:
            spool.count_lost(found.lost)
        _write_report(found)
    _LOG.error("%d readings were read back from %s%s", found.kept, file, found.complaint)
    return found


def read_back_new(spool: Spool) -> list[Salvaged]:
    """Every file beside the spool that was put aside and not read back yet. As ``read_back``."""
    asides = list_asides(spool.path)
    return [read_back(spool, file) for file in asides if not report_of(file).exists()]


def salvage_file(file: Path, found: Salvaged, known: set[int]) -> Iterator[SpooledReading]:
    """Every whole reading of one file, each id once; ``found`` counts on the way.

    Args:
        file: The ruined file; its log lies beside it.
        found: Is filled in.
        known: Ids (as integers) that need not come again; those that come are added.

    Raises:
        SpoolError: The file is not there or cannot be read at all.
    """
    for reading in _read_rows(file, found):
        found.rows += 1
        if _is_new(reading, found, known):
            yield reading
    places = [Path(f"{file}-wal")]
    if found.unreadable or found.ruined or found.rows < _said_to_wait(file):
        places.append(file)
    for place in places:
        for reading in _carve(place):
            if reading.id.int not in known:
                known.add(reading.id.int)
                found.carved += 1
                yield reading


def _is_new(reading: SpooledReading, found: Salvaged, known: set[int]) -> bool:
    if reading.id.int in known:
        found.known += 1
        return False
    known.add(reading.id.int)
    return True


def _read_rows(file: Path, found: Salvaged) -> Iterator[SpooledReading]:
    """The rows that are whole, until SQLite gives up."""
    address = f"{file.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            for identifier, captured_ms, crc, raw in connection.execute(_ROWS):
                try:
                    identity = UUID(bytes=identifier)
                    reading = SpooledReading(identity, from_ms(captured_ms), raw)
                    check = checksum(raw)
                except (TypeError, ValueError, OverflowError):  # Columns of a ruined row.
                    found.ruined += 1
                    continue
                if check == crc:
                    yield reading
                else:
                    found.ruined += 1
    except sqlite3.Error as error:
        found.unreadable = str(error)


def _carve(file: Path) -> Iterator[SpooledReading]:
    """Readings among the bytes of a file, in the order of their ids, which is that of capture."""
    try:
        if not file.exists() or not file.stat().st_size:
            return
        with (
            file.open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            places = sorted(_find_readings(data))
            for identifier, start, length in places:
                found = UUID(identifier.decode())
                yield SpooledReading(found, time_of(found), data[start : start + length])
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}. Copy it to a good disk first"
        raise SpoolError(msg) from error


def _find_readings(data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Id, place and length of every reading whose checksum stands before it.

    A large one that SQLite has split over pages is not found: at 4,096 bytes a page those are
    readings ten times the usual size.
    """
    for head in _HEAD.finditer(data):
        start = head.start()
        if start >= _CRC_BYTES:
            end = _find_end(
                data[start : start + READING_BYTES_MAX], data[start - _CRC_BYTES : start]
            )
            if end:
                yield head.group(1), start, end


def _find_end(text: bytes, crc: bytes) -> int:
    """The length at which the checksum fits; 0: nowhere. It ends with a closing brace."""
    check, done = 0, 0
    end = text.find(b"}") + 1
    while end:
        check = zlib.crc32(text[done:end], check)
        if check.to_bytes(_CRC_BYTES, "little") == crc:
            return end
        done, end = end, text.find(b"}", end) + 1
    return 0


def _write_report(found: Salvaged) -> None:
    try:
        text = json.dumps(found.report(), ensure_ascii=False, indent=1)
        report_of(found.file).write_text(text + "\n", "utf-8")
    except OSError as error:
        msg = f"{report_of(found.file)} cannot be written: {error.strerror}. Free the disk"
        raise SpoolError(msg) from error


def _said_to_wait(file: Path) -> int:
    try:
        return int(waiting_of(file).read_text("ascii"))
    except (OSError, ValueError):
        return 0  # Nobody said.
