"""``suifang doctor``: looks at an installation and says what to mend, with the command that does.

Exit codes: 0 nothing failed (there may be warnings); 1 something did; 2 wrong command line.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.doctor import broker, database, machine, processes
from deploy.doctor.findings import Finding, Verdict, is_healthy
from gateway.wire.times import utc_now
from ingest.cli import require_conninfo
from ingest.settings import IngestSettings

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_MARKS: Final = {Verdict.OK: "ok     ", Verdict.WARNING: "WARNING", Verdict.FAILED: "FAILED "}
_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
_SECRET: Final = re.compile(r"(DSN|PASSWORD|SECRET|TOKEN)$")
_DATA: Final = Path("/var/lib/suifang")
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"

Files = Annotated[
    list[Path] | None,
    typer.Option("--env", exists=True, dir_okay=False, help="NAME=VALUE lines, as systemd reads."),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="SUIFANG_DB_DSN",
        callback=lambda text: text and require_conninfo(text),
        help="The schema owner's, to see how old the schema is.",
    ),
]
BrokerConfig = Annotated[
    Path | None, typer.Option(help="mosquitto.conf as the broker is started with it.")
]
Data = Annotated[
    list[Path] | None,
    typer.Option(help=f"Folders with data: room and speed. Default: {_DATA}, if it is there."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback(invoke_without_command=True)
def examine(
    *,
    env: Files = None,
    dsn: Database = None,
    broker_config: BrokerConfig = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Look at this machine's installation: its processes' settings come from the environment."""
    secrets = []
    for path in env or []:
        settings = _read_environment(path)
        os.environ.update(settings)
        if any(_SECRET.search(name) for name in settings):
            secrets.append(path)
    folders = data or [each for each in (_DATA,) if each.is_dir()]
    found = list(_examine(dsn, broker_config, folders, secrets))
    healthy = is_healthy(found)
    if as_json:
        said = {"healthy": healthy, "findings": [asdict(finding) for finding in found]}
        sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
    else:
        _print(found)
    if not healthy:
        raise typer.Exit(1)


def _examine(
    dsn: str | None, broker_config: Path | None, folders: list[Path], secrets: Sequence[Path]
) -> Iterator[Finding]:
    yield from machine.check_machine(folders)
    settings, findings = processes.read_settings(os.environ)
    yield from findings
    yield from processes.check_files(settings, [*secrets, *_list_credentials()])
    yield from processes.check_ports(settings)
    yield from asyncio.run(database.check_database(settings, dsn, utc_now))
    ingest = settings.get("ingest")
    if isinstance(ingest, IngestSettings):
        yield from broker.check_session(ingest)
    if broker_config is not None:
        yield from broker.check_configuration(broker_config)


def _list_credentials() -> list[Path]:
    folder = os.environ.get(_CREDENTIALS)
    return [] if not folder else [each for each in Path(folder).glob("*") if each.is_file()]


def _read_environment(path: Path) -> dict[str, str]:
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            msg = f"{path}, line {number}: write NAME=VALUE"
            raise typer.BadParameter(msg)
        value = match[2].strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[match[1]] = value[1:-1] if quoted else value
    return found


def _print(found: list[Finding]) -> None:
    for finding in found:
        typer.echo(f"{_MARKS[finding.verdict]} {finding.area}: {finding.check}: {finding.found}")
        if finding.remedy:
            typer.echo(f"{'':8}do: {finding.remedy}")
    wrong = [finding for finding in found if finding.verdict is not Verdict.OK]
    failures = sum(finding.verdict is Verdict.FAILED for finding in found)
    typer.echo(f"{len(found)} looked at: {failures} failed, {len(wrong) - failures} warnings")
