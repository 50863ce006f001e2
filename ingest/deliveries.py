"""What travels between ingest's stages: plain data, so that no stage imports another."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from gateway.wire.errors import WireError
from gateway.wire.topics import Topic
from ingest.db.quarantine import QuarantineRow
from ingest.db.readings import ReadingRow


@dataclass(frozen=True, slots=True)
class Delivery:
    """One MQTT message that waits for its acknowledgement.

    ``connection`` counts connections to the broker: an acknowledgement only means something
    on the connection that delivered the message.
    """

    topic: str
    payload: bytes
    packet_id: int
    connection: int
    redelivered: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """One reading that can be stored; ``raw`` are its bytes, should it conflict."""

    row: ReadingRow
    raw: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """One delivery after decoding: every item in it is accepted or refused, none is missing."""

    delivery: Delivery
    topic: Topic | None
    batch_id: UUID | None  # None: no receipt can be addressed.
    accepted: tuple[Accepted, ...]
    refused: tuple[QuarantineRow, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What to send once the transaction has committed: receipts first, then PUBACKs."""

    deliveries: tuple[Delivery, ...]
    messages: tuple[tuple[str, bytes], ...]  # (topic, payload), one per gateway.


Refuse: TypeAlias = Callable[[Decoded, Accepted, WireError, datetime], QuarantineRow]
"""Files an accepted reading under a reason after all; the pipeline passes the decoder's."""
