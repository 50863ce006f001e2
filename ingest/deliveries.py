"""What travels between ingest's stages: plain data, so that no stage imports another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from gateway.wire.errors import WireError
from gateway.wire.topics import Topic
from ingest.db.contexts import ContextRow
from ingest.db.gateway_days import Totals
from ingest.db.plain import PlainRows
from ingest.db.quarantine import QuarantineRow
from ingest.db.readings import ReadingRow
from rules.columns import Int64Array


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One MQTT message that waits for its acknowledgement.

    ``connection`` counts connections to the broker: an acknowledgement only means something
    on the connection that delivered the message. A struct, because one is made for each message.
    """

    topic: str
    payload: bytes
    packet_id: int
    connection: int
    redelivered: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """One reading or late context that can be stored; ``raw`` are its bytes, should it conflict."""

    row: ReadingRow | ContextRow
    raw: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """One delivery after decoding: every item in it is accepted or refused, none is missing."""

    delivery: Delivery
    topic: Topic | None
    batch_id: UUID | None  # None: no receipt can be addressed.
    accepted: tuple[Accepted, ...]
    refused: tuple[QuarantineRow, ...]

    @property
    def head(self) -> "Head | None":
        """What a receipt of it begins with; None: none can be addressed."""
        if self.topic is None or self.batch_id is None:
            return None
        return Head(ReceiptTopic.of(self.topic), str(self.batch_id))


class ReceiptTopic(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Where receipts of a gateway go."""

    topic: str
    gateway: str

    @classmethod
    def of(cls, topic: Topic) -> "ReceiptTopic":
        """The answer's topic to a delivery's."""
        to = str(replace(topic, channel="receipts"))
        return cls(to, topic.gateway)


class Head(msgspec.Struct, frozen=True, gc=False):
    """Where the receipt of a delivery goes, and what it is about."""

    to: ReceiptTopic
    batch: str


Lane: TypeAlias = Literal["plain", "asking", "careful"]
"""How a block was stored: at once, after asking what is known, or reading by reading."""
Parts: TypeAlias = list[tuple[int, Decoded]]
"""Some readings of some deliveries of a block, each with its delivery's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The deliveries of one transaction; each of their readings is plain or in ``careful``."""

    deliveries: tuple[Delivery, ...]  # In order of arrival.
    heads: tuple[Head | None, ...]  # Aligned; None: no receipt can be addressed.
    redelivered: bool  # One of them at least.
    plain: PlainRows
    owners: Int64Array  # Which delivery each plain row came in.
    urgent: Int64Array  # Plain rows that are emergencies ...
    urgent_if_pregnant: Int64Array  # ... and that are if their resident is pregnant.
    careful: Parts
    decode_rows: Callable[[Sequence[int]], Parts]  # Plain rows, as the careful lane takes them ...
    build_rows: Callable[[Sequence[int]], list[ReadingRow]]  # ... and as it would store them.


class Message(NamedTuple):
    """One receipt message."""

    to: ReceiptTopic
    payload: bytes
    connection: int  # That delivered what it answers; it leaves there, before the PUBACKs.


@dataclass(frozen=True, slots=True)
class Settled:
    """What to send once the transaction has committed: receipts first, then PUBACKs."""

    deliveries: tuple[Delivery, ...]
    messages: tuple[Message, ...]  # One for each gateway and connection.
    totals: Mapping[str, Totals]  # What it settled, by gateway; "" where none is known.
    lane: Lane
    urgent: tuple[UUID, ...] = ()  # Readings that were emergencies: each has its alert.


Refuse: TypeAlias = Callable[[Decoded, Accepted, WireError, datetime], QuarantineRow]
"""Files an accepted reading under a reason after all; the pipeline passes the decoder's."""
