"""SQL of the cases list. Reads only; the present day is a parameter."""

from datetime import date
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.cases.schemas import CaseQuery

# A date that stands is something still to be done: the rules clear it when it is done.
_LIST: Final = """
SELECT c.number, c.resident_id, c.team_id, t.centre_id, c.condition, c.state,
       c.consecutive_unsatisfied, c.second_followup_due, c.referral_followup_due,
       c.next_routine_due, d.due, COALESCE(d.due < %(today)s, false) AS overdue,
       c.anchor_id, c.anchor_kind,
       CASE WHEN c.anchor_kind = 'reading' THEN c.anchor_id END AS anchor_reading_id,
       c.cause, c.profile, c.profile_version, c.updated_at
FROM resident_case c
CROSS JOIN LATERAL (
    SELECT LEAST(c.second_followup_due, c.referral_followup_due, c.next_routine_due) AS due
) d
LEFT JOIN team t ON t.id = c.team_id
WHERE (%(after)s::bigint IS NULL OR c.number > %(after)s)
  AND (%(team)s::text IS NULL OR c.team_id = %(team)s)
  AND (%(centre)s::text IS NULL OR t.centre_id = %(centre)s)
  AND (%(condition)s::text IS NULL OR c.condition = %(condition)s)
  AND (%(state)s::text IS NULL OR c.state = %(state)s)
  AND (%(due_before)s::date IS NULL OR d.due < %(due_before)s)
  AND (%(overdue)s::boolean IS NULL OR COALESCE(d.due < %(today)s, false) = %(overdue)s)
ORDER BY c.number
LIMIT %(rows)s"""


async def list_opened(
    connection: AsyncConnection[DictRow], query: CaseQuery, *, after: int | None, today: date
) -> list[DictRow]:
    """Cases above number ``after``, in order: one more than the limit, if there is one."""
    asked = query.model_dump(exclude={"cursor", "limit"})
    place = {"after": after, "today": today, "rows": query.limit + 1}
    cursor = await connection.execute(_LIST, {**asked, **place})
    return await cursor.fetchall()
