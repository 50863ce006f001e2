"""SQL for ``due_unclaimed``: readings reported for nobody of which something was said since."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from ingest.db.connections import Connection


class UnclaimedRow(NamedTuple):
    """What an alert needs of a reading that came without a resident."""

    id: UUID
    kind: str
    resident_id: str | None  # None.
    centre_id: str
    received_at: datetime


_TAKE: Final = """
DELETE FROM due_unclaimed WHERE id IN (
    SELECT id FROM due_unclaimed ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING reading_id"""
_READINGS: Final = """
SELECT id, kind, resident_id, centre_id, received_at FROM stored_reading
WHERE id = ANY(%s) AND resident_id IS NULL ORDER BY id"""
_READINGS_MAX: Final = 500  # Of one transaction.


async def take(connection: Connection) -> list[UnclaimedRow]:
    """Some of those noted, without those that were reported for somebody. Never commits.

    Inside a transaction: what is taken is noted again if it fails.
    """
    cursor = await connection.execute(_TAKE, (_READINGS_MAX,), binary=True)
    ids = sorted({row[0] for row in await cursor.fetchall()})
    if not ids:
        return []
    cursor = await connection.execute(_READINGS, (ids,), binary=True)
    return [UnclaimedRow(*row) for row in await cursor.fetchall()]


_OWNED: Final = "SELECT reading_id FROM reading_owner WHERE reading_id = ANY(%s)"


async def find_owned(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these somebody has claimed, and nobody has given back."""
    cursor = await connection.execute(_OWNED, (list(ids),), binary=True)
    return {row[0] for row in await cursor.fetchall()}
