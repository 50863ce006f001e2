"""Commands ``suifang credentials make``, ``apply``, ``broker`` and ``rotate``.

Exit codes: 0 done, 1 it failed, 2 the command line is wrong. No secret is ever printed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.credential_folder import OWN_DSNS, CredentialFolder, CredentialFolderError
from gateway.wire.times import utc_now
from ingest.db.keyring import KeyFileError

app = typer.Typer(help="Passwords and keys of a server, in one folder.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Where they are: readable for root only.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("make")
def make_folder(
    folder: Folder,
    *,
    host: Annotated[str, typer.Option(help="The database, as processes reach it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 5432,
    database: Annotated[str, typer.Option(help="Its name.")] = "suifang",
    key_owner: Annotated[
        int | None, typer.Option(help="Number of the account that reads the keys.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make what is missing; what is there stays."""
    with _failing_clearly():
        made = CredentialFolder(folder).make(
            host=host, port=port, database=database, at=utc_now(), key_owner=key_owner
        )
    _say(made, "made", as_json=as_json)


@app.command("apply")
def apply_folder(
    folder: Folder,
    *,
    owner: Annotated[
        str | None, typer.Option("--database", help="Owner's conninfo; else the folder's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make every process's login at the migrated database, or set its password."""
    with _failing_clearly():
        done = CredentialFolder(folder).apply(owner)
    _say(done, "can log in", as_json=as_json)


@app.command("broker")
def write_broker_users(
    folder: Folder,
    *,
    passwords: Annotated[Path, typer.Option(help="Mosquitto's password file.")],
    as_json: AsJson = False,
) -> None:
    """Write the broker's fixed users; gateways stay. It reads them at its next start."""
    with _failing_clearly():
        done = CredentialFolder(folder).write_broker_users(passwords)
    _say(done, "written", as_json=as_json)


@app.command("rotate")
def rotate_one(
    folder: Folder,
    names: Annotated[list[str], typer.Argument(help="Files, such as INGEST_DB_DSN.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Put new passwords in place of old ones; then `apply` or `broker`, and restart who has it.

    SUIFANG_DB_DSN and SUIFANG_BACKUP_DSN hold at once: those logins change their own.
    """
    with _failing_clearly():
        for name in names:
            CredentialFolder(folder).rotate(name)
    waiting = [name for name in names if name not in OWN_DSNS]
    _say(names, "new, and not yet applied" if waiting else "new, and in force", as_json=as_json)


def _say(names: list[str], what: str, *, as_json: bool) -> None:
    typer.echo(json.dumps({"names": names}) if as_json else f"{what}: {', '.join(names) or '-'}")


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except (CredentialFolderError, KeyFileError, OSError) as error:
        typer.echo(f"suifang credentials: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from error
