"""Metrics and health of a process over HTTP: ``/metrics``, ``/healthz``, ``/readyz``.

Off unless a port is set; on loopback unless told otherwise. It only reads: nothing here can change
what the process does, and a slow reader holds nobody up (a thread of its own).

``/healthz`` says that the process's event loop turns, and 503 when it has not for a minute, as long
as systemd's watchdog waits; ``/readyz`` says 503 and why while readings cannot pass.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Annotated, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, make_wsgi_app
from pydantic import BaseModel, ConfigDict, Field

_JSON: Final = ("Content-Type", "application/json")
_SILENT_S_MAX: Final = 60.0


class ObservationSettings(BaseModel):
    """Where metrics and health are served; no port, no server. Port 0: any that is free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each reader: one that says nothing holds no other up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A reader that went away or fell silent is nobody's error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Quiet(WSGIRequestHandler):
    """Logs no requests: a scrape every few seconds says nothing."""

    timeout = 5  # Seconds of silence.

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base class's signature
        pass


class _Pulse:
    """Whether an event loop turns: it is asked from outside, and one question waits at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float]) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._asked_s: float | None = None  # Since when a question waits.

    def is_felt(self) -> bool:
        """False when the loop owes an answer for longer than ``_SILENT_S_MAX``, or is closed."""
        asked_s = self._asked_s
        if asked_s is not None:
            return self._monotonic() - asked_s <= _SILENT_S_MAX
        self._asked_s = self._monotonic()
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:  # Closed.
            return False
        return True

    def _hear(self) -> None:
        self._asked_s = None


class Observation:
    """Serves one registry and one opinion about readiness."""

    def __init__(
        self,
        registry: CollectorRegistry,
        find_problems: Callable[[], list[str]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        ProcessCollector(registry=registry)  # Memory, processor, open files, start.
        build = Gauge(
            "suifang_build_info", "1; the program's version.", ["version"], registry=registry
        )
        build.labels(version("suifang")).set(1)
        self._metrics: WSGIApplication = make_wsgi_app(registry)
        self._find_problems = find_problems
        self._server: WSGIServer | None = None
        self._monotonic = monotonic
        self._pulse: _Pulse | None = None

    def follow(self) -> asyncio.AbstractEventLoop:
        """From now on ``/healthz`` is the running loop's: 503 when it has hung for a minute."""
        loop = asyncio.get_running_loop()
        self._pulse = _Pulse(loop, self._monotonic)
        return loop

    def start(self, host: str, port: int | None) -> str | None:
        """Begin to serve; returns the address, or None where no port is set.

        Raises:
            OSError: The port is taken or the host is not this machine's.
        """
        if port is None:
            return None
        self._server = make_server(
            host,
            port,
            self._answer,
            server_class=_Server,
            handler_class=_Quiet,
        )
        threading.Thread(target=self._server.serve_forever, name="observation", daemon=True).start()
        return f"http://{host}:{self._server.server_port}"

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/healthz":
            if self._pulse is None or self._pulse.is_felt():
                return _say(start, "200 OK", {"status": "ok"})
            return _say(start, "503 Service Unavailable", {"status": "the event loop hangs"})
        if path == "/readyz":
            problems = self._find_problems()
            status = "503 Service Unavailable" if problems else "200 OK"
            body = {"status": "not ready" if problems else "ready", "problems": problems}
            return _say(start, status, body)
        return _say(start, "404 Not Found", {"paths": ["/metrics", "/healthz", "/readyz"]})


def _say(start: StartResponse, status: str, body: dict[str, Any]) -> list[bytes]:
    start(status, [_JSON])
    return [json.dumps(body, ensure_ascii=False).encode() + b"\n"]
