"""A run for the command line: a stack and a database of its own, Ctrl-C, and always a report."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from deploy.embedded.errors import StackError
from deploy.rehearsal.errors import RehearsalError
from deploy.rehearsal.reporting import to_report
from deploy.rehearsal.run import INTERRUPTED, Run
from deploy.rehearsal.stack import fresh_database, own_stack
from gateway.errors import GatewayError
from ingest.db.errors import DatabaseError
from simulators.errors import SimulatorError
from simulators.report.writing import write_report
from simulators.scenarios.scenario import Scenario

_PARTS = 5


def play(
    scenario: Scenario, folder: Path, *, short: bool, keep: bool, say: Callable[[str], None]
) -> Run:
    """Play one scenario from nothing to its report, which is written however it ends.

    Args:
        scenario: As read.
        folder: For report, ledger and spools.
        short: Whether it is the shorter version, for the report.
        keep: Leave the database for a look.
        say: Told each step.

    Raises:
        RehearsalError: It could not begin.
        KeyboardInterrupt: Ctrl-C before it began.
    """
    run: Run | None = None
    problem: str | None = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # As Ctrl-C: the stack is stopped.
    try:
        with own_stack(say) as stack, fresh_database(stack, keep=keep) as dsn:
            run = Run(
                scenario=scenario, stack=stack, dsn=dsn, folder=folder, short=short, keep=keep
            )
            run.on_day = lambda played: _tell(played, say)
            problem = _play(run)
            if keep:
                say(f"database: {dsn}; its server: SUIFANG_HOME={stack.home} suifang stack up")
            run.problem = problem or run.problem
            write_report(to_report(run), folder)
    except (StackError, DatabaseError) as error:
        if run is None:
            raise RehearsalError(str(error)) from error
        problem = str(error)
    except KeyboardInterrupt:
        if run is None:
            raise
        problem = INTERRUPTED
    assert run is not None  # noqa: S101 - or it was raised above
    run.problem = problem or run.problem
    return run


def _tell(run: Run, say: Callable[[str], None]) -> None:
    part = max(1, run.scenario.days // _PARTS)
    if run.days_played % part == 0:
        say(f"day {run.days_played} of {run.scenario.days}")


def _play(run: Run) -> str | None:
    """Play; what went wrong, or None. What was played is judged in any case."""
    problem: str | None = None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(run))
    except* asyncio.CancelledError:
        problem = INTERRUPTED
    except* (RehearsalError, DatabaseError, GatewayError, SimulatorError) as group:
        problem = _innermost(group)
    return problem


async def _until_stopped(run: Run) -> None:
    """Play and judge. Ctrl-C or SIGTERM ends it with the step it is in, a second one at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(run.play(), name="play")
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked or run.world is None:
            task.cancel()
        asked = True
        run.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    cancelled = False
    try:
        await task
    except asyncio.CancelledError:
        cancelled = True
    if run.ledger.exists():
        await asyncio.to_thread(run.judge)
    if cancelled:
        raise asyncio.CancelledError


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
