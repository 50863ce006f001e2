"""Promise: a query without any WHERE shows a principal its own and nothing else, at any time.

Table by table that is tried in ``test_row_security_tables.py``; here is what lies around: chunks,
grants, connections that serve many, residents who move. What is expected is written down by hand
in ``security_world.py``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from api.auth.principal import Principal
from api.database import Database
from api.errors import ForbiddenError
from api.feed import Feed, FeedEvent, list_after
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.security_world import (
    INSERT_ALERT,
    INSERT_CASE,
    NOW,
    SEEN,
    build_world,
    id_of,
)

API_ROLES = ("suifang_api", "suifang_api_all", "suifang_api_process")
# What the API may read whole: nothing in it is about a resident.
WITHOUT_RESIDENTS = {
    *("retention", "alembic_version"),
    *("api_key", "audit_seal", "gateway", "gateway_certificate", "enrolment_token", "device"),
    *("gateway_day", "gateway_status", "flow_sample"),
}
VIEWS_THAT_FILTER = {
    *("visible_reading", "visible_reported", "visible_context", "visible_merging"),
    "indicator_standing",
}


@pytest.fixture
async def writer(connection: Connection) -> Connection:
    """The owner's connection, in a database with the whole world in it."""
    await build_world(connection)
    return connection


@pytest.fixture
async def api(database: Fresh, writer: Connection) -> AsyncIterator[Database]:  # noqa: ARG001 - filled
    """The API's way into that database; one connection, so that it is used by many in turn."""
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=1)
    async with Database(settings) as opened:
        yield opened


async def seen_in(api: Database, who: Principal, statement: str) -> set[str]:
    async with api.reading(who) as connection:
        cursor = await connection.execute(statement)
        return {row["resident"] or "" for row in await cursor.fetchall()}


@pytest.fixture(scope="module")
def world(stack: Stack, template_database: str) -> Iterator[Fresh]:
    """The same world for all tests that only look."""

    async def build(dsn: str) -> None:
        async with await connect(dsn, application_name="test", autocommit=True) as connection:
            await build_world(connection)

    with cloned(stack, template_database) as clone:
        asyncio.run(build(clone.dsn))
        yield clone


@pytest.fixture
async def looking(world: Fresh) -> AsyncIterator[Database]:
    """The API's way into the world that stays as it is."""
    settings = ApiSettings(db_dsn=SecretStr(world.dsn), db_connections_max=1)
    async with Database(settings) as opened:
        yield opened


# --- a forgotten WHERE ---------------------------------------------------------------------------


async def test_held_readings_are_seen_like_the_others(looking: Database) -> None:
    who, own, _, _ = SEEN["doctor of n1"]
    async with looking.reading(who) as connection:
        cursor = await connection.execute("SELECT id FROM visible_reading")
        found = {row["id"] for row in await cursor.fetchall()}
        cursor = await connection.execute("SELECT id FROM visible_reported")
        reported = {row["id"] for row in await cursor.fetchall()}

    assert reported == found
    assert found == {id_of(kind, resident) for kind in ("reading", "held") for resident in own}


async def test_one_connection_serves_many_and_remembers_none(looking: Database) -> None:
    for _ in range(2):
        for who, own, _, _ in SEEN.values():
            assert await seen_in(looking, who, "SELECT id AS resident FROM resident") == own
    async with looking.reading_as_process() as connection:
        cursor = await connection.execute(
            "SELECT current_user AS role, current_setting('suifang.teams', true) AS teams"
        )
        assert await cursor.fetchone() == {"role": "suifang_api_process", "teams": ""}


async def test_a_prepared_statement_is_planned_for_whoever_asks_next(looking: Database) -> None:
    for _ in range(8):  # Psycopg prepares from the fifth time on.
        for name in ("doctor of n1", "supervisor", "leader of n1 and s1", "ops"):
            who, own, _, _ = SEEN[name]
            found = await seen_in(looking, who, "SELECT resident_id AS resident FROM resident_case")
            assert found == own


# --- around the policies -------------------------------------------------------------------------


async def test_every_table_the_api_may_read_has_policies_or_no_residents(
    connection: Connection,
) -> None:
    cursor = await connection.execute(
        "SELECT c.oid::regclass::text, c.relrowsecurity, c.relkind, r.rolname FROM pg_class c "
        "CROSS JOIN pg_roles r WHERE r.rolname = ANY(%s) AND c.relkind IN ('r', 'v', 'm', 'p') "
        "AND c.relnamespace = 'public'::regnamespace "
        "AND has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')",
        (list(API_ROLES),),
    )
    open_tables = {
        table
        for table, secured, kind, _ in await cursor.fetchall()
        if not secured and not (kind == "v" and table in VIEWS_THAT_FILTER)
    }

    assert open_tables - {"due_mark"} == WITHOUT_RESIDENTS  # due_mark: INSERT only.


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_role_of_the_api_reaches_readings_or_their_chunks_past_the_view(
    world: Fresh, role: str
) -> None:
    async with await connect(world.dsn, application_name="test", autocommit=True) as other:
        cursor = await other.execute("SELECT show_chunks('reading')::text")
        chunks = [row[0] for row in await cursor.fetchall()]
        assert chunks
        await other.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        for table in ("reading", "reading_held", "stored_reading", "quarantine", *chunks):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await other.execute(sql.SQL("SELECT FROM {}").format(sql.SQL(table)))


