"""``suifang gateway enroll`` and ``renew``: a box gets its certificate, and the next one.

The token comes from a file or from standard input: on a command line it would be in every process
list. Exit 0: there is a good identity; 1: there is none yet, run it again; 2: wrong command line.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from gateway.cli_options import JsonOption
from gateway.enrolment.folder import Identity, IdentityFolder
from gateway.errors import EnrolmentError
from gateway.wire.times import utc_now

_TOKEN_CHARACTERS_MAX: Final = 200
Directory = Annotated[Path, typer.Option("--directory", help="Where the identity is kept (0700).")]


def run_enroll(
    api: Annotated[str, typer.Option("--api", help="The API's address, https://...")],
    directory: Directory,
    *,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="Holds the one-time token; -: standard input.")
    ] = Path("-"),
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="Who signed the API's certificate, if nobody public."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Replace the identity that is there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key on this box and get a certificate for it, for a token of the operator."""
    from gateway.enrolment.steps import enrol  # noqa: PLC0415 - for these two commands only

    try:
        authority = None if ca_file is None else _read(ca_file)
        folder = IdentityFolder(directory)
        present = folder.read() if directory.is_dir() else None
        token = "" if present is not None and not again else _read_token(token_file)
        identity = enrol(folder, api, token, api_authority=authority, again=again)
    except EnrolmentError as error:
        _fail("enroll", error)
    _show(identity, directory, as_json=as_json)


def run_renew(
    directory: Directory,
    *,
    only_due: Annotated[
        bool, typer.Option("--if-due", help="Only from a third of its life on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Get the next certificate now; the running gateway does so by itself when it is due."""
    from gateway.enrolment.steps import renew  # noqa: PLC0415 - as above

    folder = IdentityFolder(directory)
    try:
        identity = folder.read()
        if identity is None or not only_due or identity.renewal_due <= utc_now():
            identity = renew(folder)
    except EnrolmentError as error:
        _fail("renew", error)
    _show(identity, directory, as_json=as_json)


def _read_token(file: Path) -> str:
    if str(file) != "-":
        return _read(file).strip()
    if sys.stdin.isatty():
        return str(typer.prompt("Token", hide_input=True, err=True)).strip()
    return sys.stdin.read(_TOKEN_CHARACTERS_MAX).strip()


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file} cannot be read: {error}"
        raise EnrolmentError(msg) from error


def _show(identity: Identity, directory: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(identity.as_dict() | {"directory": str(directory)}))
        return
    typer.echo(
        f"{identity.gateway_id} in centre {identity.centre_id}: certificate {identity.serial}"
        f" until {identity.valid_until:%Y-%m-%d}, renewed from {identity.renewal_due:%Y-%m-%d}.\n"
        f"Set GATEWAY_TLS_IDENTITY_DIRECTORY={directory}"
    )


def _fail(command: str, error: EnrolmentError) -> NoReturn:
    typer.echo(f"suifang gateway {command}: {error}", err=True)
    raise typer.Exit(1)
