"""What another system hands over directly, by the same way as what a gateway sends.

The second door into ingest that other folders may use, beside ``ingest.db``: the same decoder, the
same writer on its careful lane, the same duplicates, quarantine, emergencies and due marks. It
must never judge, convert or repair anything itself. Invariants: every item ends with exactly one
disposition; what is refused is in the quarantine with its bytes; the same bytes again change
nothing. It loads numpy: who imports it lazily does not pay before the first item comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gateway.wire.errors import WireError
from gateway.wire.ids import new_id
from gateway.wire.topics import Topic
from ingest.db import readings
from ingest.db.connections import Connection
from ingest.db.quarantine import QuarantineRow
from ingest.db.quarantine_items import fetch_dispositions, fetch_originals
from ingest.decoder import decode_some
from ingest.deliveries import Accepted, Decoded, Delivery, Head, ReceiptTopic
from ingest.emergencies import EmergencyRaiser
from ingest.pipeline import refuse
from ingest.profiles import Profiles
from ingest.writer import Writer

__all__ = ["Item", "Profiles", "Received", "receive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One reading as contract v1 writes it, and the id inside it."""

    id: UUID
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of one item.

    Attributes:
        disposition: ``duplicate``: the same measurement is stored under another id.
        reading_id: The reading that is stored; of a refused one its own id, which is not.
        reason: Of a refusal; else empty, as the two below.
        field: Of the wire that is wrong.
        detail: What is wrong with it.
    """

    disposition: Literal["stored", "duplicate", "refused"]
    reading_id: UUID
    reason: str = ""
    field: str = ""
    detail: str = ""


async def receive(
    connection: Connection,
    topic: Topic,
    items: Sequence[Item],
    profiles: Profiles,
    *,
    at: datetime,
) -> list[Received]:
    """Store items of one sender, and say what became of each, in their order. Never commits.

    Args:
        connection: Inside a transaction that may do what ingest does.
        topic: The sender, as if it had published there; the caller has seen that it is enrolled.
        items: Readings; of the same id only the first counts.
        profiles: The deployment's, for emergencies.
        at: The clock.

    Raises:
        DatabaseUnavailableError: Nothing is stored once the transaction has been rolled back.
    """
    refusals: dict[bytes, QuarantineRow] = {}

    def refuse_and_note(
        decoded: Decoded, accepted: Accepted, error: WireError, at: datetime
    ) -> QuarantineRow:
        row = refuse(decoded, accepted, error, at)
        refusals[accepted.raw] = row
        return row

    await readings.prepare(connection)
    delivery = Delivery(str(topic), b"", packet_id=0, connection=0, redelivered=True)
    head = Head(ReceiptTopic.of(topic), str(new_id(at)))
    decoded = decode_some(delivery, head, [item.raw for item in items], at)
    refusals |= {row.payload: row for row in decoded.refused}
    writer = Writer(EmergencyRaiser(profiles.limits), refuse_and_note)
    await writer.store(connection, [decoded], at=at)
    return await _look_up(connection, items, refusals)


async def _look_up(
    connection: Connection, items: Sequence[Item], refusals: dict[bytes, QuarantineRow]
) -> list[Received]:
    """What the writer made of them, as the database has it now."""
    ids = [item.id for item in items]
    known = await fetch_dispositions(connection, ids)
    originals = await fetch_originals(connection, ids)
    found = []
    for item in items:
        row, now = refusals.get(item.raw), known.get(item.id)
        if row is not None:
            found.append(_refused(item, row.reason, row.field, row.detail))
        elif now is None or now.disposition == "quarantined":  # Refused by what came before.
            found.append(_refused(item, now.reason if now else "unstorable", "", "refused before"))
        elif item.id in originals:
            found.append(Received(disposition="duplicate", reading_id=originals[item.id]))
        else:
            found.append(Received(disposition="stored", reading_id=item.id))
    return found


def _refused(item: Item, reason: str, field: str, detail: str) -> Received:
    return Received(
        disposition="refused", reading_id=item.id, reason=reason, field=field, detail=detail
    )
