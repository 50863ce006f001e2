"""API and dispatcher as processes of their own, and a reader of the feed, for the tests beside."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
from psycopg.types.json import Jsonb

from ingest.db import outbox
from ingest.db.connections import Connection
from ingest.db.outbox import Event
from tests.fix_db import Database

NOW = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)
API = "from api.cli import app; app()"
DISPATCHER = "from api.cli import dispatcher_app; dispatcher_app()"


class Told(NamedTuple):
    """One event as a browser would see it."""

    number: int
    kind: str
    data: dict[str, Any]


@asynccontextmanager
async def a_process(
    code: str, *arguments: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process of ours; killed and reaped at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def a_dispatcher(database: Database, **settings: str) -> Any:  # noqa: ANN401 - a context manager
    return a_process(DISPATCHER, DISPATCHER_DB_DSN=database.dsn_of("dispatcher"), **settings)


class Api(NamedTuple):
    """A running API."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient


@asynccontextmanager
async def an_api(database: Database, **settings: str) -> AsyncIterator[Api]:
    """The API on a free port, once its feed is connected; open unless settings say otherwise."""
    settings = {"API_AUTHENTICATION": "off", **settings}
    arguments = ("--port", "0", "--json")
    async with a_process(API, *arguments, API_DB_DSN=database.dsn_of("api"), **settings) as process:
        assert process.stdout is not None
        address = json.loads(await asyncio.wait_for(process.stdout.readline(), 120))["address"]
        async with httpx.AsyncClient(base_url=address, timeout=20) as client:
            await await_feed(client)
            yield Api(process, client)


async def await_feed(client: httpx.AsyncClient) -> httpx.Response:
    """Ask ``/readyz`` until the feed follows the database, which a start does not wait for."""
    async with asyncio.timeout(20):
        while True:
            response = await client.get("/readyz")
            if response.json().get("checks", {}).keys().isdisjoint({"database", "feed"}):
                return response
            await asyncio.sleep(0.02)


async def listen(
    client: httpx.AsyncClient, address: str = "/v1/alerts/stream", *, after: int | None = None
) -> AsyncGenerator[Told | int]:
    """Events as they come; a bare number is a comment that moves the resume point.

    Raises if the stream ends otherwise than cleanly, and after a minute, whatever comes.
    """
    deadline = asyncio.get_running_loop().time() + 60
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with client.stream("GET", address, headers=headers) as response:
        assert response.status_code == 200, (await response.aread()).decode()
        assert response.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            assert asyncio.get_running_loop().time() < deadline, "waited for a minute"
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "data" in fields:
                told = Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                assert told.data["feed_number"] == told.number
                yield told
            elif "id" in fields:
                yield int(fields["id"])
            fields = {}


async def collect(
    client: httpx.AsyncClient, enough: int, address: str = "/v1/alerts/stream", *, after: int = 0
) -> list[Told]:
    """The first ``enough`` events after a number."""
    found: list[Told] = []
    async with asyncio.timeout(30), aclosing(listen(client, address, after=after)) as stream:
        async for told in stream:
            if isinstance(told, Told):
                found.append(told)
            if len(found) >= enough:
                break
    return found


async def write(connection: Connection, names: Sequence[object], **more: object) -> None:
    """One transaction with an event for every name."""
    async with connection.transaction():
        events = [Event("alert.raised", {"alert_id": str(name), **more}) for name in names]
        await outbox.insert(connection, events, at=NOW)


async def tell(connection: Connection, resident: str | None, count: int = 1, **more: str) -> None:
    """Events that have their number already."""
    await connection.execute(
        "INSERT INTO outbox (number, kind, payload, created_at) "
        "SELECT (SELECT coalesce(max(number), 0) FROM outbox) + n, 'case.changed', %s, %s "
        "FROM generate_series(1, %s) AS n",
        (Jsonb({"resident_id": resident, **more}), NOW, count),
    )


async def numbers_in_order_of_id(connection: Connection) -> list[int | None]:
    cursor = await connection.execute("SELECT number FROM outbox ORDER BY id")
    return [row[0] for row in await cursor.fetchall()]


async def await_numbers(connection: Connection, count: int) -> list[int | None]:
    """Wait until this many events have their number."""
    async with asyncio.timeout(30):
        while True:
            numbers = await numbers_in_order_of_id(connection)
            if sum(number is not None for number in numbers) >= count:
                return numbers
            await asyncio.sleep(0.05)
