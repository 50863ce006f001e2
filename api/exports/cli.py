"""``suifang export``: follow-ups with the national form's fields, as ``GET /v1/exports/followups``.

For whoever runs the database, in a role that may export: row-level security and the audit log apply
as to anybody. It must never leave a file that looks whole and is not: what is written becomes
``FILE`` at the end. Exit codes: 0 done; 1 not possible; 2 wrong usage.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from psycopg.rows import DictRow
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from api.audit import queries as audit
from api.audit.queries import Note
from api.auth.permissions import Permission, Role
from api.auth.principal import Principal
from api.database import Database
from api.errors import ApiError, BadParameterError
from api.exports import queries, visits
from api.operator import Dsn, Json, fail, print_line
from api.settings import ApiSettings
from gateway.wire.times import utc_now

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
_COMMAND: Final = "export"
_DAY: Final = ["%Y-%m-%d"]
Since = Annotated[datetime, typer.Option("--from", formats=_DAY, help="First local day.")]
Until = Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last local day, inclusive.")]
Operator = Annotated[
    str, typer.Option("--operator", help="Who exports; stands in the audit log as operator:NAME.")
]
RoleOption = Annotated[Role, typer.Option("--role", help="In which role; it must have the right.")]
Teams = Annotated[list[str] | None, typer.Option("--team", help="Of a team leader. Repeatable.")]
Centres = Annotated[
    list[str] | None, typer.Option("--centre", help="Of these only. Repeatable; none: all.")
]
Format = Annotated[str, typer.Option("--format", help="csv or json.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Instead of standard output.")
]


@app.command("followups")
def export_followups(
    *,
    database: Dsn,
    operator: Operator,
    since: Since,
    until: Until,
    role: RoleOption = Role.CONTRACT_SYSTEM,
    team: Teams = None,
    centre: Centres = None,
    form: Format = "csv",
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Visits that stand, streamed; a summary at the end: on stderr when they go to stdout."""
    if form not in ("csv", "json"):
        fail(_COMMAND, f"--format {form!r}: csv or json", code=2)
    principal = _principal(operator, role, team, centre)
    summary = {"operator": principal.subject, "format": form, "output": output and str(output)}
    with _opened(output) as stream:
        found = _run(_export(database, principal, (since.date(), until.date()), form, stream))
    summary["visits"] = found
    text = json.dumps(summary, ensure_ascii=False) if as_json else f"{found:,} visits"
    if output is None:
        sys.stderr.write(text + "\n")
    else:
        print_line(text)


@app.command("completeness")
def report_completeness(
    *,
    database: Dsn,
    operator: Operator,
    since: Since,
    until: Until,
    role: RoleOption = Role.CONTRACT_SYSTEM,
    team: Teams = None,
    centre: Centres = None,
    as_json: Json = False,
) -> None:
    """How many visits fill each field that their form asks for, by team."""
    principal = _principal(operator, role, team, centre)
    found = _run(_report(database, principal, (since.date(), until.date())))
    if as_json:
        print_line(json.dumps(found, ensure_ascii=False))
        return
    for each in found["teams"]:
        print_line(f"{each['team_id'] or '-'}: {each['visits']:,} visits")
        for field in each["fields"]:
            of = field["filled"] + field["missing"]
            print_line(f"  {field['field']}: {field['filled']:,}/{of:,}")


def _principal(
    operator: str, role: Role, teams: list[str] | None, centres: list[str] | None
) -> Principal:
    """Who asks. Ends the command for a role that may not export, as the API refuses it."""
    found = Principal(
        subject=f"operator:{operator}",
        kind="person",
        roles=frozenset({role}),
        team_ids=frozenset(teams or ()),
        centre_ids=frozenset(centres or ()),
    )
    if not found.may(Permission.EXPORTS_READ):
        fail(_COMMAND, f"--role {role}: has not the right {Permission.EXPORTS_READ}")
    return found


async def _export(
    dsn: str, principal: Principal, days: tuple[date, date], form: str, stream: BinaryIO
) -> int:
    asked = visits.span(*days, None)
    written = 0
    async with Database(ApiSettings(db_dsn=SecretStr(dsn))) as database:
        async with database.reading(principal) as connection:
            total = await queries.count_visits(connection, asked)
        # A bar where somebody looks, nothing where nobody does.
        bar = Progress(
            console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        )
        with bar:
            task = bar.add_task("visits", total=total)

            async def counted() -> AsyncIterator[list[DictRow]]:
                nonlocal written
                async for rows in _pages(database, principal, asked):
                    yield rows
                    written += len(rows)
                    bar.advance(task, len(rows))

            parts = visits.as_csv(counted()) if form == "csv" else visits.as_json(counted())
            async for part in parts:
                stream.write(part)
    return written


async def _report(dsn: str, principal: Principal, days: tuple[date, date]) -> dict[str, Any]:
    asked = visits.span(*days, None)
    async with Database(ApiSettings(db_dsn=SecretStr(dsn))) as database:
        return (await visits.count_filled(_pages(database, principal, asked))).model_dump()


def _pages(
    database: Database, principal: Principal, asked: dict[str, Any]
) -> AsyncIterator[list[DictRow]]:
    async def saw(residents: Iterable[str]) -> None:
        named = sorted(set(residents))
        if named:
            note = Note(utc_now(), principal.subject, "read", visits.OPERATION, named, [])
            async with database.writing_as_process() as connection:
                await audit.write([note]).run(connection)

    return visits.read_pages(database, principal, saw, asked)


def _run(work: Any) -> Any:  # noqa: ANN401 - whatever it returns
    try:
        return asyncio.run(work)
    except BadParameterError as error:
        fail(_COMMAND, f"--{error}", code=2)
    except (ApiError, OSError) as error:
        fail(_COMMAND, str(error))


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there when all of it is; readable by its owner only."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        fail(_COMMAND, f"--output: {error}")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
