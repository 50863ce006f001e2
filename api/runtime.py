"""Starts and stops the processes of this folder; the one place that knows about signals.

SIGTERM and SIGINT end them gently and with success: streams are closed cleanly, requests under
way are answered within ``shutdown_s_max``, a round of numbering is finished or undone.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn

from api.app import create_app
from api.dispatcher import DispatcherMetrics, run_dispatcher
from api.errors import ApiError
from api.feed import Feed
from api.http_protocol import BoundedProtocol
from api.notify.notifiers import Notifier
from api.notify.process import NotifyProcess
from api.notify.settings import NotifySettings
from api.services import Services
from api.settings import ApiSettings, DispatcherSettings
from api.webhooks.deliverer import Deliverer
from api.webhooks.metrics import DeliverMetrics
from api.webhooks.settings import DeliverSettings
from gateway.wire.times import Clock
from ingest.observation import Observation, ObservationSettings

_ALLOCATIONS_OF_COLLECTION: Final = 20_000
_STOP: Final = (signal.SIGINT, signal.SIGTERM)


async def serve(
    settings: ApiSettings, clock: Clock, *, on_listening: Callable[[str], None]
) -> None:
    """Serve until a signal; ``on_listening`` gets the address.

    Raises:
        OSError: The port is taken.
        ApiError: The feed's follower ended by a bug; the log has its trace.
    """
    app = create_app(settings, clock)
    gc.collect()
    gc.freeze()  # What lives as long as the process is not looked through again and again.
    gc.set_threshold(_ALLOCATIONS_OF_COLLECTION)  # A request makes thousands of short-lived ones.
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        lifespan="on",
        log_level="warning",
        access_log=False,  # Addresses carry pseudonyms.
        server_header=False,
        limit_concurrency=settings.connections_max,
        timeout_graceful_shutdown=settings.shutdown_s_max,
    )
    services: Services = app.state.services
    server = _Server(config, services.feed)
    observation = Observation(services.metrics.registry, services.metrics.find_problems)
    with _listening_socket(settings) as listening, _observed(observation, settings.metrics):
        host, port = listening.getsockname()[:2]
        on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await server.serve(sockets=[listening])
    if server.lifespan.error_occurred:
        msg = "the API ended by a fault of its own; the lines above say which"
        raise ApiError(msg)


async def dispatch(settings: DispatcherSettings) -> None:
    """Run the dispatcher until a signal, with metrics and health where a port is set.

    Raises:
        OSError: The port of the metrics is taken.
    """
    metrics = DispatcherMetrics()
    with _observed(Observation(metrics.registry, metrics.find_problems), settings.metrics):
        task = asyncio.create_task(run_dispatcher(settings, metrics), name="dispatcher")
        with _signals(task.cancel), contextlib.suppress(asyncio.CancelledError):
            await task


async def deliver(settings: DeliverSettings, clock: Clock) -> None:
    """Run the delivering process until a signal, with metrics and health where a port is set.

    Raises:
        OSError: The port of the metrics is taken.
    """
    metrics = DeliverMetrics()
    deliverer = Deliverer(settings, clock, metrics)
    with _observed(Observation(metrics.registry, deliverer.find_problems), settings.metrics):
        task = asyncio.create_task(deliverer.run(), name="deliverer")
        with _signals(task.cancel), contextlib.suppress(asyncio.CancelledError):
            await task


async def notify(settings: NotifySettings, channels: Sequence[Notifier], clock: Clock) -> None:
    """Run the notifier until a signal, with metrics and health where a port is set.

    Raises:
        OSError: The port of the metrics is taken.
    """
    process = NotifyProcess(settings, channels, clock)
    with _observed(Observation(process.metrics.registry, process.find_problems), settings.metrics):
        task = asyncio.create_task(process.run(), name="notify")
        with _signals(task.cancel), contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def _observed(observation: Observation, settings: ObservationSettings) -> Iterator[None]:
    observation.follow()
    observation.start(settings.host, settings.port)
    try:
        yield
    finally:
        observation.stop()


class _Server(uvicorn.Server):
    """Uvicorn that closes the feed's streams on stop, and stops when the lifespan has died."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with _signals(self._stop):
            yield

    def _stop(self) -> None:
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        died: bool = self.lifespan.error_occurred
        return await super().on_tick(counter) or died

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        await super().shutdown(sockets)


def _listening_socket(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=512)


@contextlib.contextmanager
def _signals(stop: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _STOP:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _STOP:
            loop.remove_signal_handler(number)
