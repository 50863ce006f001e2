"""The light fleet: thousands of gateways in one thread, each reading at its time.

asyncio and a client library cost several times as much for each message (docs/simulation.md), so
this is a plain loop: send what is due, hear what has come, write both down, once a tick.
Invariants: a reading is in the ledger before its bytes leave; it is forgotten on its receipt and on
nothing else (where none are asked for: on its PUBACK), and sent again when its line broke; stopped
at any time, it says what it has done.
What waits is bounded by ``unreceipted_max``: beyond it the run ends, for nothing is learnt of a
system so far behind.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from gateway.wire.times import Clock
from simulators.ledger import Ledger
from simulators.load.counts import Counts, Latencies, Sample
from simulators.load.lines import Lines
from simulators.load.members import Flight, Member, parse_receipts
from simulators.load.packets import Heard
from simulators.load.plan import Outgoing
from simulators.load.sampling import Sampler

_TICK_S: Final = 0.001  # What falls due meanwhile goes in one go; adds at most so much lateness.
_IDLE_S: Final = 0.02
_UNTIMED_MAX: Final = 8  # The same of whole batches.
_UNHEARD_S_MAX: Final = 10.0
_NOBODY_LISTENS: Final = (
    "the broker says that nobody subscribes to readings, so it lets them go: start `suifang ingest`"
)
_BURST_MAX: Final = 512  # Messages of one tick: then it listens again.


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLimits:
    """How far a fleet goes before it gives up."""

    unreceipted_max: int = 300_000  # Below the broker's queue (mosquitto.conf), which drops.
    in_flight_max: int = 20_000  # Readings without a due time: they go as fast as answered.
    drain_s_max: float = 60.0  # After the last was sent, for receipts still owed.
    stopped_drain_s_max: float = 2.0  # The same, when somebody stopped it.


@dataclass(slots=True)
class LoadRun:
    """What a fleet did. ``partial`` says why it ended before its plan did; None: it did not."""

    counts: Counts = field(default_factory=Counts)
    latencies: Latencies = field(default_factory=Latencies)
    samples: list[Sample] = field(default_factory=list)
    sending_s: float = 0.0
    elapsed_s: float = 0.0
    partial: str | None = None
    saturated: bool = False  # It ended because too much waited.


@dataclass(slots=True)
class _Seen:
    """What was seen since it was last counted and written down, in one go."""

    acknowledged: list[int] = field(default_factory=list)  # Numbers in the ledger.
    acknowledged_s: list[float] = field(default_factory=list)
    stored_s: list[float] = field(default_factory=list)
    lateness_s: list[float] = field(default_factory=list)


class LightFleet:
    """One run. ``stop`` is safe in a signal handler."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        ledger: Ledger | None,
        clock: Clock,
        sampler: Sampler,
        limits: LoadLimits | None = None,
        with_receipts: bool = True,
        on_sample: Callable[[LoadRun], None] | None = None,
    ) -> None:
        self._members = members
        self._ledger = ledger
        self._clock = clock
        self._sampler = sampler
        self._limits = limits or LoadLimits()
        self._on_sample = on_sample
        self._stopped: str | None = None
        self._seen = _Seen()
        self._unheard_since_s: float | None = None
        self._before = (0, 0)  # Of the lines, which serve more than one run.
        self.result = LoadRun(counts=Counts(with_receipts=with_receipts))

    def stop(self, why: str) -> None:
        """Send nothing new; ``run`` returns soon."""
        self._stopped = self._stopped or why

    def run(self, lines: Lines, messages: Iterator[Outgoing]) -> LoadRun:
        """Send all messages, each at its time, then wait for the receipts owed.

        ``result`` is complete whatever is raised.

        Raises:
            LoadError: The broker stays away.
            LedgerError: The ledger cannot be written.
        """
        result, began_s = self.result, time.monotonic()
        self._sampler.start(began_s)
        self._before = (lines.again, lines.broken)
        try:
            self._send_all(lines, messages, began_s)
            result.sending_s = time.monotonic() - began_s
            self._drain(lines)
        except BaseException as error:
            result.partial = f"it broke: {error}" if str(error) else "it broke"
            raise
        finally:
            result.sending_s = result.sending_s or time.monotonic() - began_s
            result.elapsed_s = time.monotonic() - began_s
            self._write_down()
            self._sample(lines, time.monotonic())
        result.partial = self._stopped
        return result

    def _send_all(self, lines: Lines, messages: Iterator[Outgoing], began_s: float) -> None:
        following = next(messages, None)
        while following is not None and self._stopped is None:
            now_s = time.monotonic()
            due: list[Outgoing] = []
            room = _BURST_MAX
            if following.due_s is None:
                room = _UNTIMED_MAX if self._waiting < self._limits.in_flight_max else 0
            while following is not None and len(due) < room:
                if following.due_s is not None and began_s + following.due_s > now_s:
                    break
                due.append(following)
                following = next(messages, None)
            if due:
                self._send(lines, due, began_s, now_s)
            wait_s = _TICK_S
            if following is not None and following.due_s is not None:
                wait_s = began_s + following.due_s - time.monotonic()
            self._hear(lines, min(max(wait_s, _TICK_S), _IDLE_S))
            if self._waiting > self._limits.unreceipted_max:
                self.result.saturated = True
                self.stop(f"{self._waiting:,} readings waited for a receipt: too far behind")

    def _send(self, lines: Lines, due: Sequence[Outgoing], began_s: float, now_s: float) -> None:
        number = 0
        if self._ledger is not None:
            entries = list(chain.from_iterable(message.entries for message in due))
            number = self._ledger.record_burst(entries, self._clock())
        for message in due:
            due_s = now_s if message.due_s is None else began_s + message.due_s
            lines.send(self._members[message.gateway], Flight(message, due_s, number))
            number += len(message.entries)
            self.result.counts.sent += len(message.entries)
            self._seen.lateness_s.append(now_s - due_s)

    def settle(self, lines: Lines, *, within_s: float) -> str | None:
        """After a run that was too much: None once nothing waits any more, else why it still does.

        Raises:
            LoadError: The broker stays away.
        """
        self._stopped, began_s = None, time.monotonic()
        while self._waiting > 0 and self._stopped is None:
            if time.monotonic() - began_s > within_s:
                return f"{self._waiting:,} readings had no receipt {within_s:.0f} s later"
            self._hear(lines, _IDLE_S)
        return self._stopped

    def _drain(self, lines: Lines) -> None:
        """Until nothing waits, or for as long as the limits say."""
        began_s = time.monotonic()
        while self._waiting > 0:
            limits = self._limits
            longest_s = limits.stopped_drain_s_max if self._stopped else limits.drain_s_max
            if time.monotonic() - began_s > longest_s:
                return
            self._hear(lines, _IDLE_S)

    def _hear(self, lines: Lines, wait_s: float) -> None:
        for member, heard in lines.hear(wait_s):
            self._take(lines, member, heard)
        now_s = time.monotonic()
        is_due = self._sampler.is_due(now_s)
        if is_due or len(self._seen.acknowledged) >= _BURST_MAX:
            self._write_down()
        if is_due:
            self._sample(lines, now_s)

    def _take(self, lines: Lines, member: Member, heard: Heard) -> None:
        now_s, counts = time.monotonic(), self.result.counts
        if heard.unheard and counts.with_receipts:
            self._unheard_since_s = self._unheard_since_s or now_s
            if now_s - self._unheard_since_s > _UNHEARD_S_MAX:
                self.stop(_NOBODY_LISTENS)
        if heard.acknowledged:
            for flight in lines.acknowledge(member, heard):
                readings = len(flight.message.entries)
                counts.acknowledged += readings
                self._seen.acknowledged_s.append(now_s - flight.due_s)
                self._seen.acknowledged.extend(range(flight.number, flight.number + readings))
        for payload in heard.received:
            self._unheard_since_s = None
            for receipt in parse_receipts(payload).receipts:
                found = member.take_receipted(receipt.batch)
                if found is None:
                    continue
                counts.receipted += len(found.message.entries)
                counts.stored += receipt.stored
                counts.duplicate += receipt.duplicate
                counts.quarantined += len(receipt.quarantined)
                self._seen.stored_s.append(now_s - found.due_s)

    def _write_down(self) -> None:
        seen, self._seen = self._seen, _Seen()
        if seen.acknowledged and self._ledger is not None:
            self._ledger.record_acknowledged(seen.acknowledged, self._clock())
        self._sampler.record(seen.acknowledged_s, seen.stored_s, seen.lateness_s)

    def _sample(self, lines: Lines, now_s: float) -> None:
        oldest = [at_s for each in self._members if (at_s := each.oldest_due_s()) is not None]
        result = self.result
        again, broken = self._before
        result.counts.again, result.counts.broken = lines.again - again, lines.broken - broken
        result.samples.append(
            self._sampler.take(now_s, result.counts, min(oldest, default=None), result.latencies)
        )
        if self._on_sample is not None:
            self._on_sample(result)

    @property
    def _waiting(self) -> int:
        return self.result.counts.waiting
