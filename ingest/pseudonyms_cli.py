"""Commands ``suifang pseudonyms map`` and ``join``: a new key for the names that cards give.

Exit codes: 0 done; 1 some could not be joined, or the database is away; 2 a file cannot be used.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn
from zoneinfo import ZoneInfo

import typer

from gateway.wire.pseudonyms import pseudonym
from gateway.wire.times import utc_now
from ingest.cli import AsJson, Dsn
from ingest.db.connections import connect
from ingest.db.errors import DatabaseError
from ingest.db.keyring import KeyFileError, read_secret_file
from ingest.db.registry import Authorship
from ingest.progress import progress_bar
from ingest.pseudonym_rotation import COLUMNS, MapError, Pair, Rotation, join_names, read_map

app: Final = typer.Typer(help="A new pseudonym key, without a stop.", no_args_is_help=True)
KEY_BYTES_MIN: Final = 32
_LOCAL: Final = ZoneInfo("Asia/Shanghai")
_SHOWN_MAX: Final = 10
OldKey = Annotated[Path, typer.Argument(metavar="OLD", help="The key that gateways have now.")]
NewKey = Annotated[Path, typer.Argument(metavar="NEW", help="The key that they are to have.")]


@app.command("map")
def make_map(old: OldKey, new: NewKey, *, as_json: AsJson = False) -> None:
    """Read card numbers from stdin, one a line, and print who is called what: old,new.

    For where the numbers are, the contract system; none is kept or shown. A passport is written
    passport:ISSUER:NUMBER. With --json an object a line.
    """
    try:
        keys = [_read_key(path) for path in (old, new)]
    except KeyFileError as error:
        _fail(str(error), code=2)
    if keys[0] == keys[1]:
        _fail(f"{old} and {new} hold the same key", code=2)
    if not as_json:
        sys.stdout.write(",".join(COLUMNS) + "\n")
    for line in sys.stdin:
        if number := line.strip():
            pair = Pair(*(pseudonym(key, number) for key in keys))
            sys.stdout.write((json.dumps(pair._asdict()) if as_json else ",".join(pair)) + "\n")


@app.command("join")
def join(
    dsn: Dsn,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The map, as CSV.")],
    *,
    author: Annotated[str, typer.Option(help="Who says so, for whoever asks later.")] = "operator",
    as_json: AsJson = False,
) -> None:
    """Join every new name to the resident on record, before gateways get the new key.

    API, ingest and judges go on. Interrupted, run it again: it goes on where it was.
    """
    try:
        pairs = read_map(file)
        found = asyncio.run(_join(dsn, pairs, author, utc_now()))
    except MapError as error:
        _fail(str(error), code=2)
    except DatabaseError as error:
        _fail(f"{error}; run it again: what is joined stays so")
    if as_json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    else:
        _show(found)
    if found.refused:
        raise typer.Exit(1)


async def _join(dsn: str, pairs: list[Pair], author: str, at: datetime) -> Rotation:
    by = Authorship(author=author, at=at)
    today = at.astimezone(_LOCAL).date()
    async with await connect(
        dsn, application_name="suifang-pseudonyms", autocommit=True
    ) as connection:
        with progress_bar("residents", len(pairs)) as progress:
            return await join_names(connection, pairs, by, today=today, on_progress=progress)


def _show(found: Rotation) -> None:
    sys.stdout.write(
        f"{found.joined} joined, {found.already} were before, {found.unknown} of nobody on record,"
        f" {found.refused} refused\n"
    )
    for refusal in found.refusals[:_SHOWN_MAX]:
        sys.stdout.write(f"{refusal['old']}: {refusal['problem']}\n")


def _read_key(path: Path) -> bytes:
    key = read_secret_file(path, "pseudonym key").rstrip(b"\r\n")
    if len(key) < KEY_BYTES_MIN:
        msg = f"pseudonym key {path} holds {len(key)} bytes; at least {KEY_BYTES_MIN} are needed"
        raise KeyFileError(msg)
    return key


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
