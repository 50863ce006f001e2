"""The API's way to PostgreSQL: a bounded pool, and one transaction for whoever asks.

``reading`` is REPEATABLE READ and READ ONLY: what a page shows is one instant, and a bug here
cannot write. ``writing`` is READ COMMITTED and all or nothing. Both belong to a principal, whom
the database knows inside the transaction only (``SET LOCAL``). No statement calls now(): the
clock is a parameter.

``read`` is such a reading of which all is known before: it goes to the database and back once.
Another transaction begins in one round trip, which also finds out whether the connection still
lives: connections are in psycopg's autocommit mode, where BEGIN is ours to say.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Final, Self

import msgspec
import structlog
from psycopg import AsyncConnection, Error, OperationalError
from psycopg.errors import InsufficientPrivilege, QueryCanceled
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from api.auth.principal import Principal
from api.auth.session import (
    API_NAMES,
    RoleNames,
    become_process,
    settings_of,
    statement_for,
)
from api.errors import ForbiddenError, UnavailableError
from api.round_trip import Answer, PooledConnection, Ready, Statement, exchange
from api.settings import ApiSettings
from api.webhooks.settings import DeliverSettings
from ingest.db.connections import with_limits
from ingest.db.errors import (
    SCHEMA_TOO_OLD,
    BeyondReachError,
    DatabaseUnavailableError,
    translated,
)

_log = structlog.get_logger()
APPLICATION_NAME: Final = "suifang-api"
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_WRITE: Final = Statement(_WRITE.encode(), {})
_COMMIT: Final = Statement(b"COMMIT", {})
_LIMITS: Final = """
SELECT set_config('default_transaction_read_only', 'on', false),
       set_config('default_transaction_isolation', 'repeatable read', false),
       set_config('statement_timeout', %(statement_ms_max)s, false),
       set_config('idle_in_transaction_session_timeout', %(statement_ms_max)s, false),
       set_config('TimeZone', 'UTC', false)"""


@contextmanager
def _as_forbidden() -> Iterator[None]:
    """What row-level security or a missing grant refuses is refused, not a fault of the server."""
    try:
        yield
    except (InsufficientPrivilege, BeyondReachError) as error:
        msg = "this reaches beyond what you may see or change"
        raise ForbiddenError(msg) from error


class _LastUsedFirst(AsyncConnectionPool[PooledConnection]):
    """Gives what was given back last: its backend has in its caches what is asked again and again.

    psycopg's own takes the one that lay longest, so that few readers keep all backends half cold;
    what lies longest here is what it closes when there are too many.
    """

    async def _get_ready_connection(  # psycopg's own, of the version that is locked.
        self,
        timeout: float | None,  # noqa: ASYNC109 - likewise
    ) -> PooledConnection | None:
        self._pool.rotate(1)  # The last before the first, which is taken.
        return await super()._get_ready_connection(timeout)


class Database:
    """Connections of the API. Use as an async context manager; opening never waits."""

    def __init__(
        self, settings: ApiSettings | DeliverSettings, names: RoleNames = API_NAMES
    ) -> None:
        self._settings = settings
        self._names = names
        self._pool = _LastUsedFirst(
            with_limits(settings.db_dsn.get_secret_value(), application_name=APPLICATION_NAME),
            connection_class=PooledConnection,
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=settings.db_connections_max,
            max_waiting=settings.db_waiting_max,
            timeout=settings.db_wait_ms_max / 1_000,
            configure=self._configure,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)  # A start without a database is a start: /readyz says so.
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close(timeout=self._settings.shutdown_s_max)

    def pool_stats(self) -> dict[str, int]:
        """Psycopg's own figures of the pool; what never happened is left out."""
        return dict(self._pool.get_stats())

    async def _configure(self, connection: AsyncConnection[Any]) -> None:
        """Make a fresh connection read-only and bounded."""
        set_json_loads(msgspec.json.decode, connection)  # Three times as fast as Python's.
        await connection.set_autocommit(True)
        await connection.execute(
            _LIMITS, {"statement_ms_max": str(self._settings.statement_ms_max)}
        )
        await become_process(connection, self._names)

    @asynccontextmanager
    async def reading(self, principal: Principal) -> AsyncIterator[AsyncConnection[DictRow]]:
        """One read-only transaction of a principal.

        Waits at most ``db_wait_ms_max`` for a connection and ``statement_ms_max`` for a
        statement. Cancellation gives the connection back.

        Raises:
            UnavailableError: The database does not answer.
            ForbiddenError: The database knows better than the route what it may do.
        """
        begin = f"{_READ}; {settings_of(principal, at=None, names=self._names)}"
        async with self._transaction(begin) as connection:
            with _as_forbidden():
                yield connection

    async def read(self, principal: Principal, *statements: Statement) -> list[list[DictRow]]:
        """The rows of each, of one instant, in one read-only transaction and one round trip.

        Bounded, cancelled and refused as ``reading``.
        """
        return [answer.as_dicts() for answer in await self.find(principal, *statements)]

    async def find(self, principal: Principal, *statements: Statement) -> list[Answer]:
        """As ``read``, with the rows as they come: what a page of many shows."""
        asked: list[Statement | Ready] = [statement_for(principal, self._names), *statements]
        try:
            return (await self._exchange(asked))[1:]
        except (Error, TimeoutError):
            with self._outage_told(), translated(), _as_forbidden():
                raise

    @asynccontextmanager
    async def writing(
        self, principal: Principal, *, at: datetime
    ) -> AsyncIterator[AsyncConnection[DictRow]]:
        """One transaction that may write: committed at the end, rolled back by any error.

        The database knows the author, for the audit log, and ``at`` as the time. Bounded and
        cancelled as ``reading``; after ``UnavailableError`` it may yet have been committed, so
        what is written must be idempotent.
        """
        begin = f"{_WRITE}; {settings_of(principal, at=at, names=self._names)}"
        async with self._transaction(begin) as connection:
            with _as_forbidden():
                yield connection

    async def write_as_process(self, statement: Statement) -> list[DictRow]:
        """One statement of the API's own, committed when its rows are here, in one round trip.

        It may have been carried out twice where a connection died: what it writes must bear that.
        """
        asked = [_BEGIN_WRITE, statement, _COMMIT]
        try:
            return (await self._exchange(asked))[1].as_dicts()
        except (Error, TimeoutError):
            with self._outage_told(), translated():
                raise

    @asynccontextmanager
    async def writing_as_process(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """One transaction for the API's own: when a key was used, what the audit log says."""
        async with self._transaction(_WRITE) as connection:
            yield connection

    @asynccontextmanager
    async def reading_as_process(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """One read-only transaction for what no principal asks: readiness, the shared feed."""
        async with self._transaction(_READ) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[AsyncConnection[DictRow]]:
        with self._outage_told():
            async with asyncio.timeout(self._patience_s):
                with translated():
                    connection = await self._begin(begin)
                    try:
                        async with connection:  # Commits, or rolls back.
                            yield connection
                    finally:
                        await self._pool.putconn(connection)

    @property
    def _patience_s(self) -> float:
        return (self._settings.db_wait_ms_max + 2 * self._settings.statement_ms_max) / 1_000

    @contextmanager
    def _outage_told(self) -> Iterator[None]:
        """Say what to do when the database is away, or took too long."""
        try:
            yield
        except (DatabaseUnavailableError, TimeoutError) as error:
            msg = "the database cannot be reached just now; try again"
            if isinstance(error.__cause__, SCHEMA_TOO_OLD):
                msg = "the schema is not there or too old: run `suifang migrate up`"
                _log.error("schema_too_old", error=str(error.__cause__))
            if isinstance(error.__cause__, QueryCanceled):
                msg = (
                    f"the query took longer than {self._settings.statement_ms_max} ms; "
                    "ask for less (a smaller limit, a shorter time) or try again"
                )
            raise UnavailableError(msg, retry_after_s=self._settings.retry_after_s) from error

    async def _exchange(self, statements: Sequence[Statement | Ready]) -> list[Answer]:
        """Ask on a connection that lives; those that have died are thrown away."""
        dead = 0
        async with asyncio.timeout(self._patience_s):
            while True:
                connection = await self._take()
                try:
                    return await exchange(connection, statements)
                except OperationalError:
                    dead += 1
                    if not connection.closed or dead > self._settings.db_connections_max:
                        raise
                finally:
                    await self._pool.putconn(connection)

    async def _begin(self, begin: str) -> PooledConnection:
        """A connection with the transaction begun; those that have died are thrown away."""
        dead = 0
        while True:
            connection, begun = await self._take(), False
            try:
                # Never prepared: it is several statements, and another one for everybody.
                await connection.execute(begin.encode(), prepare=False)
                begun = True
            except OperationalError:
                dead += 1
                if not connection.closed or dead > self._settings.db_connections_max:
                    raise
            finally:
                if not begun:
                    await self._pool.putconn(connection)
            if begun:
                return connection

    async def _take(self) -> PooledConnection:
        """A connection of the pool, or the cancellation that came at the same instant.

        The pool returns the connection then and forgets the cancellation, and a task that runs
        for ever would never end (psycopg_pool, ``WaitingClient.wait``).
        """
        task = asyncio.current_task()
        asked = task.cancelling() if task is not None else 0
        connection = await self._pool.getconn()
        if task is not None and task.cancelling() > asked:
            await self._pool.putconn(connection)
            raise asyncio.CancelledError
        return connection
