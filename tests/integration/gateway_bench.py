"""A gateway of a test: settings, a terminal's words, and one who answers as ingest does."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiomqtt

from gateway.counters import waiting_ids
from gateway.settings import ClockTrust, GatewaySettings
from gateway.wire.readings import parse_json
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


def fresh_settings(broker: TestBroker, folder: Path) -> GatewaySettings:
    """Of a gateway that nobody else uses, a user at the broker."""
    name = f"gw-{uuid4().hex[:12]}"
    return GatewaySettings(
        id=name,
        centre="test-centre",
        broker_host=broker.host,
        broker_port=broker.port,
        broker_password=broker.add_user(name),
        spool=folder / "spool.db",
        clock_synchronised=ClockTrust.YES,  # Or readings wait for a time server.
    )


@asynccontextmanager
async def answering(broker: TestBroker, settings: GatewaySettings) -> AsyncIterator[Answerer]:
    """The one that answers this gateway."""
    topic = f"suifang/v1/{settings.centre}/{settings.id}"
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username="ingest",
        password=broker.password_of("ingest"),
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as client:
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
    """Wait until every reading has its receipt."""
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
        "GATEWAY_CLOCK_SYNCHRONISED": settings.clock_synchronised,
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
