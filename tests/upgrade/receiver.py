"""Who is told during the upgrade: a subscriber of the feed and a pager, on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Lock, Thread
from typing import Any, Final

EVENTS: Final = "/events"
PEOPLE: Final = "/people"


class Receiver:
    """Takes everything, and remembers the events' numbers in the order they came."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._port = server.server_port
        self._lock = Lock()
        self.numbers: list[int] = []
        self.pages = 0

    def address(self, path: str) -> str:
        """Where it takes what is sent."""
        return f"http://127.0.0.1:{self._port}{path}"

    def take(self, path: str, body: bytes) -> None:
        """One request."""
        with self._lock:
            if path == EVENTS:
                self.numbers.append(int(json.loads(body)["number"]))
            else:
                self.pages += 1

    def find_faults(self) -> list[str]:
        """Numbers that are missing, or came for the first time behind a later one."""
        first = list(dict.fromkeys(self.numbers))
        faults = [f"event {later} came behind {earlier}" for earlier, later in _falls(first)]
        missing = set(range(min(first, default=1), max(first, default=0) + 1)) - set(first)
        return faults + [f"event {number} never came" for number in sorted(missing)]


def _falls(numbers: list[int]) -> Iterator[tuple[int, int]]:
    return ((a, b) for a, b in pairwise(numbers) if b < a)


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    """One on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.take(self.path, body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base class's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Receiver(server)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
