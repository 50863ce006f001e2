"""One of several processes does the work: whoever holds a lock of PostgreSQL's, by one session.

Whoever loses the connection loses the lock, so what must be done by one is done on that connection,
or checked against what that one has written. A frozen process is dropped by the database after
``idle_s_max``, and the standby takes over.
"""

import asyncio
from typing import Final, Protocol

import structlog

from ingest.db.connections import Connection

_log = structlog.get_logger()
_LIMITS: Final = """
SELECT set_config('statement_timeout', %(statement_ms_max)s, false),
       set_config('idle_session_timeout', %(idle_ms_max)s, false)"""
_ELECT: Final = "SELECT pg_try_advisory_lock(%s)"


class ElectionSettings(Protocol):
    """What settings of an elected process say of its session."""

    @property
    def statement_ms_max(self) -> int:
        """Of one statement."""

    @property
    def idle_s_max(self) -> int:
        """The database drops a frozen process after this."""

    @property
    def standby_poll_ms(self) -> int:
        """How soon a standby sees that the elected one is gone."""


async def await_election(connection: Connection, lock: int, settings: ElectionSettings) -> None:
    """Stand by until this session holds the lock; it holds it until it ends.

    Bounded by nothing but the present holder's life. Cancellation ends it.
    """
    limits = {
        "statement_ms_max": str(settings.statement_ms_max),
        "idle_ms_max": str(settings.idle_s_max * 1_000),
    }
    await connection.execute(_LIMITS, limits)
    waiting = False
    while True:
        async with asyncio.timeout(settings.statement_ms_max / 1_000 + 1):
            row = await (await connection.execute(_ELECT, (lock,))).fetchone()
        if row is not None and row[0]:
            _log.info("elected")
            return
        if not waiting:
            _log.info("standing by: another one is elected")
            waiting = True
        await asyncio.sleep(settings.standby_poll_ms / 1_000)


async def await_news(connection: Connection, poll_ms: int) -> None:
    """Wait for a NOTIFY, at most so long; takes all that have come."""
    async for _ in connection.notifies(timeout=poll_ms / 1_000, stop_after=1):
        pass
