"""The promise: who forgets old readings says the same as who keeps them all.

Cases, transitions, alerts, explanations, timers and events are compared, not sums of them.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest
import pytest_asyncio

from deploy.embedded.stack import Stack
from ingest.db.connections import Connection, connect
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database, cloned
from tests.integration.judge_bench import JudgeBench, open_bench
from tests.integration.retention_bench import (
    Chronicle,
    amendable,
    judge_everybody,
    outcome,
    retain,
    settle_people,
    tell,
)


@pytest_asyncio.fixture
async def twins(
    connection: Connection, database: Database, stack: Stack, template_database: str
) -> AsyncIterator[tuple[JudgeBench, JudgeBench]]:
    """One that forgets, one that keeps everything."""
    forgets = await open_bench(connection, database, TestClock())
    with cloned(stack, template_database) as other:
        async with await connect(other.dsn, application_name="test", autocommit=True) as second:
            yield forgets, await open_bench(second, other, TestClock())


async def require_the_same(forgets: JudgeBench, keeps: JudgeBench) -> None:
    """That nothing tells one from the other; says what does."""
    found, expected = await outcome(forgets), await outcome(keeps)
    for name, rows in expected.items():
        more, less = set(found[name]) - set(rows), set(rows) - set(found[name])
        assert not more | less, f"{name}: more {sorted(more)}, less {sorted(less)}"
    assert found == expected


@pytest.mark.parametrize("seed", range(12))
async def test_who_forgets_says_what_who_keeps_everything_says(
    twins: tuple[JudgeBench, JudgeBench], seed: int
) -> None:
    forgets, keeps = twins
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    chronicle = Chronicle(random)
    people = chronicle.people_of(random.choice([3, 6]))
    for bench in twins:
        await settle_people(bench, people)
    retired = held = 0
    allowed = None
    for stage in range(1, 4):
        told = chronicle.go_on(AT + timedelta(days=100 * stage), allowed)
        for bench in twins:
            await tell(bench, told)
            bench.clock.now = chronicle.now
            await judge_everybody(bench)
        before = chronicle.now - timedelta(days=random.choice([10, 40, 70]))
        done = await retain(forgets, before)
        await judge_everybody(keeps)
        retired, held = retired + done.retired, held + done.held
        allowed = await amendable(forgets.connection)
        await require_the_same(forgets, keeps)

    forgets.clock.pass_by(days=40)
    keeps.clock.pass_by(days=40)
    for bench in twins:
        await bench.work()
        await judge_everybody(bench)
    await require_the_same(forgets, keeps)
    said = await outcome(forgets)
    await judge_everybody(forgets)
    assert await outcome(forgets) == said  # A second judgement adds nothing.
    assert retired > 0
    assert held > 0
