"""What a load has done so far, second by second. Memory grows by one row a second."""

from dataclasses import asdict, dataclass, field
from typing import Any

from simulators.histogram import Histogram


@dataclass(slots=True)
class Counts:
    """Readings, since the start.

    Attributes:
        sent: Given to the broker's connection.
        acknowledged: The broker has them (PUBACK).
        receipted: Ingest has said what became of them: the sum of the next three.
        stored: Of these, stored.
        duplicate: Of these, already there.
        quarantined: Of these, kept aside.
        again: Sent again: a connection broke, or the broker said that nobody subscribed.
        broken: Connections that broke.
        with_receipts: Whether receipts are asked for; else a reading is done with its PUBACK.
    """

    sent: int = 0
    acknowledged: int = 0
    receipted: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    again: int = 0
    broken: int = 0
    with_receipts: bool = True

    @property
    def waiting(self) -> int:
        """Sent, and not yet receipted (without receipts: acknowledged)."""
        return self.sent - (self.receipted if self.with_receipts else self.acknowledged)

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self) | {"waiting": self.waiting}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second of a load: rates are readings a second, durations milliseconds.

    Attributes:
        at_s: Seconds after the start.
        lag_s: Age of the oldest reading without receipt, from when it was due.
        lateness_p99_ms: How late the simulator itself sent: not the system's doing.
        cores: Processors used by each process, by its name; the simulator is one.
        resident_mb: Memory of the simulator.
    """

    at_s: float
    sent_per_s: float
    acknowledged_per_s: float
    receipted_per_s: float
    waiting: int
    lag_s: float
    acknowledged_p50_ms: float | None
    acknowledged_p99_ms: float | None
    stored_p50_ms: float | None
    stored_p99_ms: float | None
    lateness_p99_ms: float | None
    cores: dict[str, float]
    resident_mb: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class Latencies:
    """Durations from when a reading was due."""

    acknowledged: Histogram = field(default_factory=Histogram)  # Until the broker had it.
    stored: Histogram = field(default_factory=Histogram)  # Until its receipt was here.
    lateness: Histogram = field(default_factory=Histogram)  # Until it was sent.

    def add(self, other: "Latencies") -> None:
        """Count what the other has counted."""
        self.acknowledged.add(other.acknowledged)
        self.stored.add(other.stored)
        self.lateness.add(other.lateness)

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Percentiles in milliseconds."""
        return {
            "publish_to_puback": self.acknowledged.as_dict(),
            "publish_to_receipt": self.stored.as_dict(),
            "lateness_of_the_simulator": self.lateness.as_dict(),
        }
