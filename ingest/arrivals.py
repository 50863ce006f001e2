"""Deliveries between the socket and the writer, live ones before the backlog.

Bounded (I8): the broker sends each channel at most its window of unacknowledged messages, and above
``bytes_waiting_max`` the socket is not read. Two channels because one queue would let an outage's
backlog hold up what is measured now; the backlog's window is small, so that the broker keeps the
rest of it, and every batch takes live deliveries first.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from ingest.deliveries import Delivery
from ingest.settings import BatchSettings


class Arrivals:
    """What has come on one channel and waits to be stored."""

    def __init__(self, window: int, *, backlog: bool = False) -> None:
        self.window = window
        self.backlog = backlog
        self._waiting: deque[Delivery] = deque()
        self._since = 0.0
        self.bytes_waiting = 0
        self.news = asyncio.Event()  # Something is there.

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def since(self) -> float:
        """When the first of those that wait came, by the loop's clock."""
        return self._since

    def put(self, deliveries: Sequence[Delivery]) -> bool:
        """Append in order. False, and nothing is taken: more than the window."""
        if len(self._waiting) + len(deliveries) > self.window:
            return False
        if not self._waiting:
            self._since = asyncio.get_running_loop().time()
        self._waiting += deliveries
        self.bytes_waiting += sum([len(delivery.payload) for delivery in deliveries])
        self.news.set()
        return True

    def take(self, messages_max: int, bytes_max: int) -> list[Delivery]:
        """Take from the front: at least one where one waits and anything is asked for."""
        if len(self._waiting) <= messages_max and self.bytes_waiting <= bytes_max:
            taken, size = list(self._waiting), self.bytes_waiting
            self._waiting.clear()
        else:
            taken, size = [], 0
        while self._waiting and len(taken) < messages_max and size < bytes_max:
            delivery = self._waiting.popleft()
            taken.append(delivery)
            size += len(delivery.payload)
        self.bytes_waiting -= size
        self._since = asyncio.get_running_loop().time()
        if not self._waiting:
            self.news.clear()
        return taken

    def forget(self) -> None:
        """Drop what waits: it cannot be acknowledged any more, and all of it comes again."""
        self._waiting.clear()
        self.bytes_waiting = 0
        self.news.clear()


def is_full(channels: Sequence[Arrivals], limits: BatchSettings) -> bool:
    """Whether what waits fills a batch."""
    return (
        sum([len(each) for each in channels]) >= limits.messages_max
        or sum([each.bytes_waiting for each in channels]) >= limits.bytes_max
    )


def take(channels: Sequence[Arrivals], limits: BatchSettings) -> list[Delivery]:
    """What waits, up to a batch: live before backlog, and of those the longest waiting first."""
    batch: list[Delivery] = []
    size = 0
    for each in sorted(channels, key=lambda channel: (channel.backlog, channel.since)):
        before = each.bytes_waiting
        batch += each.take(limits.messages_max - len(batch), limits.bytes_max - size)
        size += before - each.bytes_waiting
    return batch


async def collect(channels: Sequence[Arrivals], limits: BatchSettings) -> list[Delivery]:
    """Wait for a delivery, then for more until a limit of the batch is reached.

    What came while the writer was busy has waited already and is taken at once: the busier the
    database, the larger the batch. Cancellation loses nothing: what is not acknowledged is
    redelivered.
    """
    while True:
        await _wait_for_news(channels)
        await _linger(channels, limits)
        batch = take(channels, limits)
        if batch:  # Unless a connection broke meanwhile.
            return batch


async def _wait_for_news(channels: Sequence[Arrivals]) -> None:
    if any(len(each) for each in channels):
        return
    waits = [asyncio.ensure_future(each.news.wait()) for each in channels]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _linger(channels: Sequence[Arrivals], limits: BatchSettings) -> None:
    """Let a small batch grow until its first delivery has waited long enough.

    Long enough is longer when much is coming: each transaction has its own price, and small ones in
    a row would leave no processor to the broker.
    """
    loop = asyncio.get_running_loop()
    since = min((each.since for each in channels if len(each)), default=0.0)
    for age_ms in (limits.age_ms_max, limits.busy_age_ms_max):
        left = since + age_ms / 1_000 - loop.time()
        if left > 0 and not is_full(channels, limits):
            await asyncio.sleep(left)
        if sum([len(each) for each in channels]) < limits.busy_messages_min:
            return
