"""Whom the demo tells: one address on this machine, for people and for other software alike.

``/people`` stands for the pager of those on duty (``suifang notify``), ``/contract-system`` for a
subscriber of the feed (``suifang deliver``). It must never be reachable from outside, and counts
nothing whose signature does not fit. Nothing of what it is sent is kept but the ids.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Self

from api.webhooks.signing import sign

PEOPLE: Final = "/people"
SUBSCRIBER: Final = "/contract-system"
_HOST: Final = "127.0.0.1"
_BYTES_MAX: Final = 1_000_000
_SILENCE_S_MAX: Final = 30.0
_TAKEN: Final = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
_REFUSED: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Receiver:
    """An async context manager. ``secrets`` says by which secret each path is signed."""

    def __init__(self, secrets: dict[str, bytes]) -> None:
        self.secrets = secrets
        self.told: dict[str, set[str]] = {PEOPLE: set(), SUBSCRIBER: set()}
        self.refused = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, 0, limit=_BYTES_MAX)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def address(self, path: str) -> str:
        """Where it takes what is sent."""
        assert self._server is not None  # noqa: S101 - inside the context only
        return f"http://{_HOST}:{self._server.sockets[0].getsockname()[1]}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, until it ends or falls silent."""
        with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(_SILENCE_S_MAX):
                    head = await reader.readuntil(b"\r\n\r\n")
                    path, headers = _read_head(head)
                    body = await reader.readexactly(
                        min(int(headers.get("content-length", "0")), _BYTES_MAX)
                    )
                taken = self._take(path, headers, body)
                writer.write(_TAKEN if taken else _REFUSED)
                await writer.drain()
                if not taken:
                    break
        writer.close()

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        secret, id_ = self.secrets.get(path), headers.get("webhook-id", "")
        if secret is None or not _is_genuine(secret, id_, headers, body):
            self.refused += 1
            return False
        self.told[path].add(id_)
        return True


def _is_genuine(secret: bytes, id_: str, headers: Mapping[str, str], body: bytes) -> bool:
    sent_s = headers.get("webhook-timestamp", "")
    if not sent_s.isdecimal():
        return False
    at = datetime.fromtimestamp(int(sent_s), UTC)
    expected = sign([secret], message_id=id_, at=at, body=body)["webhook-signature"]
    return expected in headers.get("webhook-signature", "").split(" ")


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Path and headers. Raises ``ValueError`` for what is no request."""
    first, *lines = head.decode("latin-1").split("\r\n")
    _, path, _ = first.split(" ")
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return path, {name.strip().lower(): value.strip() for name, value in pairs}
