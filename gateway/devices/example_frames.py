"""An example to copy: a glucose meter that speaks its maker's own frames over TCP.

The meter connects to us and sends one frame for each value; it keeps the value until we
answer, and sends it again if we do not. All numbers are big-endian:

    AA | length | sequence u16 | year-2000, month, day, hour, minute | value u16 | flags | sum
    55 | sequence u16 | 06 taken, 15 try again, 18 never send that again

``length`` counts the bytes from ``sequence`` to ``flags`` (10). ``value`` is 0.1 mmol/L;
``flags`` bit 0: fasting, bit 1: control solution. ``sum`` is that of all bytes before it, mod 256.

What an adapter has to get right, and this one shows: the answer "taken" goes out after the
future has resolved and not before; digits are kept (``72`` tenths are ``7.2``); garbage on the
line costs the line and nobody else; every wait and every buffer has a limit. Whether 7.2 is
plausible, or who it belongs to, is not asked here.
"""

import asyncio
import logging
import struct
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Self
from zoneinfo import ZoneInfo

from gateway.devices import MarkedCapture, Surroundings
from gateway.devices.gatt.exact_json import Json, write_json
from gateway.devices.registry import AdapterSettings
from gateway.errors import BusyError, ListenError, RefusedError

_LOG = logging.getLogger(__name__)
_START, _ANSWER = 0xAA, 0x55
_TAKEN, _AGAIN, _NEVER = 0x06, 0x15, 0x18
_BODY: Final = struct.Struct(">H5BHB")
_STOP_S_MAX: Final = 3
_SILENCE_S_MAX: Final = 300  # A meter that says nothing for so long is hung up on.
_FASTING, _CONTROL = 1, 2
_CENTURY: Final = 2_000


class FrameError(Exception):
    """The bytes are no frame of this maker; the connection is not worth keeping."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One value, as sent."""

    sequence: int
    at: tuple[int, int, int, int, int]  # Year to minute, the meter's clock.
    tenths: int  # mmol/L
    flags: int

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read what stands between the length and the sum. Raises ``FrameError``."""
        if len(body) != _BODY.size:
            msg = f"a frame has {_BODY.size} bytes, not {len(body)}"
            raise FrameError(msg)
        sequence, year, month, day, hour, minute, tenths, flags = _BODY.unpack(body)
        return cls(sequence, (_CENTURY + year, month, day, hour, minute), tenths, flags)

    def line(self, device_id: str, zone: ZoneInfo) -> bytes:
        """The line for ``capture``: the wire's names, the meter's digits."""
        members: dict[str, Json] = {
            "kind": "glucose",
            "device_id": device_id,
            "device_sequence": self.sequence,
            "glucose": Decimal(self.tenths).scaleb(-1),
            "unit": "mmol/L",
            "meal_context": "fasting" if self.flags & _FASTING else "unknown",
        }
        if self.flags & _CONTROL:
            members["sample"] = "control_solution"
        try:
            members["measured_at"] = datetime(*self.at, tzinfo=zone).isoformat()
        except ValueError:  # A clock that was never set costs the time, not the value.
            members["status"] = ["time_fault"]
        return write_json(members).encode()


class ExampleFrames:
    """Listens on ``address`` (``host:port``) for meters of this kind."""

    def __init__(self, settings: AdapterSettings, around: Surroundings) -> None:
        self.name = f"example-frames {settings.id}"
        self.address = ""  # Where it listens, once it does.
        self.listening = asyncio.Event()
        self._settings = settings
        self._around = around
        self._zone = ZoneInfo(settings.timezone)
        self._meters_max = int(settings.read_options(meters_max="8")["meters_max"])
        self._meters: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def run(self, capture: MarkedCapture) -> None:
        """Take frames until cancelled. Raises ``ListenError``."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, capture)

        host, _, port = self._settings.address.rpartition(":")
        try:
            server = await asyncio.start_server(serve, host, int(port))
        except (OSError, ValueError, OverflowError) as error:
            msg = f"adapter {self._settings.id} cannot listen on {self._settings.address}: {error}"
            raise ListenError(msg) from error
        bound = server.sockets[0].getsockname()
        self.address = f"{bound[0]}:{bound[1]}"
        self.listening.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for writer in self._meters:  # Its reader ends, and with it its task.
                writer.transport.abort()
            if self._meters:
                await asyncio.wait(self._meters.values(), timeout=_STOP_S_MAX)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, capture: MarkedCapture
    ) -> None:
        """One meter, until it hangs up, talks nonsense or falls silent."""
        task = asyncio.current_task()
        if task is None or len(self._meters) >= self._meters_max:
            writer.close()
            return
        self._meters[writer] = task
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S_MAX):
                    frame = await self._read(reader)
                code = await self._take(frame, capture)
                writer.write(struct.pack(">BHB", _ANSWER, frame.sequence, code))
                async with asyncio.timeout(_SILENCE_S_MAX):
                    await writer.drain()
        except FrameError as error:
            _LOG.warning("device %s: %s", self._settings.id, error)
        except (OSError, asyncio.IncompleteReadError):
            pass  # It is gone, or silent; what was not answered comes again.
        finally:
            del self._meters[writer]
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Frame:
        head = await reader.readexactly(2)
        if head[0] != _START:
            msg = f"a frame begins with {_START:#04x}, not {head[0]:#04x}"
            raise FrameError(msg)
        rest = await reader.readexactly(head[1] + 1)  # At most 256 bytes.
        if sum(head + rest[:-1]) % 256 != rest[-1]:
            msg = "the sum of a frame is wrong"
            raise FrameError(msg)
        return Frame.decode(rest[:-1])

    async def _take(self, frame: Frame, capture: MarkedCapture) -> int:
        """Bring it to disk; the answer's code."""
        self._around.seen(self._settings.id, self._around.clock())
        try:
            await capture(frame.line(self._settings.id, self._zone))
        except BusyError:
            return _AGAIN
        except RefusedError as refusal:
            _LOG.warning("device %s: a value was refused: %s", self._settings.id, refusal)
            return _NEVER
        return _TAKEN
