"""A response that goes on while the request is still being read, and never waits for its reader.

Most clients send everything before they read anything. If the answers went straight to the
socket, both sides would wait for each other once its buffer is full; so they go to a spool, on
disk beyond a megabyte, and from there to the client as fast as it reads. Memory is bounded
whatever either side does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import Final

from fastapi import Response
from starlette.types import Receive, Scope, Send

_MEMORY_BYTES_MAX: Final = 1 << 20
_CHUNK_BYTES_MAX: Final = 1 << 16


class Spool:
    """Bytes appended at the end and read from the front. One writer, one reader, one loop."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_MEMORY_BYTES_MAX)  # noqa: SIM115 - closed below
        self._written = 0
        self._read = 0
        self._ended = False
        self._news = asyncio.Event()

    def append(self, data: bytes) -> None:
        """Keep bytes for the reader."""
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)
        self._news.set()

    def end(self) -> None:
        """Nothing will follow."""
        self._ended = True
        self._news.set()

    async def read(self) -> bytes:
        """The next bytes, once there are some; empty at the end."""
        while self._read == self._written and not self._ended:
            self._news.clear()
            await self._news.wait()
        self._file.seek(self._read)
        data = self._file.read(min(_CHUNK_BYTES_MAX, self._written - self._read))
        self._read += len(data)
        return data

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class OutcomeStream(Response):
    """Starts the work and sends what it spools. A fault of the work cuts the response off.

    Cancelled with its request, as when the client goes away: what was committed stays.
    """

    media_type = "application/x-ndjson"

    def __init__(self, work: Callable[[Spool], Awaitable[None]], status_code: int = 200) -> None:
        super().__init__(status_code=status_code)
        self._work = work
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the work has it
        """Run the work beside the sending."""
        spool = Spool()
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._run(spool), name="bulk")
                await send(start)
                while data := await spool.read():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            spool.close()

    async def _run(self, spool: Spool) -> None:
        await self._work(spool)
        spool.end()
