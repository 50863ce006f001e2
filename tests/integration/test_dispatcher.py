"""Promise: one dispatcher at a time gives committed events their numbers, without a gap.

Real processes, killed and frozen as fate does it.
"""

import asyncio
import signal
from contextlib import AsyncExitStack

from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import (
    NOW,
    a_dispatcher,
    an_api,
    await_numbers,
    collect,
    numbers_in_order_of_id,
    write,
)


async def test_when_the_elected_dispatcher_is_killed_a_standby_goes_on_without_a_gap(
    database: Database, connection: Connection
) -> None:
    async with AsyncExitStack() as crew:
        first = await crew.enter_async_context(a_dispatcher(database, DISPATCHER_ROWS_MAX="10"))
        await write(connection, range(3))
        await await_numbers(connection, 3)  # It is elected.
        await crew.enter_async_context(a_dispatcher(database, DISPATCHER_ROWS_MAX="10"))
        for batch in range(20):
            await write(connection, range(25))
            if batch == 10:
                first.kill()  # In the middle of its work.
        numbers = await await_numbers(connection, 503)

    assert sorted(number for number in numbers if number) == list(range(1, 504))


async def test_a_frozen_dispatcher_loses_its_office_and_comes_back_as_a_standby(
    database: Database, connection: Connection
) -> None:
    settings = {"DISPATCHER_IDLE_S_MAX": "2", "DISPATCHER_POLL_MS": "200"}
    async with a_dispatcher(database, **settings) as first:
        await write(connection, range(3))
        await await_numbers(connection, 3)
        first.send_signal(signal.SIGSTOP)
        async with a_dispatcher(database, **settings) as second:
            await write(connection, range(3))
            await await_numbers(connection, 6)
            first.send_signal(signal.SIGCONT)
            await write(connection, range(3))
            await await_numbers(connection, 9)
            second.kill()
            await write(connection, range(3))
            numbers = await await_numbers(connection, 12)

    assert numbers == list(range(1, 13))


async def test_a_standby_numbers_nothing_while_another_holds_the_office(
    database: Database, connection: Connection
) -> None:
    async with a_dispatcher(database) as first:
        await write(connection, range(3))
        await await_numbers(connection, 3)
        async with a_dispatcher(database):
            await asyncio.sleep(1.5)  # Long enough for the standby to be up.
            first.send_signal(signal.SIGSTOP)
            await write(connection, range(3))
            await asyncio.sleep(1.5)
            meanwhile = await numbers_in_order_of_id(connection)
            first.send_signal(signal.SIGCONT)
            numbers = await await_numbers(connection, 6)

    assert meanwhile == [1, 2, 3, None, None, None]
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_numbers_follow_the_order_of_writing_over_many_small_rounds(
    database: Database, connection: Connection
) -> None:
    await write(connection, range(100))
    async with a_dispatcher(database, DISPATCHER_ROWS_MAX="7") as process:
        numbers = await await_numbers(connection, 100)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 10)

    assert numbers == list(range(1, 101))
    assert code == 0


async def test_an_event_without_a_notify_is_numbered_all_the_same(
    database: Database, connection: Connection
) -> None:
    async with a_dispatcher(database, DISPATCHER_POLL_MS="100"), an_api(database) as api:
        await connection.execute(
            "INSERT INTO outbox (kind, payload, created_at) VALUES ('case.changed', '{}', %s)",
            (NOW,),
        )
        (told,) = await collect(api.client, 1)

    assert (told.number, told.kind) == (1, "case.changed")


async def test_a_dispatcher_that_starts_before_the_schema_waits_for_it(
    database: Database, connection: Connection
) -> None:
    await connection.execute("ALTER TABLE outbox RENAME TO not_yet")
    async with a_dispatcher(database):
        await asyncio.sleep(1.5)
        await connection.execute("ALTER TABLE not_yet RENAME TO outbox")
        await write(connection, ["first"])
        assert await await_numbers(connection, 1) == [1]
