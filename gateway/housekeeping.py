"""Once a second: the clock is looked at, held readings go, the witness is fsynced, age is told.

A held reading goes when the time is known (stamped with it), or when nothing is gained by
waiting: it is of an earlier boot, or the broker is there and the reading is younger than
``clock_wait_s`` (then its arrival says when it was), or the broker has been there for
``clock_wait_s`` without any time server. Then it goes as not synchronised, and ingest uses its
own clock (architecture 8.7). Whatever is decided, nothing is dropped.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from gateway.clocks import Timekeeper
from gateway.errors import DiskFullError
from gateway.settings import ClockTrust, GatewaySettings
from gateway.spool_thread import SpoolThread
from gateway.spooled import Hold

_LOG = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_REMEMBER_MS: Final = 600_000  # Each is an fsync: a memory card lives longer without.
_AGE_LOOK_S: Final = 60.0
_TELL_AGAIN: Final = timedelta(days=1)


class Housekeeping:
    """One task of the gateway."""

    def __init__(
        self,
        spool: SpoolThread,
        timekeeper: Timekeeper,
        settings: GatewaySettings,
        *,
        connected: Callable[[], bool],
        on_released: Callable[[], None],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._timekeeper = timekeeper
        self._settings = settings
        self._connected = connected
        self._on_released = on_released
        self._monotonic_s = monotonic_s
        self._wake = asyncio.Event()
        self._ticked_s = monotonic_s()
        self._patience_s = float(settings.clock_wait_s)
        self._remembered_ms: int | None = None
        self._age_looked_s = self._ticked_s - _AGE_LOOK_S
        self._age_told: datetime | None = None

    def wake(self) -> None:
        """Something has changed that may let readings go: the connection."""
        self._wake.set()

    async def run(self) -> None:
        """Keep house for ever; cancelled, the next start goes on. Raises ``SpoolError``."""
        while True:
            self._wake.clear()
            await self.tick()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._wake.wait()

    async def tick(self) -> None:
        """One round. Raises ``SpoolError``."""
        now_s = self._monotonic_s()
        self._timekeeper.look()
        self._lose_patience(now_s)
        with suppress(DiskFullError):  # The next round tries again.
            await self._remember()
            await self._release()
            await self._spool.run(self._spool.spool.sync_witness)
        if now_s - self._age_looked_s >= _AGE_LOOK_S:
            self._age_looked_s = now_s
            await self._tell_age()

    def _lose_patience(self, now_s: float) -> None:
        """Count the time with a broker and without a time server."""
        if self._timekeeper.known:
            self._patience_s = float(self._settings.clock_wait_s)
        elif self._connected():
            self._patience_s -= min(now_s - self._ticked_s, 2 * _TICK_S)
        self._ticked_s = now_s

    async def _remember(self) -> None:
        memory = self._timekeeper.memory()
        if memory is None or self._settings.clock_synchronised is not ClockTrust.AUTO:
            return
        last_ms = self._remembered_ms
        if last_ms is None or memory.boottime_ms - last_ms >= _REMEMBER_MS:
            self._remembered_ms = memory.boottime_ms
            await self._spool.run(self._spool.spool.remember_clock, memory)

    async def _release(self) -> None:
        released = known = 0
        timekeeper, connected = self._timekeeper, self._connected()
        time_known = timekeeper.known  # What follows is called in the spool's thread.

        def goes(hold: Hold) -> bool:
            age_s = timekeeper.held_for_s(hold)
            if age_s is None or time_known:
                return True
            return connected and (self._patience_s <= 0 or age_s < self._settings.clock_wait_s)

        def restore(hold: Hold) -> datetime | None:
            nonlocal known
            at = timekeeper.restore(hold)
            known += at is not None
            return at

        while self._spool.spool.holds:
            count = await self._spool.run(self._spool.spool.release, goes, restore)
            released += count
            if not count:
                break
        if released:
            _LOG.warning(
                "%d readings were captured before the time was known; %d of them are stamped with "
                "it now, the others go as not synchronised",
                *(released, known),
            )
            self._on_released()

    async def _tell_age(self) -> None:
        """Say, once a day, that nobody collects."""
        oldest = await self._spool.run(self._spool.spool.oldest_captured_at)
        now = self._timekeeper.present()
        old = oldest is not None and now - oldest > timedelta(hours=self._settings.spool_warn_h)
        if old and (self._age_told is None or now - self._age_told >= _TELL_AGAIN):
            self._age_told = now
            _LOG.warning(
                "the oldest of %d readings without a receipt is of %s. They are kept; is the "
                "broker reached, and does ingest run? See docs/runbooks/spool-full.md",
                *(self._spool.waiting_rows, oldest),
            )
        elif not old and self._age_told is not None:
            self._age_told = None
            _LOG.warning("readings are collected again")
