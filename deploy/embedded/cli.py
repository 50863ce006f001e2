"""``suifang stack up|down|status|fetch|dsn``: the private stack from a shell.

The answer goes to standard output (one JSON object with ``--json``), the progress to standard
error. Exit codes: 0 as asked; 1 not so (or, for ``status``, not everything runs); 2 wrong usage.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from deploy.embedded.errors import StackError
from deploy.embedded.folders import Report
from deploy.embedded.stack import Stack
from deploy.embedded.status import StackStatus

app: Final = typer.Typer(
    help="The private PostgreSQL with TimescaleDB and Mosquitto of this checkout.",
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Erase = Annotated[bool, typer.Option("--erase", help="Delete data and passwords, too.")]
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells expect.


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start the services; the first time, fetch the programs and make the database."""
    with _told(as_json=as_json) as report:
        status = Stack.of_checkout().up(report)
    _show(status, as_json=as_json)


@app.command()
def fetch(as_json: AsJson = False) -> None:
    """Have the programs ready and start nothing. Twice is as good as once."""
    with _told(as_json=as_json) as report:
        folder = Stack.of_checkout().fetch(report)
    if as_json:
        sys.stdout.write(json.dumps({"packages": str(folder)}) + "\n")


@app.command()
def dsn(
    database: Annotated[str, typer.Argument(help="A database of the stack, as in demo.json.")],
    as_json: AsJson = False,
) -> None:
    """Print the connection string of a database, password included: for psql and runbooks."""
    with _told(as_json=as_json):
        address = Stack.of_checkout().dsn(database)
    sys.stdout.write((json.dumps({"dsn": address}) if as_json else address) + "\n")


@app.command()
def down(erase: Erase = False, as_json: AsJson = False) -> None:
    """Stop the services. Data, ports and passwords stay, unless --erase."""
    stack = Stack.of_checkout()
    with _told(as_json=as_json) as report:
        if erase:
            stack.erase(report)
        status = stack.down(report)
    _show(status, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say what runs, which versions, on which ports."""
    with _told(as_json=as_json):
        found = Stack.of_checkout().status()
    _show(found, as_json=as_json)
    if not found.running:
        raise typer.Exit(1)


@contextmanager
def _told(*, as_json: bool) -> Iterator[Report]:
    """Report steps on standard error, one living line on a terminal; say errors plainly."""
    console = Console(stderr=True, highlight=False)
    try:
        if console.is_terminal:
            with console.status("looking") as line:
                yield line.update
        else:
            yield lambda step: console.print(step, markup=False, soft_wrap=True)
    except StackError as error:
        _fail(str(error), type(error).__name__, 1, as_json=as_json)
    except OSError as error:  # A full disk, a folder closed to us.
        message = f"{error}. Mend that, then run the command again"
        _fail(message, type(error).__name__, 1, as_json=as_json)
    except KeyboardInterrupt:
        message = "Interrupted. Nothing is broken: run the command again"
        _fail(message, "Interrupted", _INTERRUPTED, as_json=as_json)


def _fail(message: str, kind: str, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        sys.stdout.write(json.dumps({"error": kind, "message": message}) + "\n")
    sys.stderr.write(f"suifang stack: {message}\n")
    raise typer.Exit(code) from None


def _show(status: StackStatus, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(status.as_dict()) + "\n")
        return
    table = Table("service", "state", "version", "address", "process", "since", box=None)
    for each in status.services:
        version = f"{each.version or '-'} ({each.origin})" if each.origin else "-"
        table.add_row(
            each.name,
            "running" if each.running else "stopped",
            version,
            f"{each.host}:{each.port}" if each.port else "-",
            str(each.pid or "-"),
            each.since.strftime("%Y-%m-%d %H:%M:%SZ") if each.since else "-",
        )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    if status.timescaledb:
        console.print(f"TimescaleDB {status.timescaledb}; files in {status.root}", soft_wrap=True)


if __name__ == "__main__":
    app()
