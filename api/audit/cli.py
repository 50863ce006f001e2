"""``suifang audit verify|list|prune``.

Exit codes: 0 as it should be; 1 something was changed, or not possible; 2 wrong usage.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.audit import queries
from api.audit.seal_keys import SealKeys
from api.audit.verification import verify as verify_chain
from api.operator import Dsn, Json, fail, print_line, run_in_transaction
from gateway.wire.times import parse_instant, utc_now
from ingest.db.audit_keeping import KEEP_DAYS, KEEP_DAYS_MIN
from ingest.db.keyring import KeyFileError

app: Final = typer.Typer(
    help="The audit log: who saw or changed whom.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
When = Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339 with an offset.")]
ResultT = TypeVar("ResultT")
_COMMAND: Final = "audit"


@app.command()
def verify(
    *,
    dsn: Dsn,
    key_file: Annotated[
        Path | None,
        typer.Option(envvar="API_AUDIT__KEY_FILE", help="All keys, as an API has them."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A head that was noted earlier; it must still be there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute every seal: finds what was changed, is missing or in another place."""
    try:
        keys = SealKeys(key_file).current()
    except KeyFileError as error:
        fail(_COMMAND, str(error), code=2)

    async def work(connection: AsyncConnection[DictRow]) -> Any:  # noqa: ANN401 - the verification
        return await verify_chain(
            connection, keys=keys, now=utc_now(), expected_head=head, on_progress=_show_progress
        )

    found = _run(dsn, work)
    if as_json:
        plain = {name: getattr(found, name) for name in found.__slots__}
        print_line(json.dumps({"holds": found.holds, **plain}))
    else:
        print_line(
            f"{'holds' if found.holds else 'DOES NOT HOLD'}: {found.seals} seals over"
            f" {found.entries} entries, {found.gone} let go, {found.unsealed} not sealed yet\n"
            f"head: {found.head or 'none'}"
        )
        for key_id, seals in found.keys.items():
            print_line(f"made with {key_id}: {seals} seals")
        for fault in found.faults:
            print_line(f"seal {fault['seal']}: {fault['fault']}")
    if not found.holds:
        raise typer.Exit(1)


@app.command(name="list")
def list_entries(
    *,
    dsn: Dsn,
    subject: Annotated[str | None, typer.Option(help="Who.")] = None,
    resident: Annotated[str | None, typer.Option(help="Whom: a pseudonym.")] = None,
    since: When = None,
    until: When = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """Entries, newest first. An erased resident is counted and cannot be named."""
    asked = {
        "subject": subject,
        "resident": resident,
        "since": _read_time("--since", since),
        "until": _read_time("--until", until),
    }

    async def work(connection: AsyncConnection[DictRow]) -> list[DictRow]:
        return await queries.list_newest(connection, asked, before=None, rows=limit)

    rows = _run(dsn, work)
    if as_json:
        print_line(json.dumps({"entries": [{**row, "at": row["at"].isoformat()} for row in rows]}))
        return
    for row in rows:
        about = " ".join([*row["residents"], *row["things"]])
        print_line(
            f"{row['at'].isoformat()}  {row['subject']}  {row['action']} {row['object']}  {about}"
        )


@app.command()
def prune(
    *,
    dsn: Dsn,
    keep_days: Annotated[
        int, typer.Option(min=KEEP_DAYS_MIN, help="Entries younger than this stay.")
    ] = KEEP_DAYS,
    as_json: Json = False,
) -> None:
    """Let old entries go, whole seals only; the seals stay, so the chain still holds."""

    async def work(connection: AsyncConnection[DictRow]) -> int:
        return await queries.prune(connection, before=utc_now() - timedelta(days=keep_days))

    gone = _run(dsn, work)
    print_line(json.dumps({"entries": gone}) if as_json else f"{gone} entries let go")


def _run(dsn: str, work: Callable[[AsyncConnection[DictRow]], Awaitable[ResultT]]) -> ResultT:
    async def at_one_instant(connection: AsyncConnection[DictRow]) -> ResultT:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return await work(connection)

    return run_in_transaction(_COMMAND, dsn, at_one_instant)


def _read_time(option: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _show_progress(seals: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{seals} seals looked at")
        sys.stderr.flush()
