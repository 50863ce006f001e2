"""SQL of the alerts list. Reads only."""

from datetime import date
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.alerts.schemas import AlertQuery

_LIST: Final = """
SELECT a.id, a.number, a.resident_id, a.team_id, a.centre_id, a.condition, a.code, a.severity,
       a.status, a.observed, a.threshold, a.source, a.profile, a.profile_version,
       a.anchor_id, a.anchor_kind,
       CASE WHEN a.anchor_kind = 'reading' THEN a.anchor_id END AS anchor_reading_id,
       a.effective_at, a.raised_at, a.raised_by, a.due,
       CASE WHEN a.status = 'active' AND a.overdue_days > 0 THEN %(today)s - a.due
            ELSE a.overdue_days END AS overdue_days,
       a.escalation, a.page, a.late, a.explanation, a.updated_at
FROM alert a
WHERE (%(before)s::bigint IS NULL OR a.number < %(before)s)
  AND (%(status)s::text = 'all' OR a.status = %(status)s)
  AND (%(team)s::text IS NULL OR a.team_id = %(team)s)
  AND (%(centre)s::text IS NULL OR a.centre_id = %(centre)s)
  AND (%(severity)s::text IS NULL OR a.severity = %(severity)s)
  AND (%(code)s::text IS NULL OR a.code = %(code)s)
  AND (%(resident)s::text IS NULL OR a.resident_id = %(resident)s)
ORDER BY a.number DESC
LIMIT %(rows)s"""


async def list_newest(
    connection: AsyncConnection[DictRow], query: AlertQuery, *, before: int | None, today: date
) -> list[DictRow]:
    """Alerts below number ``before``, newest first: one more than the limit, if there is one.

    Days overdue are counted to ``today``, a local day: the judge writes them when a step changes.
    """
    asked = query.model_dump(exclude={"cursor", "limit"})
    cursor = await connection.execute(
        _LIST, {**asked, "before": before, "today": today, "rows": query.limit + 1}
    )
    return await cursor.fetchall()
