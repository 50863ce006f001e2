"""Promise: every committed event is told once, in one order, to whoever resumes by number.

Real processes: API and dispatcher run as the command starts them.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import httpx
import pytest

from ingest.db import outbox
from ingest.db.connections import Connection, connect
from ingest.db.outbox import Event
from tests.fix_db import Database
from tests.integration.api_processes import (
    NOW,
    Told,
    a_dispatcher,
    an_api,
    await_feed,
    await_numbers,
    collect,
    listen,
    write,
)


async def _first(stream: AsyncIterator[Told | int], count: int) -> AsyncIterator[Told | int]:
    """Up to and including the event that makes ``count``."""
    async for told in stream:
        yield told
        count -= isinstance(told, Told)
        if count == 0:
            return


async def write_out_of_order(database: Database, writer: int, committed: set[str]) -> None:
    """50 transactions of five events each; one in five is rolled back."""
    dice = random.Random(writer)  # noqa: S311 - a test's dice
    async with await connect(database.dsn, application_name="test") as connection:
        for step in range(50):
            names = [f"{writer}-{step}-{n}" for n in range(5)]
            events = [Event("alert.raised", {"alert_id": name}) for name in names]
            await outbox.insert(connection, events, at=NOW)
            await asyncio.sleep(dice.random() * 0.04)  # Others commit meanwhile.
            if dice.random() < 0.2:
                await connection.rollback()
            else:
                await connection.commit()
                committed.update(names)


async def read_in_pieces(client: httpx.AsyncClient, seed: int, last: str) -> list[Told]:
    """All events up to the one named ``last``, hanging up at random and resuming."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    seen: list[Told] = []
    async with asyncio.timeout(60):
        while True:
            patience = dice.randint(1, 300)
            after = seen[-1].number if seen else 0
            async with aclosing(listen(client, after=after)) as stream:
                async for told in _first(stream, patience):
                    if isinstance(told, Told):
                        seen.append(told)
                        if told.data["alert_id"] == last:
                            return seen


async def test_readers_that_come_and_go_see_every_commit_once_in_order(
    database: Database, connection: Connection
) -> None:
    committed: set[str] = set()
    async with (
        a_dispatcher(database, DISPATCHER_ROWS_MAX="37"),
        an_api(database, API_FEED__RECENT_EVENTS_MAX="50", API_FEED__PAGE_ROWS_MAX="20") as api,
    ):
        readers = [
            asyncio.create_task(read_in_pieces(api.client, seed, "the end")) for seed in range(3)
        ]
        await asyncio.gather(
            *(write_out_of_order(database, writer, committed) for writer in range(8))
        )
        await write(connection, ["the end"])
        stories = await asyncio.gather(*readers)

    assert 1_000 < len(committed) < 2_000  # Some were rolled back.
    for seen in stories:
        assert [told.number for told in seen] == list(range(1, len(committed) + 2))
        assert {told.data["alert_id"] for told in seen} == committed | {"the end"}


async def test_a_slow_listener_reads_on_from_the_database(
    database: Database, connection: Connection
) -> None:
    async with (
        a_dispatcher(database),
        an_api(database, API_FEED__RECENT_EVENTS_MAX="10", API_FEED__PAGE_ROWS_MAX="7") as api,
        aclosing(listen(api.client)) as stream,
    ):
        assert await anext(stream) == 0
        await write(connection, range(2_000), text="x" * 500)  # Much more than is buffered.
        await await_numbers(connection, 2_000)
        slow = [told async for told in _first(stream, 2_000)]

    assert [told.number for told in slow if isinstance(told, Told)] == list(range(1, 2_001))


async def test_without_a_number_it_starts_now_and_the_header_wins_over_the_address(
    database: Database, connection: Connection
) -> None:
    async with a_dispatcher(database), an_api(database) as api:
        await write(connection, ["old-1", "old-2", "old-3"])
        await await_numbers(connection, 3)
        async with aclosing(listen(api.client)) as live:
            assert await anext(live) == 3
            await write(connection, ["new"], value=1)
            told = await anext(live)
        resumed = await collect(api.client, 2, "/v1/alerts/stream?after=0", after=2)
        replayed = await collect(api.client, 4, "/v1/alerts/stream?after=0")
        listed = (await api.client.get("/v1/alerts")).json()["feed_number"]

    assert isinstance(told, Told)
    assert (told.number, told.kind, told.data["alert_id"]) == (4, "alert.raised", "new")
    assert [told.number for told in resumed] == [3, 4]
    assert [told.number for told in replayed] == [1, 2, 3, 4]
    assert listed == 4


