"""Measurements -> frozen readings on disk, many under one fsync (group commit).

While one fsync runs, the next group gathers; so the rate grows with the load and a lone
reading waits for one fsync only. ``taken`` is said after the fsync, never before. Order of
capture is order in the spool.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.clocks import Timekeeper
from gateway.errors import Busy, BusyError
from gateway.fetched import Mark
from gateway.freezer import freeze_reading
from gateway.settings import GatewaySettings
from gateway.spool_thread import SpoolThread
from gateway.spooled import SpooledReading

_LOG = logging.getLogger(__name__)
_SHORTAGES: Final = {
    Busy.SPOOL_FULL: "the spool is full until readings are confirmed",
    Busy.UNCOLLECTED: "nothing was confirmed for too long: is the broker reached?",
    Busy.DISK_FULL: "the disk is full: free it",
}


class Intake:
    """The way into the spool, shared by all devices of one gateway."""

    def __init__(
        self,
        spool: SpoolThread,
        settings: GatewaySettings,
        timekeeper: Timekeeper,
        *,
        key: bytes | None,
        connected: Callable[[], bool],
        on_taken: Callable[[], None],
        on_heard: Callable[[bytes, datetime], None] = lambda _frozen, _at: None,
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._timekeeper = timekeeper
        self._key = key
        self._connected = connected
        self._on_taken = on_taken
        self._on_heard = on_heard
        self._pending: deque[tuple[SpooledReading, asyncio.Future[UUID]]] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._shortage: Busy | None = None

    @property
    def refusing(self) -> str | None:
        """What terminals were told last when nothing was taken, and still are; else None."""
        return None if self._shortage is None else str(self._shortage)

    def capture(self, raw: bytes, *, mark: Mark | None = None) -> asyncio.Future[UUID]:
        """Freeze one measurement now; the future is its id once it is on disk, with its mark.

        Raises:
            RefusedError: It can never be taken.
            BusyError: No room now. The future may fail with the same.
        """
        if self._ended:
            raise _stopping()
        if len(self._pending) >= self._settings.intake_rows_max:
            raise BusyError(Busy.TOO_FAST, "more readings arrive than the disk takes; try again")
        may_hold = not self._connected() or self._spool.spool.holds
        stamp, hold = self._timekeeper.stamp(may_hold=may_hold)
        frozen = freeze_reading(raw, stamp, key=self._key)
        self._on_heard(frozen, stamp.captured_at)
        future: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
        known = stamp.clock_synchronised
        spooled = SpooledReading(stamp.id, stamp.captured_at, frozen, known, hold, mark)
        self._pending.append((spooled, future))
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
        shortage = self._spool.spool.shortage
        for _, future in group[taken:]:
            busy = shortage or Busy.SPOOL_FULL
            _fail(future, BusyError(busy, _SHORTAGES[busy]))
        if taken:
            self._on_taken()
        if shortage != self._shortage:
            self._shortage = shortage
            if shortage:
                detail = _SHORTAGES[shortage]
                _LOG.warning("the spool is full: terminals are told busy: %s", detail)
            else:
                _LOG.warning("room again")


def _stopping() -> BusyError:
    return BusyError(Busy.STOPPING, "the gateway is stopping; try again")


def _fail(future: asyncio.Future[UUID], error: BusyError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # A connection that is gone does not ask; that is no fault to log.
