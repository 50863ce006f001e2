"""SQL of readings with what was said of them, and of those that are nobody's. Reads only."""

from datetime import UTC, datetime
from typing import Final, get_args
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.corrections.schemas import UnclaimedQuery
from api.readings.schemas import Kind

Key = tuple[datetime, UUID]  # effective_at, id.
_BEFORE_ALL: Final = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_AFTER_ALL: Final = datetime.max.replace(tzinfo=UTC)

_COLUMNS: Final = """
id, kind, centre_id, gateway_id, device_id, device_sequence, measured_at, captured_at, received_at,
effective_at, time_suspect, stored_record, setting, status, systolic, diastolic, pulse, arm,
posture, glucose, meal_context, sample, unit"""
_ONE: Final = f"""
SELECT {_COLUMNS}, reported_for, resident_id FROM visible_reading WHERE id = %s"""  # noqa: S608 - our own names
_AMENDMENTS: Final = """
SELECT id, kind, changes, reason, author, received_at, undoes, undone FROM amendment
WHERE reading_id = %s ORDER BY received_at, id"""
_UNCLAIMED: Final = f"""
SELECT {_COLUMNS} FROM visible_reading
WHERE resident_id IS NULL AND effective_at >= %(from)s AND effective_at < %(until)s
  AND kind = ANY(%(kinds)s) AND (%(centre)s::text IS NULL OR centre_id = %(centre)s)
  AND (effective_at, id) > (%(after_effective)s, %(after_id)s::uuid)
ORDER BY effective_at, id
LIMIT %(rows)s"""  # noqa: S608 - likewise


async def fetch(connection: AsyncConnection[DictRow], reading: UUID) -> DictRow | None:
    """One reading as reported, with whose it is now; None: there is none, or it is not seen."""
    return await (await connection.execute(_ONE, (reading,))).fetchone()


async def list_amendments(connection: AsyncConnection[DictRow], reading: UUID) -> list[DictRow]:
    """All that people said of it, the oldest first."""
    return await (await connection.execute(_AMENDMENTS, (reading,))).fetchall()


async def list_unclaimed(
    connection: AsyncConnection[DictRow], query: UnclaimedQuery, *, after: Key | None
) -> list[DictRow]:
    """Readings of nobody after the key, in order: one more than the limit, if there is one."""
    effective, identifier = after or _BEFORE_ALL
    asked = {
        "centre": query.centre,
        "from": max(query.since or effective, effective),
        "until": query.until or _AFTER_ALL,
        "kinds": [query.kind] if query.kind else list(get_args(Kind)),
        "after_effective": effective,
        "after_id": identifier,
        "rows": query.limit + 1,
    }
    return await (await connection.execute(_UNCLAIMED, asked)).fetchall()


_LAST_MOVE: Final = """
SELECT id, changes FROM amendment
WHERE reading_id = %s AND changes ? 'resident_id' AND NOT undone
ORDER BY received_at DESC, id DESC LIMIT 1"""


async def fetch_last_move(connection: AsyncConnection[DictRow], reading: UUID) -> DictRow | None:
    """What last gave this reading to somebody, and was not taken back."""
    return await (await connection.execute(_LAST_MOVE, (reading,))).fetchone()
