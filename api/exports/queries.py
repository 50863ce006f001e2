"""SQL of exports. Reads only, a page at a time: nothing is held open while somebody is slow."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

Key = tuple[datetime, UUID]
_VISITS: Final = """
SELECT r.id, r.resident_id, p.team_id, r.condition, r.at, r.mode, r.findings, r.form, r.author,
       (SELECT min(s.id) FROM staff s WHERE s.subject = r.author) AS staff_id,
       (SELECT f.form FROM record f
        WHERE f.resident_id = r.resident_id AND f.kind = 'referral'
          AND f.form ->> 'visit_id' = r.id::text
          AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = f.id)
        ORDER BY f.at, f.id LIMIT 1) AS referral,
       b.systolic, b.diastolic, b.unit AS pressure_unit, g.glucose AS fasting,
       g.unit AS fasting_unit
FROM record r
JOIN resident p ON p.id = r.resident_id
LEFT JOIN LATERAL (
    SELECT v.systolic, v.diastolic, v.unit FROM visible_reading v
    WHERE v.id = ANY (ARRAY(SELECT jsonb_array_elements_text(r.form -> 'reading_ids'))::uuid[])
      AND v.kind = 'blood_pressure'
    ORDER BY v.effective_at DESC, v.id LIMIT 1) b ON r.form ? 'reading_ids'
LEFT JOIN LATERAL (
    SELECT v.glucose, v.unit FROM visible_reading v
    WHERE v.id = ANY (ARRAY(SELECT jsonb_array_elements_text(r.form -> 'reading_ids'))::uuid[])
      AND v.kind = 'glucose' AND v.meal_context = 'fasting' AND v.unit IN ('mmol/L', 'mg/dL')
    ORDER BY v.effective_at DESC, v.id LIMIT 1) g ON r.form ? 'reading_ids'
WHERE r.kind = 'visit' AND r.at >= %(since)s AND r.at < %(until)s
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = r.id)"""


async def list_visits(
    connection: AsyncConnection[DictRow],
    asked: dict[str, Any],
    *,
    after: Key | None,
    rows: int,
) -> list[DictRow]:
    """Visits that stand, in order of time: at most ``rows`` after a key.

    Args:
        connection: Of the principal.
        asked: ``since`` and ``until`` (exclusive), ``team`` or None.
        after: Time and id of the last one seen.
        rows: At most.
    """
    statement = _VISITS
    if asked["team"] is not None:
        statement += " AND p.team_id = %(team)s"
    if after is not None:
        statement += " AND (r.at, r.id) > (%(after_at)s, %(after_id)s)"
    at, id_ = after or (None, None)
    values = {**asked, "after_at": at, "after_id": id_, "rows": rows}
    statement += " ORDER BY r.at, r.id LIMIT %(rows)s"
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()
