"""SQL of exports. Reads only, a page at a time: nothing is held open while somebody is slow.

A value is exported as it stands: corrected, with a context that came late, not one that was
retracted or turned out to be somebody else's. So is one that was typed into the visit, of which a
reading was made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.readings.standing import standing
from ingest.db.visit_readings import reading_id, values_of

Key = tuple[datetime, UUID]
_STANDING: Final = standing("v")
_VISITS: Final = f"""
SELECT r.id, r.resident_id, p.team_id, r.condition, r.at, r.mode, r.findings, r.form, r.author,
       (SELECT min(s.id) FROM staff s WHERE s.subject = r.author) AS staff_id,
       (SELECT f.form FROM record f
        WHERE f.resident_id = r.resident_id AND f.kind = 'referral'
          AND f.form ->> 'visit_id' = r.id::text
          AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = f.id)
        ORDER BY f.at, f.id LIMIT 1) AS referral,
       b.systolic, b.diastolic, b.unit AS pressure_unit, g.glucose AS fasting,
       g.unit AS fasting_unit, person.id AS person_id
FROM record r
JOIN resident p ON p.id = r.resident_id
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT m.into_id FROM resident_merge m WHERE m.resident_id = r.resident_id
                     AND m.unmerged_at IS NULL), r.resident_id) AS id) person
LEFT JOIN LATERAL (
    SELECT stands.systolic, stands.diastolic, stands.unit FROM visible_reading v {_STANDING}
    WHERE v.id = ANY (ARRAY(SELECT jsonb_array_elements_text(r.form -> 'reading_ids'))::uuid[])
      AND v.kind = 'blood_pressure' AND v.resident_id = person.id AND NOT said.retracted
    ORDER BY stands.taken_at DESC, v.id LIMIT 1) b ON r.form ? 'reading_ids'
LEFT JOIN LATERAL (
    SELECT stands.glucose, stands.unit FROM visible_reading v {_STANDING}
    WHERE v.id = ANY (ARRAY(SELECT jsonb_array_elements_text(r.form -> 'reading_ids'))::uuid[])
      AND v.kind = 'glucose' AND v.resident_id = person.id AND NOT said.retracted
      AND stands.meal_context = 'fasting' AND stands.unit IN ('mmol/L', 'mg/dL')
    ORDER BY stands.taken_at DESC, v.id LIMIT 1) g ON r.form ? 'reading_ids'
WHERE r.kind = 'visit' AND r.at >= %(since)s AND r.at < %(until)s
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = r.id)"""  # noqa: S608 - our own words
_COUNT: Final = """
SELECT count(*) AS count FROM record r JOIN resident p ON p.id = r.resident_id
WHERE r.kind = 'visit' AND r.at >= %(since)s AND r.at < %(until)s
  AND (%(team)s::text IS NULL OR p.team_id = %(team)s)
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = r.id)"""
_CORRECTED: Final = f"""
SELECT v.id, v.resident_id, said.retracted, stands.systolic, stands.diastolic, stands.glucose,
       stands.unit, stands.meal_context
FROM visible_reading v {_STANDING}
WHERE v.id = ANY(%s) AND said.number > 0"""  # noqa: S608 - likewise


async def count_visits(connection: AsyncConnection[DictRow], asked: dict[str, Any]) -> int:
    """How many ``list_visits`` will give, for who waits for them."""
    row = await (await connection.execute(_COUNT, asked)).fetchone()
    return 0 if row is None else int(row["count"])


async def list_visits(
    connection: AsyncConnection[DictRow],
    asked: dict[str, Any],
    *,
    after: Key | None,
    rows: int,
) -> list[DictRow]:
    """Visits that stand, in order of time: at most ``rows`` after a key.

    Beside the form ``corrected``: of its typed values, by kind, what was said of them later; None:
    it is none of this resident's any more.

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
    visits = await (await connection.execute(statement.encode(), values)).fetchall()
    await _correct_typed(connection, visits)
    return visits


async def _correct_typed(connection: AsyncConnection[DictRow], visits: Sequence[DictRow]) -> None:
    typed: dict[UUID, tuple[DictRow, str]] = {}
    for visit in visits:
        visit["corrected"] = {}
        for value in values_of(visit["form"], visit["mode"], visit["at"]):
            typed[reading_id(visit["id"], value.kind, value.at)] = (visit, value.kind)
    if not typed:
        return
    cursor = await connection.execute(_CORRECTED.encode(), (list(typed),))
    for row in await cursor.fetchall():
        visit, kind = typed[row["id"]]
        stands = not row["retracted"] and row["resident_id"] == visit["person_id"]
        visit["corrected"][kind] = row if stands else None
