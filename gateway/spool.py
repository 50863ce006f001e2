"""Store and forward: readings on disk until ingest's receipt, in one SQLite file.

Invariants:
    ``put`` returns after fsync (WAL, synchronous=FULL). Many readings share one.
    A reading leaves only by ``confirm``: with its whole batch, on that batch's receipt.
    A batch, once built, is frozen: its id, its readings and its bytes are the same after any
    crash, because it is a range of the capture order that nothing else may enter or leave.
    Counters change in the same transactions; the sums to resume from are counters too, so
    opening a spool of a million readings costs as much as opening an empty one.
    Full is an answer (``put`` takes fewer), never a loss.

One process and one thread: the file beside it is locked; see ``spool_thread``.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from gateway.errors import SpoolError
from gateway.wire.batches import build_batch, fits
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from gateway.wire.times import format_instant, parse_instant

_VERSION: Final = 1
_BUSY_S: Final = 10.0
_WAL_BYTES_KEPT: Final = 16_777_216
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_SCHEMA: Final = (
    """CREATE TABLE reading (
        number      INTEGER PRIMARY KEY AUTOINCREMENT,  -- Capture order; never given twice.
        id          BLOB NOT NULL,                      -- 16 bytes.
        captured_ms INTEGER NOT NULL,                   -- Unix milliseconds.
        raw         BLOB NOT NULL                       -- As it goes over the wire.
    )""",
    """CREATE TABLE batch (                            -- Built, and without a receipt.
        id       BLOB PRIMARY KEY,
        sent_at  TEXT NOT NULL,
        first    INTEGER NOT NULL,                      -- Readings first..last, and no other.
        last     INTEGER NOT NULL,
        readings INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE tally (                            -- One row.
        gateway               TEXT NOT NULL,
        accepted              INTEGER NOT NULL DEFAULT 0,
        confirmed_stored      INTEGER NOT NULL DEFAULT 0,
        confirmed_duplicate   INTEGER NOT NULL DEFAULT 0,
        confirmed_quarantined INTEGER NOT NULL DEFAULT 0,
        batches_sent          INTEGER NOT NULL DEFAULT 0,
        batches_resent        INTEGER NOT NULL DEFAULT 0,
        receipts_unknown      INTEGER NOT NULL DEFAULT 0,
        receipts_refused      INTEGER NOT NULL DEFAULT 0,
        waiting_rows          INTEGER NOT NULL DEFAULT 0,
        waiting_bytes         INTEGER NOT NULL DEFAULT 0
    )""",
)
_PUT: Final = "INSERT INTO reading (id, captured_ms, raw) VALUES (?, ?, ?)"
_COUNT_PUT: Final = """UPDATE tally SET accepted = accepted + :rows,
    waiting_rows = waiting_rows + :rows, waiting_bytes = waiting_bytes + :bytes"""
_NEXT: Final = """SELECT number, captured_ms, raw FROM reading WHERE number > ?
    ORDER BY number LIMIT ?"""
_FREEZE: Final = "INSERT INTO batch (id, sent_at, first, last, readings) VALUES (?, ?, ?, ?, ?)"
_FROZEN: Final = "SELECT id, sent_at, first, last, readings FROM batch ORDER BY first"
_MEMBERS: Final = """SELECT number, captured_ms, raw FROM reading
    WHERE number BETWEEN ? AND ? ORDER BY number"""
_FIND: Final = "SELECT first, last, readings FROM batch WHERE id = ?"
_MEMBER_BYTES: Final = (
    "SELECT coalesce(sum(length(raw)), 0) FROM reading WHERE number BETWEEN ? AND ?"
)
_FORGET: Final = "DELETE FROM reading WHERE number BETWEEN ? AND ?"
_FORGET_BATCH: Final = "DELETE FROM batch WHERE id = ?"
_COUNT_CONFIRMED: Final = """UPDATE tally SET
    confirmed_stored = confirmed_stored + :stored,
    confirmed_duplicate = confirmed_duplicate + :duplicate,
    confirmed_quarantined = confirmed_quarantined + :quarantined,
    waiting_rows = waiting_rows - :rows, waiting_bytes = waiting_bytes - :bytes"""
_RESUME: Final = """SELECT gateway, waiting_rows, waiting_bytes,
    (SELECT coalesce(max(last), 0) FROM batch), (SELECT coalesce(sum(readings), 0) FROM batch)
    FROM tally"""


@dataclass(frozen=True, slots=True)
class SpooledReading:
    """One frozen reading: ``raw`` is what goes over the wire."""

    id: UUID
    captured_at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A frozen batch; ``payload`` is the message."""

    id: UUID
    readings: int
    oldest_captured_at: datetime
    payload: bytes


class Settled(Enum):
    """What a receipt did."""

    CONFIRMED = auto()
    UNKNOWN = auto()  # No such batch waits: confirmed before, or never ours.
    MISCOUNTED = auto()  # The receipt's sum is not the batch's size: it is not believed.


class Spool:
    """The open spool. Every method may raise ``SpoolError``, after which it is unusable."""

    def __init__(self, path: Path, *, gateway: str, rows_max: int, bytes_max: int) -> None:
        """Open or make the file, readable by its owner alone.

        Raises:
            SpoolError: In use, another gateway's, another version's, or not usable.
        """
        self._path = path
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._waiting_rows = self._waiting_bytes = 0
        self._frozen_rows = self._frozen_to = 0
        self._lock = self._take_lock()
        try:
            with self._explained():
                self._connection = self._connect()
                with self._transaction():
                    self._prepare(gateway)
                self._resume(gateway)
        except SpoolError:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file; what waits stays."""
        self._connection.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting_rows(self) -> int:
        """Readings without a receipt."""
        return self._waiting_rows

    @property
    def unbatched_rows(self) -> int:
        """Readings that no batch holds yet."""
        return self._waiting_rows - self._frozen_rows

    def put(self, readings: Sequence[SpooledReading]) -> int:
        """Store as many as there is room for, in order; return how many. On disk on return."""
        rows, size = self._room_for(readings)
        if rows:
            columns = [
                (r.id.bytes, (r.captured_at - _EPOCH) // _MILLISECOND, r.raw)
                for r in readings[:rows]
            ]
            with self._transaction():
                self._connection.executemany(_PUT, columns)
                self._connection.execute(_COUNT_PUT, {"rows": rows, "bytes": size})
            self._waiting_rows += rows
            self._waiting_bytes += size
        return rows

    def take_batch(self, batch: UUID, sent_at: datetime) -> Batch | None:
        """Freeze the oldest readings that no batch holds; None when there are none."""
        with self._explained():
            numbers: list[int] = []
            oldest_ms = 0
            raws: list[bytes] = []
            size = 0
            after = (self._frozen_to, READINGS_PER_BATCH_MAX)
            for number, captured_ms, raw in self._connection.execute(_NEXT, after):
                if not fits(len(raw), batch_bytes=size, readings=len(raws)):
                    break
                oldest_ms = min(oldest_ms or captured_ms, captured_ms)
                numbers.append(number)
                raws.append(raw)
                size += len(raw) + 1
        if not raws:
            return None
        row = (batch.bytes, format_instant(sent_at), numbers[0], numbers[-1], len(raws))
        with self._transaction():
            self._connection.execute(_FREEZE, row)
            self._connection.execute("UPDATE tally SET batches_sent = batches_sent + 1")
        self._frozen_to = numbers[-1]
        self._frozen_rows += len(raws)
        return Batch(batch, len(raws), _instant(oldest_ms), build_batch(batch, sent_at, raws))

    def unreceipted(self) -> list[Batch]:
        """The frozen batches without a receipt, oldest first, byte for byte as first built."""
        with self._explained():
            frozen = self._connection.execute(_FROZEN).fetchall()
            return [self._rebuild(*row) for row in frozen]

    def confirm(self, batch: UUID, *, stored: int, duplicate: int, quarantined: int) -> Settled:
        """Forget the readings of one batch, on ingest's word for every one of them."""
        with self._transaction():
            found = self._connection.execute(_FIND, (batch.bytes,)).fetchone()
            if found is None:
                self._count("receipts_unknown")
                return Settled.UNKNOWN
            first, last, readings = found
            if stored + duplicate + quarantined != readings:
                self._count("receipts_refused")
                return Settled.MISCOUNTED
            (size,) = self._connection.execute(_MEMBER_BYTES, (first, last)).fetchone()
            self._connection.execute(_FORGET, (first, last))
            self._connection.execute(_FORGET_BATCH, (batch.bytes,))
            counts = {"stored": stored, "duplicate": duplicate, "quarantined": quarantined}
            row = counts | {"rows": readings, "bytes": size}
            self._connection.execute(_COUNT_CONFIRMED, row)
        self._waiting_rows -= readings
        self._waiting_bytes -= size
        self._frozen_rows -= readings
        return Settled.CONFIRMED

    def count_resent(self) -> None:
        """Count one more sending of a frozen batch."""
        with self._transaction():
            self._count("batches_resent")

    def count_unreadable_receipt(self) -> None:
        """Count a message on the receipt topic that is no receipt."""
        with self._transaction():
            self._count("receipts_refused")

    def _count(self, column: str) -> None:
        self._connection.execute(f"UPDATE tally SET {column} = {column} + 1")  # noqa: S608 - ours

    def _room_for(self, readings: Sequence[SpooledReading]) -> tuple[int, int]:
        rows = size = 0
        for reading in readings:
            if self._waiting_rows + rows >= self._rows_max:
                break
            if self._waiting_bytes + size + len(reading.raw) > self._bytes_max:
                break
            rows += 1
            size += len(reading.raw)
        return rows, size

    def _rebuild(self, batch: bytes, sent_at: str, first: int, last: int, readings: int) -> Batch:
        rows = self._connection.execute(_MEMBERS, (first, last)).fetchall()
        if len(rows) != readings:
            msg = (
                f"spool {self._path} is damaged: a batch of {readings} readings holds "
                f"{len(rows)}. Keep the file for examination and start with another GATEWAY_SPOOL"
            )
            raise SpoolError(msg)
        identifier = UUID(bytes=batch)
        payload = build_batch(identifier, parse_instant(sent_at), [row[2] for row in rows])
        return Batch(identifier, readings, _instant(min(row[1] for row in rows)), payload)

    def _take_lock(self) -> int:
        """Lock a file beside the spool: locks on the database itself are SQLite's own."""
        lock = -1
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            lock = os.open(f"{self._path}.lock", flags, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._make_private(flags)
        except OSError as error:
            if lock >= 0:
                os.close(lock)
            problem = (
                "is in use by another gateway process. Stop that one, or set another GATEWAY_SPOOL"
                if isinstance(error, BlockingIOError)
                else f"cannot be opened: {error.strerror}. Set GATEWAY_SPOOL to a writable place"
            )
            msg = f"spool {self._path} {problem}"
            raise SpoolError(msg) from error
        return lock

    def _make_private(self, flags: int) -> None:
        """Have the file exist, for its owner alone, and its name on disk."""
        database = os.open(self._path, flags, 0o600)
        try:
            os.fchmod(database, 0o600)
        finally:
            os.close(database)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _connect(self) -> sqlite3.Connection:
        # One thread at a time, by `spool_thread`; not always the one that opened it.
        connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
        return connection

    def _prepare(self, gateway: str) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA:
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO tally (gateway) VALUES (?)", (gateway,))
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            msg = f"spool {self._path} has version {version}, expected {_VERSION}. Upgrade suifang"
            raise SpoolError(msg)

    def _resume(self, gateway: str) -> None:
        owner, *numbers = self._connection.execute(_RESUME).fetchone()
        if owner != gateway:
            msg = f"spool {self._path} is that of gateway {owner}. Set GATEWAY_ID or GATEWAY_SPOOL"
            raise SpoolError(msg)
        self._waiting_rows, self._waiting_bytes, self._frozen_to, self._frozen_rows = numbers

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends it itself on a full disk.
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            msg = (
                f"spool {self._path} cannot be used: {error}. Free the disk, or keep the file for "
                "examination and start with another GATEWAY_SPOOL"
            )
            raise SpoolError(msg) from error


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
