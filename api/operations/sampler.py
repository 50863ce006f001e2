"""The flow, every few seconds: what was settled since, what waits on the boxes, what the feed owes.

One API of all writes a sample when the last one is old enough. It must never hold anything up: a
round that fails is left out, and the next one says what both would have said. Counts come from
``gateway_day``, so they are those of the conservation law.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.database import Database
from api.errors import UnavailableError
from api.health import read_lag_s
from api.operations.settings import OperationsSettings
from gateway.wire.times import Clock

_log = structlog.get_logger()
_LOCK: Final = int.from_bytes(b"flow", "big")
_IS_MINE: Final = "SELECT pg_try_advisory_xact_lock(%s) AS mine"
_LAST: Final = "SELECT max(at) AS at FROM flow_sample"
_TODAY: Final = """
SELECT coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(quarantined), 0)::bigint AS quarantined
FROM gateway_day WHERE day = %s"""
_WAITING: Final = """
SELECT coalesce(sum(spool_rows), 0)::bigint AS rows, min(spool_oldest_at) AS oldest
FROM gateway_status"""
_INSERT: Final = """
INSERT INTO flow_sample (at, day, stored, duplicate, quarantined, spool_rows, spool_oldest_s,
    feed_oldest_s)
VALUES (%(at)s, %(day)s, %(stored)s, %(duplicate)s, %(quarantined)s, %(rows)s,
    %(spool_oldest_s)s, %(feed_oldest_s)s)"""
_PRUNE: Final = "DELETE FROM flow_sample WHERE at < %s"
_PATIENCE: Final = 0.8
"""A sample is due a little before its time, or two APIs would take turns at half the rate."""


class Sampler:
    """Takes samples for one API process."""

    def __init__(self, settings: OperationsSettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Take samples for ever."""
        while True:
            try:
                await self.sample_once()
            except UnavailableError as error:
                _log.warning("the flow is not sampled just now", reason=error.msg)
            await asyncio.sleep(self._settings.sample_s)

    async def sample_once(self) -> bool:
        """Take a sample, if one is due and nobody else takes it. Raises ``UnavailableError``."""
        at = self._clock()
        async with self._database.writing_as_process() as connection:
            if not (await _first(connection, _IS_MINE, _LOCK))["mine"]:
                return False
            last = (await _first(connection, _LAST))["at"]
            due_s = self._settings.sample_s * _PATIENCE
            if last is not None and (at - last).total_seconds() < due_s:
                return False
            await connection.execute(_INSERT, await _measure(connection, at))
            keep = timedelta(hours=self._settings.sample_keep_h)
            await connection.execute(_PRUNE, (at - keep,))
            return True


async def _measure(connection: AsyncConnection[DictRow], at: datetime) -> dict[str, Any]:
    waiting = await _first(connection, _WAITING)
    oldest = waiting.pop("oldest")
    return {
        "at": at,
        "day": at.date(),
        **await _first(connection, _TODAY, at.date()),
        **waiting,
        "spool_oldest_s": 0.0 if oldest is None else max(0.0, (at - oldest).total_seconds()),
        "feed_oldest_s": await read_lag_s(connection, at),
    }


async def _first(
    connection: AsyncConnection[DictRow], statement: LiteralString, *values: object
) -> DictRow:
    """The row of a statement that has one. Raises ``LookupError`` where it has none."""
    row = await (await connection.execute(statement, values)).fetchone()
    if row is None:
        raise LookupError(statement)
    return row
