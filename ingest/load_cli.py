"""Commands ``suifang load FILE.json`` and ``suifang load residents FILE.csv``."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError
from typer.core import TyperGroup

from gateway.wire.times import utc_now
from ingest.cli import AsJson, Dsn, ProfileDirectory
from ingest.db import residents
from ingest.db.connections import connect
from ingest.db.errors import DatabaseError
from ingest.db.keyring import (
    BrokenSealError,
    KeyFileError,
    UnknownKeyError,
    read_keyring,
    read_secret_file,
)
from ingest.db.personal import PersonalSealing
from ingest.db.registry import Authorship
from ingest.progress import progress_bar
from ingest.resident_import import NotWrittenError, Report, ResidentImport
from ingest.resident_table import TableError
from rules.errors import ProfileError
from rules.profiles import load_versions

_POPULATION: Final = "population"


class _WithDefault(TyperGroup):
    """``suifang load FILE.json`` is ``suifang load population FILE.json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own click
        """Put the default command in front, where none is named."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [_POPULATION, *args]
        return super().parse_args(ctx, args)


app: Final = typer.Typer(
    cls=_WithDefault,
    help="Load people and places: FILE.json all of it, residents FILE.csv a register.",
    no_args_is_help=True,
)
Author = Annotated[
    str, typer.Option(envvar="SUIFANG_AUTHOR", help="Who loads; it stands in the history.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        envvar="API_KEY_FILE",
        help="Key file of the deployment, for names and ID numbers (suifang keys new).",
    ),
]
PseudonymKey = Annotated[
    Path | None,
    typer.Option(
        "--pseudonym-key",
        envvar="API_PSEUDONYM_KEY_FILE",
        help="The deployment's pseudonym key: ids are compared with ID numbers, or made of them.",
    ),
]


PseudonymKeysBefore = Annotated[
    list[Path] | None,
    typer.Option(
        "--pseudonym-key-before", help="A key that it replaced; may be repeated (docs/rotation.md)."
    ),
]


@app.command(_POPULATION)
def load_population(
    dsn: Dsn,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Population as JSON.")],
    *,
    directory: ProfileDirectory = None,
    key_file: KeyFile = None,
    pseudonym_key: PseudonymKey = None,
    pseudonym_key_before: PseudonymKeysBefore = None,
    author: Author = "load",
    as_json: AsJson = False,
) -> None:
    """Load people and places, contracts, records and amendments; twice changes nothing."""
    try:
        population = TypeAdapter(residents.Population).validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        _fail(f"{file}: {where + ': ' if where else ''}{first['msg']}", code=2)
    _require_profiles(population, file, directory)
    sealing = _sealing(key_file, pseudonym_key, pseudonym_key_before)
    try:
        asyncio.run(_load(dsn, population, author, sealing))
    except (DatabaseError, UnknownKeyError, BrokenSealError) as error:
        _fail(str(error))
    counts = {part.name: len(getattr(population, part.name)) for part in fields(population)}
    text = ", ".join(f"{number} {name}" for name, number in counts.items())
    sys.stdout.write((json.dumps(counts) if as_json else f"loaded {text}") + "\n")


def _require_profiles(population: residents.Population, file: Path, directory: Path | None) -> None:
    """A profile that is not there would stop every judge, so nothing of the file is loaded."""
    chosen = {(f"centre {centre.id}", centre.profile) for centre in population.centres}
    chosen |= {(f"package {package.id}", package.profile) for package in population.packages}
    for owner, profile in sorted((owner, id_) for owner, id_ in chosen if id_ is not None):
        try:
            load_versions(profile, directory)
        except ProfileError as error:
            _fail(f"{file}: {owner}: {error}", code=2)


async def _load(
    dsn: str, population: residents.Population, author: str, sealing: PersonalSealing | None
) -> None:
    async with await connect(dsn, application_name="suifang-load") as connection:
        await residents.load(connection, population, at=utc_now(), author=author, sealing=sealing)


def _sealing(
    key_file: Path | None, pseudonym_key: Path | None, before: Sequence[Path] | None
) -> PersonalSealing | None:
    if key_file is None:
        return None
    try:
        return PersonalSealing(read_keyring(key_file), _read_keys(pseudonym_key, before))
    except KeyFileError as error:
        _fail(str(error), code=2)


def _read_keys(path: Path | None, before: Sequence[Path] | None) -> list[bytes]:
    """Pseudonym keys, the one in force first; without it none."""
    paths = [] if path is None else [path, *(before or ())]
    return [read_secret_file(each, "pseudonym key").rstrip(b"\r\n") for each in paths]


@app.command("residents")
def load_residents(
    dsn: Dsn,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Table as CSV.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; write nothing.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Write what can be written, refuse the rest.")
    ] = False,
    skip_column: Annotated[
        list[str] | None, typer.Option(help="A heading to leave out; may be repeated.")
    ] = None,
    key_file: KeyFile = None,
    pseudonym_key: PseudonymKey = None,
    pseudonym_key_before: PseudonymKeysBefore = None,
    author: Author = "load",
    as_json: AsJson = False,
) -> None:
    """Load a register of residents from a table; a column that is not there stays as it is.

    Headings: 居民编号, 姓名, 身份证号, 出生日期, 性别, 团队编号, 高血压确诊日期, ... or the
    names of the API. UTF-8 or GB 18030. One wrong line and nothing is written, unless --keep-going.
    Exit codes: 0 done; 1 lines were refused, or the database is away; 2 the table cannot be read.
    """
    try:
        work = ResidentImport(
            path=file,
            by=Authorship(author=author, at=utc_now()),
            skipped=skip_column or (),
            keyring=None if key_file is None else read_keyring(key_file),
            pseudonym_keys=_read_keys(pseudonym_key, pseudonym_key_before),
            dry_run=dry_run,
            keep_going=keep_going,
        )
        report = _import(work, dsn)
    except (TableError, KeyFileError) as error:
        _fail(f"{file}: {error}" if isinstance(error, TableError) else str(error), code=2)
    except (DatabaseError, UnknownKeyError, BrokenSealError) as error:
        _fail(str(error))
    _say(report, file, as_json=as_json)


def _import(work: ResidentImport, dsn: str) -> Report:
    """Check all lines first, so that a mistyped one is told in seconds; then write."""
    checked = work.check()
    if checked.errors and not (work.keep_going or work.dry_run):
        return checked

    async def write() -> Report:
        async with await connect(
            dsn, application_name="suifang-load", autocommit=True
        ) as connection:
            return await work.run(connection)

    with progress_bar(f"residents of {work.path.name}", checked.lines) as work.progress:
        try:
            return asyncio.run(write())
        except NotWrittenError as error:
            refused: Report = error.args[0]
            return refused


def _say(report: Report, file: Path, *, as_json: bool) -> None:
    told = report.as_record()
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        for error in report.errors:
            column = f", {error.column}" if error.column else ""
            sys.stderr.write(f"{file}, line {error.line}{column}: {error.problem}\n")
        if report.errors_left_off:
            sys.stderr.write(f"and {report.errors_left_off} more\n")
        words = ("created", "changed", "unchanged", "refused")
        counts = ", ".join(f"{told[word]} {word}" for word in words)
        would = "would be: " if report.dry_run else ""
        sys.stdout.write(f"{report.lines} lines; {would}{counts}\n")
        for name, number in told["fields"].items():
            sys.stdout.write(f"  {name}: {number} residents\n")
    if report.outcomes["refused"]:
        raise typer.Exit(1)


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
