"""A TCP proxy that breaks connections on purpose: refuse, delay, swallow, strand, cut.

It lives in the harness's event loop. Bytes are never changed; with ``mqtt`` it may leave out
the client's PUBACKs, whole packets, so that the broker has to deliver again.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

_CHUNK_BYTES: Final = 65_536
_PUBACK: Final = 4
_LENGTH_BYTES_MAX: Final = 4


@dataclass(slots=True)
class Weather:
    """What happens to bytes and connections at present."""

    refuses: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    swallows_up: bool = False  # From the client to the server.
    swallows_down: bool = False
    drops_pubacks: bool = False


@dataclass(slots=True, eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    stranded: bool = False
    pubacks: "PubackFilter" = field(default_factory=lambda: PubackFilter())  # noqa: PLW0108 - defined below


class PubackFilter:
    """Cuts a client's MQTT bytes into packets and can leave out the PUBACKs."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self.dropped = 0

    def feed(self, data: bytes, *, drop: bool) -> bytes:
        """The whole packets in what has come, without PUBACKs when ``drop``."""
        self._waiting += data
        passed = bytearray()
        while size := self._packet_size():
            packet = self._waiting[:size]
            del self._waiting[:size]
            if drop and packet[0] >> 4 == _PUBACK:
                self.dropped += 1
            else:
                passed += packet
        return bytes(passed)

    def _packet_size(self) -> int:
        """Bytes of the first packet; 0 while it is not whole."""
        length = 0
        for place in range(1, _LENGTH_BYTES_MAX + 1):
            if place >= len(self._waiting):
                return 0
            length |= (self._waiting[place] & 0x7F) << 7 * (place - 1)
            if self._waiting[place] < 0x80:  # No further length byte.
                size = place + 1 + length
                return size if size <= len(self._waiting) else 0
        msg = "no MQTT packet: its length has more than four bytes"
        raise ValueError(msg)


class FaultProxy:
    """Listens on a free port of loopback and passes everything on to one server."""

    def __init__(self, server_port: int, *, mqtt: bool, seed: int) -> None:
        self.weather = Weather()
        self.port = 0
        self.broken = 0  # Connections cut, refused or stranded.
        self.pubacks_dropped = 0
        self._server_port = server_port
        self._mqtt = mqtt
        self._random = Random(seed)  # noqa: S311 - faults, not secrets
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a client is through to the server now."""
        return bool(self._links)

    async def open(self) -> None:
        """Begin to listen."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut everything and stop listening."""
        if self._listener is not None:
            self._listener.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def calm(self) -> None:
        """Good weather again; what was swallowed is missing, so those links are cut."""
        lossy = self.weather.swallows_up or self.weather.swallows_down
        self.weather = Weather()
        for link in list(self._links):
            if lossy or link.stranded:
                self._break(link)

    def cut(self) -> None:
        """Reset every connection."""
        for link in list(self._links):
            self._break(link)

    def strand(self) -> None:
        """Half-open: the server's side is gone, the client's side hears nothing of it."""
        for link in self._links:
            self.broken += 1
            link.stranded = True
            _reset(link.server)

    def _break(self, link: _Link) -> None:
        self.broken += 1
        self._links.discard(link)
        _reset(link.client)
        _reset(link.server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.weather.refuses:
            self.broken += 1
            _reset(writer)
            return
        try:
            back, onward = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, onward)
        self._links.add(link)
        try:
            await self._carry(link, reader, back)
        finally:
            self._links.discard(link)
            _reset(writer)
            _reset(onward)

    async def _carry(
        self, link: _Link, reader: asyncio.StreamReader, back: asyncio.StreamReader
    ) -> None:
        """Pump both ways until an end closes; a stranded client only notices when it is cut."""
        pumps = (
            asyncio.ensure_future(self._pump(link, reader, link.server, up=True)),
            asyncio.ensure_future(self._pump(link, back, link.client, up=False)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if link.stranded and not pumps[0].done():
                await asyncio.wait(pumps[:1])
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        link: _Link,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        up: bool,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                weather = self.weather
                if weather.delay_s or weather.jitter_s:
                    pause_s = weather.delay_s + self._random.uniform(0, weather.jitter_s)
                    await asyncio.sleep(pause_s)
                if up and self._mqtt:
                    before = link.pubacks.dropped
                    data = link.pubacks.feed(data, drop=self.weather.drops_pubacks)
                    self.pubacks_dropped += link.pubacks.dropped - before
                swallowed = self.weather.swallows_up if up else self.weather.swallows_down
                if not swallowed and not link.stranded:
                    sink.write(data)
                    await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, not with a polite FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
