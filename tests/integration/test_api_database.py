"""Promise: a principal's transaction is whole or nothing, its own, and leaves nothing behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from pydantic import SecretStr

from api.auth.permissions import Role
from api.auth.principal import LOCAL, Principal
from api.database import Database
from api.errors import ForbiddenError, UnavailableError
from api.round_trip import Statement
from api.settings import ApiSettings
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
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
WHO = Statement(SETTINGS.encode(), {})


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
    with contextlib.suppress(psycopg.errors.SyntaxError):
        async with api_database.writing(LOCAL, at=NOW) as writer:
            await writer.execute(CENTRE)
            if fails:
                await writer.execute("SELEC")

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
    assert await api_database.read(doctor, WHO) == [[told]]
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


# --- in one round trip ---------------------------------------------------------------------------


def a_doctor(name: str) -> Principal:
    roles = frozenset({Role.DOCTOR})
    return Principal(subject=name, kind="person", roles=roles, team_ids=frozenset({f"t-{name}"}))


async def test_what_is_read_together_is_of_one_instant_and_cannot_write(
    api_database: Database,
) -> None:
    instant = b"""SELECT pg_current_snapshot()::text AS snapshot, now() AS began,
        current_setting('transaction_isolation') AS isolation"""
    slow = Statement(b"SELECT pg_sleep(0.01)", {})

    (one,), _, (other,) = await api_database.read(
        LOCAL, Statement(instant, {}), slow, Statement(instant, {})
    )

    assert one == other
    assert one["isolation"] == "repeatable read"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await api_database.read(LOCAL, Statement(CENTRE.encode(), {}))


async def test_readers_at_once_are_never_taken_for_each_other(database: Fresh) -> None:
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=3)
    names = [f"{n % 7}" for n in range(200)]
    async with Database(settings) as opened:
        found = await asyncio.gather(*(opened.read(a_doctor(name), WHO) for name in names))
        async with opened.reading_as_process() as reader:
            nobody = await (await reader.execute(SETTINGS)).fetchone()

    seen = [(row["subject"], row["teams"], row["role"]) for ((row,),) in found]
    assert seen == [(name, [f"t-{name}"], "suifang_api") for name in names]
    assert nobody is not None
    assert (nobody["subject"], nobody["role"]) == ("", "suifang_api_process")


@pytest.mark.parametrize("is_kept", [True, False])
async def test_after_a_failure_nothing_further_is_asked_and_the_next_gets_an_answer(
    api_database: Database, *, is_kept: bool
) -> None:
    fails = Statement(b"SELECT 1 / %(zero)s", {"zero": 0}, is_kept=is_kept)
    locks = Statement(b"SELECT pg_advisory_lock(77)", {}, is_kept=is_kept)  # Outlives a rollback.

    for _ in range(3):
        with pytest.raises(UnstorableError, match="division by zero"):
            await api_database.read(LOCAL, fails, locks)

    held = Statement(b"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 77", {})
    assert await api_database.read(LOCAL, held) == [[]]

    ((told,),) = await api_database.read(a_doctor("next"), WHO)
    assert told["subject"] == "next"
    async with api_database.reading_as_process() as reader:
        nobody = await (await reader.execute(SETTINGS)).fetchone()
    assert nobody is not None
    assert nobody["subject"] == ""


async def test_what_the_database_refuses_to_one_who_asks_is_forbidden(
    api_database: Database,
) -> None:
    with pytest.raises(ForbiddenError):
        await api_database.read(a_doctor("one"), Statement(b"SELECT * FROM reading", {}))


async def test_statements_forgotten_by_a_rollback_are_prepared_anew(
    api_database: Database,
) -> None:
    named = Statement(b"SELECT %(name)s::text AS name, '100%%' AS all", {"name": "a"})
    for _ in range(2):
        assert await api_database.read(LOCAL, named) == [[{"name": "a", "all": "100%"}]]
        async with api_database.writing(LOCAL, at=NOW) as writer:
            for _ in range(8):  # So that psycopg has something to forget, too.
                await writer.execute("SELECT 1")
        with pytest.raises(LookupError):  # noqa: PT012 - the rollback is the point
            async with api_database.writing(LOCAL, at=NOW) as writer:
                await writer.execute("SELECT 1")
                raise LookupError


async def test_the_same_statement_twice_in_a_message_has_an_answer_each(
    api_database: Database,
) -> None:
    asked = b"SELECT n, n * 2 AS twice FROM generate_series(1, %(upto)s::int) AS n"
    for upto in (1, 2):  # Prepared by the first message, known to the second.
        some, none = await api_database.find(
            LOCAL, Statement(asked, {"upto": upto}), Statement(asked, {"upto": 0})
        )

        assert (some.columns, none.columns) == (("n", "twice"),) * 2
        assert some.rows == [(n, n * 2) for n in range(1, upto + 1)]
        assert (some.row(0), none.rows) == ({"n": 1, "twice": 2}, [])


async def test_more_statements_than_are_kept_are_answered_all_the_same(
    api_database: Database,
) -> None:
    for number in (*range(450), 3):
        statement = Statement(f"SELECT {number} AS number".encode(), {})
        assert await api_database.read(LOCAL, statement) == [[{"number": number}]]
    async with api_database.reading_as_process() as reader:
        kept = await (
            await reader.execute("SELECT count(*) AS count FROM pg_prepared_statements")
        ).fetchone()
    assert kept is not None
    assert kept["count"] < 220


async def test_who_gives_up_leaves_no_answer_for_the_next(api_database: Database) -> None:
    sleeps = Statement(b"SELECT 'of one' AS answer FROM pg_sleep(60)", {})
    for _ in range(3):
        reading = asyncio.create_task(api_database.read(a_doctor("one"), sleeps))
        await asyncio.sleep(0.2)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        ((told,),) = await api_database.read(a_doctor("next"), WHO)
        assert told["subject"] == "next"


async def test_a_read_that_takes_too_long_is_ended_and_says_so(database: Fresh) -> None:
    dsn = SecretStr(database.dsn)
    settings = ApiSettings(db_dsn=dsn, statement_ms_max=1_000, db_wait_ms_max=60_000)
    async with Database(settings) as opened:
        with pytest.raises(UnavailableError, match="took longer than 1000 ms"):
            await opened.read(LOCAL, Statement(b"SELECT pg_sleep(60)", {}))
        assert await opened.read(LOCAL, Statement(b"SELECT 1 AS one", {})) == [[{"one": 1}]]


async def test_connections_that_died_cost_no_reader_an_answer(
    database: Fresh, connection: Connection
) -> None:
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=3)
    async with Database(settings) as opened:
        sleeps = Statement(b"SELECT pg_sleep(0.3)", {})
        await asyncio.gather(*(opened.read(LOCAL, sleeps) for _ in range(3)))
        killed = await (await connection.execute(KILL)).fetchall()

        told = await opened.read(a_doctor("one"), WHO)

    assert len(killed) == 3
    assert told[0][0]["subject"] == "one"


async def test_a_reader_alone_keeps_to_one_connection(database: Fresh) -> None:
    """The one that was given back last: its backend has at hand what is asked again and again."""
    pid = Statement(b"SELECT pg_backend_pid() AS pid", {})
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=3)
    async with Database(settings) as opened:
        sleeps = Statement(b"SELECT pg_sleep(0.3)", {})
        await asyncio.gather(*(opened.read(LOCAL, sleeps) for _ in range(3)))
        found = [(await opened.read(LOCAL, pid))[0][0]["pid"] for _ in range(7)]

    assert opened.pool_stats()["pool_size"] == 3
    assert len(set(found)) == 1
