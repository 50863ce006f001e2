"""Counts and latencies of a run, in memory that does not grow with its length."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

_BUCKETS_PER_E: Final = 20  # One bucket is 5 % wide.
_SHORTEST_S: Final = 1e-6


class Latencies:
    """A histogram with buckets of 5 %: bounded, and good enough for a percentile."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._total = 0

    def record(self, seconds: float) -> None:
        """Count one latency."""
        self._counts[round(math.log(max(seconds, _SHORTEST_S)) * _BUCKETS_PER_E)] += 1
        self._total += 1

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that this share does not exceed; None without any."""
        passed = 0
        for bucket in sorted(self._counts):
            passed += self._counts[bucket]
            if passed >= share * self._total:
                return math.exp(bucket / _BUCKETS_PER_E)
        return None

    def as_dict(self) -> dict[str, float | None]:
        """p50, p99 and p999 in milliseconds."""
        shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
        values = {name: self.quantile(share) for name, share in shares.items()}
        return {
            name: None if value is None else round(value * 1_000, 3)
            for name, value in values.items()
        }


@dataclass(slots=True)
class Tally:
    """What all terminals of a run have done so far.

    Attributes:
        planned: Readings the run has in all; None when it goes on until its time is over.
        sent: Readings sent for the first time.
        taken: Readings the gateway took.
        refused: Readings the gateway would not take.
        busy: Answers that asked to send again later.
        again: Readings sent again because a broken link took the answer with it.
        broken: Links that broke, or could not be made.
        unanswered: Readings whose answer never came before the end.
        taken_latency: From when a reading was due (or first sent) until it was taken.
        lateness: How long after its due time a reading was first sent.
    """

    planned: int | None = None
    sent: int = 0
    taken: int = 0
    refused: int = 0
    busy: int = 0
    again: int = 0
    broken: int = 0
    unanswered: int = 0
    elapsed_s: float = 0.0
    taken_latency: Latencies = field(default_factory=Latencies)
    lateness: Latencies = field(default_factory=Latencies)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "planned": self.planned,
            "sent": self.sent,
            "taken": self.taken,
            "refused": self.refused,
            "busy": self.busy,
            "again": self.again,
            "broken": self.broken,
            "unanswered": self.unanswered,
            "elapsed_s": round(self.elapsed_s, 3),
            "taken_per_s": round(self.taken / self.elapsed_s, 1) if self.elapsed_s else None,
            "taken_latency": self.taken_latency.as_dict(),
            "lateness": self.lateness.as_dict(),
        }
