"""Open loop: messages go out at their times, and what comes back is timed by batch.

A receipt leaves ingest after COMMIT, so its arrival at the gateway is an upper bound of the
commit. Latency counts from the moment when the message was due, so a sender that lags cannot
hide a system that stalls.
"""

import statistics
import time
from typing import Any, Final

import msgspec

from deploy.bench.gateways import STALLED_S_MAX, TICK_S, Gateways, Patience, say, told_to_stop
from simulators.load.packets import ProtocolError
from simulators.load.traffic import Message, Traffic

_LAST_RECEIPT_S_MAX: Final = 60.0
_LIVE_PACKET_IDS: Final = range(30_000, 65_000)  # Apart from those of the backlog.


class _Receipt(msgspec.Struct):
    batch: str


class _Receipts(msgspec.Struct):
    receipts: list[_Receipt]


_decoder = msgspec.json.Decoder(_Receipts)


def percentiles(latencies_s: list[float]) -> dict[str, float | int | None]:
    """p50, p99 and the most in milliseconds, with how many values they rest on."""
    if len(latencies_s) < 2:  # noqa: PLR2004 - a quantile needs two
        return {"p50_ms": None, "p99_ms": None, "max_ms": None, "count": len(latencies_s)}
    cuts = statistics.quantiles(latencies_s, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49] * 1_000, 2),
        "p99_ms": round(cuts[98] * 1_000, 2),
        "max_ms": round(max(latencies_s) * 1_000, 2),
        "count": len(latencies_s),
    }


class Schedule:
    """Live messages, each with its time, and how long each took to be receipted."""

    def __init__(self, messages: list[Message], gap_s: float, gateways: Gateways) -> None:
        self._messages = messages
        self._gap_s = gap_s
        self._gateways = gateways
        self._next = 0
        self._numbers = [0] * len(gateways.connections)
        self._due_s: dict[str, float] = {}
        self._started_s = 0.0
        self._taken_s: list[tuple[float, float]] = []  # When it was due, and how long it took.
        self.lag_s_max = 0.0
        self.urgent_s: dict[str, float] = {}

    def start(self, at_s: float) -> None:
        """Set the time of the first message."""
        self._started_s = at_s

    @property
    def finished(self) -> bool:
        """Whether everything was sent and receipted."""
        return self._next == len(self._messages) and not self._due_s

    @property
    def all_sent(self) -> bool:
        """Whether everything was sent."""
        return self._next == len(self._messages)

    def send_due(self) -> float:
        """Send what is due; seconds until the next one is."""
        while self._next < len(self._messages):
            due_s = self._started_s + self._next * self._gap_s
            now = time.monotonic()
            if due_s > now:
                return due_s - now
            message = self._messages[self._next]
            number = self._numbers[message.gateway]
            self._numbers[message.gateway] = number + 1
            packet_id = _LIVE_PACKET_IDS[number % len(_LIVE_PACKET_IDS)]
            self._gateways.connections[message.gateway].send_live(message.payload, packet_id)
            self._due_s[message.batch] = due_s
            self.urgent_s.update(dict.fromkeys(message.urgent, due_s))
            self.lag_s_max = max(self.lag_s_max, now - due_s)
            self._next += 1
        return TICK_S

    def hear(self, wait_s: float) -> None:
        """Take in receipts; those of live messages are timed and not counted to the backlog's."""
        for connection, heard in self._gateways.hear(wait_s):
            now = time.monotonic()
            for payload in heard.received:
                for receipt in _decoder.decode(payload).receipts:
                    due_s = self._due_s.pop(receipt.batch, None)
                    if due_s is not None:
                        self._taken_s.append((due_s, now - due_s))
                        connection.receipted -= 1

    def figures(self, *, due_before_s: float = float("inf")) -> dict[str, Any]:
        """What was seen of the live messages, or of those that were due before a moment."""
        took = [seconds for due_s, seconds in self._taken_s if due_s <= due_before_s]
        return {
            "publish_to_receipt": percentiles(took),
            "lag_ms_max": round(self.lag_s_max * 1_000, 2),
            "unreceipted": len(self._due_s),
        }


class Paced:
    """Only live messages."""

    def __init__(self, traffic: Traffic, gateways: Gateways) -> None:
        self._schedule = Schedule(list(traffic.messages()), traffic.shape.gap_ms / 1_000, gateways)

    def run(self) -> None:
        """Send each at its time; say what was seen when all are receipted."""
        schedule, began = self._schedule, time.monotonic()
        schedule.start(began)
        say("started", at_s=began)
        last_s = None
        while not schedule.finished:
            schedule.hear(schedule.send_due())
            if schedule.all_sent:
                last_s = last_s or time.monotonic()
                if time.monotonic() - last_s > _LAST_RECEIPT_S_MAX:
                    break
        say("paced", urgent_s=schedule.urgent_s, **schedule.figures())
        while not told_to_stop(TICK_S):
            schedule.hear(0)


class Drain:
    """A backlog as gateways hold it after an outage, and live messages beside it.

    ``load`` sends what an outage of ingest leaves at the broker (each gateway's window), ``run``
    goes on when ingest is back: a batch more for each receipt.
    """

    def __init__(self, backlog: Traffic, live: Traffic, gateways: Gateways) -> None:
        self._backlog = backlog
        self._gateways = gateways
        gateways.write(backlog.messages())
        self._schedule = Schedule(list(live.messages()), live.shape.gap_ms / 1_000, gateways)
        for connection, site in zip(gateways.connections, live.sites, strict=True):
            connection.live_topic = f"suifang/v1/{site.centre_id}/{site.gateway_id}/readings"
        backlog.totals.add(live.totals)

    def load(self) -> None:
        """Fill every gateway's window at the broker."""
        patience = Patience()
        connections = self._gateways.connections
        while any(c.acknowledged < min(c.unreceipted_max or 0, c.messages) for c in connections):
            self._gateways.hear()
            self._gateways.send()
            if patience.is_over(sum(c.acknowledged for c in connections)):
                msg = f"the broker has not taken the windows of all gateways in {STALLED_S_MAX} s"
                raise ProtocolError(msg)
            time.sleep(TICK_S)

    def run(self) -> None:
        """Send live messages at their times and the backlog as receipts allow."""
        schedule, connections = self._schedule, self._gateways.connections
        began = time.monotonic()
        schedule.start(began)
        say("started", at_s=began)
        patience = Patience()
        while not all(connection.receipted_all for connection in connections):
            schedule.hear(min(schedule.send_due(), TICK_S))
            self._gateways.send()
            if patience.is_over(sum(c.receipted for c in connections)):
                msg = f"no receipt of the backlog for {STALLED_S_MAX} s"
                raise ProtocolError(msg)
        drained_s = time.monotonic()
        say("drained", at_s=drained_s)
        while not told_to_stop(0):
            schedule.hear(min(schedule.send_due(), TICK_S))
            if schedule.finished:
                break
        say("paced", **schedule.figures(due_before_s=drained_s))
        while not told_to_stop(TICK_S):
            schedule.hear(0)
