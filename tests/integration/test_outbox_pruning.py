"""Promise: old events go, numbering goes on, and nobody is led past what is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.outbox_pruning import FeedState, fetch_state, prune
from ingest.retention_cli import app
from tests.fix_db import Database
from tests.integration.api_processes import NOW, a_dispatcher, tell, write
from tests.integration.webhook_bench import BROKEN, Bench, Receiver, a_bench, a_receiver
from tests.roles import working_as

LATER = NOW + timedelta(days=36_500)
# Half a year of events is kept before the last day on which a reading came.
MUCH_LATER = "INSERT INTO gateway_day (gateway_id, day) VALUES ('gw', %s) ON CONFLICT DO NOTHING"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as listening:
        yield listening


@pytest.fixture
async def bench(database: Database, connection: Connection) -> AsyncIterator[Bench]:
    async with a_bench(database, connection) as opened:
        yield opened


async def let_go(connection: Connection, *, rows_max: int = 1_000) -> int:
    """Prune whatever its age, as retention does."""
    await connection.execute(MUCH_LATER, (LATER + timedelta(days=184),))
    async with working_as(connection, ProcessRole.MAINTENANCE):
        return await prune(connection, LATER, rows_max=rows_max)


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """Status, type and field of a problem."""
    problem = response.json()
    return response.status_code, problem["type"], problem["errors"][0]["field"]


async def test_only_what_is_older_goes_from_the_front_on_and_page_by_page(
    connection: Connection,
) -> None:
    await tell(connection, "anna", 10)
    await connection.execute(MUCH_LATER, (LATER + timedelta(days=184),))
    await connection.execute("UPDATE outbox SET created_at = %s", (NOW,))
    await connection.execute(  # Written later, numbered before: it is a gap that nobody may see.
        "UPDATE outbox SET created_at = %s WHERE number = 7", (NOW + timedelta(days=1),)
    )
    async with working_as(connection, ProcessRole.MAINTENANCE):
        before = NOW + timedelta(hours=1)
        gone = [await prune(connection, before, rows_max=4) for _ in range(3)]
        state = await fetch_state(connection)

    assert gone == [4, 2, 0]
    assert state == FeedState(floor=6, oldest_at=NOW + timedelta(days=1), held_at=None)


async def test_half_a_year_of_events_stays_whatever_is_asked(connection: Connection) -> None:
    """Before the last day on which a reading came; where none came, before the newest event."""
    await tell(connection, "anna", 10)
    for number, days in enumerate((400, 200, 150, 120), 1):
        at = NOW - timedelta(days=days)
        await connection.execute(
            "UPDATE outbox SET created_at = %s WHERE number = %s", (at, number)
        )
    async with working_as(connection, ProcessRole.MAINTENANCE):
        assert await prune(connection, LATER, rows_max=100) == 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM outbox")
    await connection.execute(MUCH_LATER, (NOW + timedelta(days=40),))
    async with working_as(connection, ProcessRole.MAINTENANCE):
        assert await prune(connection, LATER, rows_max=100) == 1


async def test_who_goes_on_from_what_is_gone_is_told_where_to_begin(bench: Bench) -> None:
    await tell(bench.connection, "anna", 30)
    assert await let_go(bench.connection) == 29

    gone = (410, "urn:suifang:problem:events-gone")
    late = await bench.client.get("/v1/events?after=28")
    assert refusal(late) == (*gone, "after")
    assert "after=29" in late.json()["errors"][0]["remedy"]
    assert refusal(await bench.client.get("/v1/alerts?after=0&wait_s=0")) == (*gone, "after")
    header = {"Last-Event-ID": "28"}
    stream = await bench.client.get("/v1/alerts/stream", headers=header)
    assert refusal(stream) == (*gone, "Last-Event-ID")
    page = (await bench.client.get("/v1/events?after=29")).json()
    assert [item["number"] for item in page["items"]] == [30]
    await tell(bench.connection, "anna")
    page = (await bench.client.get("/v1/events?after=29")).json()
    assert [item["number"] for item in page["items"]] == [30, 31]


async def test_what_a_subscription_was_not_told_yet_stays(bench: Bench, receiver: Receiver) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 20)
    assert await let_go(bench.connection) == 0

    assert await bench.turn() == 20

    assert await let_go(bench.connection) == 19


async def test_a_parked_subscription_goes_on_where_its_owner_says_and_skips_nothing_by_itself(
    bench: Bench, receiver: Receiver
) -> None:
    receiver.otherwise = BROKEN
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 20)
    await bench.turn()
    await bench.connection.execute(
        "UPDATE webhook SET parked_at = %s, parked_because = 'failing'", (NOW,)
    )
    assert await let_go(bench.connection) == 19
    refused = await bench.replay(0)
    assert refusal(refused) == (410, "urn:suifang:problem:events-gone", "after")
    sent = len(receiver.requests)

    await bench.connection.execute(
        "UPDATE webhook SET parked_at = NULL, parked_because = NULL, next_at = NULL"
    )
    await bench.turn()

    standing = await bench.standing()
    assert (standing["state"], standing["after"]) == ("parked", 0)
    assert "events up to 19 are not kept any more" in standing["last_problem"]
    assert len(receiver.requests) == sent
    receiver.otherwise = receiver.behaviours.pop() if receiver.behaviours else receiver.otherwise
    assert (await bench.replay(19)).status_code == 200


async def test_numbering_goes_on_without_a_gap_while_events_go(
    database: Database, connection: Connection
) -> None:
    await connection.execute(MUCH_LATER, (LATER + timedelta(days=184),))
    async with (
        a_dispatcher(database, DISPATCHER_ROWS_MAX="10"),
        await connect(
            database.dsn_of("maintenance"),
            application_name="test",
            autocommit=True,
            role=ProcessRole.MAINTENANCE,
        ) as maintenance,
        asyncio.timeout(60),
    ):
        gone = 0
        for _ in range(30):
            await write(connection, range(12))
            gone += await prune(maintenance, LATER, rows_max=7)
        while gone < 359:
            gone += await prune(maintenance, LATER, rows_max=7)

    cursor = await connection.execute("SELECT number FROM outbox")
    assert await cursor.fetchall() == [(360,)]


def test_the_command_lets_old_events_go_and_says_from_where_on_they_are(
    database: Database,
) -> None:
    dsn = database.dsn_of("maintenance")
    short = CliRunner().invoke(app, ["events", "--database", dsn, "--keep-events", "182days"])
    said = CliRunner().invoke(app, ["events", "--database", dsn, "--json"])

    assert short.exit_code == 2
    assert "less than 183 days" in short.stderr
    assert json.loads(said.stdout) == {"events": 0, "floor": 0, "oldest_at": None, "held_at": None}
