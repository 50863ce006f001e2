"""Batches go out at most four at a time and leave the spool on their receipt alone.

They go again, with the same bytes, only when the resend rule says so.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.counters import read_counters
from gateway.errors import LinkError
from gateway.publisher import Publisher
from gateway.session import Delivery
from gateway.settings import GatewaySettings
from gateway.spool_thread import SpoolThread, open_spool
from gateway.wire.topics import Channel
from tests.unit.gateway.gateway_builders import NOON, HandClock, a_reading, some_settings


@dataclass
class Broker:
    """A broker in memory: holds what was published, acknowledges when told to."""

    publisher: Publisher
    connected: bool = True
    alive: bool = True
    acks: bool = True
    sent: list[tuple[Channel, bytes]] = field(default_factory=list)
    acknowledged: list[Delivery] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)

    def publish(self, channel: Channel, payload: bytes, *, traceparent: str | None = None) -> int:
        """As ``Session.publish``."""
        self.traces.append(traceparent)
        self.sent.append((channel, payload))
        packet = len(self.sent)
        if self.acks:
            asyncio.get_running_loop().call_soon(self.publisher.on_broker_ack, packet, 0)
        return packet

    def acknowledge(self, delivery: Delivery) -> None:
        """As ``Session.acknowledge``."""
        self.acknowledged.append(delivery)

    def receipt(self, payload: bytes, **changes: object) -> None:
        """Ingest's receipt for one payload, with something changed."""
        batch = json.loads(payload)
        counts = {"stored": len(batch["readings"]), "duplicate": 0, "quarantined": []}
        self.say({"receipts": [{"batch": batch["batch"], **(counts | changes)}]})

    def say(self, message: object) -> None:
        """Put anything on the receipt topic."""
        self.publisher.on_receipt(Delivery(json.dumps(message).encode(), 1, 1))

    def reconnect(self) -> None:
        """The line is back."""
        self.connected = True
        self.publisher.on_connection()


@dataclass
class Bench:
    """A publisher at work on a real spool, with a clock moved by hand."""

    broker: Broker
    spool: SpoolThread
    clock: HandClock
    publisher: Publisher
    settings: GatewaySettings

    async def put(self, rows: int) -> None:
        """Spool readings captured now."""
        readings = [a_reading(at=self.clock()) for _ in range(rows)]
        assert await self.spool.run(self.spool.spool.put, readings) == rows
        self.publisher.on_taken()

    async def wait(self, seconds: float) -> None:
        """Let the hand clock run, then the publisher."""
        self.clock.advance(seconds)
        self.publisher.on_connection()
        await asyncio.sleep(0.05)

    async def until_sent(self, messages: int) -> None:
        """Wait for that many messages, however slow the machine; one too many fails as well."""
        await until(lambda: len(self.payloads) >= messages)
        assert len(self.payloads) == messages

    @property
    def payloads(self) -> list[bytes]:
        """Every message so far."""
        return [payload for _, payload in self.broker.sent]

    @property
    def batches(self) -> list[int]:
        """How many readings each message holds."""
        return [len(json.loads(payload)["readings"]) for payload in self.payloads]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def at_work(
    folder: Path, *, clock: HandClock | None = None, connected: bool = True, **changes: int
) -> AsyncIterator[Bench]:
    settings = some_settings(folder, **({"linger_ms": 0} | changes))
    clock = clock or HandClock()
    async with open_spool(settings) as spool:
        publisher = Publisher(spool, settings, clock, monotonic_s=clock.monotonic_s)
        broker = Broker(publisher, connected=connected)
        running = asyncio.create_task(publisher.run(broker))
        try:
            yield Bench(broker, spool, clock, publisher, settings)
        finally:
            running.cancel()
            await asyncio.wait([running])


