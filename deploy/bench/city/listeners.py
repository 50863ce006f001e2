"""A process of many idle listeners on the live feed; says when an event is at all of them.

    python -m deploy.bench.city.listeners

A line of JSON says where to and who listens; then each event is told once the last one has it.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
from collections import Counter
from typing import Any, Final

import uvloop

from deploy.bench.gateways import say

_AT_ONCE: Final = 50  # Connections opened at the same time.
_PROBLEM_BYTES_MAX: Final = 2_000
_ID: Final = re.compile(rb"^id: (\d+)$", re.MULTILINE)


class Crowd:
    """All listeners together."""

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners
        self.open = 0
        self._seen: Counter[int] = Counter()
        self._first_s: dict[int, float] = {}

    def connected(self) -> None:
        """One more has its answer."""
        self.open += 1
        if self.open == self.listeners:
            say("open", listeners=self.open)

    def saw(self, number: int) -> None:
        """One more has this event."""
        now_s = time.monotonic()
        self._first_s.setdefault(number, now_s)
        self._seen[number] += 1
        if self._seen[number] == self.listeners:
            say("everywhere", number=number, first_s=self._first_s[number], last_s=now_s)


async def listen(crowd: Crowd, order: dict[str, Any], token: str, gate: asyncio.Semaphore) -> None:
    """One listener, until it is cancelled or cut."""
    async with gate:
        reader, writer = await asyncio.open_connection(order["host"], order["port"])
        writer.write(
            f"GET {order['path']} HTTP/1.1\r\nHost: api\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            problem = (await reader.read(_PROBLEM_BYTES_MAX)).decode(errors="replace")
            sys.exit(f"a listener was refused: {problem}")
    crowd.connected()
    try:
        while True:
            block = await reader.readuntil(b"\n\n")
            if b"event: " in block and (found := _ID.search(block)):
                crowd.saw(int(found[1]))
    finally:
        writer.close()


async def run(order: dict[str, Any]) -> None:
    """Open them all and stay."""
    crowd, gate = Crowd(len(order["tokens"])), asyncio.Semaphore(_AT_ONCE)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as tasks:
            for token in order["tokens"]:
                tasks.create_task(listen(crowd, order, token, gate), name="listener")


def main() -> None:
    """Read the order, then listen until killed."""
    uvloop.run(run(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
