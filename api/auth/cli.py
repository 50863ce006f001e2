"""``suifang api-key create|list|rotate|revoke``: keys of machines, by whoever runs the database.

Needs the database as its owner (``SUIFANG_DB_DSN``). The secret is printed once, on stdout, when
a key is made. Exit codes: 0 done; 1 not possible; 2 wrong usage.
"""

import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth import api_keys
from api.auth.permissions import PERMISSIONS, Permission, Role
from api.operator import Dsn, Json, fail, print_line, run_in_transaction
from gateway.wire.times import utc_now

app: Final = typer.Typer(
    help="API keys of machines: made, listed, rotated, revoked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
KeyId = Annotated[str, typer.Argument(help="The 12 characters between sfk_ and the next _.")]
ResultT = TypeVar("ResultT")
_COMMAND: Final = "api-key"
_CLIENT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_SUBJECT: Final = (
    "SELECT set_config('suifang.subject', 'operator', true), set_config('suifang.at', %s, true)"
)


@app.command()
def create(
    *,
    dsn: Dsn,
    client: Annotated[str, typer.Option(help="Who will use it, such as contracts-ningbo.")],
    role: Annotated[Role, typer.Option(help="What it is.")] = Role.CONTRACT_SYSTEM,
    scope: Annotated[
        list[Permission] | None, typer.Option(help="May be repeated; default: all of the role's.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    centre: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="How long it is good.")] = 365,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown now and never again."""
    if not _CLIENT.fullmatch(client):
        msg = "a-z, 0-9, dot, dash, underscore; at most 64"
        raise typer.BadParameter(msg, param_hint="--client")
    beyond = sorted(set(scope or []) - PERMISSIONS[role])
    if beyond:
        msg = f"{role} may not {', '.join(beyond)} anyway"
        raise typer.BadParameter(msg, param_hint="--scope")

    async def work(connection: AsyncConnection[DictRow], at: datetime) -> api_keys.MadeKey:
        return await api_keys.create(
            connection,
            client=client,
            role=role,
            scopes=scope or None,
            team_ids=team or [],
            centre_ids=centre or [],
            at=at,
            lifetime=timedelta(days=days),
        )

    _show_made(_run(dsn, work), as_json=as_json)


@app.command(name="list")
def list_keys(dsn: Dsn, as_json: Json = False) -> None:
    """Every key, without its secret."""

    async def work(connection: AsyncConnection[DictRow], _: datetime) -> list[DictRow]:
        return await api_keys.list_all(connection)

    rows = _run(dsn, work)
    if as_json:
        print_line(json.dumps({"keys": [_plain(row) for row in rows]}))
        return
    for row in rows:
        print_line(_line(row))


@app.command()
def rotate(
    *,
    dsn: Dsn,
    key_id: KeyId,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=2_160, help="How long the old key stays good.")
    ] = 72,
    as_json: Json = False,
) -> None:
    """Make a successor with the same rights; the old key ends after the overlap."""

    async def work(connection: AsyncConnection[DictRow], at: datetime) -> api_keys.MadeKey | None:
        overlap = timedelta(hours=overlap_hours)
        return await api_keys.rotate(connection, key_id, at=at, overlap=overlap)

    made = _run(dsn, work)
    if made is None:
        fail(_COMMAND, f"no key {key_id} that is still good; `suifang api-key list` shows them")
    _show_made(made, as_json=as_json)


@app.command()
def revoke(dsn: Dsn, key_id: KeyId, as_json: Json = False) -> None:
    """End a key. Running APIs refuse it within API_AUTH__KEY_REMEMBERED_S (10 s)."""

    async def work(connection: AsyncConnection[DictRow], at: datetime) -> DictRow | None:
        return await api_keys.revoke(connection, key_id, at=at)

    row = _run(dsn, work)
    if row is None:
        fail(_COMMAND, f"no key {key_id}; `suifang api-key list` shows them")
    print_line(json.dumps(_plain(row)) if as_json else _line(row))


def _run(
    dsn: str, work: Callable[[AsyncConnection[DictRow], datetime], Awaitable[ResultT]]
) -> ResultT:
    async def as_operator(connection: AsyncConnection[DictRow]) -> ResultT:
        at = utc_now()
        await connection.execute(_SUBJECT, (at.isoformat(),))
        return await work(connection, at)

    return run_in_transaction(_COMMAND, dsn, as_operator)


def _show_made(made: api_keys.MadeKey, *, as_json: bool) -> None:
    if as_json:
        print_line(json.dumps({"key": made.key, **_plain(made.row)}))
        return
    print_line(made.key)
    sys.stderr.write(f"{_line(made.row)}\nKeep the key now: it is not shown again.\n")


def _plain(row: DictRow) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}


def _line(row: DictRow) -> str:
    places: Sequence[str] = [*row["team_ids"], *row["centre_ids"]]
    state = "revoked" if row["revoked_at"] else f"until {row['expires_at']:%Y-%m-%d %H:%M}"
    used = f"{row['last_used_at']:%Y-%m-%d %H:%M}" if row["last_used_at"] else "never"
    scopes = "all" if row["scopes"] is None else " ".join(row["scopes"])
    return (
        f"{row['id']}  {row['client']}  {row['role']}  {scopes}  {' '.join(places) or 'everywhere'}"
        f"  {state}  used: {used}"
    )
