"""Promise: whatever a client sends and does not finish, the server keeps little of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from api.http_protocol import HEAD_BYTES_MAX, BoundedProtocol

_PIECE: Final = 8_192
_HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED: Final = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def _count(_: Scope, receive: Receive, send: Send) -> None:
    """Answers how long the body was."""
    received, more = 0, True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return
        received += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(received).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(_count, lifespan="off", log_level="critical", http=BoundedProtocol)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


def _forever(start: bytes, piece: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield piece


async def _ask(port: int, pieces: Iterator[bytes]) -> tuple[bytes, int]:
    """Send until the server has answered; the answer's first bytes, and how many were sent.

    A connection that was cut while there was more to read may have lost its answer: then none.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read(4_096))
    sent = 0
    try:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)
                    await asyncio.sleep(0)  # Let the server, which shares this loop, read.
                    if answer.done():
                        break
            with suppress(ConnectionError):
                return await answer, sent
            return b"", sent
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(b"GET /", b"a" * _PIECE, id="address"),
        pytest.param(_HEAD, b"x: " + b"a" * _PIECE + b"\r\n", id="fields"),
        pytest.param(_HEAD + b"x: ", b"a" * _PIECE, id="one field"),
        pytest.param(_HEAD, b"a" * _PIECE, id="one name"),
        pytest.param(_CHUNKED + b"0\r\n", b"x: " + b"a" * _PIECE + b"\r\n", id="trailers"),
        pytest.param(_CHUNKED + b"1;", b"a" * _PIECE, id="chunk extension"),
    ],
)
async def test_what_never_ends_is_refused_and_cut(port: int, start: bytes, piece: bytes) -> None:
    answer, sent = await _ask(port, _forever(start, piece))

    assert not answer or b"400" in answer.split(b"\r\n")[0]
    assert not answer or str(HEAD_BYTES_MAX).encode() in answer
    assert sent <= 10 * HEAD_BYTES_MAX  # What the kernel's buffers hold included.


async def test_a_body_of_any_length_passes_in_any_pieces(port: int) -> None:
    length = 4 * HEAD_BYTES_MAX
    whole = _HEAD + b"Content-Length: %d\r\n\r\n" % length + b"b" * length
    for size in (1_000, len(whole)):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        answer, _ = await _ask(port, iter(pieces))
        assert answer.endswith(b"%d" % length)


async def test_chunks_of_one_byte_are_no_head(port: int) -> None:
    chunks = [_CHUNKED, *[b"1\r\nb\r\n" * 1_000] * 20, b"0\r\n\r\n"]

    answer, _ = await _ask(port, iter(chunks))

    assert answer.endswith(b"20000")


async def test_a_head_that_fits_is_read_though_it_comes_byte_by_byte(port: int) -> None:
    whole = _HEAD + b"Content-Length: 2\r\nx: " + b"a" * 300 + b"\r\n\r\nhi"

    answer, _ = await _ask(port, iter([whole[at : at + 1] for at in range(len(whole))]))

    assert answer.endswith(b"2")


async def test_who_sends_a_byte_too_many_is_told_the_bound(port: int) -> None:
    head = _HEAD + b"x: "

    answer, _ = await _ask(port, iter([head + b"a" * (HEAD_BYTES_MAX + 1 - len(head))]))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert str(HEAD_BYTES_MAX).encode() in answer
