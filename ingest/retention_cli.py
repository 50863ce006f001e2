"""Commands ``suifang retention plan``, ``run``, ``events``, ``floor`` and ``status``."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NoReturn

import typer
from psycopg.errors import InsufficientPrivilege
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway.wire.times import utc_now
from ingest.checkpoints import UnreadableCheckpointError
from ingest.cli import AsJson, Dsn, ProfileDirectory
from ingest.db import outbox_pruning, retention
from ingest.db.audit_keeping import KEEP_DAYS, KEEP_DAYS_MIN
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseError, translated
from ingest.judge import Judge
from ingest.profiles import Profiles
from ingest.retention import Done, Plan, Retention, RetentionBlockedError, plan
from ingest.settings import JudgeSettings
from rules.errors import ProfileError

app = typer.Typer(help="Let old readings go; what they came to stays.", no_args_is_help=True)

_SPAN: Final = re.compile(r"(\d{1,4})\s*(days?|months?|years?)")
_DAYS: Final = {"day": 1, "month": 30.4375, "year": 365.25}
_KEEP_EVENTS: Final = f"{KEEP_DAYS}days"
_EVENTS_PER_PAGE: Final = 5_000
Report = Callable[[str, int, int], None]


def _read_span(
    text: str,
    days_min: int = retention.FLOOR_DAYS_MIN,
    why: str = "open screenings look back that far",
) -> timedelta:
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is no span; write 24months, 2years or 730days"
        raise typer.BadParameter(msg)
    span = timedelta(days=int(int(found[1]) * _DAYS[found[2].rstrip("s")]))
    if span < timedelta(days=days_min):
        msg = f"{text!r} is less than {days_min} days: {why}"
        raise typer.BadParameter(msg)
    return span


Keep = Annotated[
    str,
    typer.Option(
        "--keep",
        envvar="SUIFANG_KEEP",
        metavar="SPAN",
        help="How long readings are kept: 24months, 2years, 730days. Whole chunks go only.",
    ),
]


KeepEvents = Annotated[
    str,
    typer.Option(
        "--keep-events",
        envvar="SUIFANG_KEEP_EVENTS",
        metavar="SPAN",
        help="How long events of the feed are kept: 365days, 2years. As the audit log.",
    ),
]


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it returns
    try:
        return asyncio.run(work)
    except (DatabaseError, RetentionBlockedError, UnreadableCheckpointError) as error:
        _fail(str(error))
    except ProfileError as error:
        _fail(str(error), code=2)


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on stderr where somebody looks; where nobody does, nothing."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("looking", total=None)
        yield lambda step, done, total: bar.update(
            task, description=step, completed=done, total=total
        )


async def _open(dsn: str) -> Connection:
    """A connection that may take its time: the first run looks at all old readings."""
    opened = await connect(
        dsn,
        application_name="suifang-retention",
        autocommit=True,
        role=ProcessRole.MAINTENANCE,
    )
    with translated():
        await opened.execute("SET statement_timeout = '15min'")
        await opened.execute("SET idle_in_transaction_session_timeout = '2min'")
    return opened


@app.command("plan")
def show_plan(dsn: Dsn, keep: Keep = "24months", *, as_json: AsJson = False) -> None:
    """Say what a run would let go. Changes nothing."""
    found: Plan = _run(_plan(dsn, utc_now() - _read_span(keep)))
    if as_json:
        sys.stdout.write(json.dumps(found.as_record()) + "\n")
        return
    sys.stdout.write(
        f"readings before {found.edge:%Y-%m-%d} would go: {found.readings:,} of"
        f" {found.residents:,} residents, in {found.chunks} whole chunks; those that something"
        " open rests on would be held back\n"
    )


async def _plan(dsn: str, before: datetime) -> Plan:
    async with await _open(dsn) as opened:
        return await plan(opened, before)


@app.command("run")
def run(
    dsn: Dsn,
    keep: Keep = "24months",
    keep_events: KeepEvents = _KEEP_EVENTS,
    profile: Annotated[
        str, typer.Option("--profile", envvar="JUDGE_PROFILE", help="The deployment's.")
    ] = "wuzhou",
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="As plan: say what would go; change nothing.")
    ] = False,
    directory: ProfileDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Fold everybody's old readings into checkpoints, then drop whole chunks; let old events go.

    Killed anywhere it is simply run again; live processes go on meanwhile.
    """
    if dry_run:
        show_plan(dsn, keep, as_json=as_json)
        return
    before = utc_now() - _read_span(keep)
    events_before = _events_before(keep_events)
    try:
        profiles = Profiles(profile, directory)
    except ProfileError as error:
        _fail(str(error), code=2)
    settings = JudgeSettings(db_dsn=SecretStr(dsn), profile=profile)
    done: Done = _run(_retain(dsn, Judge(settings, profiles, utc_now), before))
    record = {**done.as_record(), "events": _run(_prune(dsn, events_before))["events"]}
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
        return
    sys.stdout.write(
        f"readings are kept since {done.edge:%Y-%m-%d}: {done.retired:,} let go in"
        f" {done.chunks} chunks, {done.held:,} held back, {done.residents:,} residents folded\n"
        f"{record['events']:,} events of the feed let go\n"
    )


