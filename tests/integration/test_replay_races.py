"""Killed anywhere, twice at once, beside gateways that send again: no id lost or doubled."""

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError
from ingest.db.quarantine_items import Selection
from ingest.sweep import ITEMS_PER_PORTION
from tests.builders import AT, a_blood_pressure, a_glucose, enrol
from tests.fix_db import Database
from tests.fix_processes import COMMAND, eventually
from tests.integration.quarantine_bench import QuarantineBench, outcomes
from tests.roles import prepare_ingest

_WAITING = """
SELECT pid FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name = %s AND datname = %s"""


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


@asynccontextmanager
async def another(database: Database, name: str = "other") -> AsyncIterator[Connection]:
    async with await connect(database.dsn, application_name=name, autocommit=True) as opened:
        await prepare_ingest(opened)
        yield opened


def some_readings(count: int) -> list[dict[str, Any]]:
    """Half of them one measurement with another, every tenth an emergency."""
    return [
        a_blood_pressure(
            "210" if number % 10 == 0 else "130",
            at=AT + timedelta(minutes=number),
            resident_id=f"r-{number % 7}",
            device_sequence=number,
        )
        if number % 2
        else a_glucose(
            at=AT + timedelta(minutes=number), device_sequence=number // 4, resident_id="r-1"
        )
        for number in range(count)
    ]


def wait_until_it_waits(database: Database, name: str) -> int:
    """The backend of that name that waits for a lock."""
    found: list[int] = []

    def waits() -> bool:
        with psycopg.connect(database.dsn, autocommit=True) as asking:
            found[:] = [row[0] for row in asking.execute(_WAITING, (name, database.name))]
        return bool(found)

    eventually(waits)
    return found[0]


async def test_a_connection_cut_in_the_middle_leaves_all_as_it_was(
    bench: QuarantineBench, database: Database
) -> None:
    """It waits inside its transaction, after the ids have lost the quarantine."""
    await bench.refuse(*some_readings(20))
    before = await bench.everything()

    async with (
        another(database, "replaying") as second,
        another(database) as third,
        third.transaction(),
    ):
        await third.execute("SELECT * FROM gateway_day FOR UPDATE")
        cut = asyncio.create_task(bench.replay(connection=second, at=AT))
        pid = await asyncio.to_thread(wait_until_it_waits, database, "replaying")
        assert bench.counts() == (0, 0, 20, 0)  # What everybody else sees meanwhile.
        await third.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(DatabaseUnavailableError):
            await cut

    assert await bench.everything() == before
    assert bench.counts() == (0, 0, 20, 0)
    await bench.replay()
    assert bench.counts()[2:] == (0, 20)


async def test_a_killed_command_leaves_whole_portions(
    bench: QuarantineBench, database: Database
) -> None:
    sent = some_readings(3 * ITEMS_PER_PORTION)
    for low in range(0, len(sent), 50):
        await bench.refuse(*sent[low : low + 50])
    command = [str(COMMAND), "quarantine", "replay", "--everything", "--database", database.dsn]
    # The last portion waits for this lock; by then the first ones are committed.
    key = "INSERT INTO reading_key VALUES ('glu-1', 'sequence::149', 'r-1', gen_random_uuid(), 0)"

    async with another(database) as second, second.transaction(force_rollback=True):
        await second.execute(key)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: ASYNC220
            try:
                await asyncio.to_thread(wait_until_it_waits, database, "suifang-quarantine")
            finally:
                process.kill()

    replayed = await bench.rows("SELECT count(*) FROM quarantine WHERE resolution = 'replayed'")
    assert 0 < replayed[0][0] < len(sent)
    stored, duplicate, quarantined, unsettling = bench.counts()
    assert stored + duplicate == unsettling == replayed[0][0]
    assert quarantined == len(sent) - unsettling
    await bench.replay()
    assert bench.counts()[2:] == (0, len(sent))


async def test_a_lock_that_lasts_too_long_is_waited_for_again(
    bench: QuarantineBench, database: Database
) -> None:
    await bench.refuse(*some_readings(5))
    async with another(database, "replaying") as second, another(database) as third:
        await second.execute("SET lock_timeout = '50ms'")
        async with third.transaction():
            await third.execute("SELECT * FROM gateway_day FOR UPDATE")
            work = asyncio.create_task(bench.replay(connection=second, at=AT))
            await asyncio.to_thread(wait_until_it_waits, database, "replaying")
        assert sum(outcomes(await work).values()) == 5

    assert bench.counts()[2:] == (0, 5)


async def test_what_another_replay_holds_is_left_to_it(
    bench: QuarantineBench, database: Database
) -> None:
    await bench.refuse(*some_readings(10))
    async with another(database) as second, second.transaction():
        await second.execute("SELECT 1 FROM quarantine WHERE number <= 4 FOR UPDATE")
        tally = await bench.replay()

    assert outcomes(tally)["skipped"] == 4
    assert bench.counts()[2:] == (4, 6)


async def test_replays_drops_and_resends_at_once_settle_each_id_once(
    bench: QuarantineBench, database: Database
) -> None:
    """Two replays, one who drops, gateways that send again to new workers and to old ones."""
    sent = some_readings(240)
    for low in range(0, len(sent), 40):
        await bench.refuse(*sent[low : low + 40])
    dice = random.Random(20260302)  # noqa: S311 - repeatable

    def shuffled() -> list[list[dict[str, Any]]]:
        mixed = dice.sample(sent, len(sent))
        return [mixed[low : low + 12] for low in range(0, len(mixed), 12)]

    async with AsyncExitStack() as stack:
        benches = [
            QuarantineBench(
                await stack.enter_async_context(another(database)), database.dsn, bench._folder
            )
            for _ in range(5)
        ]

        async def resend(who: QuarantineBench, *, old: bool) -> None:
            for some in shuffled():
                await _patiently(lambda some=some: (who.refuse if old else who.send)(*some))  # type: ignore[misc]

        async def replay(who: QuarantineBench) -> None:
            for low in dice.sample(range(0, 240, 30), 8):
                await who.replay(
                    Selection(scope="unreplayed", numbers=range(low + 1, low + 31)), at=AT
                )

        async def drop(who: QuarantineBench) -> None:
            for number in dice.sample(range(1, 241), 30):
                await who.drop(Selection(numbers=[number]))

        await asyncio.gather(
            replay(benches[0]),
            replay(benches[1]),
            resend(benches[2], old=False),
            resend(benches[3], old=True),
            drop(benches[4]),
        )

    bench.counts()
    numbers = [row[0] for row in await bench.rows("SELECT number FROM quarantine")]
    await bench.replay(Selection(scope="unreplayed", numbers=numbers))
    stored, duplicate, quarantined, _ = bench.counts()
    assert (stored + duplicate, quarantined) == (len(await bench.dispositions()), 0)
    raised = await bench.rows("SELECT payload ->> 'id' FROM outbox WHERE kind = 'alert.raised'")
    assert len(raised) == len(set(raised)) == len(await bench.rows("SELECT 1 FROM alert"))


async def _patiently(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """As the pipeline does: the same batch again until the database takes it."""
    while True:
        try:
            await work()
        except DatabaseUnavailableError:
            continue
        return
