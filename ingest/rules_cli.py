"""Commands ``suifang rules backtest`` and ``rejudge``: the rules on stored history."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any, NoReturn

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from gateway.wire.times import utc_now
from ingest.backtest import Comparison, Question, backtest
from ingest.cli import AsJson, Dsn, ProfileDirectory
from ingest.db import residents
from ingest.db.connections import connect
from ingest.db.errors import DatabaseError
from ingest.judge import Judge
from ingest.profiles import Profiles
from ingest.progress import progress_bar
from ingest.rejudge import Rejudged, rejudge
from ingest.settings import JudgeSettings
from rules.errors import ProfileError

backtest_app = typer.Typer()
rejudge_app = typer.Typer()
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it returns
    try:
        return asyncio.run(work)
    except DatabaseError as error:
        _fail(str(error))
    except ProfileError as error:
        _fail(str(error), code=2)


@backtest_app.command()
def run_backtest(
    dsn: Dsn,
    profile: Annotated[str, typer.Option("--profile", help="The profile in force.")],
    against: Annotated[str, typer.Option("--against", help="The one that may take its place.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Local day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Inclusive.")],
    *,
    directory: ProfileDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Compare two profiles on stored history. Changes nothing."""
    if first > last:
        _fail(f"--from {first:%Y-%m-%d} lies after --to {last:%Y-%m-%d}", code=2)
    try:
        question = Question(
            before=Profiles(profile, directory),
            after=Profiles(against, directory),
            first=first.date(),
            last=last.date(),
        )
    except ProfileError as error:
        _fail(str(error), code=2)
    found: Comparison = _run(_backtest(dsn, question))
    record = found.as_record(question)
    if as_json:
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        _show(record)


async def _backtest(dsn: str, question: Question) -> Comparison:
    async with await connect(dsn, application_name="suifang-backtest", autocommit=True) as opened:
        total = await residents.count(opened)
        with progress_bar("judging by both", total) as progress:
            return await backtest(opened, question, progress)


def _show(record: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"{record['profile']} against {record['against']}, alerts of {record['from']} to"
        f" {record['to']}: {record['residents']:,} residents, {record['readings']:,} readings,"
        f" {record['residents_affected']:,} residents affected"
    )
    if record["since"]:
        console.print(f"readings are kept since {record['since']}; what is older was not judged")
    _table(console, "Alerts", record["alerts"], ("code", "before", "after", "new", "lost"))
    columns = ("team", "week", "before", "after", "extra")
    _table(console, "Alerts by team and week", record["alerts_by_week"], columns)
    _table(console, "Follow-ups by team and week due", record["followups"], columns)


def _table(
    console: Console, title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]
) -> None:
    table = Table(title=title, title_justify="left")
    for name in columns:
        numeric = name not in {"code", "team", "week"}
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("-" if row[name] is None else f"{row[name]}" for name in columns))
    console.print(table)


@rejudge_app.command()
def run_rejudge(
    dsn: Dsn,
    profile: Annotated[
        str, typer.Option("--profile", envvar="JUDGE_PROFILE", help="The deployment's.")
    ] = "wuzhou",
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    directory: ProfileDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Recompute all cases from history; what differs becomes events."""
    try:
        profiles = Profiles(profile, directory)
    except ProfileError as error:
        _fail(str(error), code=2)
    settings = JudgeSettings(db_dsn=SecretStr(dsn), profile=profile)
    found: Rejudged = _run(_rejudge(dsn, Judge(settings, profiles, utc_now), dry_run=dry_run))
    record = {"dry_run": dry_run, **found.as_record()}
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        words = [f"{value:,} {name.replace('_', ' ')}" for name, value in found.as_record().items()]
        sys.stdout.write(("would be: " if dry_run else "") + ", ".join(words) + "\n")


async def _rejudge(dsn: str, judge: Judge, *, dry_run: bool) -> Rejudged:
    async with await connect(dsn, application_name="suifang-rejudge", autocommit=True) as opened:
        total = await residents.count(opened)
        with progress_bar("judging again", total) as progress:
            return await rejudge(opened, judge, progress, dry_run=dry_run)