async def test_a_batch_leaves_the_spool_on_its_receipt_not_on_the_brokers_ack(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(3)
        await until(lambda: bench.batches == [3])
        await asyncio.sleep(0.05)
        assert bench.spool.waiting_rows == 3

        bench.broker.receipt(bench.payloads[0])
        await until(lambda: bench.spool.waiting_rows == 0)

        assert read_counters(bench.settings.spool).confirmed_stored == 3
        await until(lambda: len(bench.broker.acknowledged) == 1)


async def test_at_most_four_batches_are_out(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(2_600)
        await until(lambda: bench.batches == [500] * 4)
        await until(lambda: len(bench.batches) == 4)
        await bench.wait(1)
        assert len(bench.batches) == 4

        bench.broker.receipt(bench.payloads[2])
        await until(lambda: len(bench.batches) == 5)
        bench.broker.receipt(bench.payloads[0])
        await until(lambda: bench.batches == [500] * 5 + [100])


async def test_a_lone_reading_lingers_for_company(tmp_path: Path) -> None:
    async with at_work(tmp_path, linger_ms=1_000) as bench:
        await bench.put(1)
        await bench.wait(0.9)
        assert bench.batches == []
        await bench.put(1)
        await bench.wait(0.1)
        await until(lambda: bench.batches == [2])

        await bench.put(500)
        await until(lambda: bench.batches == [2, 500])


async def test_an_unreceipted_batch_goes_again_with_the_same_bytes_after_a_minute(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(2)
        await until(lambda: bench.batches == [2])
        await bench.wait(59)
        assert len(bench.payloads) == 1

        await bench.wait(8)

        await until(lambda: len(bench.payloads) == 2)
        assert bench.payloads[0] == bench.payloads[1]
        assert read_counters(bench.settings.spool).batches_resent == 1


async def test_patience_doubles_up_to_its_limit(tmp_path: Path) -> None:
    async with at_work(tmp_path, resend_s_max=300) as bench:
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 1)
        for expected_s in (60, 120, 240, 300, 300):
            sent = len(bench.payloads)
            await bench.wait(expected_s - 1)
            assert len(bench.payloads) == sent
            await bench.wait(1 + expected_s * 0.11)
            await bench.until_sent(sent + 1)


async def test_patience_follows_the_receipt_time(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 1)
        await bench.wait(50)
        bench.broker.receipt(bench.payloads[0])
        await until(lambda: bench.spool.waiting_rows == 0)

        await bench.put(1)
        await until(lambda: len(bench.payloads) == 2)
        await bench.wait(199)
        assert len(bench.payloads) == 2
        await bench.wait(22)
        await bench.until_sent(3)


async def test_a_reconnect_alone_sends_nothing_again(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 1)
        bench.broker.connected = False
        await bench.wait(10)
        bench.broker.reconnect()
        await bench.wait(10)
        assert len(bench.payloads) == 1

        bench.broker.connected = False
        await bench.wait(100)
        assert len(bench.payloads) == 1
        bench.broker.reconnect()
        await until(lambda: len(bench.payloads) == 2)


async def test_what_the_mqtt_client_still_holds_is_not_handed_over_twice(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        bench.broker.acks = False
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 1)
        await bench.wait(1_000)
        assert len(bench.payloads) == 1

        bench.publisher.on_broker_ack(1, 0)

        await until(lambda: len(bench.payloads) == 2)


async def test_a_restart_sends_the_frozen_batches_again_byte_for_byte(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(700)
        await until(lambda: len(bench.payloads) == 2)
        before = bench.payloads
        await bench.put(5)

    async with at_work(tmp_path, connected=False) as bench:
        await bench.wait(0)
        assert bench.payloads == []
        bench.broker.reconnect()
        await until(lambda: sum(bench.batches) == 705)

        assert sorted(bench.payloads[:2]) == sorted(before[:2])
        for payload in bench.payloads:
            bench.broker.receipt(payload)
        await until(lambda: bench.spool.waiting_rows == 0)
        assert read_counters(bench.settings.spool).confirmed_stored == 705


async def test_old_readings_go_to_the_backlog(tmp_path: Path) -> None:
    clock = HandClock()
    async with at_work(tmp_path, clock=clock, connected=False) as bench:
        await bench.put(1)
        await bench.wait(61)
        bench.broker.reconnect()
        await until(lambda: len(bench.payloads) == 1)
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 2)

        assert [channel for channel, _ in bench.broker.sent] == ["backlog", "readings"]


async def test_a_strange_receipt_confirms_nothing_and_is_counted(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.put(2)
        await until(lambda: bench.batches == [2])

        bench.broker.receipt(bench.payloads[0], stored=1)
        bench.broker.say({"receipts": [{"batch": "x"}]})
        bench.broker.say("no receipt")
        bench.broker.receipt(bench.payloads[0], batch="019caf2e-0c00-7000-8000-000000000001")
        await until(lambda: len(bench.broker.acknowledged) == 4)

        counters = read_counters(bench.settings.spool)
        assert (counters.receipts_refused, counters.receipts_unknown) == (3, 1)
        assert counters.waiting == 2


async def test_a_quarantined_reading_is_confirmed_and_logged_without_its_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with at_work(tmp_path) as bench:
        await bench.put(2)
        await until(lambda: bench.batches == [2])
        bad = json.loads(bench.payloads[0])["readings"][1]["id"]

        refused = [{"id": bad, "reason": "implausible"}]
        bench.broker.receipt(bench.payloads[0], stored=1, quarantined=refused)
        await until(lambda: bench.spool.waiting_rows == 0)

        counters = read_counters(bench.settings.spool)
        assert (counters.confirmed_stored, counters.confirmed_quarantined) == (1, 1)
    logged = caplog.text
    assert "implausible" in logged
    assert bad in logged
    assert "xxxx" not in logged


async def test_nobody_listening_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(tmp_path) as bench:
        bench.broker.acks = False
        await bench.put(501)
        await until(lambda: len(bench.payloads) == 2)
        bench.publisher.on_broker_ack(1, 16)
        bench.publisher.on_broker_ack(2, 16)
        bench.publisher.on_broker_ack(99, 16)

    assert caplog.text.count("nobody reads the batches") == 1


async def test_what_nobody_has_goes_again_soon_and_ever_later(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        bench.broker.acks = False
        await bench.put(1)
        await until(lambda: len(bench.payloads) == 1)
        bench.publisher.on_broker_ack(1, 16)  # For example a broker restarted before ingest.
        await bench.wait(1.9)
        assert len(bench.payloads) == 1
        await bench.wait(0.2)
        await bench.until_sent(2)
        bench.publisher.on_broker_ack(2, 16)
        await bench.wait(3.9)
        assert len(bench.payloads) == 2
        await bench.wait(0.2)
        await bench.until_sent(3)
        bench.broker.receipt(bench.payloads[2])
        await until(lambda: bench.spool.spool.waiting_rows == 0)

    assert len(set(bench.payloads)) == 1
    assert len(bench.payloads) == 3


async def test_a_dead_mqtt_client_ends_the_process(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    async with open_spool(settings) as spool:
        publisher = Publisher(spool, settings, HandClock(NOON))
        with pytest.raises(LinkError, match="start again"):
            await publisher.run(Broker(publisher, connected=False, alive=False))
