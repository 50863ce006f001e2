"""Counts and latencies of a run, in memory that does not grow with its length."""

from dataclasses import dataclass, field
from typing import Any

from simulators.histogram import Histogram


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
    taken_latency: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)

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
