"""SQL of closed periods: written once with their closing, then only read.

The database refuses every change of them, whoever asks (migration 0013); what may be seen is
decided row by row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.indicators.queries import Counts, TeamCounts
from api.indicators.shown import SHOWN

_CENTRES: Final = """
SELECT c.id FROM centre c
WHERE (sees_everybody() OR c.id = ANY (seen_centres()))
  AND (%(wanted)s::text[] IS NULL OR c.id = ANY (%(wanted)s::text[]))
ORDER BY c.id"""
_CLOSE: Final = """
INSERT INTO indicator_closing (centre_id, period, author, closed_at)
SELECT n.id, %(period)s, %(author)s, %(at)s FROM unnest(%(centres)s::text[]) AS n (id)
ON CONFLICT (centre_id, period) DO NOTHING
RETURNING centre_id"""
_KEEP: Final = """
INSERT INTO indicator_closed (centre_id, period, team_id, code, version, numerator, denominator)
SELECT n.centre_id, %(period)s, n.team_id, n.code, n.version, n.numerator, n.denominator
FROM unnest(%(centre_ids)s::text[], %(team_ids)s::text[], %(codes)s::text[], %(versions)s::int[],
            %(numerators)s::bigint[], %(denominators)s::bigint[])
    AS n (centre_id, team_id, code, version, numerator, denominator)"""
_CLOSINGS: Final = """
SELECT centre_id, period, author, closed_at FROM indicator_closing
WHERE (%(period)s::text IS NULL OR period = %(period)s)
  AND (%(centre)s::text IS NULL OR centre_id = %(centre)s)
  AND (%(after_period)s::text IS NULL
       OR (period, centre_id) > (%(after_period)s, %(after_centre)s))
ORDER BY period, centre_id LIMIT %(rows)s"""
_FIGURES: Final = """
SELECT centre_id, team_id, code, version, numerator, denominator FROM indicator_closed
WHERE period = %(period)s
  AND (%(centre)s::text IS NULL OR centre_id = %(centre)s)
  AND (%(team)s::text IS NULL OR team_id = %(team)s)
ORDER BY code, centre_id, team_id"""


async def list_closable(
    connection: AsyncConnection[DictRow], wanted: Sequence[str] | None
) -> list[str]:
    """Centres whose figures this principal may close, of those wanted; None: of all."""
    values = {"wanted": None if wanted is None else list(wanted)}
    cursor = await connection.execute(_CENTRES, values)
    return [row["id"] for row in await cursor.fetchall()]


async def close(
    connection: AsyncConnection[DictRow],
    period: str,
    centres: Sequence[str],
    found: TeamCounts,
    *,
    author: str,
    at: datetime,
) -> None:
    """Close a period for these centres; whose is closed already stays as it is. Never commits."""
    values = {"period": period, "author": author, "at": at, "centres": list(centres)}
    cursor = await connection.execute(_CLOSE, values)
    new = {row["centre_id"] for row in await cursor.fetchall()}
    rows = [
        (found.centre_of[team], team, code, SHOWN[code].version, *counts)
        for code, teams in found.counts.items()
        for team, counts in teams.items()
        if found.centre_of[team] in new
    ]
    if rows:
        names = ("centre_ids", "team_ids", "codes", "versions", "numerators", "denominators")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        await connection.execute(_KEEP, {"period": period, **columns})


async def list_closings(
    connection: AsyncConnection[DictRow],
    *,
    period: str | None,
    centre: str | None,
    after: tuple[str, str] | None,
    rows: int,
) -> list[DictRow]:
    """Who closed what when, above ``after`` (period, centre), in that order: at most ``rows``."""
    values = {
        "period": period,
        "centre": centre,
        "after_period": after and after[0],
        "after_centre": after and after[1],
        "rows": rows,
    }
    cursor = await connection.execute(_CLOSINGS, values)
    return await cursor.fetchall()


async def fetch_figures(
    connection: AsyncConnection[DictRow], period: str, asked: Mapping[str, Any]
) -> dict[tuple[str, str, str], tuple[int, Counts]]:
    """Version and counts by (code, centre, team), as they were when the period was closed."""
    values = {"period": period, "centre": asked["centre"], "team": asked["team"]}
    cursor = await connection.execute(_FIGURES, values)
    return {
        (row["code"], row["centre_id"], row["team_id"]): (
            row["version"],
            (row["numerator"], row["denominator"]),
        )
        for row in await cursor.fetchall()
    }