@pytest.mark.parametrize("role", API_ROLES)
async def test_who_says_nothing_of_themselves_sees_nobody(world: Fresh, role: str) -> None:
    async with await connect(world.dsn, application_name="test", autocommit=True) as other:
        await other.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if role == "suifang_api":
            cursor = await other.execute("SELECT id FROM resident UNION SELECT code FROM alert")
            assert await cursor.fetchall() == []
        if role == "suifang_api_process":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await other.execute("SELECT birth_date FROM resident")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await other.execute("DELETE FROM alert")


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("contract system of south", "UPDATE resident SET team_id = 'n1' WHERE id = 'carl'"),
        ("contract system of south", "INSERT INTO resident VALUES ('new', 'n1', created_at => %s)"),
        ("doctor of n1", "DELETE FROM resident"),
        ("doctor of n1", "UPDATE alert SET status = 'resolved'"),
        ("doctor of n1", "INSERT INTO case_transition DEFAULT VALUES"),
        ("supervisor", "INSERT INTO resident_condition VALUES ('anna', 'x', '2026-01-01')"),
        ("admin of north", "UPDATE team SET centre_id = 'south' WHERE id = 'n1'"),
        ("admin of north", "INSERT INTO team VALUES ('s2', 'south', 'x')"),
        ("admin of north", "INSERT INTO centre VALUES ('east', 'x')"),
        ("admin of north", "INSERT INTO package VALUES ('x', 'x')"),
        (
            "admin of north",
            (
                "INSERT INTO team VALUES ('s1', 'north', 'x') "
                "ON CONFLICT (id) DO UPDATE SET centre_id = EXCLUDED.centre_id"
            ),
        ),
    ],
)
async def test_nothing_is_moved_or_written_beyond_ones_own(
    api: Database, name: str, statement: str
) -> None:
    statement = statement.replace(
        "('new', 'n1', created_at => %s)",
        "('new', 'n1', NULL, NULL, false, '2026-01-01T00:00:00Z', NULL)",
    )
    with pytest.raises(ForbiddenError):
        async with api.writing(SEEN[name][0], at=NOW) as connection:
            await connection.execute(statement)


@pytest.mark.parametrize("name", ["doctor of n1", "contract system of south", "ops"])
async def test_an_update_without_a_where_touches_ones_own_only(
    api: Database, writer: Connection, name: str
) -> None:
    who, own, _, _ = SEEN[name]
    async with api.writing(who, at=NOW) as connection:
        await connection.execute("UPDATE resident SET sex = 'female'")
    cursor = await writer.execute("SELECT id FROM resident WHERE sex IS NOT NULL")

    assert {row[0] for row in await cursor.fetchall()} == own


# --- a resident moves ----------------------------------------------------------------------------

_WHOSE = """
SELECT resident_id AS resident FROM resident_case
UNION ALL SELECT resident_id FROM alert WHERE resident_id IS NOT NULL
UNION ALL SELECT resident_id FROM case_transition UNION ALL SELECT resident_id FROM record
UNION ALL SELECT resident_id FROM visible_reading WHERE resident_id IS NOT NULL
UNION ALL SELECT payload ->> 'resident_id' FROM outbox WHERE payload ->> 'resident_id' <> ''"""


async def test_whoever_is_merged_into_somebody_who_moves_moves_along(writer: Connection) -> None:
    cursor = await writer.execute(
        "SELECT DISTINCT resident_id FROM resident_case JOIN alert USING (resident_id) ORDER BY 1"
    )
    one, other, *_ = [row[0] for row in await cursor.fetchall()]
    await writer.execute(
        "INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)"
        " VALUES (%s, %s, 'registered twice', 'x', %s)",
        (one, other, NOW),
    )
    for team in ("n1", "s1"):
        await writer.execute("UPDATE resident SET team_id = %s WHERE id = %s", (team, other))
        for table, name in (("resident", "id"), ("resident_case", "resident_id")):
            places = f"SELECT DISTINCT team_id FROM {table} WHERE {name} = ANY (%s)"  # noqa: S608 - two tables
            cursor = await writer.execute(places.encode(), ([one, other],))
            assert await cursor.fetchall() == [(team,)]


