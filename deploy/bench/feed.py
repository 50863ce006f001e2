"""When alerts become visible on the live feed, with the machine's monotonic clock."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx

_CONNECT_S_MAX: Final = 10.0
_SILENCE_S_MAX: Final = 60.0


class Feed:
    """Reads ``/v1/alerts/stream`` in a thread of its own. ``watching`` makes one."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/v1/alerts/stream"
        self._client = httpx.Client(timeout=httpx.Timeout(_CONNECT_S_MAX, read=_SILENCE_S_MAX))
        self._ended = threading.Event()
        self.open = threading.Event()
        self.seen_s: dict[str, float] = {}  # By the reading that the alert rests on.

    def run(self) -> None:
        """Read until the client is closed."""
        while not self._ended.is_set():
            with suppress(httpx.HTTPError), self._client.stream("GET", self._url) as response:
                self.open.set()
                data = ""
                for line in response.iter_lines():
                    name, _, value = line.partition(":")
                    if name == "data":
                        data += value
                    elif not line and data:
                        self._note(json.loads(data), time.monotonic())
                        data = ""
                    if self._ended.is_set():
                        break

    def _note(self, event: dict[str, Any], now: float) -> None:
        if event.get("raised_by") == "ingest":
            self.seen_s.setdefault(str(event.get("anchor_reading_id")), now)

    def end(self) -> None:
        """Stop at the next event or keep-alive."""
        self._ended.set()


@contextmanager
def watching(address: str) -> Iterator[Feed]:
    """A feed that is open."""
    feed = Feed(address)
    thread = threading.Thread(target=feed.run, name="feed", daemon=True)
    thread.start()
    feed.open.wait(timeout=_CONNECT_S_MAX)
    try:
        yield feed
    finally:
        feed.end()
