"""Mutated MQTT packets through a session: never an exception, never more memory than agreed on.

The session stands on a transport that only remembers what was asked of it. Whatever the bytes are,
each PUBLISH that the codec could read is delivered once or the connection is cut with a reason, and
what a half-read packet may hold is bounded.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final, cast

import mqtt5
from pydantic import SecretStr

from ingest.arrivals import Arrivals
from ingest.metrics import IngestMetrics
from ingest.session import PACKET_BYTES_MAX, Session
from ingest.settings import BrokerSettings
from ingest.source import Source
from tests.fuzz.mutations import mutate

_BYTES_MAX: Final = 70_000
_ONCE: Final = mqtt5.QoS.AT_LEAST_ONCE
_TOPIC: Final = "suifang/v1/east/gw-1/readings"


class Transport:
    """What a session asks of its transport."""

    def __init__(self) -> None:
        self.cut = False

    def set_write_buffer_limits(self, high: int) -> None:
        """As asyncio's."""

    def write(self, data: bytes) -> None:
        """As asyncio's."""

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self.cut

    def pause_reading(self) -> None:
        """As asyncio's."""

    def resume_reading(self) -> None:
        """As asyncio's."""

    def close(self) -> None:
        """As asyncio's."""
        self.cut = True

    def abort(self) -> None:
        """As asyncio's."""
        self.cut = True


def seeds() -> list[bytes]:
    """Packets that a broker sends, alone and in a row."""
    publishes = [
        mqtt5.PublishPacket(_TOPIC, payload, qos=_ONCE, packet_id=packet_id).write()
        for packet_id, payload in ((1, b"{}"), (65_535, b"x" * 300), (7, b""))
    ]
    others = [
        mqtt5.ConnAckPacket(receive_max=100).write(),
        mqtt5.SubAckPacket(65_535, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write(),
        mqtt5.PubAckPacket(3).write(),
        mqtt5.PingRespPacket().write(),
        mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_BUSY).write(),
        b"\x30\xff\xff\xff\x7f\x00\x01",  # A packet of 256 MB that never comes.
    ]
    return [*publishes, *others, b"".join(publishes) * 5, others[0] + others[1] + publishes[0]]


class PacketFuzz:
    """Feeds sessions with mutated bytes in pieces; a new session whenever one was cut."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - repeatable
        self._seeds = seeds()
        self._arrivals = Arrivals(500)
        self._source = Source(
            BrokerSettings(),
            SecretStr("p"),
            "ingest-0",
            self._arrivals,
            IngestMetrics(),
        )
        self.packets = 0
        self.cuts = 0
        self.deliveries = 0

    async def run_session(self, packets: int) -> None:
        """Feed so many packets, over as many sessions as it takes."""
        while packets > 0:
            transport = Transport()
            session = Session(BrokerSettings(), SecretStr("p"), self._source, 1)
            session.connection_made(cast("asyncio.BaseTransport", transport))
            for _ in range(min(packets, self._dice.randrange(1, 40))):
                if transport.cut:
                    break
                packets -= 1
                self.packets += 1
                self._feed(session, mutate(self._dice, self._seeds, bytes_max=_BYTES_MAX))
                assert session.bytes_unread <= PACKET_BYTES_MAX
                self.deliveries += len(self._arrivals.take(500, 10**9))
            self.cuts += transport.cut
            session.connection_lost(None)
        await asyncio.sleep(0)

    def _feed(self, session: Session, data: bytes) -> None:
        for piece in self._pieces(data):
            session.data_received(piece)

    def _pieces(self, data: bytes) -> Sequence[bytes]:
        if self._dice.random() < 0.7 or not data:
            return [data]
        at = self._dice.randrange(len(data))
        return [data[:at], data[at:]]