async def _retain(dsn: str, judge: Judge, before: datetime) -> Done:
    async with await _open(dsn) as opened:
        with _progress() as report:
            return await Retention(opened, judge, report).run(before)


def _events_before(keep: str) -> datetime:
    """Not less than the audit log: whom a stream's listener saw is in the feed alone."""
    why = "the audit log keeps who listened to the feed, and only the feed says whom they saw"
    return utc_now() - _read_span(keep, KEEP_DAYS_MIN, why)


@app.command("events")
def prune_events(
    dsn: Dsn, keep_events: KeepEvents = _KEEP_EVENTS, *, as_json: AsJson = False
) -> None:
    """Let old events of the feed go, as `run` does at its end. For a nightly timer.

    What a subscription has not been told yet stays, whatever its age.
    """
    record = _run(_prune(dsn, _events_before(keep_events)))
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
        return
    sys.stdout.write(
        f"{record['events']:,} events let go; the feed begins after {record['floor']},"
        f" with {record['oldest_at'] or 'nothing yet'}\n"
    )


async def _prune(dsn: str, before: datetime) -> dict[str, Any]:
    async with await _open(dsn) as opened:
        gone = 0
        with translated(), _progress() as report:
            while True:
                page = await outbox_pruning.prune(opened, before, rows_max=_EVENTS_PER_PAGE)
                gone += page
                report("letting events go", gone, gone)
                if page < _EVENTS_PER_PAGE:
                    break
            state = await outbox_pruning.fetch_state(opened)
    return {
        "events": gone,
        "floor": state.floor,
        "oldest_at": state.oldest_at and state.oldest_at.isoformat(),
        "held_at": state.held_at,
    }


@app.command("floor")
def set_floor(
    dsn: Dsn,
    span: Annotated[str, typer.Argument(metavar="SPAN", help="24months, 2years, 730days.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say how long readings are kept at least, whatever `run` is told. As the database's owner.

    The login that runs retention cannot lower it: who has stolen that cannot let younger ones go.
    """
    days = _read_span(span).days
    _run(_set_floor(dsn, days))
    if as_json:
        sys.stdout.write(json.dumps({"floor_days": days}) + "\n")
        return
    sys.stdout.write(f"readings are kept for {days} days at least\n")


async def _set_floor(dsn: str, days: int) -> None:
    async with await connect(dsn, application_name="suifang-retention", autocommit=True) as opened:
        with translated():
            try:
                await retention.set_floor(opened, days)
            except InsufficientPrivilege:
                _fail("only the owner of the database says so: use the address `migrate` uses")


@app.command("status")
def status(dsn: Dsn, *, as_json: AsJson = False) -> None:
    """Say what is kept since when, what is held back, and what came too late."""
    record = _run(_status(dsn))
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
        return
    for name, value in record.items():
        shown = f"{value:,}" if isinstance(value, int) else value or "-"
        sys.stdout.write(f"{name.replace('_', ' '):18} {shown}\n")
    if record["policies"]:
        sys.stderr.write(
            "suifang: TimescaleDB has a retention policy of its own on table reading. It drops"
            " readings that nobody has folded: SELECT remove_retention_policy('reading')\n"
        )


async def _status(dsn: str) -> dict[str, Any]:
    async with await _open(dsn) as opened:
        with translated():
            edge = await retention.fetch_edge(opened)
            counts = (await retention.count(opened))._asdict()
    oldest = counts["oldest_chunk"]
    return {
        "kept_since": None if edge == retention.NO_EDGE else edge.isoformat(),
        **counts,
        "oldest_chunk": oldest and oldest.isoformat(),
    }
