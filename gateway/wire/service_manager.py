"""What the service manager is told: that a process is ready, alive, or stopping (sd_notify(3)).

Every process of ours speaks it. Alive is said only while the event loop turns (it says so itself)
and, of the gateway, while the spool's thread answers and the MQTT thread lives; otherwise silence,
and systemd starts the process anew. A broker or database that is away is no reason: waiting is
what the process does then. Without ``NOTIFY_SOCKET`` nothing happens.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

_LOG = logging.getLogger(__name__)
_MICROSECONDS: Final = 1_000_000
_Result = TypeVar("_Result")
_SHARE: Final = 3  # Told three times in the manager's patience: one late word is no death.


class Notifier:
    """Says things to the service manager; never fails, never waits."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        patience_us = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        self.interval_s: float | None = None
        """How often to say that all is alive; None: nobody asks."""
        if self._address and ours and patience_us.isdecimal() and int(patience_us) > 0:
            self.interval_s = int(patience_us) / _MICROSECONDS / _SHARE

    def say(self, **words: str) -> None:
        """Send ``READY="1"``, ``STATUS="…"`` and the like, in one message."""
        if not self._address:
            return
        text = "\n".join(f"{name}={word}" for name, word in words.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.settimeout(0)
            door.sendto(text.encode(), self._address)


async def run_watchdog(
    notifier: Notifier,
    is_alive: Callable[[], Awaitable[bool]],
    describe: Callable[[], str],
) -> None:
    """Say that all is alive, for as long as it is. Returns at once when nobody asks.

    ``is_alive`` may hang: then nothing is said. Cancelled, it falls silent.
    """
    interval_s = notifier.interval_s
    if interval_s is None:
        return
    silent = False
    while True:
        alive = False
        with suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                alive = await is_alive()
        if alive:
            notifier.say(WATCHDOG="1", STATUS=describe())
        elif not silent:
            _LOG.error("a part of the process does not answer: the service manager is not told")
        silent = not alive
        await asyncio.sleep(interval_s)


async def supervised(
    work: Coroutine[Any, Any, _Result], find_problems: Callable[[], list[str]] = list
) -> _Result:
    """Do the work and tell the manager: ready now, alive while the loop turns, then stopping.

    Args:
        work: The process; what it raises is raised here.
        find_problems: Why it cannot do its work at the moment, for the manager's status line.
    """
    notifier = Notifier(os.environ)

    def describe() -> str:
        return "; ".join(find_problems()) or "at work"

    async def turns() -> bool:
        return True

    task = asyncio.ensure_future(work)
    notifier.say(READY="1", STATUS="started")
    telling = asyncio.create_task(run_watchdog(notifier, turns, describe), name="watchdog")
    try:
        return await task
    finally:
        telling.cancel()
        notifier.say(STOPPING="1")
