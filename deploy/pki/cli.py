"""``suifang pki``: the deployment's authority, tokens for new gateways, revocation, what ends when.

The answer goes to standard output (one JSON object with ``--json``), hints to standard error. Exit
codes: 0 as asked; 1 not so, or, for ``list --ends-within``, somebody must see to something; 2 wrong
usage. A token is printed once and kept nowhere.
"""

import asyncio
import csv
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from api.enrolment.authority import (
    AUTHORITY_DAYS,
    OPERATOR_DAYS,
    SERVER_DAYS,
    AuthorityError,
    Revoked,
    to_pem,
)
from api.enrolment.tokens import Token
from deploy.embedded.folders import write_private
from deploy.pki.folder import AuthorityFolder
from gateway.wire.enrolment import is_gateway_name
from gateway.wire.times import utc_now
from gateway.wire.topics import NAME_PATTERN
from ingest.cli import AsJson, Dsn
from ingest.db import enrolments
from ingest.db.connections import Connection, connect
from ingest.db.enrolments import CertificateState, TokenRow
from ingest.db.errors import DatabaseError

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Certificates: the authority, tokens for gateways, revocation.",
)
_NAME: Final = "suifang-pki"
_TOKENS_MAX: Final = 10_000
_TEXT_MAX: Final = 200
_Result = TypeVar("_Result")
Directory = Annotated[
    Path, typer.Option("--directory", envvar="SUIFANG_PKI", help="The authority's folder.")
]
Gateway = Annotated[str, typer.Option("--gateway", help="Its id; also its user at the broker.")]
Hours = Annotated[int, typer.Option("--hours", min=1, max=90 * 24, help="The token's life.")]


@app.command()
def init(
    directory: Directory,
    *,
    name: Annotated[str, typer.Option("--name", help="Shown in certificates.")] = "Suifang",
    days: Annotated[int, typer.Option("--days", min=30, max=36_500)] = AUTHORITY_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make the deployment's authority, once. Keep its key as you keep a master key."""
    with _told():
        folder = AuthorityFolder(directory)
        made = folder.make(name, at=utc_now(), days=days)
    end = f"{made.certificate.not_valid_after_utc:%Y-%m-%d}"
    said = {"certificate": str(folder.certificate), "key": str(folder.key), "valid_until": end}
    _say(said, f"{folder.certificate} until {end}; its key is {folder.key}", as_json=as_json)


@app.command()
def server(
    names: Annotated[list[str], typer.Argument(help="Host names and addresses of the broker.")],
    directory: Directory,
    output: Annotated[Path, typer.Option("--output", help="The broker's folder.")],
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=825)] = SERVER_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make the broker's certificate and key; the broker reads them at its next start."""
    with _told():
        folder = AuthorityFolder(directory)
        made = folder.make_server(names, at=utc_now(), days=days)
        output.mkdir(mode=0o755, parents=True, exist_ok=True)
        _write_public(output / "ca.pem", folder.load().certificate_pem)
        write_private(output / "server.key", made.key)
        _write_public(output / "server.pem", made.certificate)
    said = {"names": names, "output": str(output)}
    hint = f"ca.pem, server.pem, server.key are in {output}; restart the broker (never SIGHUP)"
    _say(said, hint, as_json=as_json)


@app.command()
def operator(
    directory: Directory,
    output: Annotated[Path, typer.Option("--output", help="Key and certificate, one file.")],
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=90)] = OPERATOR_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make a certificate for `suifang command` over TLS, for one person and a short time."""
    with _told():
        made = AuthorityFolder(directory).make_operator(at=utc_now(), days=days)
        write_private(output, made.key + made.certificate)
    said = {"output": str(output), "days": days}
    _say(said, f"{output}, for {days} days: suifang command --certificate-file", as_json=as_json)


@app.command()
def token(
    dsn: Dsn,
    gateway: Gateway,
    centre: Annotated[str, typer.Option("--centre", help="Its centre's id.")],
    *,
    hours: Hours = 72,
    as_json: AsJson = False,
) -> None:
    """Print a one-time token for one gateway; an unused one of its own is withdrawn."""
    row, text = _make_token(gateway, centre, hours)
    _with_database(dsn, lambda connection: enrolments.save_tokens(connection, [row]))
    said = {"gateway": gateway, "token": text, "expires_at": row.expires_at.isoformat()}
    _say(said, text, as_json=as_json)


@app.command()
def tokens(
    dsn: Dsn,
    sites: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV: gateway,centre")],
    output: Annotated[Path, typer.Option("--output", help="A file for each gateway goes here.")],
    *,
    hours: Hours = 14 * 24,
    as_json: AsJson = False,
) -> None:
    """One-time tokens for many gateways, all or none, each in a file of its own (0600)."""
    made = [_make_token(gateway, centre, hours) for gateway, centre in _read_sites(sites)]
    rows = [row for row, _ in made]
    with _told():
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
        for row, text in made:  # Files first: a token that was never written is worth nothing.
            write_private(output / f"{row.gateway_id}.token", text + "\n")
    _with_database(dsn, lambda connection: enrolments.save_tokens(connection, rows))
    said = {"tokens": len(rows), "output": str(output)}
    _say(said, f"{len(rows)} tokens in {output}, for {hours} hours", as_json=as_json)


@app.command()
def revoke(
    dsn: Dsn,
    gateway: Gateway,
    because: Annotated[str, typer.Option("--because", help="For the record.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take nothing of a gateway any more: at once in ingest, at the broker after ``crl``."""
    if not 0 < len(because) <= _TEXT_MAX or not because.isprintable():
        _fail(f"--because: 1 to {_TEXT_MAX} printable characters", code=2)
    found = _with_database(
        dsn, lambda c: enrolments.revoke(c, gateway, because=because, at=utc_now())
    )
    if found is None:
        _fail(f"there is no gateway {gateway!r}; suifang pki list shows those with certificates")
    _say({"gateway": gateway, "certificates": found}, f"{found} revoked", as_json=as_json)
    sys.stderr.write("next: suifang pki crl, then restart the broker (sessions stay)\n")


