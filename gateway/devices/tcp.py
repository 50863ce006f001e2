"""Terminals over TCP: one JSON object a line in, one JSON line back for each, in order.

    {"taken": "<id>"}                       on disk; the terminal may forget its copy
    {"refused": "<code>", "detail": "…"}    never acceptable as it stands
    {"busy": "<code>", "detail": "…"}       nothing taken; offer the same line again later

A line may also say whose card was read (``card_sessions``). Where somebody asked for them, words
for the display come in between, ``{"prompt": …}``, and answer no line.
Lines may be sent ahead of replies. ``replies_waiting_max`` lines are in work at a time; then
the socket is not read, and TCP holds the sender back. A line that says something the
gateway alone may say is refused; a value that cannot be true is not (ingest judges).
Nothing of a line is ever logged.
"""

import asyncio
import json
import logging
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from gateway.card_sessions import UNREADABLE, CardDesk
from gateway.devices import Capture
from gateway.errors import Busy, BusyError, ListenError, Refusal, RefusedError
from gateway.freezer import too_large
from gateway.settings import GatewaySettings
from gateway.wire.limits import READING_BYTES_MAX
from gateway.wire.receipts import Prompted

_LOG = logging.getLogger(__name__)
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))


class TcpListener:
    """Listens for terminals; ``address`` is known once it is open."""

    name = "tcp"

    def __init__(self, settings: GatewaySettings, desk: CardDesk) -> None:
        self._desk = desk
        self._settings = settings
        self._capture: Capture = _not_open
        self._terminals: set[_Terminal] = set()
        self._server: asyncio.Server | None = None
        self.address = ""

    async def run(self, capture: Capture) -> None:
        """Listen until cancelled. Raises ``ListenError``."""
        await self.open(capture)
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def open(self, capture: Capture) -> None:
        """Start to listen. Raises ``ListenError``."""
        self._capture = capture
        loop = asyncio.get_running_loop()
        host, port = self._settings.listen_host, self._settings.listen_port
        try:
            self._server = await loop.create_server(self._accept, host, port)
        except OSError as error:
            msg = (
                f"cannot listen on {host}:{port}: {error.strerror}. "
                "Set GATEWAY_LISTEN_HOST or GATEWAY_LISTEN_PORT"
            )
            raise ListenError(msg) from error
        bound = self._server.sockets[0].getsockname()
        self.address = f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"

    async def close(self) -> None:
        """Take no more lines, send the replies that are due, hang up; cut off at the deadline."""
        if self._server is None:
            return
        self._server.close()
        terminals = list(self._terminals)
        for terminal in terminals:
            terminal.stop()
        if terminals:
            ended = [terminal.ended for terminal in terminals]
            await asyncio.wait(ended, timeout=self._settings.stop_s_max)
        for terminal in list(self._terminals):
            terminal.abort()

    def _accept(self) -> asyncio.Protocol:
        return _Terminal(self._capture, self._settings, self._desk, self._terminals)


@dataclass(frozen=True, slots=True, eq=False)
class _Taking:
    """A reading on its way to the disk; ``claimed``: None where no card was ever read."""

    future: asyncio.Future[UUID]
    claimed: bool | None


def _not_open(_: bytes) -> asyncio.Future[UUID]:
    raise BusyError(Busy.STOPPING, "the listener is not open yet; try again")


