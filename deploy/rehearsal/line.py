"""The network between a gateway and the broker: a relay on loopback that can be cut.

It changes no byte. Cut, it drops what it carries and refuses whoever comes; back, it carries again.
"""

import asyncio
import contextlib
from typing import Final, Self

from deploy.embedded.ports import LOOPBACK

_CHUNK_BYTES: Final = 65_536
_TURNS_OF_ACCEPTING: Final = 5  # Of the event loop, from a socket that is accepted to ``_accept``.


class Line:
    """One gateway's way to the broker. Use as an async context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.is_cut = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_cut = True  # Whoever is being accepted just now is turned away.
        if self._server is not None:
            self._server.close()
        await self._drop()
        for _turn in range(_TURNS_OF_ACCEPTING):
            await asyncio.sleep(0)

    async def cut(self) -> None:
        """Nothing passes from now on."""
        self.is_cut = True
        await self._drop()

    def mend(self) -> None:
        """Whoever comes from now on gets through."""
        self.is_cut = False

    async def _drop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self.is_cut:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        ways = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.transport.abort()  # Before anything that a cut may break off.
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
