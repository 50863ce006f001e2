"""How full a spool is, and what of it a command means: read from beside it, in use or not.

Every query costs the same for ten readings as for a million, except ``find_batches`` by reading
ids or times, which looks at every reading once (half a second a million).
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.counters import opened

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED: Final = frozenset(
    {
        "accepted",
        "confirmed_stored",
        "confirmed_duplicate",
        "confirmed_quarantined",
        "lost",
        "batches_sent",
        "batches_resent",
        "receipts_unknown",
        "receipts_refused",
    }
)
_OLDEST: Final = "SELECT captured_ms FROM reading ORDER BY number LIMIT 1"
_IN_RANGE: Final = "SELECT number FROM reading WHERE captured_ms BETWEEN ? AND ?"
_ALL_IDS: Final = "SELECT number, id FROM reading"
_BATCHES: Final = "SELECT id, first, last FROM batch"
_ENDLESS_MS: Final = 2**62


@dataclass(frozen=True, slots=True)
class SpoolDepth:
    """What waits, and what was counted since the spool was made."""

    gateway: str
    rows: int
    bytes: int
    oldest_captured_at: datetime | None
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What of a spool a range or a list of ids means.

    Attributes:
        batches: Built, and without a receipt.
        unbatched: Readings meant that no batch holds yet; they are sent by themselves.
        missing: Ids that are not there: confirmed long ago, or never here.
    """

    batches: frozenset[UUID]
    unbatched: int
    missing: int


def read_depth(path: Path) -> SpoolDepth:
    """Look at a spool without changing it.

    Raises:
        SpoolError: No spool there, or it cannot be read.
    """
    with opened(path) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM tally").fetchone())
        oldest = connection.execute(_OLDEST).fetchone()
    return SpoolDepth(
        gateway=row["gateway"],
        rows=row["waiting_rows"],
        bytes=row["waiting_bytes"],
        oldest_captured_at=None if oldest is None else _instant(oldest[0]),
        counters={name: row[name] for name in row.keys() & _COUNTED},
    )


def find_all(path: Path) -> Found:
    """Every batch without a receipt. Raises ``SpoolError``."""
    with opened(path) as connection:
        batches = [UUID(bytes=row[0]) for row in connection.execute(_BATCHES)]
    return Found(frozenset(batches), unbatched=0, missing=0)


def find_batches(path: Path, batches: Collection[UUID], readings: Collection[UUID]) -> Found:
    """Those of these batches that wait, and the ones that hold these readings.

    Raises:
        SpoolError: As ``read_depth``.
    """
    with opened(path) as connection:
        here = {UUID(bytes=row[0]) for row in connection.execute(_BATCHES)}
        wanted = {identifier.bytes for identifier in readings}
        numbers: list[int] = []
        if wanted:
            rows = connection.execute(_ALL_IDS)
            numbers = [number for number, identifier in rows if identifier in wanted]
        held, unbatched = _holding(connection, numbers)
    asked = set(batches)
    missing = len(asked - here) + len(wanted) - len(numbers)
    return Found(frozenset(asked & here) | held, unbatched, missing)


def find_range(path: Path, begin: datetime | None, end: datetime | None) -> Found:
    """The batches with a reading captured in this time, both ends included.

    Raises:
        SpoolError: As ``read_depth``.
    """
    low = -_ENDLESS_MS if begin is None else _milliseconds(begin)
    high = _ENDLESS_MS if end is None else _milliseconds(end)
    with opened(path) as connection:
        numbers = [row[0] for row in connection.execute(_IN_RANGE, (low, high))]
        held, unbatched = _holding(connection, numbers)
    return Found(held, unbatched, missing=0)


def _holding(connection: sqlite3.Connection, numbers: list[int]) -> tuple[frozenset[UUID], int]:
    ranges = [(UUID(bytes=i), first, last) for i, first, last in connection.execute(_BATCHES)]
    found: set[UUID] = set()
    unbatched = 0
    for number in numbers:
        batch = next((i for i, first, last in ranges if first <= number <= last), None)
        if batch is None:
            unbatched += 1
        else:
            found.add(batch)
    return frozenset(found), unbatched


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
