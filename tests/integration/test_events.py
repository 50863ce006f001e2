"""Promise: whoever follows the feed by number gets what is theirs, once, and always gets on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.events.schemas import FEED_ITEM
from api.limits import LimitSettings
from api.settings import ApiSettings, FeedSettings
from ingest.db.connections import Connection
from tests.builders import a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.api_processes import (
    NOW,
    a_dispatcher,
    an_api,
    await_numbers,
    tell,
    write,
)
from tests.integration.judge_bench import HYPERTENSION, open_bench
from tests.integration.running_api import running
from tests.integration.security_world import SEEN, a_principal, build_world
from tests.tokens import ISSUER, Signer

SIGNER = Signer()
DOCTOR = SEEN["doctor of n1"][0]
EVENTS = "/v1/events"


class Reader:
    """Asks as somebody, in this process."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, who: Principal, **asked: Any) -> httpx.Response:  # noqa: ANN401 - query values
        """One request."""
        claims = SIGNER.claims(
            sub=who.subject,
            roles=sorted(who.roles),
            teams=sorted(who.team_ids),
            centres=sorted(who.centre_ids),
        )
        headers = {"Authorization": f"Bearer {SIGNER.sign(claims)}"}
        return await self.client.get(EVENTS, params=asked, headers=headers)

    async def page(self, who: Principal, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - likewise
        """One answered request."""
        response = await self.ask(who, **asked)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@pytest.fixture
async def reader(
    database: Database, connection: Connection, tmp_path: Path
) -> AsyncIterator[Reader]:
    """Two centres' people, whose six events are numbered; a window of ten numbers."""
    await build_world(connection)
    keys = tmp_path / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    settings = ApiSettings(
        db_dsn=SecretStr(database.dsn),
        auth=AuthSettings(issuer=ISSUER, jwks_file=keys),
        limits=LimitSettings(person_burst=10**6),
        feed=FeedSettings(scan_rows_max=10, poll_ms=50, listeners_max=2),
    )
    app = create_app(settings, lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=20) as client,
    ):
        yield Reader(client)


def about(page: dict[str, Any]) -> list[str | None]:
    return [item["data"]["resident_id"] for item in page["items"]]


async def test_pages_join_without_a_gap_and_end_at_the_head(
    reader: Reader, connection: Connection
) -> None:
    await tell(connection, "carl", 20)
    seen, after = [], 0
    while True:
        page = await reader.page(SEEN["contract system"][0], after=after, limit=4)
        seen += [item["number"] for item in page["items"]]
        assert page["next_after"] == (seen[-1] if page["items"] else after)
        after = page["next_after"]
        if after == page["head"]:
            break

    assert seen == list(range(1, 27))


async def test_a_team_with_little_to_see_gets_on_past_what_is_not_theirs(
    reader: Reader, connection: Connection
) -> None:
    await tell(connection, "carl", 35)
    await tell(connection, "anna")
    pages: list[dict[str, Any]] = []
    after = 0
    while not pages or after < pages[-1]["head"]:
        pages.append(await reader.page(DOCTOR, after=after))
        assert after < pages[-1]["next_after"] <= after + 10
        after = pages[-1]["next_after"]

    assert [about(page) for page in pages] == [["anna"], [], [], [], ["anna"]]
    assert pages[-1]["head"] == 42


async def test_a_resident_who_moves_takes_the_past_along(
    reader: Reader, connection: Connection
) -> None:
    await connection.execute("UPDATE resident SET team_id = 's1' WHERE id = 'anna'")

    assert about(await reader.page(DOCTOR)) == []
    assert about(await reader.page(a_principal(Role.DOCTOR, teams="s1"))) == ["anna", "carl"]


async def test_a_filter_moves_on_past_what_was_not_asked(
    reader: Reader, connection: Connection
) -> None:
    await tell(connection, "anna")
    everything = SEEN["contract system"][0]

    page = await reader.page(everything, type="case.changed")
    several = await reader.page(everything, type=["case.changed", "alert.raised"])

    assert [item["number"] for item in page["items"]] == [7]
    assert (page["next_after"], len(several["items"])) == (7, 7)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"after": -1}, "after"),
        ({"after": "x"}, "after"),
        ({"after": 7}, "after"),
        ({"after": 2**63}, "after"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"wait_s": 31}, "wait_s"),
        ({"type": "case.lost"}, "type.0"),
        ({"since": 1}, "since"),
    ],
)
async def test_what_cannot_be_is_named(reader: Reader, asked: dict[str, Any], field: str) -> None:
    response = await reader.ask(DOCTOR, **asked)

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


