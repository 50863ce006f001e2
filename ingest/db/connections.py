"""How processes connect: with limits on every wait, so that a stopped worker frees its locks.

Each process becomes its own role of the database at once, whoever it logged in as; what a role may
do is in the schema (migration 0025). A grant that is missing is a bug and ends the process.
Source: architecture, storage (timeouts); each value can be set in the connection string.
"""

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from pydantic import AfterValidator, SecretStr

from ingest.db.errors import DatabaseUnavailableError, translated

Connection: TypeAlias = AsyncConnection[TupleRow]


class ProcessRole(StrEnum):
    """Roles of the database that processes work as; none of them can log in."""

    INGEST = "suifang_ingest"
    JUDGE = "suifang_judge"
    DISPATCH = "suifang_dispatch"
    NOTIFY = "suifang_notify"
    DELIVER = "suifang_deliver"
    MAINTENANCE = "suifang_maintenance"
    BACKTEST = "suifang_backtest"


def _require_dsn(dsn: SecretStr) -> SecretStr:
    try:
        conninfo_to_dict(dsn.get_secret_value())
    except psycopg.ProgrammingError:  # Its text would repeat the password.
        msg = "no PostgreSQL connection string; write postgresql://user:password@host:port/name"
        raise ValueError(msg) from None
    return dsn


Dsn: TypeAlias = Annotated[SecretStr, AfterValidator(_require_dsn)]
"""A connection string in settings: checked at the start, never shown."""

_SESSION: Final = {
    "statement_timeout": "60s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}
_SOCKET: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def with_limits(dsn: str, *, application_name: str) -> str:
    """Add our time limits and a name to a connection string; what it sets itself wins."""
    given = conninfo_to_dict(dsn)
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    merged = {**_SOCKET, "application_name": application_name, **given}
    merged["options"] = f"{options} {given.get('options', '')}".strip()
    return make_conninfo("", **merged)


async def connect(
    dsn: str,
    *,
    application_name: str,
    autocommit: bool = False,
    role: ProcessRole | None = None,
) -> Connection:
    """Open one connection with limits.

    Args:
        dsn: Of a login that is a member of ``role``; the schema's owner is of each.
        application_name: As the database's log and ``pg_stat_activity`` show it.
        autocommit: As psycopg has it.
        role: Work as this one; None: as who logged in.

    Raises:
        DatabaseUnavailableError: It cannot be reached, or the role is not to be had (yet).
    """
    with translated():
        connection = await AsyncConnection.connect(
            with_limits(dsn, application_name=application_name), autocommit=True
        )
        if role is not None:
            await _become(connection, role)
        await connection.set_autocommit(autocommit)
        return connection


async def _become(connection: Connection, role: ProcessRole) -> None:
    """Be that role to the end of the connection, which is closed if it may not."""
    try:
        await connection.execute("SELECT set_config('role', %s, false)", (role.value,))
    except errors.InvalidParameterValue as error:
        await connection.close()
        msg = f"there is no role {role.value}: run `suifang migrate up`"
        raise DatabaseUnavailableError(msg) from error
    except errors.InsufficientPrivilege as error:
        login = connection.info.user
        await connection.close()
        msg = f"{login} may not work as {role.value}: GRANT {role.value} TO {login}"
        raise DatabaseUnavailableError(msg) from error
