"""Promise: the API says what is missing, never hangs on a database, and cannot write to one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.database import Database
from api.settings import ApiSettings
from ingest.db import migrate, outbox
from ingest.db.connections import connect
from ingest.db.outbox import Event
from ingest.db.residents import Population, Resident, load
from tests.fix_db import Database as Fresh
from tests.fix_ports import free_port
from tests.integration.api_processes import await_feed

NOW = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)


@asynccontextmanager
async def a_client(dsn: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ANN401 - settings are of any type
    settings = {"authentication": "off", **settings}
    app = create_app(ApiSettings(db_dsn=SecretStr(dsn), **settings), lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", timeout=20
        ) as client,
    ):
        yield client


def assert_unavailable(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) > 0
    problem: dict[str, Any] = response.json()
    return problem


async def test_ready_names_the_schema_and_the_lag(database: Fresh) -> None:
    async with a_client(database.dsn) as client:
        response = await await_feed(client)

    assert response.status_code == 200
    assert response.json()["schema_revision"]
    assert response.json()["dispatcher_lag_s"] == 0


async def test_an_api_that_is_stopped_while_it_takes_a_connection_ends(database: Fresh) -> None:
    """The pool forgets a cancellation that comes with a connection; a task then ran for ever."""
    async with asyncio.timeout(60):
        for _ in range(4):
            async with a_client(database.dsn) as client:
                await await_feed(client)


@pytest.mark.parametrize(("age_s", "status"), [(29, 200), (31, 503)])
async def test_an_event_that_nobody_numbers_makes_it_not_ready(
    database: Fresh, age_s: int, status: int
) -> None:
    async with await connect(database.dsn, application_name="test", autocommit=True) as writer:
        await outbox.insert(writer, [Event("alert.raised", {})], at=NOW - timedelta(seconds=age_s))

    async with a_client(database.dsn, dispatcher_lag_s_max=30) as client:
        response = await await_feed(client)

    assert response.status_code == status
    if status == 503:
        assert "suifang dispatcher" in assert_unavailable(response)["checks"]["dispatcher"]


async def test_a_database_without_schema_says_how_to_get_one(database: Fresh) -> None:
    async with await connect(database.dsn, application_name="test", autocommit=True) as writer:
        await writer.execute("DROP TABLE alembic_version")
        await writer.execute("DROP TABLE outbox")

    async with a_client(database.dsn) as client:
        problem = assert_unavailable(await client.get("/readyz"))
        listed = assert_unavailable(await client.get("/v1/alerts"))

    assert "suifang migrate" in problem["checks"]["schema"]
    assert "suifang migrate" in listed["detail"]


async def test_a_schema_older_than_the_program_is_told_and_ends_nothing(database: Fresh) -> None:
    """The audit log's entries are written by what 0035 brought; so nothing of anybody is shown."""
    async with await connect(database.dsn, application_name="test", autocommit=True) as writer:
        await load(writer, Population(residents=[Resident(id="r-1")]), at=NOW)
    await asyncio.to_thread(migrate.downgrade, database.dsn, "0034")

    async with a_client(database.dsn) as client:
        problem = assert_unavailable(await await_feed(client))
        assert problem["checks"]["schema"].startswith("at 0034, ")
        assert "suifang migrate up" in problem["checks"]["schema"]
        assert_unavailable(await client.get("/v1/residents/r-1"))

        await asyncio.to_thread(migrate.upgrade, database.dsn)
        assert (await await_feed(client)).status_code == 200
        assert (await client.get("/v1/residents/r-1")).status_code == 200


async def test_without_a_database_it_lives_and_says_so_soon() -> None:
    dsn = f"host=127.0.0.1 port={free_port()} user=nobody password=secret dbname=none"
    async with a_client(dsn, db_wait_ms_max=200, shutdown_s_max=1) as client:
        assert (await client.get("/healthz")).status_code == 200
        for address in ("/v1/cases", "/v1/alerts", "/v1/residents/r/readings", "/v1/alerts/stream"):
            response = await client.get(address)
            assert_unavailable(response)
            assert "secret" not in response.text
        assert "database" in assert_unavailable(await client.get("/readyz"))["checks"]


async def test_a_query_that_waits_too_long_ends_as_a_problem(database: Fresh) -> None:
    async with (
        await connect(database.dsn, application_name="test") as locker,
        a_client(database.dsn, statement_ms_max=200) as client,
    ):
        await locker.execute("LOCK TABLE alert")
        problem = assert_unavailable(await client.get("/v1/alerts"))
        assert "200 ms" in problem["detail"]
        await locker.rollback()
        assert (await client.get("/v1/alerts")).status_code == 200


async def test_requests_beyond_the_connections_wait_their_bounded_turn(database: Fresh) -> None:
    async with (
        await connect(database.dsn, application_name="test") as locker,
        a_client(database.dsn, db_connections_max=1, db_wait_ms_max=100) as client,
    ):
        async with asyncio.timeout(20):
            while (await client.get("/v1/cases")).status_code != 200:
                pass  # Its one connection is not open yet.
        await locker.execute("LOCK TABLE alert")
        async with _in_flight(client, "/v1/alerts"):
            assert_unavailable(await client.get("/v1/cases"))
        await locker.rollback()


@asynccontextmanager
async def _in_flight(client: httpx.AsyncClient, address: str) -> AsyncIterator[None]:
    task = asyncio.create_task(client.get(address))
    await asyncio.sleep(0.3)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_its_connections_cannot_write(database: Fresh) -> None:
    async with Database(ApiSettings(db_dsn=SecretStr(database.dsn))) as reader:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with reader.reading_as_process() as connection:
                await connection.execute("DELETE FROM alert")
