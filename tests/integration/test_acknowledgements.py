"""Promise: a message is acknowledged after its COMMIT, in the order in which messages came.

A real worker and a real database; the broker is a few lines here, because it sees what a client of
a real one never does: each PUBACK, and what stood before it on the wire.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import mqtt5
import psycopg

from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from ingest.pipeline import Pipeline
from ingest.profiles import Profiles
from ingest.settings import BrokerSettings, IngestSettings
from tests.builders import AT, a_batch, a_glucose, enrol
from tests.fix_db import Database

TOPIC: Final = "suifang/v1/east/gw-1/readings"
IDS: Final = (9, 3, 65_534, 7, 1, 500, 2, 8)  # As a broker may number them: in no order.
PATIENCE_S: Final = 60


@dataclass(slots=True)
class FewLines:
    """What a worker's session needs of a broker; ``answers`` is what the worker said since."""

    client_id: str  # Of the session that is served messages; the others only stand.
    answers: list[mqtt5.Packet] = field(default_factory=list)
    writer: asyncio.StreamWriter | None = None
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        buffer, client_id = bytearray(), ""
        while data := await reader.read(65_536):
            buffer += data
            while buffer:
                try:
                    packet, size = mqtt5.read(memoryview(bytes(buffer)))
                except IndexError:
                    break  # The rest of it is on its way.
                del buffer[:size]
                if isinstance(packet, mqtt5.ConnectPacket):
                    client_id = packet.client_id
                self._answer(packet, client_id, writer)
        writer.close()

    def _answer(self, packet: mqtt5.Packet, client_id: str, writer: asyncio.StreamWriter) -> None:
        match packet:
            case mqtt5.ConnectPacket():
                writer.write(mqtt5.ConnAckPacket().write())
            case mqtt5.SubscribePacket():
                granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]
                writer.write(mqtt5.SubAckPacket(packet.packet_id, granted).write())
                if client_id == self.client_id:
                    self.writer = writer
                    self.stands.set()
            case mqtt5.PublishPacket(packet_id=int() as packet_id):
                self.answers.append(packet)
                writer.write(mqtt5.PubAckPacket(packet_id).write())
            case mqtt5.PubAckPacket():
                self.answers.append(packet)
                self.news.set()
            case mqtt5.PingReqPacket():
                writer.write(mqtt5.PingRespPacket().write())

    def send(self, packet_id: int, payload: bytes) -> None:
        """One message to the worker."""
        assert self.writer is not None
        qos = mqtt5.QoS.AT_LEAST_ONCE
        packet = mqtt5.PublishPacket(TOPIC, payload, qos=qos, packet_id=packet_id)
        self.writer.write(packet.write())

    @property
    def acknowledged(self) -> list[int]:
        """Packet numbers, as they were acknowledged."""
        return [a.packet_id for a in self.answers if isinstance(a, mqtt5.PubAckPacket)]

    async def hear(self, count: int) -> list[int]:
        """Wait for so many acknowledgements."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acknowledged) < count:
                self.news.clear()
                await self.news.wait()
        return self.acknowledged


@asynccontextmanager
async def a_worker(database: Database) -> AsyncIterator[FewLines]:
    """One worker in this process, and what it takes for its broker."""
    broker = FewLines("ingest-0")
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    settings = IngestSettings(
        db_dsn=database.dsn_of("ingest"),
        broker_password="p",
        broker=BrokerSettings(port=server.sockets[0].getsockname()[1], live_sessions=1),
    )
    pipeline = Pipeline(settings, Profiles("wuzhou").limits, utc_now)
    running = asyncio.create_task(pipeline.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await broker.stands.wait()
        yield broker
        pipeline.stop()
        await running
    finally:
        running.cancel()
        server.close()


def _payloads() -> list[bytes]:
    """Of every sort: stored, refused whole, refused in part, a duplicate, an id seen before."""
    one, again = a_glucose(at=AT), a_glucose(at=AT + timedelta(minutes=1))
    poison = {**a_glucose(at=AT + timedelta(minutes=2)), "note": "a NUL \u0000"}
    return [
        a_batch(one),
        b"{",
        a_batch(again, {**a_glucose(at=AT), "unit": "furlong"}),
        a_batch(poison, a_glucose(at=AT + timedelta(minutes=3))),
        a_batch(one),
        b"\xff" * 300,
        a_batch(a_glucose(at=AT + timedelta(minutes=4))),
        a_batch(again),
    ]


async def test_acknowledgements_leave_after_the_commit_in_the_order_of_arrival(
    connection: Connection, database: Database
) -> None:
    await enrol(connection, gateways={"gw-1": "east"})
    async with a_worker(database) as broker:
        with psycopg.connect(database.dsn) as blocker:  # Nothing can commit.
            blocker.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
            for packet_id, payload in zip(IDS, _payloads(), strict=True):
                broker.send(packet_id, payload)
                await asyncio.sleep(0.02)  # Into more than one transaction.
            await asyncio.sleep(0.5)
            assert broker.answers == []
            blocker.rollback()

        assert await broker.hear(len(IDS)) == list(IDS)
        receipts = [n for n, a in enumerate(broker.answers) if isinstance(a, mqtt5.PublishPacket)]

    assert receipts[0] == 0  # The receipt of a transaction leaves before its acknowledgements.
    assert len(receipts) >= 2
