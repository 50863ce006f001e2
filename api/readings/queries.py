"""SQL of one resident's readings. Reads only."""

from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.readings.schemas import ReadingQuery

Key = tuple[datetime, datetime, UUID]  # effective_at, captured_at, id: the order of the rules.

_KNOWN: Final = """
SELECT EXISTS (SELECT FROM resident WHERE id = %(resident)s)
    OR EXISTS (SELECT FROM stored_reading WHERE resident_id = %(resident)s) AS known"""
_LIST: Final = """
SELECT id, kind, resident_id, centre_id, gateway_id, device_id, device_sequence, measured_at,
       captured_at, received_at, effective_at, time_suspect, stored_record, setting, status,
       systolic, diastolic, pulse, arm, posture, glucose, meal_context, sample, unit
FROM stored_reading
WHERE resident_id = %(resident)s
  AND (%(since)s::timestamptz IS NULL OR effective_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR effective_at < %(until)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(after_effective)s::timestamptz IS NULL
       OR (effective_at >= %(after_effective)s
           AND (effective_at, captured_at, id)
               > (%(after_effective)s, %(after_captured)s::timestamptz, %(after_id)s::uuid)))
ORDER BY effective_at, captured_at, id
LIMIT %(rows)s"""


async def retained_since(connection: AsyncConnection[DictRow]) -> datetime | None:
    """From when on readings are kept; None: all are."""
    row = await (await connection.execute("SELECT edge FROM retention")).fetchone()
    return None if row is None else row["edge"]


async def is_known(connection: AsyncConnection[DictRow], resident: str) -> bool:
    """Whether this pseudonym is on record or has readings."""
    row = await (await connection.execute(_KNOWN, {"resident": resident})).fetchone()
    return row is not None and bool(row["known"])


async def list_by_time(
    connection: AsyncConnection[DictRow], resident: str, query: ReadingQuery, *, after: Key | None
) -> list[DictRow]:
    """Readings after the key, in order: one more than the limit, if there is one."""
    effective, captured, identifier = after or (None, None, None)
    asked = query.model_dump(exclude={"cursor", "limit"})
    place = {
        "resident": resident,
        "after_effective": effective,
        "after_captured": captured,
        "after_id": identifier,
        "rows": query.limit + 1,
    }
    cursor = await connection.execute(_LIST, {**asked, **place})
    return await cursor.fetchall()
