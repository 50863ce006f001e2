"""SQL of the page *Today*: one item for each case, the loudest first. Reads only.

Row-level security decides whose these are; there is no filter by team here.
"""

from datetime import date, datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.alerts.measured import explanation, observed
from api.alerts.queries import lead, state, untold
from api.auth.principal import Principal
from api.cases import queries as cases
from api.cases.schemas import CountQuery

# Open first, then critical. Of emergencies the newest leads: it is happening now, and must never
# stand behind old ones, or behind the last row. Of the others what is due first, then the newest.
_ITEMS: Final = f"""
WITH loud AS (
    SELECT a.*, severity_rank(a.severity) AS rank, {lead("a", "t")} AS lead,
           t.acknowledged_at, t.acknowledged_by, t.reason, t.snoozed_until, t.snoozed_by,
           {state("a", "t")} AS attention, {untold("a", "t")} AS untold_since
    FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id
    WHERE a.status = 'active'
), first AS (
    SELECT DISTINCT ON (coalesce(resident_id, id::text), condition) *,
           jsonb_agg(jsonb_build_object(
               'id', id, 'severity', severity, 'escalation', escalation, 'code', code,
               'observed', {observed("loud")}, 'due', due, 'attention', attention,
               'acknowledged_by', acknowledged_by
           )) OVER (PARTITION BY coalesce(resident_id, id::text), condition) AS alerts
    FROM loud
    ORDER BY coalesce(resident_id, id::text), condition, lead DESC
)
SELECT f.id, f.number, f.resident_id, f.team_id, f.centre_id, f.condition, f.code, f.severity,
       {observed("f")} AS observed, f.threshold, f.source, f.profile, f.profile_version,
       f.effective_at, f.raised_at, f.due, f.escalation, f.page, f.late,
       {explanation("f")} AS explanation, f.alerts, f.attention,
       f.acknowledged_at, f.acknowledged_by, f.reason, f.snoozed_until, f.snoozed_by,
       f.untold_since, r.birth_date, r.sex, c.state, count(*) OVER () AS total
FROM first f
LEFT JOIN resident r ON r.id = f.resident_id AND (SELECT sees_measured())
LEFT JOIN resident_case c ON c.resident_id = f.resident_id AND c.condition = f.condition
ORDER BY f.attention <> 'open', f.rank DESC,
         CASE WHEN f.severity = 'critical' THEN f.effective_at END DESC NULLS LAST,
         f.due NULLS LAST, f.raised_at DESC, f.number DESC
LIMIT %(rows)s"""  # noqa: S608 - our own words

_CRITICAL: Final = """
SELECT count(*) AS critical, coalesce(max(a.number), 0) AS newest
FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id
WHERE a.status = 'active' AND a.severity = 'critical' AND t.acknowledged_at IS NULL"""


async def list_items(
    connection: AsyncConnection[DictRow], *, now: datetime, rows: int
) -> list[DictRow]:
    """The active alert that leads each case, and how many more of the case there are.

    Open ones lead, then the loudest; cases that somebody has, or put aside, come last.
    """
    return await (await connection.execute(_ITEMS.encode(), {"now": now, "rows": rows})).fetchall()


async def count(
    connection: AsyncConnection[DictRow], principal: Principal, *, today: date
) -> dict[str, Any]:
    """Cases due, overdue and under referral, and what ``count_critical`` says."""
    counts = await cases.count(connection, principal, CountQuery(), today=today)
    return {**counts, **await count_critical(connection)}


async def count_critical(connection: AsyncConnection[DictRow]) -> DictRow:
    """How many critical alerts nobody has acknowledged, and the number of the newest (or 0)."""
    row = await (await connection.execute(_CRITICAL)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row
