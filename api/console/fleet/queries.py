"""SQL of the page *Fleet*, in a transaction that has become ``suifang_api_operations``.

Reads gateways and their devices, never a resident. What counts as silent comes from the settings.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from psycopg import AsyncConnection
from psycopg.rows import DictRow

Shown = Literal["all", "attention"]

# A terminal is one that was loaded, or that its gateway lists, or both.
_TERMINAL: Final = """
terminal AS (
    SELECT coalesce(s.gateway_id, d.gateway_id) AS gateway_id, coalesce(s.device_id, d.id) AS id,
           d.kind, d.model, coalesce(s.name, '') AS name, s.last_seen, s.battery_percent,
           s.clock_offset_s, s.calibration_due,
           CASE WHEN s.last_seen IS NULL THEN 'unseen'
                WHEN s.last_seen < %(device_silent)s THEN 'silent' ELSE 'seen' END AS state
    FROM device d FULL JOIN device_status s ON s.gateway_id = d.gateway_id AND s.device_id = d.id
)"""
_BOX: Final = f"""
{_TERMINAL},
of_gateway AS (
    SELECT gateway_id, count(*) AS terminals, count(*) FILTER (WHERE state <> 'seen') AS silent
    FROM terminal GROUP BY gateway_id
), box AS (
    SELECT g.id, g.centre_id, c.name AS centre_name, g.enrolled_at, g.revoked_at,
           g.revoked_because, s.online, s.heard_at, s.version, s.refusing,
           coalesce(s.problems, '{{}}') AS problems, s.spool_rows, s.spool_rows_max,
           s.spool_oldest_at, s.clock_known, s.clock_synchronised, s.clock_error_ms,
           s.clock_offset_ms, s.certificate_until, s.devices_unlisted,
           coalesce(t.terminals, 0) AS terminals, coalesce(t.silent, 0) AS silent,
           CASE WHEN g.revoked_at IS NOT NULL THEN 'revoked'
                WHEN s.gateway_id IS NULL THEN 'unheard'
                WHEN NOT s.online THEN 'offline' WHEN s.heard_at < %(gateway_silent)s THEN 'silent'
                ELSE 'online' END AS state
    FROM gateway g JOIN centre c ON c.id = g.centre_id
    LEFT JOIN gateway_status s ON s.gateway_id = g.id
    LEFT JOIN of_gateway t ON t.gateway_id = g.id
), ranked AS (
    SELECT *, CASE WHEN state IN ('offline', 'silent') THEN 0 WHEN state = 'revoked' THEN 5
                   WHEN silent > 0 THEN 1 WHEN problems <> '{{}}' THEN 2
                   WHEN state = 'unheard' THEN 3 ELSE 4 END AS rank
    FROM box
)"""  # noqa: S608 - texts of our own, here and below
_GATEWAYS: Final = f"""
WITH {_BOX}
SELECT r.*, coalesce(d.stored + d.duplicate + d.quarantined, 0) AS settled_today,
       count(*) OVER () AS total
FROM ranked r LEFT JOIN gateway_day d ON d.gateway_id = r.id AND d.day = %(day)s
WHERE (%(centre)s::text IS NULL OR r.centre_id = %(centre)s)
  AND (%(shown)s = 'all' OR r.rank <= 3)
ORDER BY r.rank, r.heard_at NULLS LAST, r.id
LIMIT %(rows)s"""  # noqa: S608
_TERMINALS: Final = f"""
WITH {_TERMINAL}
SELECT * FROM terminal WHERE gateway_id = ANY(%(gateways)s)
ORDER BY gateway_id, array_position(ARRAY['silent', 'unseen', 'seen'], state), last_seen, id"""  # noqa: S608
_COUNTS: Final = f"""
WITH {_BOX}
SELECT (SELECT count(*) FROM box WHERE state = 'online') AS online,
       (SELECT count(*) FROM box WHERE state <> 'revoked') AS gateways,
       (SELECT count(*) FROM box WHERE state IN ('offline', 'silent')) AS gateways_silent,
       count(*) AS terminals, count(*) FILTER (WHERE state <> 'seen') AS terminals_silent,
       count(*) FILTER (WHERE calibration_due < %(calibration_soon)s) AS calibration,
       count(*) FILTER (WHERE battery_percent <= %(battery_low)s) AS battery
FROM terminal"""  # noqa: S608
_CENTRES: Final = "SELECT id, name FROM centre ORDER BY id"
_TOKENS: Final = """
SELECT gateway_id, centre_id, issued_at, expires_at FROM enrolment_token
WHERE used_at IS NULL AND expires_at > %s ORDER BY issued_at DESC LIMIT %s"""
_SAMPLES: Final = "SELECT * FROM flow_sample WHERE at > %s ORDER BY at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What counts as silent, due and low, as instants and days of now."""

    device_silent: datetime
    gateway_silent: datetime
    calibration_soon: date
    battery_low: int
    day: date  # UTC, of the totals.


async def list_gateways(
    connection: AsyncConnection[DictRow],
    bounds: Bounds,
    *,
    centre: str | None,
    shown: Shown,
    rows: int,
) -> list[DictRow]:
    """Gateways, the silent ones first; each with ``total``, how many there are."""
    asked: dict[str, Any] = {**asdict(bounds), "centre": centre, "shown": shown, "rows": rows}
    return await (await connection.execute(_GATEWAYS, asked)).fetchall()


async def list_terminals(
    connection: AsyncConnection[DictRow], bounds: Bounds, gateways: list[str]
) -> dict[str, list[DictRow]]:
    """Terminals of these gateways, the silent ones first."""
    found: dict[str, list[DictRow]] = {gateway: [] for gateway in gateways}
    asked = {**asdict(bounds), "gateways": gateways}
    for row in await (await connection.execute(_TERMINALS, asked)).fetchall():
        found[row["gateway_id"]].append(row)
    return found


async def count(connection: AsyncConnection[DictRow], bounds: Bounds) -> DictRow:
    """Of the whole fleet."""
    return await (await connection.execute(_COUNTS, asdict(bounds))).fetchone() or {}


async def list_centres(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Where a gateway can stand."""
    return await (await connection.execute(_CENTRES)).fetchall()


async def list_tokens(
    connection: AsyncConnection[DictRow], *, at: datetime, rows: int
) -> list[DictRow]:
    """Who was given a token and has not come yet, the latest first."""
    return await (await connection.execute(_TOKENS, (at, rows))).fetchall()


async def list_samples(connection: AsyncConnection[DictRow], *, since: datetime) -> list[DictRow]:
    """The flow since then, in order of time."""
    return await (await connection.execute(_SAMPLES, (since,))).fetchall()
