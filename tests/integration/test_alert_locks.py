"""Promise: whoever changes an alert and whoever tells people of it never lock each other out.

The notifier holds what people said of an alert and writes beside the alert; the judge, a doctor
and a transfer hold the alert and write what people said. They are stopped half-way, by turns.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import pytest

from ingest.db import alerts, attention, routing
from ingest.db.attention import Entry
from ingest.db.connections import Connection, connect
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.notify_bench import NotifyBench, Recorder, a_crew

_BLOCKED: Final = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
Act = Callable[[Connection, UUID], Awaitable[None]]


async def _acknowledge(connection: Connection, alert: UUID) -> None:
    of = await attention.fetch(connection, alert, lock=True)
    assert of is not None
    entry = Entry(what="acknowledged", at=AT, author="d1", reason="contacted")
    await attention.acknowledge(connection, of, entry)


async def _escalate(connection: Connection, found: list[alerts.Stored]) -> None:
    worse = {each.id: each.standing._replace(escalation=1) for each in found}
    await alerts.update(connection, worse, centres={}, at=AT)


async def _judge_the_resident(connection: Connection, _: UUID) -> None:
    await _escalate(connection, await alerts.fetch_for_update(connection, ["r-1"], []))


async def _judge_a_claimed_reading(connection: Connection, alert: UUID) -> None:
    await _escalate(connection, await alerts.fetch_for_update(connection, [], [alert]))


async def _judge_the_alert(connection: Connection, alert: UUID) -> None:
    await _escalate(connection, await alerts.lock(connection, [alert]))


async def _transfer(connection: Connection, _: UUID) -> None:
    await connection.execute("INSERT INTO centre VALUES ('west', 'west')")
    await connection.execute("UPDATE team SET centre_id = 'west' WHERE id = 'east-1'")
    await routing.reroute(connection, [("r-1", "east-1")], at=AT)


ACTS: Final = (
    _acknowledge,
    _judge_the_resident,
    _judge_a_claimed_reading,
    _judge_the_alert,
    _transfer,
)


@asynccontextmanager
async def _another(database: Database) -> AsyncIterator[Connection]:
    async with await connect(database.dsn, application_name="test") as opened:
        yield opened


async def _until_blocked(watching: Connection, *waiting: Connection) -> None:
    for each in waiting:
        while True:
            row = await (await watching.execute(_BLOCKED, (each.info.backend_pid,))).fetchone()
            if row == (True,):
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("act", ACTS)
async def test_an_alert_changes_while_the_notifier_tells_of_it_and_both_get_through(
    connection: Connection, database: Database, clock: TestClock, act: Act
) -> None:
    await a_crew(connection)
    async with (
        asyncio.timeout(60),
        _another(database) as gate,
        _another(database) as changing,
        await connect(database.dsn, application_name="test", autocommit=True) as notifying,
    ):
        bench = NotifyBench(notifying, database, clock, [Recorder()])
        who = None if act is _judge_a_claimed_reading else "r-1"
        alert = await bench.raise_alert(resident_id=who)
        await gate.execute("LOCK TABLE staff_contact IN ACCESS EXCLUSIVE MODE")
        async with asyncio.TaskGroup() as both:
            both.create_task(bench.work())
            await _until_blocked(connection, notifying)  # It holds what people said,
            changed = both.create_task(_commit(act, changing, alert))
            await _until_blocked(connection, changing)  # which the other waits for.
            await gate.rollback()
        assert changed.done()
        assert await bench.rows("SELECT FROM notification")  # Sent, or dropped as acknowledged.


async def _commit(act: Act, connection: Connection, alert: UUID) -> None:
    await act(connection, alert)
    await connection.commit()
