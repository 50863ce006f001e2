"""SQL for ``quarantine``: what cannot be judged, with its raw bytes and a reason.

Nothing is dropped: bytes that are not even JSON get a row. Redelivered bytes meet their row
by hash and make no second one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from ingest.db.connections import Connection


class QuarantineRow(NamedTuple):
    """One item, in the order of the statement below."""

    item_hash: bytes
    reading_id: UUID | None
    content_hash: int
    settles: bool  # False: the id has another disposition already.
    topic: str
    centre_id: str | None
    gateway_id: str | None
    batch_id: UUID | None
    reason: str
    field: str
    detail: str
    payload: bytes
    payload_bytes: int
    received_at: datetime


_INSERT: Final = f"""
INSERT INTO quarantine ({", ".join(QuarantineRow._fields)})
SELECT * FROM unnest(%s::bytea[], %s::uuid[], %s::bigint[], %s::bool[], %s::text[], %s::text[],
    %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::int[],
    %s::timestamptz[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING item_hash"""  # noqa: S608 - column names of our own class


async def insert_new(connection: Connection, rows: Sequence[QuarantineRow]) -> set[bytes]:
    """Store items not stored before; return the hashes of the new ones. Never commits."""
    if not rows:
        return set()
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor = await connection.execute(_INSERT, columns, binary=True)
    return {row[0] for row in await cursor.fetchall()}