async def test_one_who_may_not_follow_is_told_so(reader: Reader) -> None:
    for who in (SEEN["supervisor"][0], SEEN["ops"][0]):
        assert (await reader.ask(who)).status_code == 403


async def test_whom_a_page_shows_is_noted_before(reader: Reader, connection: Connection) -> None:
    await reader.page(DOCTOR)

    cursor = await connection.execute(
        "SELECT e.object, h.resident_id FROM audit_entry e "
        "JOIN audit_handle h ON h.handle = ANY(e.handles)"
    )
    assert await cursor.fetchall() == [("list_events", "anna")]


# --- waiting --------------------------------------------------------------------------------------


async def test_a_wait_ends_with_what_is_mine_and_not_with_what_is_not(
    reader: Reader, connection: Connection
) -> None:
    waiting = asyncio.create_task(reader.page(DOCTOR, after=6, wait_s=20))
    await await_listeners(reader, 1)
    await tell(connection, "carl", 3)
    await connection.execute("NOTIFY feed")
    await await_head(reader, 9)
    assert not waiting.done()
    await tell(connection, "anna")
    await connection.execute("NOTIFY feed")
    page = await asyncio.wait_for(waiting, 15)

    assert (about(page), page["next_after"]) == (["anna"], 10)


def listeners(reader: Reader) -> int:
    transport: Any = reader.client._transport
    count: int = transport.app.state.services.feed._listeners
    return count


async def await_listeners(reader: Reader, count: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if listeners(reader) == count:
                return
            await asyncio.sleep(0.01)


async def await_head(reader: Reader, head: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if (await reader.page(DOCTOR))["head"] == head:
                return
            await asyncio.sleep(0.01)


async def test_a_wait_in_vain_still_moves_on(reader: Reader, connection: Connection) -> None:
    page, after = {"next_after": 0}, 0
    async with asyncio.timeout(60):
        while page["next_after"] <= after:  # A slow machine tells them when the wait is over.
            after = (await reader.page(DOCTOR))["head"]
            waiting = asyncio.create_task(reader.page(DOCTOR, after=after, wait_s=1))
            while True:
                if waiting.done() or listeners(reader) == 1:
                    break
                await asyncio.sleep(0.01)
            await tell(connection, "carl", 3)
            page = await waiting

    assert page == {"items": [], "next_after": after + 3, "head": after + 3}


async def test_who_is_behind_does_not_wait(reader: Reader, connection: Connection) -> None:
    await tell(connection, "carl", 30)

    page = await reader.page(DOCTOR, after=6, wait_s=30)

    assert (page["items"], page["next_after"]) == ([], 16)


async def test_those_who_wait_are_bounded_and_nobody_else_is_kept_out(reader: Reader) -> None:
    waiting = [asyncio.create_task(reader.page(DOCTOR, after=6, wait_s=30)) for _ in range(2)]
    await await_listeners(reader, 2)

    refused = await reader.ask(DOCTOR, after=6, wait_s=30)
    served = await reader.ask(DOCTOR, after=6)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

    assert (refused.status_code, served.status_code) == (503, 200)
    assert int(refused.headers["retry-after"]) > 0


# --- what is told ---------------------------------------------------------------------------------


async def test_what_ingest_judge_and_register_tell_is_what_is_described(
    database: Database, connection: Connection
) -> None:
    bench = await open_bench(connection, database, TestClock(), HYPERTENSION)
    for _ in range(2):
        await bench.send(a_blood_pressure("186", "112"))
        await bench.settle()
    await bench.record("visit")
    await bench.settle(days=30)
    async with a_dispatcher(database), an_api(database) as api:
        cursor = await connection.execute("SELECT count(*) FROM outbox")
        ((count,),) = await cursor.fetchall()
        await await_numbers(connection, count)
        items = (await api.client.get(f"{EVENTS}?limit=500")).json()["items"]

    assert {"alert.raised", "case.changed", "record.added", "resident.changed"} <= {
        item["type"] for item in items
    }
    for item in items:
        assert FEED_ITEM.validate_python(item).data.model_extra == {}, item


async def test_the_stream_of_alerts_tells_alerts_and_cases_only(
    database: Database, connection: Connection
) -> None:
    async with a_dispatcher(database), an_api(database, API_FEED__KEEP_ALIVE_MS="100") as api:
        await tell(connection, "anna")
        await connection.execute("UPDATE outbox SET kind = 'resident.changed'")
        await write(connection, ["an alert"])
        await await_numbers(connection, 2)
        async with api.client.stream("GET", "/v1/alerts/stream?after=0") as response:
            async for line in response.aiter_lines():
                if line.startswith("event:"):
                    break

    assert line == "event: alert.raised"
