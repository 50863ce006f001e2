"""What the API tells Prometheus: sums and states, labelled by route and status, by nobody.

A route is its template, never an address: an address carries pseudonyms. Label values are bounded:
the routes there are, the methods and codes of HTTP, states and problems from fixed lists. What the
whole installation owes (``OVERVIEW``) every API tells alike, from the database.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.database import Database
from api.feed import Feed

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
GATEWAY_STATES: Final = ("online", "silent", "offline", "unheard")
PROBLEMS: Final = (
    *("refusing", "spool_filling", "spool_old", "spool_unreadable", "readings_lost", "unheard"),
    *("clock_unknown", "certificate_ending", "certificate_ended"),
    *("battery_low", "calibration_due", "calibration_overdue"),
)
"""As a gateway's status names them (``gateway.status``); a test compares."""


class ApiMetrics:
    """All metrics of one API process, in a registry of its own."""

    def __init__(self, database: Database, feed: Feed, *, listeners_max: int) -> None:
        self._feed = feed
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "suifang_api_request_seconds",
            "From a request to the first byte of its answer; of a stream, too.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.under_way = Gauge(
            "suifang_api_requests_under_way",
            "Requests that are not answered to the end yet, streams among them.",
            registry=registry,
        )
        listeners = Gauge(
            "suifang_api_stream_listeners", "Listeners of the live feed.", registry=registry
        )
        listeners.set_function(lambda: feed.listeners)
        places = Gauge(
            "suifang_api_stream_listeners_max",
            "So many listeners are admitted: API_FEED__LISTENERS_MAX.",
            registry=registry,
        )
        places.set(listeners_max)
        connected = Gauge(
            "suifang_api_feed_connected",
            "1 while the live feed follows the database.",
            registry=registry,
        )
        connected.set_function(lambda: feed.is_connected)
        registry.register(_Pool(database))
        self._overview(registry)

    def _overview(self, registry: CollectorRegistry) -> None:
        """What everybody owes; as old as ``API_OPERATIONS__SAMPLE_S`` at most."""
        self.database_up = Gauge(
            "suifang_api_database_up",
            "1 if the database answered when the installation was looked at last.",
            registry=registry,
        )
        self.feed_lag_s = Gauge(
            "suifang_api_feed_lag_seconds",
            "For how long the oldest event without a number has waited for the dispatcher.",
            registry=registry,
        )
        self.notify_lag_s = Gauge(
            "suifang_api_notify_lag_seconds",
            "For how long the oldest alert that pages has waited for the notifier.",
            registry=registry,
        )
        self.untold = Gauge(
            "suifang_api_untold_alerts",
            "Alerts that ask for somebody, and nobody could be told.",
            registry=registry,
        )
        self.gateways = Gauge(
            "suifang_api_gateways",
            "Enrolled gateways by state: online, silent (no status for a while), offline (the"
            " broker or the gateway said so), unheard (never a status).",
            ["state"],
            registry=registry,
        )
        self.gateway_problems = Gauge(
            "suifang_api_gateway_problems",
            "Gateways whose last status names a problem; a gateway may name several.",
            ["problem"],
            registry=registry,
        )
        self.spool_readings = Gauge(
            "suifang_api_spool_readings",
            "Readings without a receipt on all gateways, as they said last.",
            registry=registry,
        )
        self.spool_oldest_s = Gauge(
            "suifang_api_spool_oldest_seconds",
            "How old the oldest reading is that waits on a gateway, as they said last.",
            registry=registry,
        )

    def find_problems(self) -> list[str]:
        """Why requests are not answered now; for ``/readyz`` beside the metrics.

        The API's own ``/readyz`` asks the database anew.
        """
        return [] if self._feed.is_connected else ["the feed has no database"]

    def show_fleet(self, states: Mapping[str, int], problems: Mapping[str, int]) -> None:
        """Set the gateways by state and by problem; unknown problems count as ``other``."""
        for state in GATEWAY_STATES:
            self.gateways.labels(state).set(states.get(state, 0))
        for problem in PROBLEMS:
            self.gateway_problems.labels(problem).set(problems.get(problem, 0))
        other = sum(count for problem, count in problems.items() if problem not in PROBLEMS)
        self.gateway_problems.labels("other").set(other)

    def book(self, scope: Scope, status: int, began_s: float) -> None:
        """One request that begins to be answered now."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        took_s = time.perf_counter() - began_s
        self.requests.labels(method, route_of(scope), str(status)).observe(took_s)


class Metering:
    """ASGI middleware, outermost: how long every answer takes, whoever gives it."""

    def __init__(self, app: ASGIApp, *, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def send_and_book(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.book(scope, message["status"], began_s)
            await send(message)

        with self._metrics.under_way.track_inprogress():
            await self._app(scope, receive, send_and_book)


def route_of(scope: Scope) -> str:
    """The template of the route that answers; ``unmatched`` before and without any.

    A router that was included knows only its own end of the template; what is before it has no
    parameters and is read from the address.
    """
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(scope["path"]).rsplit("/", path.count("/"))[0] + str(path)
    mounted = scope.get("root_path")
    return f"{mounted}/*" if mounted else "unmatched"


class _Pool(Collector):
    """The pool of connections, asked whenever somebody scrapes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Its own sums. ``requests_wait_ms`` is of those that had to wait."""
        found = self._database.pool_stats()
        free = found.get("pool_available", 0)
        connections = GaugeMetricFamily(
            "suifang_api_pool_connections",
            "Connections of the pool to the database by what they do.",
            labels=["state"],
        )
        connections.add_metric(["free"], free)
        connections.add_metric(["used"], found.get("pool_size", 0) - free)
        yield connections
        yield GaugeMetricFamily(
            "suifang_api_pool_waiting",
            "Requests that wait for a connection.",
            found.get("requests_waiting", 0),
        )
        yield CounterMetricFamily(
            "suifang_api_pool_queued",
            "Times a connection had to be waited for.",
            found.get("requests_queued", 0),
        )
        yield CounterMetricFamily(
            "suifang_api_pool_wait_seconds",
            "Time spent in waiting for a connection.",
            found.get("requests_wait_ms", 0) / 1_000,
        )
        yield CounterMetricFamily(
            "suifang_api_pool_refused",
            "Times no connection came in time, or too many waited: these requests got 503.",
            found.get("requests_errors", 0),
        )
