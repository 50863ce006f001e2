"""Promise: a principal's transaction is whole or nothing, and leaves nothing behind it."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from pydantic import SecretStr

from api.auth.principal import LOCAL
from api.database import Database
from api.settings import ApiSettings
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh

NOW = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)
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
