"""A database that refuses, waits, aborts, or has no room."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.faults.fault import fault
from tests.faults.workload import GATEWAYS
from tests.faults.world import World

_POLL_S: Final = 0.05
_OPEN_TRIES_S_MAX: Final = 30.0
_DEADLOCKS: Final = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
_END_SESSIONS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid()"""
_WAITERS: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
_ALL_FULL: Final = """
CREATE OR REPLACE FUNCTION refuse_to_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
CREATE OR REPLACE TRIGGER refuse_to_grow BEFORE INSERT OR UPDATE ON gateway_day
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_grow();
CREATE OR REPLACE TRIGGER refuse_to_grow BEFORE INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_grow()"""
_TABLES: Final = (
    (b"LOCK TABLE gateway_day", b"LOCK TABLE reading"),
    (b"LOCK TABLE reading", b"LOCK TABLE gateway_day"),
)
_ROW: Final = "SELECT 1 FROM gateway_day WHERE gateway_id = '{}' FOR UPDATE"
_ROWS: Final = ((_ROW.format(max(GATEWAYS)).encode(), _ROW.format(min(GATEWAYS)).encode()),)
_ROOM_AGAIN: Final = "DROP FUNCTION IF EXISTS refuse_to_grow CASCADE"


@fault(seconds=(0.5, 3.0))
async def refuse_connections(world: World, _target: str, duration_s: float) -> None:
    """Everybody is thrown out of the database and nobody comes in."""
    await _let_in(world, allowed=False)
    with _meanwhile_gone():
        ended = await asyncio.to_thread(_end_sessions, world)
        world.seen.append(f"refuse_connections: {ended} sessions ended")
    try:
        await asyncio.sleep(duration_s)
    finally:
        await _let_in(world, allowed=True)


@fault("reading", "gateway_day", "due_mark", "outbox", "alert", seconds=(1.0, 5.0))
async def lock_table(world: World, target: str, duration_s: float) -> None:
    """Somebody holds a table for himself, for longer than lock timeouts allow."""

    def hold() -> None:
        with _session(world) as connection, connection.transaction():
            _lock_table(connection, target)
            time.sleep(duration_s)

    with _meanwhile_gone():
        await asyncio.to_thread(hold)


@fault("tables", "rows", seconds=(3.0, 5.0), each=True)
async def deadlock(world: World, target: str, duration_s: float) -> None:
    """Somebody locks what ingest locks in the opposite order: PostgreSQL aborts ingest."""
    until = time.monotonic() + duration_s
    orders = _TABLES if target == "tables" else _ROWS

    def cross() -> None:
        with _session(world) as connection:
            connection.execute("SET deadlock_timeout = '30s'")  # It is not we who notice.
            for first, second in cycle(orders):
                with connection.transaction():
                    connection.execute(first)
                    _await_waiter(connection, until)
                    connection.execute(second)
                if time.monotonic() > until:
                    return

    with _meanwhile_gone():
        await asyncio.to_thread(cross)
    with _meanwhile_gone():
        count = await asyncio.to_thread(_count_deadlocks, world)
        world.seen.append(f"deadlock: {count} so far")


@fault(seconds=(2.0, 5.0))
async def serialize(world: World, _target: str, duration_s: float) -> None:
    """Every new transaction is serializable, so PostgreSQL aborts some of those that meet."""
    await _set_isolation(world, "serializable")
    try:
        await asyncio.sleep(duration_s)
    finally:
        await _set_isolation(world, "read committed")


@fault("filesystem", "trigger", seconds=(1.0, 4.0), each=True)
async def fill_disk(world: World, target: str, duration_s: float) -> None:
    """No room: a full file system, or (wherever none can be mounted) the error of one."""
    disk = world.stack.disk
    if disk.mounted and target == "filesystem":
        disk.fill()
        try:
            await asyncio.sleep(duration_s)
        finally:
            disk.free()
    else:
        await _insist(world, world.database, _ALL_FULL)
        try:
            await asyncio.sleep(duration_s)
        finally:
            await _insist(world, world.database, _ROOM_AGAIN)
    world.seen.append(f"fill_disk: {'small' if disk.mounted else 'no small'} file system")


def _lock_table(connection: "psycopg.Connection[tuple[Any, ...]]", table: str) -> None:
    statement = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
    connection.execute(statement.format(sql.Identifier(table)))


async def _let_in(world: World, *, allowed: bool) -> None:
    verdict = sql.SQL("true" if allowed else "false")
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    await _insist(world, "postgres", statement.format(sql.Identifier(world.database), verdict))


async def _set_isolation(world: World, level: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}")
    await _insist(
        world,
        "postgres",
        statement.format(sql.Identifier(world.database), sql.Literal(level)),
    )
    with _meanwhile_gone():  # Only a new session sees it.
        await asyncio.to_thread(_end_sessions, world)


def _end_sessions(world: World) -> int:
    with world.stack.as_superuser("postgres") as connection:
        row = connection.execute(_END_SESSIONS, (world.database,)).fetchone()
    return int(row[0]) if row else 0


def _count_deadlocks(world: World) -> int:
    with world.stack.as_superuser(world.database) as connection:
        row = connection.execute(_DEADLOCKS).fetchone()
    return int(row[0]) if row else 0


def _await_waiter(connection: "psycopg.Connection[tuple[Any, ...]]", until: float) -> None:
    while time.monotonic() < until:
        row = connection.execute(_WAITERS).fetchone()
        if row is not None and row[0]:
            return
        time.sleep(_POLL_S)


async def _insist(world: World, database: str, statement: "sql.Composed | str") -> None:
    """Run a statement that must succeed, however often the server is away meanwhile."""
    deadline = time.monotonic() + _OPEN_TRIES_S_MAX
    while True:
        try:
            await asyncio.to_thread(_execute, world, database, statement)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_POLL_S)
        else:
            return


def _execute(world: World, database: str, statement: "sql.Composed | str") -> None:
    with world.stack.as_superuser(database) as connection:
        connection.execute(statement if isinstance(statement, sql.Composed) else statement.encode())


@contextmanager
def _session(world: World) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    with world.stack.as_superuser(world.database) as connection:
        yield connection


@contextmanager
def _meanwhile_gone() -> Iterator[None]:
    """Another fault may take the server away from this one."""
    with suppress(psycopg.OperationalError):
        yield
