"""What the whole installation owes, for Prometheus: the feed, the telling, the gateways.

Every API looks, by itself, every few seconds: who watches must not depend on one of them, nor on
the dispatcher or the notifier, whose absence is what shows here. It only reads, and only counts.
"""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.database import Database
from api.errors import UnavailableError
from api.health import read_lag_s, read_telling
from api.metrics import ApiMetrics
from api.operations.settings import OperationsSettings
from gateway.wire.times import Clock

_log = structlog.get_logger()
_STATES: Final = """
SELECT CASE WHEN s.gateway_id IS NULL THEN 'unheard'
            WHEN NOT s.online THEN 'offline' WHEN s.heard_at < %(silent)s THEN 'silent'
            ELSE 'online' END AS name, count(*) AS number
FROM gateway g LEFT JOIN gateway_status s ON s.gateway_id = g.id
WHERE g.revoked_at IS NULL
GROUP BY 1"""
_PROBLEMS: Final = """
SELECT p.problem AS name, count(*) AS number
FROM gateway_status s JOIN gateway g ON g.id = s.gateway_id AND g.revoked_at IS NULL
CROSS JOIN LATERAL (SELECT DISTINCT unnest(s.problems) AS problem) p
GROUP BY 1"""
_SPOOLS: Final = """
SELECT coalesce(sum(s.spool_rows), 0)::bigint AS rows, min(s.spool_oldest_at) AS oldest
FROM gateway_status s JOIN gateway g ON g.id = s.gateway_id AND g.revoked_at IS NULL"""


class Overview:
    """Looks for one API process."""

    def __init__(
        self,
        settings: OperationsSettings,
        database: Database,
        metrics: ApiMetrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._metrics = metrics
        self._clock = clock

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look_once()
            await asyncio.sleep(self._settings.sample_s)

    async def look_once(self) -> None:
        """Look once. Without the database what was seen last stands, and that it is away."""
        try:
            async with self._database.reading_as_process() as connection:
                await self._look(connection, self._clock())
        except UnavailableError as error:
            self._metrics.database_up.set(0)
            _log.warning("the installation is not looked at just now", reason=error.msg)
        else:
            self._metrics.database_up.set(1)

    async def _look(self, connection: AsyncConnection[DictRow], at: datetime) -> None:
        metrics = self._metrics
        metrics.feed_lag_s.set(await read_lag_s(connection, at))
        lag_s, untold = await read_telling(connection, at)
        metrics.notify_lag_s.set(lag_s)
        metrics.untold.set(untold)
        silent = {"silent": at - self._settings.gateway_silent}
        states = await (await connection.execute(_STATES, silent)).fetchall()
        problems = await (await connection.execute(_PROBLEMS)).fetchall()
        metrics.show_fleet(
            {row["name"]: row["number"] for row in states},
            {row["name"]: row["number"] for row in problems},
        )
        spools = await (await connection.execute(_SPOOLS)).fetchone()
        oldest = None if spools is None else spools["oldest"]
        metrics.spool_readings.set(0 if spools is None else spools["rows"])
        metrics.spool_oldest_s.set(0 if oldest is None else max(0.0, (at - oldest).total_seconds()))
