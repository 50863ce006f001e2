"""Once a second: how it goes, and who used how much of the processors."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from simulators.load.counts import Counts, Latencies, Sample
from simulators.load.processors import ProcessorTime, machine_seconds, memory_bytes, time_of

SIMULATOR: Final = "simulator"
MACHINE: Final = "machine"  # All processors together, whoever uses them.
SECOND_S: Final = 1.0
_MB: Final = 1_000_000

Watch = Callable[[], Mapping[str, ProcessorTime]]


def watch_processes(pids: Mapping[str, int]) -> Watch:
    """Processor time of these processes, by the names they are given."""
    return lambda: {name: time_of(pid) for name, pid in pids.items()}


class Sampler:
    """Makes samples; remembers the one before."""

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch or dict
        self._began_s = 0.0
        self._last_s = 0.0
        self._before = Counts()
        self._used: dict[str, ProcessorTime] = {}
        self._fresh = Latencies()

    def start(self, at_s: float) -> None:
        """Begin at this monotonic time."""
        self._began_s = self._last_s = at_s
        self._used = self._times()

    def record(
        self, acknowledged_s: list[float], stored_s: list[float], lateness_s: list[float]
    ) -> None:
        """Count durations of this second, seconds."""
        self._fresh.acknowledged.record_many(acknowledged_s)
        self._fresh.stored.record_many(stored_s)
        self._fresh.lateness.record_many(lateness_s)

    def is_due(self, now_s: float) -> bool:
        """Whether the second is over."""
        return now_s - self._last_s >= SECOND_S

    def take(
        self, now_s: float, counts: Counts, oldest_due_s: float | None, total: Latencies
    ) -> Sample:
        """The second that ends now; what was recorded goes to the total."""
        span_s = max(now_s - self._last_s, 1e-3)
        used, fresh, before = self._times(), self._fresh, self._before
        total.add(fresh)
        sample = Sample(
            at_s=round(now_s - self._began_s, 3),
            sent_per_s=round((counts.sent - before.sent) / span_s, 1),
            acknowledged_per_s=round((counts.acknowledged - before.acknowledged) / span_s, 1),
            receipted_per_s=round((counts.receipted - before.receipted) / span_s, 1),
            waiting=counts.waiting,
            lag_s=0.0 if oldest_due_s is None else round(max(now_s - oldest_due_s, 0.0), 3),
            acknowledged_p50_ms=_milliseconds(fresh.acknowledged.quantile(0.5)),
            acknowledged_p99_ms=_milliseconds(fresh.acknowledged.quantile(0.99)),
            stored_p50_ms=_milliseconds(fresh.stored.quantile(0.5)),
            stored_p99_ms=_milliseconds(fresh.stored.quantile(0.99)),
            lateness_p99_ms=_milliseconds(fresh.lateness.quantile(0.99)),
            cores={
                name: round(_seconds(now - self._used.get(name, ProcessorTime())) / span_s, 3)
                for name, now in used.items()
            },
            resident_mb=round(memory_bytes(os.getpid())["resident"] / _MB, 1),
        )
        self._last_s, self._used, self._fresh = now_s, used, Latencies()
        self._before = Counts(
            sent=counts.sent, acknowledged=counts.acknowledged, receipted=counts.receipted
        )
        return sample

    def _times(self) -> dict[str, ProcessorTime]:
        own = ProcessorTime(time.process_time())
        return {**self._watch(), SIMULATOR: own, MACHINE: ProcessorTime(machine_seconds()[0])}


def _seconds(used: ProcessorTime) -> float:
    return used.user_s + used.system_s


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000, 3)
