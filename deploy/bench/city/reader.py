"""A process that reads the API as fast as it answers, over plain sockets: ours are the cores, too.

    python -m deploy.bench.city.reader

A line of JSON says what to ask; the answer is one line. Closed loop: a connection asks again as
soon as it was answered. It must never count an answer that is no 200.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any, Final

import uvloop

from deploy.bench.gateways import say
from deploy.bench.pacing import percentiles

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_OK: Final = b"HTTP/1.1 200"


class Reading(asyncio.Protocol):
    """One kept-alive connection and the requests that are its own."""

    def __init__(self, order: "Order", asks: Sequence[tuple[str, bytes]]) -> None:
        self._order = order
        self._asks = cycle(asks)
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._kind = ""
        self._asked_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport  # type: ignore[assignment]  # of a TCP connection
        self._ask()

    def _ask(self) -> None:
        self._kind, request = next(self._asks)
        self._asked_s = time.perf_counter()
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._received += data
        end = self._received.find(_END)
        if end < 0:
            return
        at = self._received.lower().find(_LENGTH, 0, end)
        length = int(self._received[at + len(_LENGTH) :].split(b"\r", 1)[0])
        if len(self._received) < end + len(_END) + length:
            return
        took_s = time.perf_counter() - self._asked_s
        status = bytes(self._received[:12])
        self._received.clear()
        if self._order.is_over(self._kind, status, took_s):
            self._close()
        else:
            self._ask()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over, or cut."""
        self._order.leave(cut=exc is not None)


class Order:
    """One measurement: until when, and what was answered."""

    def __init__(self, seconds: float, connections: int) -> None:
        self._until_s = time.perf_counter() + seconds
        self._left = connections
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self.refused: dict[str, int] = defaultdict(int)
        self.done = asyncio.Event()

    def is_over(self, kind: str, status: bytes, took_s: float) -> bool:
        """Note an answer; whether it was the last one."""
        if status == _OK:
            self.took_s[kind].append(took_s)
        else:
            self.refused[f"{kind} {status[9:].decode()}"] += 1
        return time.perf_counter() >= self._until_s

    def leave(self, *, cut: bool) -> None:
        """A connection has ended."""
        self._left -= 1
        if cut:
            self.refused["cut"] += 1
        if not self._left:
            self.done.set()


async def read(order: dict[str, Any]) -> dict[str, Any]:
    """Ask as told; how fast, how long each kind took, and what was not answered."""
    asks = [
        (
            kind,
            f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n\r\n".encode(),
        )
        for kind, path, token in order["asks"]
    ]
    connections, addresses = int(order["connections"]), order["addresses"]
    found = Order(float(order["seconds"]), connections)
    began_s = time.perf_counter()
    for number in range(connections):
        host, port = addresses[number % len(addresses)]
        start = len(asks) * number // connections
        mine = asks[start:] + asks[:start]
        await asyncio.get_running_loop().create_connection(
            partial(Reading, found, mine), host, port
        )
    await found.done.wait()
    seconds = time.perf_counter() - began_s
    answered = sum(map(len, found.took_s.values()))
    return {
        "seconds": round(seconds, 3),
        "requests_per_s": round(answered / seconds, 1),
        "answered": answered,
        "refused": dict(found.refused),
        "took": {kind: percentiles(took_s) for kind, took_s in found.took_s.items()},
    }


def main() -> None:
    """Carry out orders until the input ends."""
    say("ready")
    for line in sys.stdin:
        say("read", **uvloop.run(read(json.loads(line))))


if __name__ == "__main__":
    main()
