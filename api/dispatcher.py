"""The dispatcher: gives committed outbox rows their number in the feed. Its own process.

    ingest, judge ──COMMIT + NOTIFY outbox──▶ elected dispatcher ──NOTIFY feed──▶ api
                                              standby dispatchers wait for its lock

It must never change anything but ``outbox.number``. Invariants: one session holds the election
lock, listens and numbers, so whoever lost the lock lost the connection to number with; a round is
one transaction and the next begins after its commit, so numbers rise by one and become visible in
order; a row that was rolled back never has a number. The highest numbered row is kept when old
rows are deleted (``ingest.db.outbox_pruning``): numbering goes on from it.
"""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from api.election import await_election, await_news
from api.reconnecting import run_sessions
from api.settings import DispatcherSettings
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, translated

ELECTION_LOCK: Final = int.from_bytes(b"suifang", "big")

_NUMBER: Final = """
WITH oldest AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place
    FROM (SELECT id FROM outbox WHERE number IS NULL ORDER BY id LIMIT %s) AS waiting
), numbered AS (
    UPDATE outbox
    SET number = (SELECT COALESCE(max(number), 0) FROM outbox) + oldest.place
    FROM oldest WHERE outbox.id = oldest.id AND outbox.number IS NULL
    RETURNING outbox.number
)
SELECT count(*), pg_notify('feed', max(number)::text) FROM numbered HAVING count(*) > 0"""


_WAITING: Final = "SELECT count(*) FROM outbox WHERE number IS NULL"
_MEASURE_S: Final = 5.0


class DispatcherMetrics:
    """What the dispatcher tells Prometheus, and why it numbers nothing."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.problem = "the database has not been reached yet"
        self.elected = Gauge(
            "suifang_dispatcher_elected",
            "1 in the one process that numbers the feed, 0 in those that stand by.",
            registry=registry,
        )
        self.numbered = Counter(
            "suifang_dispatcher_events", "Events that were given their number.", registry=registry
        )
        self.waiting = Gauge(
            "suifang_dispatcher_waiting_events",
            "Events without a number after a round; how long they wait, the API says.",
            registry=registry,
        )
        self.database_losses = Counter(
            "suifang_dispatcher_database_losses",
            "Times the database was lost or could not be reached.",
            registry=registry,
        )

    def find_problems(self) -> list[str]:
        """For ``/readyz``: whoever stands by is ready."""
        return [self.problem] if self.problem else []


async def run_dispatcher(settings: DispatcherSettings, metrics: DispatcherMetrics) -> None:
    """Stand by, be elected, number; for ever. Reconnects when the database is lost.

    Bounded by ``rows_max`` rows in one transaction. Cancellation, or kill -9, in the middle of a
    round leaves it either wholly done or not at all; a standby takes over when the lock is free.
    """

    async def session() -> None:
        try:
            await _run_session(settings, metrics)
        except (DatabaseUnavailableError, TimeoutError) as error:
            metrics.problem = f"database: {error}"
            metrics.database_losses.inc()
            raise
        finally:
            metrics.elected.set(0)

    await run_sessions(session, name="dispatcher", wait_s_max=settings.retry_ms_max / 1_000)


async def _run_session(settings: DispatcherSettings, metrics: DispatcherMetrics) -> None:
    loop = asyncio.get_running_loop()
    connection = await connect(
        settings.db_dsn.get_secret_value(),
        application_name="suifang-dispatcher",
        autocommit=True,
        role=ProcessRole.DISPATCH,
    )
    with translated():
        async with connection:
            metrics.problem = ""
            await await_election(connection, ELECTION_LOCK, settings)
            metrics.elected.set(1)
            await connection.execute("LISTEN outbox")
            measured_s = float("-inf")
            while True:
                numbered = await number_round(connection, settings)
                metrics.numbered.inc(numbered)
                if loop.time() - measured_s >= _MEASURE_S:
                    measured_s = loop.time()
                    metrics.waiting.set(await _count_waiting(connection))
                if numbered < settings.rows_max:
                    await await_news(connection, settings.poll_ms)


async def number_round(connection: Connection, settings: DispatcherSettings) -> int:
    """Number the oldest committed rows, at most ``rows_max``; return how many.

    One statement, so one transaction. Only the elected session may call it. Cost: one index
    scan of what waits, one look at the highest number.
    """
    async with asyncio.timeout(settings.statement_ms_max / 1_000 + 1):
        row = await (await connection.execute(_NUMBER, (settings.rows_max,))).fetchone()
    return 0 if row is None else int(row[0])


async def _count_waiting(connection: Connection) -> int:
    row = await (await connection.execute(_WAITING)).fetchone()
    return 0 if row is None else int(row[0])
