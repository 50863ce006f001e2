"""Promise: a principal's transaction is whole or nothing, its own, and leaves nothing behind it."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from pydantic import SecretStr

from api.auth.permissions import Role
from api.auth.principal import LOCAL, Principal
from api.database import Database
from api.settings import ApiSettings
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh

NOW = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)
HOSTILE = (
    "'",
    "'); DROP TABLE team; --",
    "\\",
    "\\'",
    "a,b",
    '{"x"}',
    "NULL",
    "'||'",
    "%s",
    "$1",
    "双",
)
SETTINGS = """
SELECT current_setting('suifang.subject', true) AS subject, seen_teams() AS teams,
       seen_centres() AS centres, sees_measured() AS measured, sees_audit() AS audit,
       current_setting('role') AS role"""
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'suifang-api'"""
CENTRE = "INSERT INTO centre VALUES ('north', 'North')"


@pytest.fixture
async def api_database(database: Fresh) -> AsyncIterator[Database]:
    """The API's database with a single connection, so that what it leaves behind is seen."""
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=1)
    async with Database(settings) as opened:
        yield opened


async def count_centres(connection: Connection) -> int:
    row = await (await connection.execute("SELECT count(*) FROM centre")).fetchone()
    assert row is not None
    return int(row[0])


async def test_what_is_written_is_committed_and_an_error_undoes_all_of_it(
    api_database: Database, connection: Connection
) -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - the transaction is the point
        async with api_database.writing(LOCAL, at=NOW) as writer:
            await writer.execute(CENTRE)
            raise LookupError
    assert await count_centres(connection) == 0

    async with api_database.writing(LOCAL, at=NOW) as writer:
        await writer.execute(CENTRE)

    assert await count_centres(connection) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_after_writing_the_connection_reads_only_and_knows_nobody(
    api_database: Database, *, fails: bool
) -> None:
    with contextlib.suppress(psycopg.errors.UndefinedFunction):
        async with api_database.writing(LOCAL, at=NOW) as writer:
            await writer.execute(CENTRE)
            if fails:
                await writer.execute("SELECT no_such_function()")

    async with api_database.reading_as_process() as reader:
        cursor = await reader.execute("SELECT current_setting('suifang.subject', true) AS subject")
        assert await cursor.fetchone() == {"subject": ""}
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await reader.execute(CENTRE)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_is_only_ever_a_name(api_database: Database, name: str) -> None:
    doctor = Principal(
        subject=name,
        kind="person",
        roles=frozenset({Role.DOCTOR, Role.CENTRE_ADMIN}),
        team_ids=frozenset({name, "t1"}),
        centre_ids=frozenset({name}),
    )

    async with api_database.reading(doctor) as reader:
        told = await (await reader.execute(SETTINGS)).fetchone()

    assert told is not None
    assert (told["subject"], sorted(told["teams"])) == (name, sorted({name, "t1"}))
    assert (told["centres"], told["role"]) == ([name], "suifang_api")
    assert (told["measured"], told["audit"]) == (True, False)


async def test_one_who_may_little_gets_nothing_of_the_one_before(api_database: Database) -> None:
    auditor = Principal(subject="a", kind="person", roles=frozenset({Role.AUDITOR}))

    async with api_database.writing(LOCAL, at=NOW) as writer:
        await writer.execute("SELECT 1")
    async with api_database.reading(auditor) as reader:
        told = await (await reader.execute(SETTINGS)).fetchone()

    assert told == {
        "subject": "a",
        "teams": None,
        "centres": None,
        "measured": False,
        "audit": True,
        "role": "suifang_api",
    }


async def test_connections_that_died_cost_nobody_an_answer(
    database: Fresh, connection: Connection
) -> None:
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=3)
    async with Database(settings) as opened:
        async with (
            opened.reading(LOCAL),
            opened.reading(LOCAL),
            opened.reading(LOCAL),
        ):
            pass
        killed = await (await connection.execute(KILL)).fetchall()

        async with opened.reading(LOCAL) as reader:
            told = await (await reader.execute("SELECT 1 AS one")).fetchone()

    assert len(killed) == 3
    assert told == {"one": 1}
