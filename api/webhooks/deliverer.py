"""The delivering process: elected, finds who is to be told something, and gives each a turn.

    feed, subscriptions ──NOTIFY──▶ elected ──▶ one task for each receiver that has something due
                                    standbys wait for its lock

It must never run two turns of one subscription at once: one process is elected, and knows who is
busy. Bounded by ``receivers_max`` tasks. What a killed process was sending is sent again.
"""

import asyncio
from typing import Final

import structlog

from api.auth.session import DELIVER_NAMES
from api.database import Database
from api.election import await_election, await_news
from api.errors import UnavailableError
from api.reconnecting import run_sessions
from api.webhooks import progress
from api.webhooks.delivery import Delivery
from api.webhooks.metrics import DeliverMetrics
from api.webhooks.settings import DeliverSettings
from gateway.wire.times import Clock
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, translated

_log = structlog.get_logger()
ELECTION_LOCK: Final = int.from_bytes(b"webhook", "big")
_MEASURE_S: Final = 10.0


class Deliverer:
    """Finds what is due and gives turns until cancelled."""

    def __init__(self, settings: DeliverSettings, clock: Clock, metrics: DeliverMetrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._measured_s = float("-inf")
        self._problem = "the database has not been reached yet"

    def find_problems(self) -> list[str]:
        """Why nobody is told anything at the moment; for ``/readyz``."""
        return [self._problem] if self._problem else []

    async def run(self) -> None:
        """Stand by, be elected, deliver; for ever. Reconnects when the database is lost."""
        async with Database(self._settings, DELIVER_NAMES) as database:
            delivery = Delivery(self._settings, database, self._clock, self._metrics)

            async def session() -> None:
                try:
                    await self._run_session(delivery)
                except (DatabaseUnavailableError, TimeoutError) as error:
                    self._problem = f"database: {error}"
                    raise

            await run_sessions(
                session, name="deliverer", wait_s_max=self._settings.retry_ms_max / 1_000
            )

    async def _run_session(self, delivery: Delivery) -> None:
        settings = self._settings
        connection = await connect(
            settings.db_dsn.get_secret_value(),
            application_name="suifang-deliver",
            autocommit=True,
            role=ProcessRole.DELIVER,
        )
        with translated():
            async with connection:
                self._problem = ""
                await await_election(connection, ELECTION_LOCK, settings)
                self._metrics.elected.set(1)
                await connection.execute("LISTEN feed")
                await connection.execute("LISTEN webhook")
                try:
                    while True:
                        await self._give_turns(connection, delivery)
                        await self._measure(connection)
                        await await_news(connection, settings.poll_ms)
                finally:
                    self._metrics.stand_by()
                    self._measured_s = float("-inf")
                    await self._end_turns()

    async def _give_turns(self, connection: Connection, delivery: Delivery) -> None:
        for number, task in list(self._busy.items()):
            if task.done():
                del self._busy[number]
                task.result()  # Any error but a lost database is a bug and ends the process.
        free = self._settings.receivers_max - len(self._busy)
        if free <= 0:
            return
        async with asyncio.timeout(self._settings.statement_ms_max / 1_000 + 1):
            due = await progress.list_due(
                connection, busy=list(self._busy), limit=free, at=self._clock()
            )
        for number in due:
            self._busy[number] = asyncio.create_task(
                self._serve(delivery, number), name=f"webhook {number}"
            )

    async def _serve(self, delivery: Delivery, number: int) -> None:
        try:
            await delivery.serve(number)
        except UnavailableError as error:
            _log.warning("webhook_waits_for_the_database", webhook=number, problem=error.msg)

    async def _end_turns(self) -> None:
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        self._busy.clear()

    async def _measure(self, connection: Connection) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._measured_s >= _MEASURE_S:
            self._measured_s = now_s
            states = await progress.measure(connection)
            self._metrics.show(states, await progress.count_events(connection))
