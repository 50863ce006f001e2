"""Measurements -> frozen readings on disk, many under one fsync (group commit).

While one fsync runs, the next group gathers; so the rate grows with the load and a lone
reading waits for one fsync only. ``taken`` is said after the fsync, never before. Order of
capture is order in the spool.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from uuid import UUID

from gateway.errors import Busy, BusyError
from gateway.freezer import Stamp, freeze_reading
from gateway.settings import GatewaySettings
from gateway.spool import SpooledReading
from gateway.spool_thread import SpoolThread
from gateway.wire.ids import new_id
from gateway.wire.times import Clock

_LOG = logging.getLogger(__name__)


class Intake:
    """The way into the spool, shared by all devices of one gateway."""

    def __init__(
        self,
        spool: SpoolThread,
        settings: GatewaySettings,
        clock: Clock,
        *,
        key: bytes | None,
        on_taken: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._key = key
        self._on_taken = on_taken
        self._pending: deque[tuple[SpooledReading, asyncio.Future[UUID]]] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._full = False

    def capture(self, raw: bytes) -> asyncio.Future[UUID]:
        """Freeze one measurement now; the future is its id once it is on disk.

        Raises:
            RefusedError: It can never be taken.
            BusyError: No room now. The future may fail with the same.
        """
        if self._ended:
            raise _stopping()
        if len(self._pending) >= self._settings.intake_rows_max:
            raise BusyError(Busy.TOO_FAST, "more readings arrive than the disk takes; try again")
        captured_at = self._clock()
        identifier = new_id(captured_at)
        stamp = Stamp(identifier, captured_at, self._settings.clock_synchronised)
        frozen = freeze_reading(raw, stamp, key=self._key)
        future: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
        self._pending.append((SpooledReading(identifier, captured_at, frozen), future))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Store groups of at most ``commit_rows_max`` for ever.

        Cancelled, it answers ``busy`` to what still waits; a group in the middle of its fsync
        may be on disk though its device was not told. Raises ``SpoolError``.
        """
        group: list[tuple[SpooledReading, asyncio.Future[UUID]]] = []
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending:
                    count = min(len(self._pending), self._settings.commit_rows_max)
                    group = [self._pending.popleft() for _ in range(count)]
                    await self._store(group)
        finally:
            self._ended = True
            for _, future in (*group, *self._pending):
                _fail(future, _stopping())

    async def _store(self, group: list[tuple[SpooledReading, asyncio.Future[UUID]]]) -> None:
        taken = await self._spool.run(self._spool.spool.put, [reading for reading, _ in group])
        for reading, future in group[:taken]:
            if not future.done():  # A device may have stopped waiting.
                future.set_result(reading.id)
        for _, future in group[taken:]:
            _fail(
                future, BusyError(Busy.SPOOL_FULL, "the spool is full until readings are confirmed")
            )
        if taken:
            self._on_taken()
        full = taken < len(group)
        if full != self._full:
            _LOG.warning("the spool is full: terminals are told busy" if full else "room again")
            self._full = full


def _stopping() -> BusyError:
    return BusyError(Busy.STOPPING, "the gateway is stopping; try again")


def _fail(future: asyncio.Future[UUID], error: BusyError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # A connection that is gone does not ask; that is no fault to log.
