"""Promise: an API that knows handles notes whom it showed, whatever became of handles meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from api.audit import queries
from api.audit.cli import app as audit_cli
from api.audit.handles import KnownHandles
from api.audit.log import AuditLog
from api.audit.queries import Note
from api.audit.settings import AuditSettings
from api.database import Database
from api.errors import UnavailableError
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db import migrate
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.security_world import SEEN

DOCTOR = SEEN["doctor of n1"][0]
ENTRIES = """
SELECT e.object, ARRAY(SELECT h.resident_id FROM audit_handle h
                       WHERE h.handle = ANY(e.handles) ORDER BY 1), cardinality(e.handles)
FROM audit_entry e ORDER BY e.id"""
FORGOTTEN = "DELETE FROM audit_handle WHERE resident_id = 'anna'"


@asynccontextmanager
async def a_log(dsn: str, **audit: Any) -> AsyncIterator[AuditLog]:  # noqa: ANN401 - of any type
    """One that writes, in a process of its own as far as the database knows."""
    settings = ApiSettings(db_dsn=SecretStr(dsn), audit=AuditSettings(**audit))
    async with Database(settings) as opened:
        found = AuditLog(settings, opened, utc_now)
        writer = asyncio.create_task(found._run_writer())
        yield found
        writer.cancel()
        await asyncio.wait([writer])


@pytest.fixture
async def log(database: Fresh) -> AsyncIterator[AuditLog]:
    async with a_log(database.dsn) as found:
        yield found


async def entries(owner: Connection) -> list[tuple[Any, ...]]:
    return await (await owner.execute(ENTRIES)).fetchall()


async def test_who_is_new_is_noted_without_reading_everybody(connection: Connection) -> None:
    """Planned while nobody had a handle, in a session that lives on while many get one."""
    await connection.execute("ALTER TABLE audit_handle SET (autovacuum_enabled = false)")
    await connection.execute("VACUUM ANALYZE audit_handle")
    asked = b"SELECT as_of FROM audit_write_known(%s, '[]', %s)"
    as_of = (await (await connection.execute(asked, (None, None))).fetchall())[0][0]
    for first in range(0, 20_000, 2_000):
        new = [f"r-{number}" for number in range(first, first + 2_000)]
        await connection.execute(asked, (as_of, new))
    async with connection.transaction():
        read = b"SELECT pg_stat_get_xact_tuples_fetched(o) + pg_stat_get_xact_tuples_returned(o)"
        read += b" FROM CAST('audit_handle_resident_id_key'::regclass AS oid) AS o"
        before = (await (await connection.execute(read)).fetchall())[0][0]
        await connection.execute(asked, (as_of, [f"z-{number}" for number in range(10)]))
        after = (await (await connection.execute(read)).fetchall())[0][0]

    assert after - before < 100


async def test_known_and_unknown_residents_are_noted_alike(
    log: AuditLog, connection: Connection
) -> None:
    await log.saw(DOCTOR, "both", ["anna", "ben"])
    await asyncio.gather(
        log.saw(DOCTOR, "again", ["ben", "anna"]),
        log.saw(DOCTOR, "one more", ["anna", "carl", "ben"]),
        log.saw(DOCTOR, "a thing", [], things=["t-1"]),
        log.saw(DOCTOR, "another", ["dora", "carl"]),
    )

    assert await entries(connection) == [
        ("both", ["anna", "ben"], 2),
        ("again", ["anna", "ben"], 2),
        ("one more", ["anna", "ben", "carl"], 3),
        ("a thing", [], 0),
        ("another", ["carl", "dora"], 2),
    ]


@pytest.mark.parametrize(
    "away",
    [
        FORGOTTEN,
        "TRUNCATE audit_handle",
        "UPDATE audit_handle SET resident_id = 'somebody-else' WHERE resident_id = 'anna'",
    ],
)
async def test_a_handle_that_was_taken_away_is_not_written_again(
    log: AuditLog, connection: Connection, away: str
) -> None:
    await log.saw(DOCTOR, "before", ["anna", "ben"])
    await connection.execute(away.encode())
    await log.saw(DOCTOR, "after", ["anna", "ben"])

    assert (await entries(connection))[-1] == ("after", ["anna", "ben"], 2)


async def test_a_handle_taken_away_and_put_back_leaves_what_is_known(
    log: AuditLog, connection: Connection
) -> None:
    await log.saw(DOCTOR, "before", ["anna"])
    async with connection.transaction(force_rollback=True):
        await connection.execute(FORGOTTEN)
    known_as_of = log._handles.as_of
    await log.saw(DOCTOR, "after", ["anna"])

    assert log._handles.as_of == known_as_of
    assert [row[1:] for row in await entries(connection)] == [(["anna"], 1)] * 2


async def test_two_apis_that_learn_at_once_learn_the_same(
    database: Fresh, connection: Connection
) -> None:
    residents = [f"r-{n}" for n in range(40)]
    async with AsyncExitStack() as stack:
        logs = [await stack.enter_async_context(a_log(database.dsn)) for _ in range(3)]
        for of in range(0, 40, 4):
            await asyncio.gather(*(one.saw(DOCTOR, "p", residents[of : of + 4]) for one in logs))
        found = [one._handles.find(residents) for one in logs]

    assert found[0][1] == []
    assert found[0] == found[1] == found[2]
    assert {row[2] for row in await entries(connection)} == {4}


async def test_whatever_an_id_looks_like_it_is_noted(log: AuditLog, connection: Connection) -> None:
    ids = sorted(["NULL", "a,b", '{"x"}', "o'\\n", "{1,2}", "7"])
    for _ in range(2):
        await log.saw(DOCTOR, "page", ids)

    for _, found, _ in await entries(connection):
        assert sorted(found) == ids


@pytest.mark.parametrize("role", ["suifang_api", "suifang_api_all", "suifang_deliver"])
async def test_nobody_but_the_process_writes_with_handles(
    connection: Connection, role: str
) -> None:
    await connection.execute(f"SET ROLE {role}".encode())

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute("SELECT audit_write_known('', '[]', NULL)")


async def test_more_residents_than_are_kept_are_all_noted(
    database: Fresh, connection: Connection
) -> None:
    async with a_log(database.dsn, handles_max=2) as log:
        for _ in range(2):
            await log.saw(DOCTOR, "page", ["anna", "ben", "carl", "dora"])

    assert [row[1] for row in await entries(connection)] == [["anna", "ben", "carl", "dora"]] * 2


async def test_nothing_is_learned_of_what_was_not_committed(
    log: AuditLog, connection: Connection
) -> None:
    await log.saw(DOCTOR, "before", ["anna"])
    await connection.execute("ALTER TABLE audit_entry ADD CONSTRAINT x CHECK (object <> 'page')")
    with pytest.raises(UnstorableError):
        await log._write([Note(utc_now(), "x", "read", "page", ["ben"], [])])

    assert log._handles.find(["anna", "ben"])[1] == ["ben"]


async def test_where_handles_go_all_the_time_nothing_is_shown(
    log: AuditLog, connection: Connection
) -> None:
    await connection.execute("DELETE FROM audit_handle_epoch")
    await connection.execute(
        "CREATE VIEW always AS SELECT true AS single, gen_random_uuid() AS epoch;"
        "ALTER TABLE audit_handle_epoch RENAME TO away;"
        "ALTER VIEW always RENAME TO audit_handle_epoch"
    )

    with pytest.raises(UnavailableError):
        await log.saw(DOCTOR, "page", ["anna"])
    assert await entries(connection) == []


async def test_what_is_known_of_a_database_is_worth_nothing_in_a_copy_of_it(
    stack: Stack, database: Fresh
) -> None:
    async def write_known(dsn: str) -> str:
        async with Database(ApiSettings(db_dsn=SecretStr(dsn))) as opened:
            [said] = await opened.write_as_process(queries.write_known([], known)[0])
        return str(said["as_of"])

    known = KnownHandles(10)
    known.learn(await write_known(database.dsn), ["anna"], [1])
    with cloned(stack, database.name) as copy:
        of_the_copy = await write_known(copy.dsn)

    assert await write_known(database.dsn) == known.as_of
    assert of_the_copy != known.as_of


async def test_entries_of_before_the_migration_and_of_after_verify_together(
    database: Fresh,
) -> None:
    """And an API of before goes on beside one of now: it knows ``audit_write`` alone."""
    old = queries.write([Note(utc_now(), "x", "read", "of before", ["anna", "ben"], ["t"])])
    settings = ApiSettings(db_dsn=SecretStr(database.dsn))
    await asyncio.to_thread(migrate.downgrade, database.dsn, "0034")
    async with Database(settings) as opened:
        await opened.write_as_process(old)
        assert await AuditLog(settings, opened, utc_now).seal_once() == 1
        await opened.write_as_process(old)  # Without a seal yet.
        await asyncio.to_thread(migrate.upgrade, database.dsn)
        await opened.write_as_process(old)
        async with a_log(database.dsn) as log:
            await log.saw(DOCTOR, "of now", ["anna", "ben"])
            assert await log.seal_once() == 3

    arguments = ["verify", "--database", database.dsn, "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, audit_cli, arguments)
    found = json.loads(result.stdout)
    assert (found["holds"], found["seals"], found["entries"]) == (True, 2, 4)
    async with await psycopg.AsyncConnection.connect(database.dsn) as owner:
        rows = await (await owner.execute(ENTRIES)).fetchall()
    assert {tuple(row[1]) for row in rows} == {("anna", "ben")}
