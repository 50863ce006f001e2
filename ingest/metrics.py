"""What a worker tells Prometheus. Sums only, booked once a transaction, never a resident.

The conservation law by stage: ``received`` messages either wait, or are ``acknowledged``; each of
their readings is counted in ``readings`` under what became of it, after the COMMIT that made it so.
"""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


class IngestMetrics:
    """All metrics of one ingest worker, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.received = Counter(
            "suifang_ingest_messages_received",
            "Messages the broker delivered, redeliveries too.",
            ["session"],
            registry=registry,
        )
        self.acknowledged = Counter(
            "suifang_ingest_messages_acknowledged",
            "Messages acknowledged to the broker, after COMMIT.",
            ["session"],
            registry=registry,
        )
        self.readings = Counter(
            "suifang_ingest_readings",
            "Readings by what became of them, after COMMIT. Redelivered and unsettling ones stand"
            " beside the conservation law.",
            ["disposition"],
            registry=registry,
        )
        self.receipts = Counter(
            "suifang_ingest_receipts", "Receipt messages sent to gateways.", registry=registry
        )
        self.throttled = Counter(
            "suifang_ingest_receipts_throttled",
            "Receipt messages held back because a gateway sends more than its share.",
            registry=registry,
        )
        self.lanes = Counter(
            "suifang_ingest_transactions",
            "Committed transactions by the lane they took: plain, asking, careful.",
            ["lane"],
            registry=registry,
        )
        self.statuses = Counter(
            "suifang_ingest_statuses",
            "Statuses of gateways by what became of them: kept, refused or dropped (too many).",
            ["outcome"],
            registry=registry,
        )
        self._measure(registry)

    def _measure(self, registry: CollectorRegistry) -> None:
        """Sizes, times and states."""
        self.batch_readings = Histogram(
            "suifang_ingest_batch_readings",
            "Readings in one transaction.",
            buckets=_SIZES,
            registry=registry,
        )
        self.store_seconds = Histogram(
            "suifang_ingest_store_seconds",
            "From the start of a transaction to its COMMIT.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge(
            "suifang_ingest_messages_waiting",
            "Messages received and not yet taken into a transaction.",
            ["session"],
            registry=registry,
        )
        self.window_used = Gauge(
            "suifang_ingest_window_used_ratio",
            "Unacknowledged messages over the receive window: at 1 the broker holds the rest.",
            ["session"],
            registry=registry,
        )
        self.connected = Gauge(
            "suifang_ingest_broker_connected", "1 while subscribed.", ["session"], registry=registry
        )
        self.database_failures = Counter(
            "suifang_ingest_database_failures",
            "Times the database was gone, busy or gave up on a lock; the batch is tried again.",
            registry=registry,
        )
        self.broker_losses = Counter(
            "suifang_ingest_broker_losses",
            "Times a connection to the broker was lost or could not be made.",
            ["session"],
            registry=registry,
        )

        self.age_seconds = Histogram(
            "suifang_ingest_reading_age_seconds",
            "From arrival (the gateway's clock where it is believed) to COMMIT, the median of each"
            " transaction.",
            buckets=(*_SECONDS, 60, 300, 3_600, 86_400),
            registry=registry,
        )

    def watch(
        self,
        session: str,
        *,
        waiting: Callable[[], int],
        unacknowledged: Callable[[], int],
        window: int,
        connected: Callable[[], bool],
    ) -> None:
        """Read a session's state whenever somebody scrapes."""
        self.waiting.labels(session).set_function(waiting)
        self.window_used.labels(session).set_function(lambda: unacknowledged() / window)
        self.connected.labels(session).set_function(connected)

    def book(self, totals: Mapping[str, int]) -> None:
        """Add what one COMMIT settled, by disposition.

        A stranger's item that settles its id at last leaves ``unsettling`` in the table; a
        counter never goes back.
        """
        for disposition, number in totals.items():
            self.readings.labels(disposition).inc(max(number, 0))


class JudgeMetrics:
    """All metrics of one judge, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.judged = Counter(
            "suifang_judge_residents", "Residents judged, each time anew.", registry=registry
        )
        self.judge_seconds = Histogram(
            "suifang_judge_seconds",
            "One transaction: claim, load, fold, write.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.due_batches = Gauge(
            "suifang_judge_due_batches",
            "Transactions of ingest whose marks no judge has spread yet.",
            registry=registry,
        )
        self.due_marks = Gauge(
            "suifang_judge_due_marks",
            "Marks of due work, ready or waiting for a session to close.",
            registry=registry,
        )
        self.overdue_seconds = Gauge(
            "suifang_judge_overdue_seconds",
            "How long the longest waiting due resident has been due.",
            registry=registry,
        )
        self.database_failures = Counter(
            "suifang_judge_database_failures",
            "Times the database was gone or busy; the same residents are judged again.",
            registry=registry,
        )
