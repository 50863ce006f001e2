"""Store and forward: readings on disk until ingest's receipt, in one SQLite file.

Invariants:
    ``put`` returns after fsync (WAL, synchronous=FULL). Many readings share one.
    A reading leaves only by ``confirm``: with its whole batch, on that batch's receipt.
    A batch, once built, is frozen: its id, its readings and its bytes are the same after any
    crash, because it is a range of the capture order that nothing else may enter or leave.
    A reading captured before the time was known is *held*: it and what came after join no batch
    until ``release`` has said when it was captured. After that its bytes never change.
    Counters change in the same transactions; the sums to resume from are counters too, so
    opening a spool of a million readings costs as much as opening an empty one.
    Full is an answer (``put`` takes fewer and says why in ``shortage``), never a loss; nothing
    is ever deleted for its age. A reading that a disk has changed is never sent.

One process and one thread: the file beside it is locked; see ``spool_thread``, ``spool_file``.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Final, Self
from uuid import UUID

from gateway import fetched
from gateway import spool_schema as sql
from gateway.errors import Busy, DiskFullError, SpoolError
from gateway.freezer import restamp
from gateway.spool_file import SpoolFile, Witnessed
from gateway.spooled import (
    Batch,
    ClockMemory,
    Hold,
    Settled,
    SpooledReading,
    checksum,
    from_ms,
    to_ms,
)
from gateway.wire.batches import build_batch, fits
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from gateway.wire.times import format_instant, parse_instant

_LOG = logging.getLogger(__name__)
_NEVER: Final = 2**62  # No reading has this number.


class Spool:
    """The open spool. After a ``SpoolError`` that is no ``DiskFullError`` it is unusable."""

    def __init__(
        self,
        path: Path,
        *,
        gateway: str,
        rows_max: int,
        bytes_max: int,
        age_h_max: int = 0,
        free_bytes_min: int = 0,
    ) -> None:
        """Open or make the file of this gateway; one that is ruined is put aside for ``salvage``.

        Rows and bytes are those without a receipt; the file is larger. It is full as well when
        the oldest reading is older than ``age_h_max`` and nothing was confirmed for as long, or
        when the disk has less than ``free_bytes_min`` (receipts need room too); 0 means never.

        Raises:
            SpoolError: In use, another gateway's, another version's, or not usable.
        """
        self._limits = (rows_max, bytes_max)
        self._age_ms_max = age_h_max * 3_600_000
        self._free_bytes_min = free_bytes_min
        self._waiting_rows = self._waiting_bytes = self._steps = 0
        self._frozen_rows = self._frozen_to = self._last = 0
        self._newest_ms = self._confirmed_ms = self._held_from = 0
        self._spool = b""
        self.shortage: Busy | None = None  # Why the last ``put`` took less than it was given.
        self._file = SpoolFile(path)
        try:
            problem = self._file.find_damage()
            if problem:
                aside = self._file.set_aside()
                _LOG.error("spool %s is damaged: %s. It was put aside as %s", path, problem, aside)
            self._file.connect()
            with self._file.transaction():
                self._prepare(gateway)
            self._resume(gateway)
        except SpoolError:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file; what waits stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def waiting_rows(self) -> int:
        """Readings without a receipt."""
        return self._waiting_rows

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._waiting_bytes

    @property
    def unbatched_rows(self) -> int:
        """Readings that no batch holds yet and that may join one now."""
        return min(self._last + 1, self._held_from) - 1 - self._frozen_to

    @property
    def holds(self) -> bool:
        """Whether some reading waits for ``release``."""
        return self._held_from != _NEVER

    def oldest_captured_at(self) -> datetime | None:
        """When the oldest reading without a receipt was captured."""
        with self._file.explained():
            found = self._file.connection.execute(sql.OLDEST).fetchone()
        return from_ms(found[0]) if found else None

    def put(self, readings: Sequence[SpooledReading]) -> int:
        """Store as many as there is room for, in order; return how many. On disk on return."""
        rows, size = self._room_for(readings)
        if not rows:
            return 0
        taken = readings[:rows]
        numbered = list(enumerate(taken, self._last + 1))
        columns = [
            (n, r.id.bytes, to_ms(r.captured_at), checksum(r.raw), r.raw) for n, r in numbered
        ]
        held = [(n, r.hold.boot, r.hold.boottime_ms) for n, r in numbered if r.hold]
        newest_ms = max([to_ms(r.captured_at) for r in taken if r.clock_known], default=0)
        newest_ms = max(newest_ms, self._newest_ms)
        counts = {"rows": rows, "bytes": size, "newest_ms": newest_ms}
        counts["id_ms"] = max(r.id.int for r in taken) >> 80
        try:
            with self._step(rows) as connection:
                connection.executemany(sql.PUT, columns)
                connection.executemany(sql.HOLD, held)
                connection.execute(sql.COUNT_PUT, counts)
                fetched.note(connection, (r.mark for r in taken))
        except DiskFullError:
            self.shortage = Busy.DISK_FULL
            return 0
        self._last += rows
        self._waiting_bytes += size
        self._newest_ms = newest_ms
        if held:
            self._held_from = min(self._held_from, held[0][0])
        return rows

    def recall_marks(self, device_id: str) -> list[fetched.Mark]:
        """The records of a device's memory that are or were in this spool, oldest first."""
        with self._file.explained():
            return fetched.recall(self._file.connection, device_id)

    def take_batch(self, batch: UUID, sent_at: datetime) -> Batch | None:
        """Freeze the oldest readings that no batch holds; None when there are none."""
        oldest_ms = size = 0
        raws: list[bytes] = []
        after = (self._frozen_to, self._held_from, READINGS_PER_BATCH_MAX)
        with self._file.explained():
            for number, captured_ms, crc, raw in self._file.connection.execute(sql.NEXT, after):
                if number != self._frozen_to + 1 + len(raws):
                    self._file.refuse(f"a reading before the {number}th is gone")
                self._verify(raw, crc, captured_ms)
                if not fits(len(raw), batch_bytes=size, readings=len(raws)):
                    break
                oldest_ms = min(oldest_ms or captured_ms, captured_ms)
                raws.append(raw)
                size += len(raw) + 1
        if not raws:
            if self.unbatched_rows:
                self._file.refuse(f"{self.unbatched_rows} readings are gone")
            return None
        last = self._frozen_to + len(raws)
        row = (batch.bytes, format_instant(sent_at), self._frozen_to + 1, last, len(raws))
        with self._step() as connection:
            connection.execute(sql.FREEZE, row)
            connection.execute(sql.COUNT_FROZEN, (last,))
        self._frozen_to = last
        self._frozen_rows += len(raws)
        return Batch(batch, len(raws), from_ms(oldest_ms), build_batch(batch, sent_at, raws))

    def unreceipted(self) -> list[Batch]:
        """The frozen batches without a receipt, oldest first, byte for byte as first built."""
        with self._file.explained():
            frozen = self._file.connection.execute(sql.FROZEN).fetchall()
            return [self._rebuild(*row) for row in frozen]

    def confirm(self, batch: UUID, *, stored: int, duplicate: int, quarantined: int) -> Settled:
        """Forget the readings of one batch, on ingest's word for every one of them."""
        with self._file.explained():
            found = self._file.connection.execute(sql.FIND, (batch.bytes,)).fetchone()
        if found is None:
            self._count("receipts_unknown")
            return Settled.UNKNOWN
        first, last, readings = found
        if stored + duplicate + quarantined != readings:
            self._count("receipts_refused")
            return Settled.MISCOUNTED
        counts = {"stored": stored, "duplicate": duplicate, "quarantined": quarantined}
        with self._step(-readings) as connection:
            (size,) = connection.execute(sql.MEMBER_BYTES, (first, last)).fetchone()
            forgotten = connection.execute(sql.FORGET, (first, last)).rowcount
            if forgotten != readings:
                self._file.refuse(f"a batch of {readings} readings holds {forgotten}")
            connection.execute(sql.FORGET_BATCH, (batch.bytes,))
            connection.execute(sql.COUNT_CONFIRMED, counts | {"rows": readings, "bytes": size})
        self._waiting_bytes -= size
        self._frozen_rows -= readings
        self._confirmed_ms = self._newest_ms
        return Settled.CONFIRMED

    def release(
        self,
        goes: Callable[[Hold], bool],
        restore: Callable[[Hold], datetime | None],
        *,
        rows_max: int = 1_000,
    ) -> int:
        """Let the oldest held readings go, up to the first that may not; return how many.

        ``restore`` says when one was captured; None: nobody knows, and it goes with its first
        guess, not synchronised.
        """
        changed: list[tuple[int, bytes, bytes, int]] = []
        last = grown = released = 0
        with self._file.explained():
            rows = self._file.connection.execute(sql.HELD, (rows_max,)).fetchall()
        if self.holds and not rows:
            self._file.refuse("readings that were held are gone")
        for number, boot, boottime_ms, crc, raw in rows:
            self._verify(raw, crc, boottime_ms)
            if not goes(hold := Hold(boot, boottime_ms)):
                break
            last, released = number, released + 1
            captured_at = restore(hold)
            if captured_at is not None:
                fresh = restamp(raw, captured_at)
                changed.append((to_ms(captured_at), checksum(fresh), fresh, number))
                grown += len(fresh) - len(raw)
        if not released:
            return 0
        with self._step() as connection:
            connection.executemany(sql.RESTAMP, changed)
            connection.execute(sql.RELEASE, (last,))
            connection.execute(sql.COUNT_RESTAMPED, (grown,))
            (first,) = connection.execute(sql.FIRST_HELD).fetchone()
        self._waiting_bytes += grown
        self._held_from = _NEVER if first is None else first
        return released

    def waiting_ids(self) -> set[int]:
        """The ids of what waits, as integers; 100 bytes of memory each."""
        with self._file.explained():
            ids = self._file.connection.execute(sql.IDS)
            return {int.from_bytes(identifier) for (identifier,) in ids}

    def count_lost(self, rows: int) -> None:
        """Count readings that were taken and that the disk did not keep."""
        with self._step() as connection:
            connection.execute(sql.COUNT_LOST, {"rows": rows})

    def count_resent(self) -> None:
        """Count one more sending of a frozen batch."""
        self._count("batches_resent")

    def count_unreadable_receipt(self) -> None:
        """Count a message on the receipt topic that is no receipt."""
        self._count("receipts_refused")

    def recall_clock(self) -> ClockMemory:
        """What is known of the time from before this process."""
        with self._file.explained():
            return ClockMemory(*self._file.connection.execute(sql.RECALL_CLOCK).fetchone())

    def remember_clock(self, memory: ClockMemory) -> None:
        """Keep what is known of the time now; ``newest_ms`` and ``id_ms`` are kept by ``put``."""
        known = (memory.boot, memory.boottime_ms, memory.wall_ms, memory.error_ms)
        with self._step() as connection:
            connection.execute(sql.REMEMBER_CLOCK, known)

    def sync_witness(self) -> None:
        """Have the witness on disk too; to be called every second or so."""
        self._file.sync_witness()

    def _count(self, column: str) -> None:
        with self._step() as connection:
            connection.execute(f"UPDATE tally SET {column} = {column} + 1")  # noqa: S608 - ours

    def _room_for(self, readings: Sequence[SpooledReading]) -> tuple[int, int]:
        self.shortage = self._find_shortage(readings)
        if self.shortage:
            return 0, 0
        rows = size = 0
        rows_max, bytes_max = self._limits
        for reading in readings:
            more = size + len(reading.raw)
            if self._waiting_rows + rows >= rows_max or self._waiting_bytes + more > bytes_max:
                self.shortage = Busy.SPOOL_FULL
                break
            rows += 1
            size = more
        return rows, size

    def _find_shortage(self, readings: Sequence[SpooledReading]) -> Busy | None:
        """What stops every reading, however small."""
        if self._free_bytes_min and self._file.free_bytes() < self._free_bytes_min:
            return Busy.DISK_FULL
        known = [to_ms(reading.captured_at) for reading in readings if reading.clock_known]
        oldest = self.oldest_captured_at() if self._age_ms_max and known else None
        if oldest is not None:
            since_ms = known[0] - self._age_ms_max
            if to_ms(oldest) < since_ms and self._confirmed_ms < since_ms:
                return Busy.UNCOLLECTED
        return None

    def _rebuild(self, batch: bytes, sent_at: str, first: int, last: int, readings: int) -> Batch:
        rows = self._file.connection.execute(sql.MEMBERS, (first, last)).fetchall()
        if len(rows) != readings:
            self._file.refuse(f"a batch of {readings} readings holds {len(rows)}")
        for captured_ms, crc, raw in rows:
            self._verify(raw, crc, captured_ms)
        try:
            identifier, at = UUID(bytes=batch), parse_instant(sent_at)
            payload = build_batch(identifier, at, [row[2] for row in rows])
        except (TypeError, ValueError) as error:
            self._file.refuse(f"a batch is not what was written: {error}")
        return Batch(identifier, readings, from_ms(min(row[0] for row in rows)), payload)

    def _verify(self, raw: object, crc: object, *numbers: object) -> None:
        """A ruined page may hold anything, of any type."""
        whole = isinstance(raw, bytes) and checksum(raw) == crc
        if not whole or not all(isinstance(number, int) for number in numbers):
            self._file.refuse("a reading is not what was written")

    def _prepare(self, gateway: str) -> None:
        connection = self._file.connection
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in sql.TABLES:
                connection.execute(statement)
            connection.execute(sql.CREATE_TALLY, (gateway, os.urandom(16)))
            connection.execute(f"PRAGMA user_version = {sql.VERSION}")
        elif version != sql.VERSION:
            remedy = (
                "Upgrade suifang"
                if version > sql.VERSION
                else "Let the release that wrote it send what waits, then set another GATEWAY_SPOOL"
            )
            msg = f"spool {self.path} has version {version}, expected {sql.VERSION}. {remedy}"
            raise SpoolError(msg)

    def _resume(self, gateway: str) -> None:
        with self._file.explained():
            row = self._file.connection.execute(sql.RESUME).fetchone()
            (held_from,) = self._file.connection.execute(sql.FIRST_HELD).fetchone()
        owner, self._spool, *numbers = row or ("", b"")
        if not numbers or not all(isinstance(number, int) for number in numbers):
            self._file.refuse("its counters are not what was written")
        if owner != gateway:
            msg = f"spool {self.path} is that of gateway {owner}. Set GATEWAY_ID or GATEWAY_SPOOL"
            raise SpoolError(msg)
        self._steps, self._waiting_rows, self._waiting_bytes, self._last, *numbers = numbers
        self._frozen_to, self._newest_ms, self._confirmed_ms, self._frozen_rows = numbers
        self._held_from = _NEVER if held_from is None else held_from
        self._file.witness(Witnessed(self._spool, self._steps, self._waiting_rows))

    @contextmanager
    def _step(self, rows: int = 0) -> Iterator[Connection]:
        """One transaction that adds so many readings; witnessed once it is on disk."""
        with self._file.transaction() as connection:
            yield connection
            connection.execute(sql.STEP)
        self._steps += 1
        self._waiting_rows += rows
        self._file.witness(Witnessed(self._spool, self._steps, self._waiting_rows))