async def rows_about(api: Database, name: str, resident: str) -> int:
    async with api.reading(SEEN[name][0]) as connection:
        cursor = await connection.execute(
            f"SELECT count(*) AS rows FROM ({_WHOSE}) all_rows WHERE resident = %s",  # noqa: S608
            (resident,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row["rows"])


async def test_a_moved_resident_is_seen_whole_by_the_present_team_and_no_more_by_the_past(
    api: Database, writer: Connection
) -> None:
    before = await rows_about(api, "doctor of n1", "anna")
    assert before == 7  # A case, an alert, a transition, a record, two readings, an event.

    await writer.execute("UPDATE resident SET team_id = 's1' WHERE id = 'anna'")

    assert await rows_about(api, "doctor of n1", "anna") == 0
    assert await rows_about(api, "admin of north", "anna") == 0
    assert await rows_about(api, "contract system of south", "anna") == before
    cursor = await writer.execute("SELECT author FROM record WHERE resident_id = 'anna'")
    assert await cursor.fetchall() == [("x",)]  # The past keeps its author.


async def test_a_stub_that_gets_a_team_leaves_the_centre_that_measured_it(
    api: Database, writer: Connection
) -> None:
    await writer.execute("UPDATE resident SET team_id = 's1' WHERE id = 'stub-n'")

    assert await rows_about(api, "admin of north", "stub-n") == 0
    assert await rows_about(api, "leader of n1 and s1", "stub-n") == 7


@pytest.mark.parametrize("first", ["the judge", "the move"])
async def test_a_case_and_an_alert_of_the_same_moment_as_the_move_follow_it(
    api: Database, database: Fresh, writer: Connection, first: str
) -> None:
    await writer.execute("DELETE FROM resident_case; DELETE FROM alert")
    values = {"resident": "anna", "centre": "north", "at": NOW, "id": id_of("alert", "anna")}

    async def judge(connection: Connection) -> None:
        await connection.execute(INSERT_CASE, values)
        await connection.execute(INSERT_ALERT, values)

    async def move(connection: Connection) -> None:
        await connection.execute("UPDATE resident SET team_id = 's1' WHERE id = 'anna'")

    begins, follows = (judge, move) if first == "the judge" else (move, judge)
    async with (
        await connect(database.dsn, application_name="test") as one,
        await connect(database.dsn, application_name="test") as other,
    ):
        await begins(one)
        waiting = asyncio.create_task(follows(other))
        await _await_lock(writer)
        await one.commit()
        await waiting
        await other.commit()

    cursor = await writer.execute("SELECT team_id FROM resident_case UNION ALL TABLE teams_seen")
    assert {row[0] for row in await cursor.fetchall()} == {"s1"}
    assert await rows_about(api, "doctor of n1", "anna") == 0


async def _await_lock(writer: Connection) -> None:
    """Wait until somebody waits for a lock."""
    await writer.execute(
        "CREATE OR REPLACE VIEW teams_seen AS SELECT team_id FROM alert WHERE resident_id = 'anna'"
    )
    async with asyncio.timeout(10):
        while True:
            cursor = await writer.execute("SELECT FROM pg_locks WHERE NOT granted")
            if cursor.rowcount:
                return
            await asyncio.sleep(0.01)


async def all_events(api: Database) -> list[FeedEvent]:
    async with api.reading_as_process() as connection:
        return await list_after(connection, after=0, limit=100)


@pytest.mark.parametrize("moved", [False, True])
async def test_the_feed_decides_as_the_policy_does(
    api: Database, writer: Connection, *, moved: bool
) -> None:
    if moved:
        await writer.execute("UPDATE resident SET team_id = 's1' WHERE id IN ('anna', 'stub-n')")
        await writer.execute("UPDATE team SET centre_id = 'south' WHERE id = 'n2'")
    events = await all_events(api)
    assert len(events) == 6

    for who, *_ in SEEN.values():
        async with api.reading(who) as connection:
            cursor = await connection.execute("SELECT number FROM outbox ORDER BY number")
            by_policy = [row["number"] for row in await cursor.fetchall()]
        assert [event.number for event in events if event.is_seen_by(who)] == by_policy


async def test_events_already_in_the_ring_move_with_their_resident(
    api: Database, database: Fresh, writer: Connection
) -> None:
    feed = Feed(ApiSettings(db_dsn=SecretStr(database.dsn)), api)
    running = asyncio.create_task(feed.run())
    doctor, leader = SEEN["doctor of n1"][0], SEEN["leader of n1 and s1"][0]

    async def until(is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if is_so():
                    return
                await asyncio.sleep(0.01)

    def seen_by(who: Principal) -> list[str | None]:
        return [event.resident_id for event in feed._recent if event.is_seen_by(who)]

    try:
        await until(lambda: feed.is_connected)
        await writer.execute(
            "INSERT INTO outbox (number, kind, payload, created_at) SELECT 7, 'case.changed',"
            ' \'{"resident_id": "anna", "team_id": "n1"}\', %s',
            (NOW,),
        )
        await writer.execute("NOTIFY feed")
        await until(lambda: seen_by(doctor) == ["anna"])
        await writer.execute("UPDATE resident SET team_id = 's1' WHERE id = 'anna'")
        await until(lambda: not seen_by(doctor))
        assert seen_by(leader) == ["anna"]
    finally:
        running.cancel()
        await asyncio.wait([running])
