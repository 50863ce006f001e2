"""Commands ``suifang ingest``, ``judge`` and ``migrate``. The only place with a clock."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg
import typer
import uvloop
from psycopg.conninfo import conninfo_to_dict

from gateway.wire.service_manager import supervised
from gateway.wire.times import utc_now
from ingest import logs
from ingest.allocator import keep_memory
from ingest.db import migrate, revisions
from ingest.db.errors import DatabaseError
from ingest.judge import Judge
from ingest.observation import Observation, ObservationSettings
from ingest.pipeline import Pipeline
from ingest.profiles import Profiles
from ingest.session import BrokerRefusedError
from ingest.settings import IngestSettings, JudgeSettings
from rules.errors import ProfileError

_SWITCH_S = 0.000_5
"""How long the decoding thread may keep the interpreter from the one that serves the database.

With Python's 5 ms each of the ten round trips of a transaction could wait that long for it.
"""

app = typer.Typer(help="Store what gateways send.", invoke_without_command=True)
judge_app = typer.Typer(help="Judge due residents.", invoke_without_command=True)
migrate_app = typer.Typer(help="Bring the database's schema up to date.")


def require_conninfo(text: str) -> str:
    """A connection string as it was given; one that is none is a wrong command line."""
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:  # Its text would repeat the password.
        msg = "no PostgreSQL connection string; write postgresql://user:password@host:port/name"
        raise typer.BadParameter(msg) from None
    return text


Dsn = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="SUIFANG_DB_DSN",
        help="PostgreSQL conninfo.",
        callback=require_conninfo,
    ),
]
ProfileDirectory = Annotated[
    Path | None,
    typer.Option(
        "--profiles",
        envvar="JUDGE_PROFILE_DIRECTORY",
        exists=True,
        file_okay=False,
        help="The deployment's own profiles, beside the program's.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.callback()
def run_ingest() -> None:
    """Run one ingest worker. Settings: INGEST_DB_DSN, INGEST_BROKER_PASSWORD, ..."""
    settings = IngestSettings()  # From the environment.
    sys.setswitchinterval(_SWITCH_S)
    logs.configure(settings.broker.client_id)
    profiles = _profiles(settings.profile, settings.profile_directory)
    pipeline = Pipeline(settings, profiles.limits, utc_now)
    observation = Observation(pipeline.metrics.registry, pipeline.find_problems)
    address = _start(observation, settings.observation)
    work = _announced(pipeline, settings.broker.client_id, address)
    _run_until_stopped(work, observation, pipeline.find_problems, stop=pipeline.stop)


def _start(observation: Observation, settings: ObservationSettings) -> str | None:
    try:
        return observation.start(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        _fail(f"metrics cannot be served on {where} ({error}); choose another port", code=2)


async def _announced(pipeline: Pipeline, client_id: str, observed: str | None) -> None:
    """Run, and say on stdout, once, that the subscription stands: nothing is missed from here."""

    async def announce() -> None:
        for source in pipeline.sources:
            await source.connected.wait()
        said = {"subscribed": client_id, "observation": observed}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()

    announcing = asyncio.create_task(announce(), name="announce")
    try:
        await pipeline.run()
    finally:
        announcing.cancel()


@judge_app.callback()
def run_judge() -> None:
    """Run one judge. Settings: JUDGE_DB_DSN, JUDGE_PROFILE, JUDGE_SESSION_WAIT_S, ..."""
    settings = JudgeSettings()  # From the environment.
    logs.configure("judge")
    profiles = _profiles(settings.profile, settings.profile_directory)
    keep_memory()
    judge = Judge(settings, profiles, utc_now)
    observation = Observation(judge.metrics.registry, judge.find_problems)
    _start(observation, settings.observation)
    _run_until_stopped(judge.run(), observation, judge.find_problems)


def _profiles(deployment: str, directory: Path | None) -> Profiles:
    try:
        return Profiles(deployment, directory)
    except ProfileError as error:
        _fail(str(error), code=2)


def _run_until_stopped(
    work: Coroutine[Any, Any, None],
    observation: Observation,
    find_problems: Callable[[], list[str]],
    *,
    stop: Callable[[], None] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; what is unfinished is unacknowledged and comes again.

    Args:
        work: The process.
        observation: Follows its event loop.
        find_problems: For the service manager.
        stop: Asks it to finish and end by itself; a second signal cancels it.
    """
    faults: list[dict[str, Any]] = []

    async def main() -> None:
        loop = observation.follow()
        task = asyncio.ensure_future(supervised(work, find_problems))

        def end(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            faults.append(context)
            task.cancel()

        loop.set_exception_handler(end)  # A bug in a callback is a bug, not a bad connection.
        asked = False

        def end_gently() -> None:
            nonlocal asked
            if stop is None or asked:
                task.cancel()
            else:
                asked = True
                stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end_gently)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    refused: list[BaseException] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except* (BrokerRefusedError, ProfileError) as group:  # Raised in here it would be wrapped.
        refused.append(group)
    if refused:
        _fail(str(_innermost(refused[0])), code=2)
    for context in faults:
        error = context.get("exception")
        raise RuntimeError(context["message"]) from error


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@migrate_app.command("up")
def migrate_up(dsn: Dsn, *, as_json: AsJson = False) -> None:
    """Apply all migrations. Running it twice changes nothing."""
    try:
        migrate.upgrade(dsn)
        _say(migrate.current(dsn), as_json=as_json)
    except DatabaseError as error:
        _fail(str(error))


@migrate_app.command("status")
def migrate_status(dsn: Dsn, *, as_json: AsJson = False) -> None:
    """Say which revision the database is at, and which one this program knows."""
    try:
        _say(migrate.current(dsn), as_json=as_json)
    except DatabaseError as error:
        _fail(str(error))


def _say(revision: str | None, *, as_json: bool) -> None:
    newest = revisions.newest()
    if as_json:
        sys.stdout.write(json.dumps({"revision": revision, "newest": newest}) + "\n")
    else:
        sys.stdout.write(f"database at {revision or 'nothing yet'}, newest is {newest}\n")


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
