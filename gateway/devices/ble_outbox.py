"""Lines that the instrument has given away already: kept until the spool has them.

A cuff forgets a measurement when its indication is confirmed, and the operating system
confirms it before a program sees it. So there is no asking again: a line waits here until
there is room, and the lines that came meanwhile share the next fsync. At most ``unstored_max``
should wait; ``is_full`` asks the visit to hang up, so that the cuff keeps the rest.

What is lost all the same: what was confirmed and not yet on disk when the power goes (one or
two fsyncs long), and what finds no room in a full spool when the gateway stops; the latter is
counted aloud. Order is kept, but around a spool that is full.
"""

import asyncio
import contextlib
import logging
from collections import deque
from uuid import UUID

from gateway.devices import MarkedCapture
from gateway.devices.ble_settings import BleSettings
from gateway.errors import BusyError, RefusedError

_LOG = logging.getLogger(__name__)


class Outbox:
    """The lines of one device, in order. ``run`` it for as long as the device is served."""

    def __init__(self, device_id: str, capture: MarkedCapture, settings: BleSettings) -> None:
        self._device_id = device_id
        self._capture = capture
        self._settings = settings
        self._lines: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self.taken = 0

    @property
    def is_full(self) -> bool:
        """No more should be asked for."""
        return len(self._lines) >= self._settings.unstored_max

    @property
    def is_empty(self) -> bool:
        """Everything is in the spool."""
        return not self._lines

    def offer(self, raw: bytes) -> None:
        """Take one line; never refuses, since nobody else has it."""
        self._lines.append(raw)
        self._wake.set()

    def close(self) -> None:
        """Nobody listens to the instrument any more: ``run`` ends when it has said the last."""
        self._closing.set()
        self._wake.set()

    async def run(self) -> None:
        """Bring lines to the spool until ``close``; what finds no room then is lost aloud."""
        while not self._closing.is_set():
            self._wake.clear()
            if self._lines and not await self._bring():
                await self._pause()
            elif not self._lines:
                await self._wake.wait()
        if self._lines and not await self._bring():
            _LOG.error(
                "device %s: %d measurements found no room in the spool before the stop",
                self._device_id,
                len(self._lines),
            )

    async def _bring(self) -> bool:
        """Offer all that waits at once; False when some of it found no room and waits on."""
        offered = [(raw, self._offer(raw)) for raw in self._lines]
        self._lines.clear()
        pending = [future for _, future in offered if future is not None]
        if pending:
            await asyncio.wait(pending)  # The intake answers them all, also when it ends.
        left = [raw for raw, future in offered if future is None or future.exception()]
        self.taken += len(offered) - len(left)
        self._lines.extendleft(reversed(left))
        return not left

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.busy_ms / 1_000):
                await self._closing.wait()

    def _offer(self, raw: bytes) -> asyncio.Future[UUID] | None:
        """The future of one line; None when there is no room now."""
        try:
            return self._capture(raw)
        except BusyError:
            return None
        except RefusedError as refusal:
            _LOG.warning("device %s: a line was refused: %s", self._device_id, refusal)
            return _settled()


def _settled() -> asyncio.Future[UUID]:
    """Of a line that is never offered again."""
    future: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
    future.set_result(UUID(int=0))
    return future
