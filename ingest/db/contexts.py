"""SQL for late contexts that gateways send: amendments with an id of the wire.

The table is ``amendment``: how a context finds its reading is told there (``CHOSEN``), for a
context that a person gives and one that a meter sends are the same to the judge. Here is what only
the latter have: one disposition an id, as readings have, and workers that store many at once.

Every one is kept, also one that says what another said before (``repeats``, its disposition is
*duplicate*): of those that differ the one captured last wins, and if a repetition were left out,
what was captured between would win or not as the order of arrival pleases.

No lock keeps readings out meanwhile. Whose cases a context concerns is looked up by the judge,
after COMMIT: a reading that is not visible then is stored by a transaction that ends later, and
whose own mark brings a judge who sees the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from ingest.db import amendments, due_work, readings
from ingest.db.connections import Connection


class ContextRow(NamedTuple):
    """One late context, ready to be stored."""

    id: UUID
    partition_at: datetime  # As of a reading's id; not stored.
    content_hash: int
    gateway_id: str
    device_id: str
    boot_id: str | None
    device_sequence: int
    resident_id: str | None
    meal_context: str
    captured_at: datetime | None  # By the gateway's clock, where that can be believed.
    received_at: datetime
    extra: Jsonb | None


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of contexts; an id in neither was stored by someone else."""

    new: frozenset[UUID]
    repeats: frozenset[UUID]  # Say what another context said of the same value.


_Said: TypeAlias = tuple[str, str | None, int, str | None, str]
_SAID: Final = """
SELECT id, device_id, boot_id, device_sequence, resident_id, changes ->> 'meal_context'
FROM unnest(%s::text[], %s::bigint[]) AS asked (device_id, device_sequence)
JOIN amendment USING (device_id, device_sequence)
WHERE kind = 'context' AND gateway_id IS NOT NULL AND NOT repeats
ORDER BY id"""
_INSERT: Final = """
INSERT INTO amendment (id, kind, author, gateway_id, content_hash, device_id, boot_id,
    device_sequence, resident_id, changes, captured_at, received_at, extra, repeats)
SELECT id, 'context', 'gateway ' || gateway_id, gateway_id, content_hash, device_id, boot_id,
    device_sequence, resident_id, jsonb_build_object('meal_context', meal_context), captured_at,
    received_at, extra, repeats
FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[],
            %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
            %s::boolean[])
     AS a (id, gateway_id, content_hash, device_id, boot_id, device_sequence, resident_id,
           meal_context, captured_at, received_at, extra, repeats)
ORDER BY id
ON CONFLICT DO NOTHING
RETURNING id"""

_STORED: Final = (
    *("id", "gateway_id", "content_hash", "device_id", "boot_id", "device_sequence"),
    *("resident_id", "meal_context", "captured_at", "received_at", "extra"),
)


async def insert_new(connection: Connection, rows: Sequence[ContextRow]) -> Filed:
    """Store contexts whose ids are not known yet (``readings.fetch_known``). Never commits.

    Two workers at the same instant may each take theirs for the first to say so: nothing but the
    word for its disposition depends on it.

    Args:
        connection: Inside a transaction.
        rows: Ids distinct within the call.
    """
    if not rows:
        return Filed(frozenset(), frozenset())
    rows = sorted(rows, key=lambda row: row.id)
    asked = sorted({(row.device_id, row.device_sequence) for row in rows})
    columns = [[pair[at] for pair in asked] for at in range(2)]
    cursor = await connection.execute(_SAID, columns, binary=True)
    first: dict[_Said, UUID] = {}
    for id_, *said in await cursor.fetchall():
        first.setdefault((said[0], said[1], said[2], said[3], said[4]), id_)
    of = {row.id: first.setdefault(_said(row), row.id) for row in rows}
    values = [[getattr(row, name) for row in rows] for name in _STORED]
    repeats = [of[row.id] != row.id for row in rows]
    cursor = await connection.execute(_INSERT, [*values, repeats], binary=True)
    new = {row[0] for row in await cursor.fetchall()}
    again = [row for row in rows if row.id in new and of[row.id] != row.id]
    await readings.insert_duplicates(
        connection,
        [(row.id, of[row.id], row.content_hash, row.gateway_id, row.received_at) for row in again],
    )
    await due_work.mark_contexts(connection, sorted(new), at=max(row.received_at for row in rows))
    repeated = frozenset(row.id for row in again)
    return Filed(new=frozenset(new) - repeated, repeats=repeated)


def _said(row: ContextRow) -> _Said:
    return (row.device_id, row.boot_id, row.device_sequence, row.resident_id, row.meal_context)


async def spread(connection: Connection, *, now: datetime) -> int:
    """Mark whose cases the contexts stored since concern; return how many contexts. Commits.

    Several judges share them. Cost: one statement when there are none.
    """
    async with connection.transaction():
        taken = await due_work.take_contexts(connection)
        if taken:
            await amendments.mark_concerned(connection, taken, at=now)
    return len(taken)
