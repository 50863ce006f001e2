"""SQL of the page *Today*: one item for each case, the loudest first. Reads only.

Row-level security decides whose these are; there is no filter by team here.
"""

from datetime import date
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.console.states import REFERRAL_STATES

# Critical first; of the same severity what is due first, then the newest.
_ITEMS: Final = """
WITH loud AS (
    SELECT a.*, array_position(ARRAY['critical', 'high', 'warn', 'info'], a.severity) AS rank
    FROM alert a WHERE a.status = 'active'
), first AS (
    SELECT DISTINCT ON (coalesce(resident_id, id::text), condition) *,
           count(*) OVER (PARTITION BY coalesce(resident_id, id::text), condition) - 1 AS others
    FROM loud
    ORDER BY coalesce(resident_id, id::text), condition, rank, raised_at DESC, number DESC
)
SELECT f.id, f.number, f.resident_id, f.team_id, f.centre_id, f.condition, f.code, f.severity,
       f.observed, f.threshold, f.source, f.profile, f.profile_version, f.effective_at,
       f.raised_at, f.due, f.escalation, f.page, f.late, f.explanation, f.others,
       r.birth_date, r.sex, c.state, count(*) OVER () AS total
FROM first f
LEFT JOIN resident r ON r.id = f.resident_id
LEFT JOIN resident_case c ON c.resident_id = f.resident_id AND c.condition = f.condition
ORDER BY f.rank, f.due NULLS LAST, f.raised_at DESC, f.number DESC
LIMIT %(rows)s"""

_COUNTS: Final = """
SELECT count(*) FILTER (WHERE d.due = %(today)s) AS due_today,
       count(*) FILTER (WHERE d.due < %(today)s) AS overdue,
       count(*) FILTER (WHERE c.state = ANY(%(referral)s)) AS referral
FROM resident_case c
CROSS JOIN LATERAL (
    SELECT LEAST(c.second_followup_due, c.referral_followup_due, c.next_routine_due) AS due
) d"""
_CRITICAL: Final = """
SELECT count(*) AS critical FROM alert WHERE status = 'active' AND severity = 'critical'"""


async def list_items(connection: AsyncConnection[DictRow], *, rows: int) -> list[DictRow]:
    """The loudest active alert of each case, and how many more of the case there are."""
    return await (await connection.execute(_ITEMS, {"rows": rows})).fetchall()


async def count(connection: AsyncConnection[DictRow], *, today: date) -> dict[str, Any]:
    """Cases due, overdue and under referral, and critical alerts; today is a local day."""
    values = {"today": today, "referral": REFERRAL_STATES}
    counts = await (await connection.execute(_COUNTS, values)).fetchone()
    critical = await (await connection.execute(_CRITICAL)).fetchone()
    return {**(counts or {}), **(critical or {})}
