"""A gateway on a real broker: every reading that was taken reaches ingest and is confirmed.

Killed at any moment it sends the same bytes again; ingest's part is played by a subscriber
that answers with receipts, late if the test wants it so.
"""

import asyncio
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiomqtt
import pytest

from gateway.counters import read_counters, waiting_ids
from gateway.runtime import Gateway
from gateway.settings import GatewaySettings
from gateway.wire.readings import parse_json
from gateway.wire.times import utc_now
from tests.fix_broker import TestBroker

LINE = b'{"kind":"glucose","device_id":"m-1","glucose":7.00,"unit":"mmol/L","device_sequence":%d}\n'


@dataclass
class Answerer:
    """Plays ingest for one gateway; ``open`` says whether receipts are sent."""

    client: aiomqtt.Client
    topic: str
    open: asyncio.Event = field(default_factory=asyncio.Event)
    payloads: list[bytes] = field(default_factory=list)
    statuses: list[bool] = field(default_factory=list)  # Changes only.

    @property
    def ids(self) -> set[str]:
        """Every reading that arrived."""
        return {r["id"] for payload in self.payloads for r in parse_json(payload)["readings"]}

    async def run(self) -> None:
        """Answer for ever."""
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            if message.topic.value.endswith("/status"):
                online = json.loads(message.payload)["online"]
                if self.statuses[-1:] != [online]:
                    self.statuses.append(online)
                continue
            self.payloads.append(message.payload)
            await self.open.wait()
            batch = json.loads(message.payload)
            counts = {"stored": len(batch["readings"]), "duplicate": 0, "quarantined": []}
            receipt = {"receipts": [{"batch": batch["batch"], **counts}]}
            await self.client.publish(f"{self.topic}/receipts", json.dumps(receipt), qos=1)


@pytest.fixture
def settings(broker: TestBroker, tmp_path: Path) -> GatewaySettings:
    """A gateway that nobody else uses."""
    name = f"gw-{uuid4().hex[:12]}"
    return GatewaySettings(
        id=name,
        centre="test-centre",
        broker_host=broker.host,
        broker_port=broker.port,
        broker_password=broker.add_user(name),
        spool=tmp_path / "spool.db",
    )


@pytest.fixture
async def ingest(broker: TestBroker, settings: GatewaySettings) -> AsyncIterator[Answerer]:
    """The one that answers this gateway."""
    topic = f"suifang/v1/{settings.centre}/{settings.id}"
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username="ingest",
        password=broker.password_of("ingest"),
        protocol=aiomqtt.ProtocolVersion.V5,
    )
    async with client:
        for channel in ("readings", "backlog", "status"):
            await client.subscribe(f"{topic}/{channel}", qos=1)
        answerer = Answerer(client, topic)
        answerer.open.set()
        running = asyncio.create_task(answerer.run())
        yield answerer
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def say(address: str, first: int, count: int) -> set[str]:
    """Send lines as a terminal does; return the ids said to be taken before the line broke."""
    host, port = address.rsplit(":", 1)
    taken: set[str] = set()
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"".join(LINE % (first + i) for i in range(count)))
        writer.write_eof()
        async for reply in reader:
            taken.add(json.loads(reply)["taken"])
        writer.close()
    return taken


async def until_empty(settings: GatewaySettings) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(waiting_ids, settings.spool):  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_process(
    settings: GatewaySettings,
) -> AsyncIterator[tuple["subprocess.Popen[str]", str]]:
    """The gateway as a process of its own; killed at the end, if it still runs."""
    environment = {
        "GATEWAY_ID": settings.id,
        "GATEWAY_CENTRE": settings.centre,
        "GATEWAY_BROKER_HOST": settings.broker_host,
        "GATEWAY_BROKER_PORT": str(settings.broker_port),
        "GATEWAY_BROKER_PASSWORD": settings.broker_password or "",
        "GATEWAY_SPOOL": str(settings.spool),
    }
    process = subprocess.Popen(  # noqa: ASYNC220 - starts in milliseconds
        [sys.executable, "-m", "gateway.cli"],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            said = await asyncio.to_thread(process.stdout.readline)
            yield process, json.loads(said)["listening"]
        finally:
            process.kill()


async def test_every_reading_taken_is_confirmed_and_leaves_the_spool(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with Gateway(settings, utc_now) as gateway:
        taken = await say(gateway.address, 0, 1_500)
        await until_empty(settings)
        assert gateway.waiting_rows == 0

    assert len(taken) == 1_500
    assert ingest.ids == taken
    assert b'"glucose":7.00' in ingest.payloads[0]
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert (counters.confirmed_stored, counters.conserved) == (1_500, True)
    assert counters.batches_resent == 0


async def test_a_killed_gateway_sends_the_same_bytes_again(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    ingest.open.clear()
    taken: set[str] = set()
    for turn in range(4):
        async with a_process(settings) as (process, address):
            saying = asyncio.create_task(say(address, turn * 3_000, 3_000))
            await asyncio.sleep(0.05 + 0.1 * turn)
            if turn == 3:  # However slow the machine: something was sent before the last kill.
                await until_heard(ingest)
            process.kill()
            taken |= await saying

    async with Gateway(settings, utc_now):
        await until_resent(settings)  # Before a receipt can come.
        ingest.open.set()
        await until_empty(settings)

    assert taken <= ingest.ids
    bodies: dict[str, set[bytes]] = {}
    for payload in ingest.payloads:
        bodies.setdefault(json.loads(payload)["batch"], set()).add(payload)
    assert all(len(versions) == 1 for versions in bodies.values())
    assert len(ingest.payloads) > len(bodies)
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert counters.conserved
    assert counters.accepted == len(ingest.ids)


async def test_status_is_online_while_connected_and_offline_however_it_ends(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with a_process(settings) as (process, _):
        await until_said(ingest, [True])
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    await until_said(ingest, [True, False])

    async with a_process(settings) as (process, _):
        await until_said(ingest, [True, False, True])
        process.kill()
    await until_said(ingest, [True, False, True, False])


async def until_resent(settings: GatewaySettings) -> None:
    async with asyncio.timeout(30):
        while not (await asyncio.to_thread(read_counters, settings.spool)).batches_resent:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def until_heard(ingest: Answerer) -> None:
    async with asyncio.timeout(20):
        while not ingest.payloads:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


async def until_said(ingest: Answerer, statuses: list[bool]) -> None:
    async with asyncio.timeout(20):
        while ingest.statuses != statuses:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


async def test_a_gateway_with_a_wrong_password_still_takes_readings(
    settings: GatewaySettings,
) -> None:
    wrong = dataclasses.replace(settings, broker_password="not this one")
    async with Gateway(wrong, utc_now) as gateway:
        taken = await say(gateway.address, 0, 10)
        assert gateway.waiting_rows == 10
    assert len(taken) == 10
