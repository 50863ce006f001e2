"""What goes out after a COMMIT: receipts and acknowledgements, and the receipts that come late.

A PUBACK never waits. A receipt does where its gateway has sent more than its share
(``ingest.throttle``): it is kept here until its time. What is kept when the process ends is lost on
purpose, for a gateway without a receipt sends again and is told that its readings are known.
"""

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count

from ingest.db.gateway_days import Totals
from ingest.deliveries import Message, Settled
from ingest.metrics import IngestMetrics
from ingest.settings import ThrottleSettings
from ingest.source import Source
from ingest.throttle import Throttle

_DISPOSITIONS = Totals.__slots__


class Answers:
    """Sends what a transaction has settled; ``run`` sends what was held back."""

    def __init__(
        self, settings: ThrottleSettings, sources: Sequence[Source], metrics: IngestMetrics
    ) -> None:
        self._sources = sources
        self._metrics = metrics
        self._throttle = Throttle(settings, lambda: asyncio.get_running_loop().time())
        self._late: list[tuple[float, int, Message]] = []
        self._numbers = count()
        self._news = asyncio.Event()

    async def give(self, settled: Settled) -> None:
        """Send receipts, then acknowledge, on the connection that delivered."""
        delays_s = {
            gateway: self._throttle.delay_s(gateway, totals.readings)
            for gateway, totals in settled.totals.items()
        }
        now: list[Message] = []
        for message in settled.messages:
            delay_s = delays_s.get(message.to.gateway, 0.0)
            if delay_s > 0:
                self._hold(message, delay_s)
            else:
                now.append(message)
        for source in self._sources:
            mine = [each for each in now if each.connection == source.connection]
            acknowledged = await source.settle(mine, settled.deliveries)
            self._metrics.acknowledged.labels(source.client_id).inc(acknowledged)
        self._book(settled, len(now))

    def _hold(self, message: Message, delay_s: float) -> None:
        due_s = asyncio.get_running_loop().time() + delay_s
        heapq.heappush(self._late, (due_s, next(self._numbers), message))
        self._metrics.throttled.inc()
        self._news.set()

    def _book(self, settled: Settled, receipts: int) -> None:
        metrics = self._metrics
        metrics.receipts.inc(receipts)
        metrics.lanes.labels(settled.lane).inc()
        sums = {
            name: sum(getattr(totals, name) for totals in settled.totals.values())
            for name in _DISPOSITIONS
        }
        metrics.book(sums)
        metrics.batch_readings.observe(sum(sums.values()))

    async def run(self) -> None:
        """Send late receipts when they are due, until cancelled."""
        while True:
            self._news.clear()
            now_s = asyncio.get_running_loop().time()
            while self._late and self._late[0][0] <= now_s:
                _, _, message = heapq.heappop(self._late)
                await self._sources[0].send_late(message)
                self._metrics.receipts.inc()
            self._throttle.forget_idle()
            wait_s = self._late[0][0] - now_s if self._late else None
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue
