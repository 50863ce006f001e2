"""Promise: no gap, no double, nothing skipped, in order, whoever dies.

Writers commit, take back, wait and vanish at random; dispatchers are killed, frozen and cut off,
with a standby beside; readers page and wait. What was committed is known from outside: each writer
keeps its own list. At no instant may a number be visible before all below it are.
"""

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import httpx
import pytest
from psycopg import OperationalError
from pydantic import SecretStr

from api.database import Database
from api.events.queries import list_visible
from api.settings import ApiSettings
from ingest.db import outbox
from ingest.db.connections import Connection, connect
from ingest.db.outbox import Event
from tests.fix_db import Database as Fresh
from tests.integration.api_processes import NOW, a_dispatcher, an_api, await_numbers
from tests.integration.security_world import SEEN, build_world

WRITERS, TRANSACTIONS, ASSAULTS = 6, 40, 5
DISPATCHER = {
    "DISPATCHER_ROWS_MAX": "11",
    "DISPATCHER_IDLE_S_MAX": "1",
    "DISPATCHER_POLL_MS": "50",
    "DISPATCHER_STANDBY_POLL_MS": "50",
}
CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'suifang-dispatcher'"""
LOOK = "SELECT count(*), coalesce(max(number), 0) FROM outbox WHERE number IS NOT NULL"
Name = tuple[int, int, int]  # Writer, transaction, place in it.


class Writer:
    """Writes at random; knows what it has committed."""

    def __init__(self, database: Fresh, number: int, seed: int) -> None:
        self._dsn = database.dsn
        self._number = number
        self._dice = random.Random(f"{seed}/{number}")  # noqa: S311 - a test's dice
        self.committed: list[tuple[Name, str]] = []  # Name, resident; in order of time.

    async def run(self) -> None:
        """All transactions, one after the other."""
        step = 0
        while step < TRANSACTIONS:
            try:
                async with await connect(self._dsn, application_name="writer") as connection:
                    while step < TRANSACTIONS:
                        step += 1
                        await self._transact(connection, step)
            except OperationalError:
                pass  # It has cut itself off: nothing of that transaction counts.

    async def _transact(self, connection: Connection, step: int) -> None:
        written: list[tuple[Name, str]] = []
        await connection.execute("SELECT 1")  # It begins: what is nested below only saves points.
        for place in range(self._dice.randint(1, 4)):
            resident = self._dice.choice(["anna", "ben", "carl"])
            name = (self._number, step, place)
            event = Event("case.changed", {"name": name, "resident_id": resident})
            async with connection.transaction(force_rollback=self._dice.random() < 0.1) as nested:
                await outbox.insert(connection, [event], at=NOW)
            if not nested.force_rollback:
                written.append((name, resident))
            await asyncio.sleep(self._dice.random() * 0.03)  # Others commit meanwhile.
        fate = self._dice.random()
        if fate < 0.15:
            await connection.rollback()
        elif fate < 0.2:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        else:
            await connection.commit()
            self.committed += written


async def assault(database: Fresh, crew: AsyncExitStack, dice: random.Random) -> None:
    """Two dispatchers at any time; one of them, or both, in trouble."""
    alive = [await crew.enter_async_context(a_dispatcher(database, **DISPATCHER)) for _ in "ab"]
    async with await connect(database.dsn, application_name="foe", autocommit=True) as foe:
        for blow in range(ASSAULTS):
            await asyncio.sleep(dice.random() * 0.8)
            victim = alive.pop(dice.randrange(2))
            if blow % 3 == 0:
                victim.kill()
            elif blow % 3 == 1:
                victim.send_signal(signal.SIGSTOP)
                crew.callback(victim.kill)
            else:
                await foe.execute(CUT_OFF)  # Both; the victim is then replaced as well.
                victim.kill()
            alive.append(await crew.enter_async_context(a_dispatcher(database, **DISPATCHER)))


async def watch(database: Fresh, done: asyncio.Event) -> int:
    """Look again and again whether what is visible has a gap; return how often."""
    looks = 0
    async with await connect(database.dsn, application_name="eye", autocommit=True) as eye:
        while not done.is_set():
            row = await (await eye.execute(LOOK)).fetchone()
            assert row is not None
            assert row[0] == row[1]
            looks += 1
            await asyncio.sleep(0.005)
    return looks


async def follow(client: httpx.AsyncClient, seed: int) -> list[dict[str, Any]]:
    """All events up to the last one, by pages of any size, waiting or not."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    seen: list[dict[str, Any]] = []
    after = 0
    while not seen or seen[-1]["type"] != "resident.erased":
        asked = {"after": after, "limit": dice.randint(1, 60), "wait_s": dice.choice([0, 1, 5])}
        page = (await client.get("/v1/events", params=asked)).raise_for_status().json()
        assert page["next_after"] >= after
        seen += page["items"]
        after = page["next_after"]
        await asyncio.sleep(dice.random() * 0.1)
    return seen


async def follow_as_doctor(database: Fresh, done: asyncio.Event) -> list[int]:
    """Numbers of what the doctor of n1 sees, while it is being written, in small windows."""
    seen: list[int] = []
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), db_connections_max=1)
    async with Database(settings) as opened:
        after, is_at_end = 0, False
        while not (done.is_set() and is_at_end):
            over = done.is_set()
            doctor = SEEN["doctor of n1"][0]
            page = await list_visible(opened, doctor, after=after, limit=3, scan_max=17)
            seen += [item.number for item in page.items]
            after, is_at_end = page.next_after, over and page.is_at_end
            await asyncio.sleep(0)
    return seen


def in_order(names: list[Name]) -> Iterator[bool]:
    """Whether each writer's events stand as it wrote them, one transaction after the other."""
    by_writer: dict[int, list[Name]] = defaultdict(list)
    for name in names:
        by_writer[name[0]].append(name)
    for told in by_writer.values():
        yield all(one < next_ for one, next_ in pairwise(told))


@pytest.mark.parametrize("seed", [1, 2])
async def test_readers_see_every_commit_once_in_order_whoever_dies(
    database: Fresh, connection: Connection, seed: int
) -> None:
    await build_world(connection)
    await connection.execute("DELETE FROM outbox")
    done = asyncio.Event()
    writers = [Writer(database, number, seed) for number in range(WRITERS)]
    async with an_api(database, API_FEED__POLL_MS="100") as api, AsyncExitStack() as crew:
        watching = asyncio.create_task(watch(database, done))
        doctor = asyncio.create_task(follow_as_doctor(database, done))
        readers = [asyncio.create_task(follow(api.client, each)) for each in range(2)]
        dice = random.Random(seed)  # noqa: S311 - a test's dice
        async with asyncio.timeout(90):
            await asyncio.gather(
                assault(database, crew, dice), *(writer.run() for writer in writers)
            )
            committed = dict(pair for writer in writers for pair in writer.committed)
            last = Event("resident.erased", {"resident_id": "carl"})
            await outbox.insert(connection, [last], at=NOW)
            await await_numbers(connection, len(committed) + 1)
            stories = await asyncio.gather(*readers)
            done.set()
            looks, doctors = await asyncio.gather(watching, doctor)

    assert len(committed) > WRITERS * TRANSACTIONS
    assert looks > 50
    for story in stories:
        assert [item["number"] for item in story] == list(range(1, len(committed) + 2))
        names = [tuple(item["data"]["name"]) for item in story[:-1]]
        assert set(names) == set(committed)
        assert all(in_order(names))
    theirs = [item["number"] for item in stories[0] if item["data"]["resident_id"] == "anna"]
    assert doctors == theirs
