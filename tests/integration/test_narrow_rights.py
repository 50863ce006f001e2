"""Promise: nothing younger goes than the owner allows; a function is called by whom it is for.

As whoever has stolen the login of ``suifang retention`` would try; what is expected is by hand.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from typer.testing import CliRunner, Result

from ingest.db import retention
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.retention_cli import app
from tests.builders import AT
from tests.fix_db import Database
from tests.integration.security_world import INSERT_READING

OLD: Final = AT - timedelta(days=200)
YOUNG: Final = AT - timedelta(days=60)
# Of nobody: they read no table, only what the transaction says of itself, or their argument.
EVERYBODY_S: Final = {
    "severity_rank",
    *("seen_teams", "seen_centres", "sees_measured", "sees_everybody", "sees_audit"),
}
_FUNCTIONS: Final = """
SELECT p.proname, p.prosecdef OR p.prorettype = 'trigger'::regtype
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                  AND d.objid = p.oid AND d.deptype = 'e')"""


@pytest.fixture
async def thief(connection: Connection, database: Database) -> AsyncIterator[Connection]:
    """The login of retention, where something came until now."""
    await connection.execute(
        "INSERT INTO gateway_day (gateway_id, day) VALUES ('gw', %s)", (AT.date(),)
    )
    async with await connect(
        database.dsn_of("maintenance"),
        application_name="test",
        autocommit=True,
        role=ProcessRole.MAINTENANCE,
    ) as opened:
        yield opened


async def store(connection: Connection, at: datetime, table: str = "reading") -> UUID:
    id_ = uuid4()
    values = {"id": id_, "resident": "r-1", "centre": "east", "at": at}
    await connection.execute(INSERT_READING.format(table=table).encode(), values)
    return id_


async def stored(connection: Connection) -> set[UUID]:
    cursor = await connection.execute("SELECT id FROM stored_reading")
    return {row[0] for row in await cursor.fetchall()}


async def announce(thief: Connection, edge: datetime) -> datetime:
    async with thief.transaction():
        return await retention.announce(thief, edge, at=AT)


async def drop(thief: Connection, older_than: datetime) -> None:
    chunk = retention.Chunk(older_than - timedelta(days=30), older_than)
    async with thief.transaction():
        await retention.drop_chunk(thief, chunk, {})


async def floor(span: str, dsn: str) -> Result:
    """The command, which has a loop of its own."""
    words = ["floor", span, "--database", dsn, "--json"]
    return await asyncio.to_thread(CliRunner().invoke, app, words)


async def test_the_edge_moves_no_further_than_the_least_time_and_nothing_behind_it_goes(
    connection: Connection, thief: Connection
) -> None:
    ids = {await store(connection, OLD), await store(connection, YOUNG)}

    for edge in (AT, YOUNG, AT - timedelta(days=90)):
        with pytest.raises(InsufficientPrivilege):
            await announce(thief, edge)
        with pytest.raises(InsufficientPrivilege):
            await drop(thief, edge)
    assert await retention.align(thief, AT) <= AT - timedelta(days=91)
    with pytest.raises(InsufficientPrivilege):
        await drop(thief, OLD)  # Nobody has announced it.
    assert await stored(connection) == ids

    edge = await announce(thief, await retention.align(thief, AT))
    with pytest.raises(InsufficientPrivilege):
        await drop(thief, edge + timedelta(microseconds=1))
    await drop(thief, edge)
    assert len(await stored(connection)) == 1


async def test_what_the_owner_says_holds_also_for_an_edge_that_was_announced_before(
    connection: Connection, thief: Connection, database: Database
) -> None:
    await store(connection, OLD)
    edge = await announce(thief, await retention.align(thief, AT))
    said = await floor("2years", database.dsn)
    assert (said.exit_code, said.stdout) == (0, '{"floor_days": 730}\n')

    with pytest.raises(InsufficientPrivilege):
        await drop(thief, edge)
    assert await retention.align(thief, AT) <= AT - timedelta(days=730)
    stolen = database.dsn_of("maintenance")
    refused = await floor("91days", stolen)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "only the owner" in refused.stderr


async def test_what_is_held_goes_when_it_is_old_and_what_is_young_is_not_held(
    connection: Connection, thief: Connection
) -> None:
    old, young = await store(connection, OLD), await store(connection, YOUNG)
    fresh = await store(connection, AT, "reading_held")  # By a clock that stands in the past.
    await announce(thief, await retention.align(thief, AT))

    async with thief.transaction():
        await retention.hold(thief, [old, young])
        assert await retention.release(thief, [old, young, fresh]) == 1
    await thief.execute("SELECT release_readings(%s)", ([young, fresh],))

    assert await stored(connection) == {young, fresh}
    cursor = await connection.execute("SELECT gateway_id, readings FROM gateway_retired")
    assert await cursor.fetchall() == [("gw", 1)]


async def test_keys_of_readings_behind_the_edge_are_not_forgotten(
    connection: Connection, thief: Connection
) -> None:
    await store(connection, YOUNG)
    await connection.execute("UPDATE reading SET measured_at = effective_at")
    await connection.execute(
        "INSERT INTO reading_key SELECT device_id, 'sequence:b:1', 'r-1', id, 0 FROM reading"
    )

    assert await retention.forget_keys(thief, ("", "", ""), 10) == (
        ("meter", "sequence:b:1", "r-1"),
        0,
    )


async def test_nobody_calls_a_function_that_is_not_theirs(connection: Connection) -> None:
    """A new function is everybody's until its migration revokes it from PUBLIC."""
    cursor = await connection.execute(_FUNCTIONS.encode())
    found: dict[str, bool] = dict(await cursor.fetchall())

    assert {*found} == EVERYBODY_S
    assert not any(found.values())  # None with rights of the owner, and none for triggers.


async def test_a_trigger_s_function_cannot_be_borrowed_for_a_table_of_one_s_own(
    thief: Connection,
) -> None:
    """It has the owner's rights: rows of a table of theirs would move residents between teams."""
    await thief.execute("CREATE TEMP TABLE mine (id text, team_id text)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await thief.execute(
            "CREATE TRIGGER t AFTER UPDATE ON mine REFERENCING OLD TABLE AS left_behind"
            " NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION follow_moved_resident()"
        )
