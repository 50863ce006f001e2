"""What the delivering process tells Prometheus: sums only, no receiver and no owner."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from api.webhooks.progress import State

_STATES: Final = ("active", "retrying", "parked", "gone", "disabled")


class DeliverMetrics:
    """All metrics of one delivering process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.attempts = Counter(
            "suifang_deliver_attempts",
            "Requests to receivers, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self.subscriptions = Gauge(
            "suifang_deliver_subscriptions",
            "Subscriptions by state. Parked ones need somebody: docs/runbooks/webhook-parked.md.",
            ["state"],
            registry=registry,
        )
        self.behind = Gauge(
            "suifang_deliver_behind_events",
            "Events that the last subscription of a state is behind the feed.",
            ["state"],
            registry=registry,
        )
        self.elected = Gauge(
            "suifang_deliver_elected",
            "1 in the one process that tells receivers, 0 in those that stand by.",
            registry=registry,
        )
        self.feed_events = Gauge(
            "suifang_feed_events",
            "Numbered events that the feed still has; `suifang retention events` lets old ones go.",
            registry=registry,
        )

    def show(self, states: Iterable[State], feed_events: int) -> None:
        """Set the gauges to what was measured."""
        self.feed_events.set(feed_events)
        found = {state.name: state for state in states}
        for name in _STATES:
            state = found.get(name, State(name, 0, 0))
            self.subscriptions.labels(name).set(state.subscriptions)
            self.behind.labels(name).set(state.behind)

    def stand_by(self) -> None:
        """Forget what was measured: only the elected one says how subscriptions stand."""
        self.subscriptions.clear()
        self.behind.clear()
        self.elected.set(0)
