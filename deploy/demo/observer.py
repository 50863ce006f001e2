"""Measures from outside, with one clock: what the broker carries and what the feed shows.

Publish to stored, for each reading: from when its batch is seen at the broker until the receipt
is seen there. Publish to alert, for each emergency that ingest raised: until it is seen on the
live feed. Reads only.
"""

import asyncio
import contextlib
import json
import statistics
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiomqtt
import httpx
import msgspec

_TIMEOUT_S: Final = 5
_REMEMBERED_MAX: Final = 100_000  # Readings and batches whose end is still to be seen.
_PAUSE_S: Final = 0.2
_RECEIVED_MAX: Final = 10_000


class _Id(msgspec.Struct):
    id: str


class _Batch(msgspec.Struct):
    batch: str
    readings: list[_Id]


class _Receipt(msgspec.Struct):
    batch: str


class _Receipts(msgspec.Struct):
    receipts: list[_Receipt]


_batch = msgspec.json.Decoder(_Batch)
_receipts = msgspec.json.Decoder(_Receipts)


@dataclass(slots=True)
class Observations:
    """What was seen. Latencies in milliseconds, all of them kept (a demo's worth)."""

    stored_ms: list[float] = field(default_factory=list)
    alert_ms: list[float] = field(default_factory=list)
    alerts_seen: Counter[str] = field(default_factory=Counter)
    first_stored_at: float | None = None


def percentiles(values: list[float]) -> dict[str, float | int | None]:
    """p50 and p99 in milliseconds, with how many values they rest on."""
    if len(values) < 2:  # noqa: PLR2004 - a quantile needs two
        only = round(values[0], 1) if values else None
        return {"p50_ms": only, "p99_ms": only, "count": len(values)}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "count": len(values)}


class Observer:
    """Watches broker and feed until cancelled; a lost connection is made again."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self._broker = (host, port, password)
        self.seen = Observations()
        self._published: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._readings: OrderedDict[str, float] = OrderedDict()
        self._last_event = "0"
        self.watching = asyncio.Event()

    async def watch_broker(self) -> None:
        """Note when batches are published and when their receipts come."""
        host, port, password = self._broker
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    host,
                    port,
                    username="probe",
                    password=password,
                    protocol=aiomqtt.ProtocolVersion.V5,
                    max_queued_incoming_messages=_RECEIVED_MAX,
                    timeout=_TIMEOUT_S,
                ) as client:
                    for channel in ("readings", "backlog", "receipts"):
                        await client.subscribe(f"suifang/v1/+/+/{channel}")
                    self.watching.set()
                    async for message in client.messages:
                        if isinstance(message.payload, bytes):
                            self._note(message.topic.value, message.payload)
            await asyncio.sleep(_PAUSE_S)

    def _note(self, topic: str, payload: bytes) -> None:
        now = time.monotonic()
        with contextlib.suppress(msgspec.DecodeError):  # Quarantine's business, not ours.
            if topic.endswith("/receipts"):
                for receipt in _receipts.decode(payload).receipts:
                    self._note_stored(receipt.batch, now)
            else:
                batch = _batch.decode(payload)
                self._published.setdefault(batch.batch, (now, len(batch.readings)))
                for reading in batch.readings:
                    self._readings.setdefault(reading.id, now)
                while len(self._published) > _REMEMBERED_MAX:
                    self._published.popitem(last=False)
                while len(self._readings) > _REMEMBERED_MAX:
                    self._readings.popitem(last=False)

    def _note_stored(self, batch: str, now: float) -> None:
        published = self._published.pop(batch, None)
        if self.seen.first_stored_at is None:
            self.seen.first_stored_at = now
        if published is not None:
            at, readings = published
            self.seen.stored_ms += [(now - at) * 1_000] * readings

    async def watch_feed(self, address: str, token: Callable[[], str]) -> None:
        """Note when alerts appear on the live feed; resumes where it was, with a new token."""
        url = f"{address}/v1/alerts/stream"
        async with httpx.AsyncClient(timeout=httpx.Timeout(_TIMEOUT_S, read=60)) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    headers = {
                        "Last-Event-ID": self._last_event,
                        "Authorization": f"Bearer {token()}",
                    }
                    async with client.stream("GET", url, headers=headers) as response:
                        if response.is_success:
                            async for kind, data in self._events(response):
                                self._note_event(kind, data)
                await asyncio.sleep(_PAUSE_S)

    async def _events(self, response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        kind, data = "", ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self._last_event = value
            elif name == "event":
                kind = value
            elif name == "data":
                data += value
            elif not line and data:
                yield kind, json.loads(data)
                kind, data = "", ""

    def _note_event(self, kind: str, event: dict[str, Any]) -> None:
        if kind != "alert.raised":
            return
        self.seen.alerts_seen[str(event.get("code"))] += 1
        published = self._readings.get(str(event.get("anchor_reading_id")))
        # What the judge raises waits for its session on purpose; only the rest is latency.
        if published is not None and event.get("raised_by") == "ingest":
            self.seen.alert_ms.append((time.monotonic() - published) * 1_000)