@pytest.mark.parametrize(
    ("asked", "header", "field"),
    [
        ("?after=-1", None, "after"),
        ("?after=x", None, "after"),
        ("?after=7", None, "after"),
        ("?since=7", None, "since"),
        ("", "x", "last-event-id"),
        ("", "7", "Last-Event-ID"),
    ],
)
async def test_a_number_that_cannot_be_is_a_problem(
    database: Database, asked: str, header: str | None, field: str
) -> None:
    async with an_api(database) as api:
        headers = {} if header is None else {"Last-Event-ID": header}
        response = await api.client.get(f"/v1/alerts/stream{asked}", headers=headers)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == field


async def test_head_is_get_without_what_it_tells_and_no_stream(database: Database) -> None:
    async with an_api(database) as api:
        for address in ("/healthz", "/v1/alerts", "/v1/residents/nobody", "/nowhere"):
            got, head = [await api.client.request(each, address) for each in ("GET", "HEAD")]
            assert (head.status_code, head.content) == (got.status_code, b"")
            for name in ("content-type", "content-length", "cache-control"):
                assert head.headers[name] == got.headers[name]
        for address in ("/v1/alerts/stream", "/console/feed/stream"):
            assert (await api.client.head(address)).status_code == 405


async def test_a_filter_lets_through_what_is_asked_and_the_resume_point_moves_on(
    database: Database, connection: Connection
) -> None:
    await connection.execute("INSERT INTO centre VALUES ('north', 'N'), ('south', 'S')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1')")
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('anna', 'n1', %s)", (NOW,)
    )
    settings = {"API_FEED__KEEP_ALIVE_MS": "200"}
    async with a_dispatcher(database), an_api(database, **settings) as api:
        await write(connection, ["says-team"], team_id="n1", centre_id="north")
        await write(connection, ["by-resident"], resident_id="anna", team_id=None)
        await write(connection, ["other-team"], team_id="n2", centre_id="north")
        await write(connection, ["nobody's"], centre_id="south")
        await await_numbers(connection, 4)
        team = await collect(api.client, 2, "/v1/alerts/stream?team=n1")
        centre = await collect(api.client, 3, "/v1/alerts/stream?centre=north")
        async with aclosing(listen(api.client, "/v1/alerts/stream?team=n1&after=2")) as quiet:
            async with asyncio.timeout(10):
                moved = [await anext(quiet), await anext(quiet)]

    assert [told.data["alert_id"] for told in team] == ["says-team", "by-resident"]
    assert [told.number for told in centre] == [1, 2, 3]
    assert moved == [2, 4]


async def test_listeners_beyond_the_limit_are_sent_away_until_one_leaves(
    database: Database,
) -> None:
    async with an_api(database, API_FEED__LISTENERS_MAX="2") as api, AsyncExitStack() as open_ones:
        for _ in range(2):
            stream = await open_ones.enter_async_context(aclosing(listen(api.client)))
            await anext(stream)
        refused = await api.client.get("/v1/alerts/stream")
        await open_ones.aclose()
        async with asyncio.timeout(10):
            while True:
                async with api.client.stream("GET", "/v1/alerts/stream") as again:
                    if again.status_code == 200:
                        break

    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0


async def test_when_the_database_is_lost_the_stream_ends_cleanly_and_can_be_resumed(
    database: Database, connection: Connection
) -> None:
    async with a_dispatcher(database), an_api(database) as api:
        async with aclosing(listen(api.client)) as stream:
            assert await anext(stream) == 0
            await write(connection, ["before"])
            assert isinstance(await anext(stream), Told)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            async with asyncio.timeout(10):
                rest = [told async for told in stream]
        await write(connection, ["meanwhile"])
        await await_numbers(connection, 2)  # The dispatcher, too, has come back.
        await await_feed(api.client)
        resumed = await collect(api.client, 1, after=1)

    assert rest == []
    assert [told.data["alert_id"] for told in resumed] == ["meanwhile"]


async def test_a_gentle_stop_ends_open_streams_cleanly_and_succeeds(database: Database) -> None:
    async with an_api(database) as api, aclosing(listen(api.client)) as stream:
        await anext(stream)
        api.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            rest = [told async for told in stream]
            code = await api.process.wait()

    assert rest == []
    assert code == 0
