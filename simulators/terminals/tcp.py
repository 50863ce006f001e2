"""A virtual terminal: a TCP client of the gateway that forgets no reading before its answer.

One JSON object a line upward; for each, in order, one line back: ``{"taken": "<uuid>"}``,
``{"refused": code, "detail": ...}`` or ``{"busy": ...}`` (send again later).

Invariants: a reading is in the ledger before its bytes leave; at most ``window_max`` readings
are unanswered or waiting to be sent again; after a broken link exactly the unanswered ones are
sent again, as the same bytes, so that ingest's duplicate rule meets any double.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from gateway.wire.times import Clock
from simulators.errors import TerminalError
from simulators.ledger import Ledger
from simulators.planned import PlannedReading
from simulators.settings import TerminalLimits
from simulators.tally import Tally

Address: TypeAlias = tuple[str, int]
"""Host and port of a gateway's terminal listener."""


class _LinkBrokenError(Exception):
    """The connection is gone; what was not answered has to be sent again."""


@dataclass(slots=True)
class _Outgoing:
    reading: PlannedReading
    due_at: float  # Loop time from which latency counts.
    number: int = 0  # In the ledger; 0: not sent yet.
    sent_at: float = 0.0


class Terminal:
    """One terminal and its one connection. ``run`` once."""

    def __init__(
        self,
        device_id: str,
        address: Address,
        *,
        ledger: Ledger,
        tally: Tally,
        clock: Clock,
        limits: TerminalLimits,
    ) -> None:
        self._device_id = device_id
        self._address = address
        self._ledger = ledger
        self._tally = tally
        self._clock = clock
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._offered: asyncio.Queue[_Outgoing | None] = asyncio.Queue(maxsize=1)
        self._again: deque[_Outgoing] = deque()  # At most window_max, with those unanswered.
        self._unanswered: deque[_Outgoing] = deque()
        self._exhausted = False
        self._paused_until = 0.0
        self._wake = asyncio.Event()
        self._progress_at = self._loop.time()
        self._stop_at: float | None = None

    @property
    def owed(self) -> int:
        """Readings sent whose answer has not come."""
        return len(self._unanswered) + len(self._again)

    async def run(
        self, readings: Iterable[PlannedReading], *, started_at: float, stop_at: float | None
    ) -> None:
        """Send all readings, each not before it is due, until every one is answered.

        Nothing new is sent from loop time ``stop_at`` on. Memory is bounded by the window, if
        ``readings`` is lazy. Cancelled, it leaves the link; the ledger says what was sent.

        Raises:
            TerminalError: Unreachable for ``unreachable_s_max``, or an answer outside the
                protocol.
        """
        self._stop_at = stop_at
        self._progress_at = self._loop.time()
        async with asyncio.TaskGroup() as group:
            feeder = group.create_task(
                self._feed(readings, started_at), name=f"feeder {self._device_id}"
            )
            await self._converse()
            feeder.cancel()

    async def _feed(self, readings: Iterable[PlannedReading], started_at: float) -> None:
        """Offer each reading when it is due; the queue of one makes the source wait."""
        for reading in readings:
            now = self._loop.time()
            due_at = now if reading.due_s is None else started_at + reading.due_s
            if self._stop_at is not None and max(now, due_at) >= self._stop_at:
                break
            await asyncio.sleep(max(due_at - now, 0))
            await self._offered.put(_Outgoing(reading, due_at))
            self._wake.set()
        await self._offered.put(None)
        self._wake.set()

    async def _converse(self) -> None:
        """Hold connections one after the other until everything is answered."""
        backoff_s = self._limits.backoff_s_min
        while not self._is_done():
            progress_at = self._progress_at
            try:
                await self._converse_once()
            except (OSError, _LinkBrokenError) as error:
                self._note_break(error)
                if self._progress_at > progress_at:
                    backoff_s = self._limits.backoff_s_min
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, self._limits.backoff_s_max)

    async def _converse_once(self) -> None:
        """Hold one connection until everything is answered or it breaks."""
        async with asyncio.timeout(self._limits.connect_s_max):
            reader, writer = await asyncio.open_connection(
                *self._address, limit=self._limits.answer_bytes_max
            )
        connected_at = self._loop.time()
        hearer = asyncio.create_task(self._hear(reader), name=f"hearer {self._device_id}")
        hearer.add_done_callback(lambda _: self._wake.set())
        try:
            await self._speak(writer, hearer)
        finally:
            if self._loop.time() - connected_at > self._limits.backoff_s_max:
                self._progress_at = self._loop.time()  # A link that held was a link.
            hearer.cancel()
            writer.close()
            await asyncio.wait([hearer])
            with contextlib.suppress(OSError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _speak(self, writer: asyncio.StreamWriter, hearer: "asyncio.Task[None]") -> None:
        """Send while the window has room; returns when all is answered."""
        while not self._is_done():
            if hearer.done():
                hearer.result()
            self._wake.clear()
            outgoing = self._choose()
            if outgoing is None:
                if not self._is_done():
                    await self._wake.wait()
                continue
            self._note_sent(outgoing)
            writer.write(outgoing.reading.line + b"\n")
            async with asyncio.timeout(self._limits.answer_s_max):
                await writer.drain()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Take answers, each for the oldest unanswered reading, until the link breaks."""
        while True:
            try:
                async with asyncio.timeout(self._limits.answer_s_max):
                    line = await reader.readline()
            except TimeoutError:
                if reader.exception() is not None:
                    raise  # The network's own timeout, not ours.
                self._check_patience()
                continue
            except ValueError as error:
                raise self._misunderstood(error) from error
            if not line.endswith(b"\n"):
                msg = "the gateway closed the connection"
                raise _LinkBrokenError(msg)
            self._take_answer(line)
            self._wake.set()

    def _choose(self) -> _Outgoing | None:
        """The next reading to send now, if any may be sent."""
        now = self._loop.time()
        if now < self._paused_until or len(self._unanswered) >= self._limits.window_max:
            return None
        if self._again:
            return self._again.popleft()
        try:
            outgoing = self._offered.get_nowait()
        except asyncio.QueueEmpty:
            return None
        if outgoing is None or self._exhausted:
            self._exhausted = True
            return None
        return outgoing

    def _is_done(self) -> bool:
        if self._stop_at is not None and self._loop.time() >= self._stop_at:
            self._exhausted = True
        return self._exhausted and not self._again and not self._unanswered

    def _note_sent(self, outgoing: _Outgoing) -> None:
        now = self._loop.time()
        if outgoing.number == 0:
            outgoing.number = self._ledger.record_sent(outgoing.reading, self._clock())
            self._tally.sent += 1
            if outgoing.reading.due_s is None:
                outgoing.due_at = now
            else:
                self._tally.lateness.record(now - outgoing.due_at)
        outgoing.sent_at = now
        self._unanswered.append(outgoing)

    def _note_break(self, error: Exception) -> None:
        """Put what was not answered in front of everything else."""
        self._tally.broken += 1
        while self._unanswered:
            outgoing = self._unanswered.pop()
            self._ledger.record_again(outgoing.number, self._clock())
            self._tally.again += 1
            self._again.appendleft(outgoing)
        if self._loop.time() - self._progress_at > self._limits.unreachable_s_max:
            host, port = self._address
            msg = (
                f"the gateway at {host}:{port} was not reached for "
                f"{self._limits.unreachable_s_max:.0f} s ({error}); start it, and run again "
                "with a new ledger"
            )
            raise TerminalError(msg) from error

    def _check_patience(self) -> None:
        if not self._unanswered:
            return
        if self._loop.time() - self._unanswered[0].sent_at >= self._limits.answer_s_max:
            msg = f"no answer within {self._limits.answer_s_max} s"
            raise _LinkBrokenError(msg)

    def _take_answer(self, line: bytes) -> None:
        try:
            answer = json.loads(line)
            if not self._unanswered:
                msg = f"turned away: {answer['busy']}"  # All connections are in use.
                raise _LinkBrokenError(msg)
            if "taken" in answer:
                self._note_taken(UUID(answer["taken"]))
            elif "refused" in answer:
                self._note_refused(str(answer["refused"]))
            else:
                self._note_busy(answer["busy"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._misunderstood(line) from error
        self._progress_at = self._loop.time()

    def _note_taken(self, reading_id: UUID) -> None:
        outgoing = self._unanswered.popleft()
        self._ledger.record_taken(outgoing.number, reading_id, self._clock())
        self._tally.taken += 1
        self._tally.taken_latency.record(self._loop.time() - outgoing.due_at)

    def _note_refused(self, code: str) -> None:
        outgoing = self._unanswered.popleft()
        self._ledger.record_refused(outgoing.number, code, self._clock())
        self._tally.refused += 1

    def _note_busy(self, _why: object) -> None:
        """Send it again after a pause, in which nothing else is sent either."""
        self._again.append(self._unanswered.popleft())
        self._tally.busy += 1
        self._paused_until = self._loop.time() + self._limits.busy_pause_s
        self._loop.call_later(self._limits.busy_pause_s, self._wake.set)

    def _misunderstood(self, what: object) -> TerminalError:
        host, port = self._address
        msg = f"{host}:{port} answered {what!r:.80}: is that a gateway's terminal port?"
        return TerminalError(msg)