class _Terminal(asyncio.Protocol):
    """One connection. All of it happens in event-loop callbacks; nothing waits."""

    _transport: asyncio.Transport

    def __init__(
        self,
        capture: Capture,
        settings: GatewaySettings,
        desk: CardDesk,
        terminals: set["_Terminal"],
    ) -> None:
        self._capture = capture
        self._settings = settings
        self._place = desk.place()
        self._place.screen = self._show
        self._terminals = terminals
        self._lines = _Lines()
        self._replies: deque[bytes | _Taking] = deque()
        self._awaited: asyncio.Future[UUID] | None = None
        self._stopping = False
        self._stalled: asyncio.TimerHandle | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's is
        self._transport = transport
        full = len(self._terminals) >= self._settings.connections_max
        self._terminals.add(self)
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
        if full:
            _LOG.warning("a terminal was turned away: %d are connected", len(self._terminals) - 1)
            self._replies.append(
                _busy(BusyError(Busy.CONNECTIONS, "too many terminals; try again"))
            )
            self.stop()

    def data_received(self, data: bytes) -> None:
        self._lines.feed(data)
        self._work()

    def eof_received(self) -> bool:
        """A terminal that has said all still gets its replies."""
        self._lines.end()
        self._work()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # Whether it broke or was closed: what was taken is taken.
        self._stopping = True
        self._place.close()
        self._place.screen = None
        self._replies.clear()
        self.resume_writing()
        self._terminals.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(self._settings.reply_s_max, self.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
            self._work()

    def stop(self) -> None:
        """Take no more lines; hang up after the last reply that is due."""
        self._stopping = True
        self._transport.pause_reading()
        self._work()

    def abort(self) -> None:
        """Hang up now."""
        self._transport.abort()

    def _work(self) -> None:
        """Take lines while the window is open, send replies while they are ready."""
        progress = True
        while progress:
            self._take_lines()
            progress = self._send_replies() and not self._stopping
        if self._transport.is_closing():
            return
        if not self._replies and (self._stopping or self._lines.ended):
            self._transport.close()
        elif self._window_open():
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _window_open(self) -> bool:
        room = len(self._replies) < self._settings.replies_waiting_max
        return room and not self._stopping and self._stalled is None

    def _take_lines(self) -> None:
        while self._window_open():
            try:
                line = self._lines.take()
                if line is None:
                    return
                self._replies.append(self._answer(line))
            except RefusedError as refusal:
                if refusal.code in UNREADABLE:
                    self._place.close()
                self._replies.append(_reply(refused=refusal.code, detail=refusal.detail))
            except BusyError as busy:
                self._replies.append(_busy(busy))

    def _answer(self, line: bytes) -> bytes | _Taking:
        answer = self._place.obey(line)
        if answer is not None:
            return _reply(**answer)
        line, mine = self._place.claim(line)
        future = self._capture(line)
        if mine or self._place.session is None:
            self._place.expect_prompts(future)
        return _Taking(future, mine if self._place.has_had_session else None)

    def _show(self, prompt: Prompted) -> bool:
        """Put words on the display."""
        if self._stopping or self._transport.is_closing() or self._stalled is not None:
            return False
        words = _reply(prompt=prompt.code, text=prompt.text, **{"for": str(prompt.id)})
        self._transport.write(words)
        return True

    def _send_replies(self) -> bool:
        """Write the ready replies at the head; True when there were any."""
        ready: list[bytes] = []
        while self._replies and self._stalled is None:
            reply = self._replies[0]
            if not isinstance(reply, bytes):
                if not reply.future.done():
                    self._await(reply.future)
                    break
                reply = _outcome(reply)
            ready.append(reply)
            self._replies.popleft()
        if ready and not self._transport.is_closing():
            self._transport.write(b"".join(ready))
        return bool(ready)

    def _await(self, reply: asyncio.Future[UUID]) -> None:
        if reply is not self._awaited:
            self._awaited = reply
            reply.add_done_callback(lambda _: self._work())


class _Lines:
    """Bytes -> lines of at most ``READING_BYTES_MAX``; a longer one is skipped, and refused."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False
        self._finished = False

    @property
    def ended(self) -> bool:
        """The terminal has said all, and all was taken."""
        return self._finished and not self._buffer and not self._skipping

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def end(self) -> None:
        self._finished = True

    def take(self) -> bytes | None:
        """The next line without its end, or None. Raises ``RefusedError`` for a bad one."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._keep_rest()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        skipped, self._skipping = self._skipping, False
        if skipped or len(line) > READING_BYTES_MAX:
            raise too_large()
        return line

    def _keep_rest(self) -> None:
        """No line end yet: keep what may become a line, forget what cannot."""
        self._searched = len(self._buffer)
        if self._searched > READING_BYTES_MAX:
            self._skipping = True
            self._buffer.clear()
            self._searched = 0
        if self._finished and (self._buffer or self._skipping):
            self._buffer.clear()
            self._skipping = False
            raise RefusedError(Refusal.INCOMPLETE_LINE, "the connection ended within a line")


def _outcome(taking: _Taking) -> bytes:
    error = taking.future.exception()
    if isinstance(error, BusyError):
        return _busy(error)
    claimed = {} if taking.claimed is None else {"claimed": taking.claimed}
    return _reply(taken=str(taking.future.result()), **claimed)


def _busy(busy: BusyError) -> bytes:
    return _reply(busy=busy.code, detail=busy.detail)


def _reply(**fields: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