@app.command()
def crl(
    dsn: Dsn,
    directory: Directory,
    output: Annotated[Path, typer.Option("--output", help="The broker's crl.pem.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Write the revocation list; the broker reads it at its next start."""
    at = utc_now()
    found = _with_database(dsn, lambda connection: enrolments.list_revoked(connection, at=at))
    with _told():
        revoked = [Revoked(serial, when) for serial, when in found]
        signed = AuthorityFolder(directory).load()
        made = signed.sign_crl(revoked, number=int(at.timestamp()), at=at)
        _write_public(output, to_pem(made))
    said = {"revoked": len(found), "output": str(output)}
    hint = f"{output}: {len(found)} revoked; restart the broker (never SIGHUP)"
    _say(said, hint, as_json=as_json)


@app.command("list")
def list_(
    dsn: Dsn,
    *,
    gateway: Annotated[str | None, typer.Option("--gateway", help="Of one gateway only.")] = None,
    ends_within: Annotated[
        int | None,
        typer.Option("--ends-within", min=1, help="Days: who has nothing better; exit 1 if any."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gateways' certificates: serial, end, revocation."""
    at = utc_now()
    before = None if ends_within is None else at + timedelta(days=ends_within)
    found = _with_database(
        dsn,
        lambda c: enrolments.list_certificates(c, at=at, gateway_id=gateway, before=before),
    )
    if as_json:
        sys.stdout.write(json.dumps({"certificates": [_record(each) for each in found]}) + "\n")
    else:
        for each in found:
            state = f"revoked: {each.revoked_because}" if each.revoked_at else "good"
            end = "ended" if each.revoked_at is None and each.expires_at <= at else state
            sys.stdout.write(
                f"{each.gateway_id:20} {each.centre_id:16} {each.expires_at:%Y-%m-%d}"
                f" {each.serial:40} {end}\n"
            )
    if before is not None and found:
        raise typer.Exit(1)


def _record(state: CertificateState) -> dict[str, str | None]:
    return {
        "gateway": state.gateway_id,
        "centre": state.centre_id,
        "serial": state.serial,
        "issued_at": state.issued_at.isoformat(),
        "expires_at": state.expires_at.isoformat(),
        "revoked_at": None if state.revoked_at is None else state.revoked_at.isoformat(),
        "revoked_because": state.revoked_because,
    }


def _make_token(gateway: str, centre: str, hours: int) -> tuple[TokenRow, str]:
    if not is_gateway_name(gateway):
        _fail(
            f"no gateway may be called {gateway!r}: {NAME_PATTERN}; ingest, operator and probe,"
            " alone or before a -, are users of the server side",
            code=2,
        )
    if not re.fullmatch(NAME_PATTERN, centre, re.ASCII):
        _fail(f"no centre may be called {centre!r}: {NAME_PATTERN}", code=2)
    made, at = Token.make(), utc_now()
    row = TokenRow(
        id=made.id,
        secret_hash=made.secret_hash,
        gateway_id=gateway,
        centre_id=centre,
        issued_at=at,
        expires_at=at + timedelta(hours=hours),
    )
    return row, str(made)


def _read_sites(file: Path) -> list[tuple[str, str]]:
    with _told(), file.open(encoding="utf-8-sig", newline="") as opened:
        rows = [row for row in csv.reader(opened) if row]
    if rows[:1] != [["gateway", "centre"]] or any(len(row) != 2 for row in rows):  # noqa: PLR2004 - these two
        _fail(f"{file}: the first line must be gateway,centre, and every other have two", code=2)
    sites = [(row[0].strip(), row[1].strip()) for row in rows[1:]]
    names = [gateway for gateway, _ in sites]
    if len(set(names)) != len(names) or not 0 < len(names) <= _TOKENS_MAX:
        _fail(f"{file}: 1 to {_TOKENS_MAX} gateways, each once", code=2)
    return sites


def _with_database(dsn: str, work: Callable[[Connection], Coroutine[Any, Any, _Result]]) -> _Result:
    async def run() -> _Result:
        async with await connect(dsn, application_name=_NAME, autocommit=True) as connection:
            return await work(connection)

    with _told():
        return asyncio.run(run())


def _write_public(file: Path, text: str) -> None:
    """Nothing secret; the broker runs as somebody else."""
    write_private(file, text)
    file.chmod(0o644)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (AuthorityError, DatabaseError) as error:
        _fail(str(error))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{error}. Mend that, then run the command again")


def _say(said: dict[str, Any], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(said, ensure_ascii=False) if as_json else text) + "\n")


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang pki: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
