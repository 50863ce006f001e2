"""Promise: long work runs beside the API, one at a time, and never outlives it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from api.operations.child import Child
from gateway.wire.times import utc_now
from tests.fix_processes import eventually


@asynccontextmanager
async def working(module: str) -> AsyncIterator[Child]:
    child = Child(module, utc_now)
    task = asyncio.create_task(child.run())
    try:
        yield child
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, holds)


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def pid_of(child: Child) -> int:
    await until(lambda: child.job is not None and "pid" in child.job.progress)
    assert child.job is not None
    return int(child.job.progress["pid"])


async def test_only_one_runs_and_it_ends_when_told_to() -> None:
    async with working("tests.lingering") as child:
        assert child.start({}, {}, by="me", seconds_max=60)
        assert not child.start({}, {}, by="other", seconds_max=60)
        pid = await pid_of(child)
        child.stop()
        await until(lambda: not child.is_busy)
        assert child.job is not None
        assert child.job.problem == "stopped"
        await until(lambda: not is_alive(pid))
        assert child.start({}, {}, by="other", seconds_max=60)
        again = await pid_of(child)

    await until(lambda: not is_alive(again))  # It does not outlive whoever asked.


async def test_what_takes_too_long_is_ended_and_what_breaks_is_told() -> None:
    async with working("tests.lingering") as child:
        child.start({}, {}, by="me", seconds_max=1.5)
        pid = await pid_of(child)
        await until(lambda: not child.is_busy)
        assert child.job is not None
        assert child.job.problem == "too_long"
        await until(lambda: not is_alive(pid))
    async with working("tests.no_such_module") as child:
        child.start({}, {}, by="me", seconds_max=60)
        await until(lambda: not child.is_busy)
        assert child.job is not None
        assert child.job.problem == "failed"


async def test_a_secret_is_told_to_the_process_alone() -> None:
    async with working("ingest.backtest_process") as child:
        question = {"before": "wuzhou", "after": "nobody", "first": "2026-03-01"}
        secret = {"dsn": "postgresql://user:hidden@host/db", "directory": None}
        child.start({**question, "last": "2026-03-02"}, secret, by="me", seconds_max=60)
        await until(lambda: not child.is_busy)
        assert child.job is not None
        assert "no profile has this id" in child.job.detail
        assert "hidden" not in child.job.detail + str(child.job.asked)
