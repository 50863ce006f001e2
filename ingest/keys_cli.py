"""Commands ``suifang keys new``, ``status`` and ``rotate``: the deployment's keys.

They wrap the residents' keys and seal the secrets of webhooks.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from gateway.wire.times import utc_now
from ingest.cli import AsJson, Dsn
from ingest.db import personal, webhook_secrets
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseError, translated
from ingest.db.keyring import (
    BrokenSealError,
    KeyFileError,
    Keyring,
    UnknownKeyError,
    add_key,
    read_keyring,
)
from ingest.progress import progress_bar

app: Final = typer.Typer(help="Keys for names and ID numbers.", no_args_is_help=True)
ROWS_OF_TRANSACTION: Final = 1_000
File = Annotated[
    Path, typer.Argument(envvar="API_KEY_FILE", dir_okay=False, help="The deployment's key file.")
]


@app.command("new")
def new_key(
    file: File,
    *,
    key_id: Annotated[str | None, typer.Option("--id", help="Its name; else the day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put a new random key in front of a key file; makes the file if there is none.

    Copy the file to every API process, keep it off the database's backups, then `keys rotate`.
    """
    name = key_id or f"{utc_now():%Y-%m-%d}"
    try:
        add_key(file, name)
    except KeyFileError as error:
        _fail(str(error), code=2)
    told = {"key_id": name, "file": str(file)}
    text = f"key {name} is in force once the API processes have read {file}"
    sys.stdout.write((json.dumps(told) if as_json else text) + "\n")


@app.command("status")
def show_status(dsn: Dsn, file: File, *, as_json: AsJson = False) -> None:
    """Say how many residents' keys each key wraps, and whether one is missing from the file."""
    keyring = _read(file)
    counts, secrets = _run(_count(dsn))
    missing = sorted((counts.keys() | secrets.keys()) - keyring.keys.keys())
    told = {
        "current": keyring.current_id,
        "residents": counts,
        "webhook_secrets": secrets,
        "missing": missing,
    }
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"in force: {keyring.current_id}\n")
        for key_id in sorted({*counts, *secrets, *keyring.keys}):
            note = " (not in the key file: put it back)" if key_id in missing else ""
            hooks = f", {secrets[key_id]} webhook secrets" if key_id in secrets else ""
            sys.stdout.write(f"  {key_id}: {counts.get(key_id, 0)} residents{hooks}{note}\n")
    if missing:
        raise typer.Exit(1)


async def _count(dsn: str) -> tuple[dict[str, int], dict[str, int]]:
    async with await connect(dsn, application_name="suifang-keys") as connection:
        with translated():
            residents = await personal.count_by_key(connection)
            return residents, await webhook_secrets.count_by_key(connection)


@app.command("rotate")
def rotate(dsn: Dsn, file: File, *, as_json: AsJson = False) -> None:
    """Wrap every resident's key again by the key in force, and seal webhooks' secrets by it.

    Names themselves are not touched.

    Interrupted, it goes on where it was. A key that wraps nothing any more may leave the file
    once no backup is needed that was made under it.
    """
    keyring = _read(file)
    told = _run(_rotate(dsn, keyring))
    text = f"{told['rewrapped']} residents' keys are now wrapped by {told['key_id']}"
    sys.stdout.write((json.dumps(told) if as_json else text) + "\n")


async def _rotate(dsn: str, keyring: Keyring) -> dict[str, Any]:
    done = 0
    async with await connect(dsn, application_name="suifang-keys", autocommit=True) as connection:
        with translated():
            counts = await personal.count_by_key(connection)
            old = {id_: count for id_, count in counts.items() if id_ != keyring.current_id}
            with progress_bar("keys", sum(old.values())) as progress:
                for key_id in sorted(old):
                    async for rewrapped in _rewrap(connection, keyring, key_id):
                        done += rewrapped
                        progress(rewrapped)
            async with connection.transaction():
                secrets = await webhook_secrets.reseal(connection, keyring)
    return {"key_id": keyring.current_id, "rewrapped": done, "webhook_secrets": secrets}


async def _rewrap(connection: Connection, keyring: Keyring, key_id: str) -> Any:  # noqa: ANN401 - counts, one a transaction
    after = ""
    while True:
        async with connection.transaction():
            ids = await personal.rewrap(
                connection, keyring, key_id, after=after, rows_max=ROWS_OF_TRANSACTION
            )
        if not ids:
            return
        after = ids[-1]
        yield len(ids)


def _read(file: Path) -> Keyring:
    try:
        return read_keyring(file)
    except KeyFileError as error:
        _fail(str(error), code=2)


def _run(work: Any) -> Any:  # noqa: ANN401 - whatever it returns
    try:
        return asyncio.run(work)
    except (DatabaseError, UnknownKeyError, BrokenSealError) as error:
        _fail(str(error))


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
