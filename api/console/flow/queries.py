"""SQL of the page *Flow*, in a transaction that has become ``suifang_api_operations``.

The law by gateway: what a box says it accepted, beside what became of it here. The two are counted
apart, so one that does not add up is a finding. Reads only.
"""

from datetime import date
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

# What a gateway had accepted and no longer held when it spoke last was settled by then: less than
# that here is a loss. More is what has come since it spoke. But what was settled on the days before
# it spoke, it had accepted by then: if that is more than it says, its counter began anew with a new
# spool, and nobody can tell whether something is missing.
_LAW: Final = """
WITH total AS (
    SELECT d.gateway_id, sum(stored)::bigint AS stored, sum(duplicate)::bigint AS duplicate,
           sum(quarantined)::bigint AS quarantined, sum(unsettling)::bigint AS unsettling,
           sum(redelivered)::bigint AS redelivered,
           sum(stored + duplicate + quarantined) FILTER (WHERE day = %(day)s)::bigint AS today,
           sum(stored + duplicate + quarantined) FILTER (
               WHERE day < (least(s.said_at, s.heard_at) AT TIME ZONE 'UTC')::date) AS earlier
    FROM gateway_day d LEFT JOIN gateway_status s ON s.gateway_id = d.gateway_id
    GROUP BY d.gateway_id
), line AS (
    SELECT coalesce(t.gateway_id, s.gateway_id) AS gateway_id, g.centre_id, s.online, s.said_at,
           s.accepted, s.spool_rows AS waiting, s.lost, coalesce(t.stored, 0) AS stored,
           coalesce(t.duplicate, 0) AS duplicate, coalesce(t.quarantined, 0) AS quarantined,
           coalesce(t.unsettling, 0) AS unsettling, coalesce(t.redelivered, 0) AS redelivered,
           coalesce(t.today, 0) AS today, coalesce(t.earlier, 0)::bigint AS earlier,
           coalesce(t.stored + t.duplicate + t.quarantined, 0) AS settled
    FROM total t FULL JOIN gateway_status s ON s.gateway_id = t.gateway_id
    LEFT JOIN gateway g ON g.id = coalesce(t.gateway_id, s.gateway_id)
), judged AS (
    SELECT *, greatest(accepted - coalesce(waiting, 0) - coalesce(lost, 0) - settled, 0) AS missing,
           greatest(settled - (accepted - coalesce(lost, 0)), 0) AS since
    FROM line
)
SELECT *, CASE WHEN missing > 0 THEN 'missing' WHEN lost > 0 THEN 'lost'
               WHEN accepted IS NULL THEN 'unsaid'
               WHEN earlier > accepted THEN 'restarted' ELSE 'balanced' END AS verdict,
       count(*) OVER () AS total,
       sum(stored) OVER ()::bigint AS all_stored, sum(duplicate) OVER ()::bigint AS all_duplicate,
       sum(quarantined) OVER ()::bigint AS all_quarantined,
       sum(missing) OVER ()::bigint AS all_missing
FROM judged
ORDER BY missing DESC NULLS LAST, coalesce(lost, 0) DESC, today DESC, gateway_id
LIMIT %(rows)s"""
_OPEN: Final = "SELECT count(*) AS count FROM quarantine WHERE resolution IS NULL"


async def list_law(connection: AsyncConnection[DictRow], *, day: date, rows: int) -> list[DictRow]:
    """The law of each gateway: what is missing first, then the busiest of the day (UTC)."""
    asked = {"day": day, "rows": rows}
    return await (await connection.execute(_LAW, asked)).fetchall()


async def count_open(connection: AsyncConnection[DictRow]) -> int:
    """Items in quarantine that nobody has replayed or dropped."""
    row = await (await connection.execute(_OPEN)).fetchone()
    return 0 if row is None else int(row["count"])
