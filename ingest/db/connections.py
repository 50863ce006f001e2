"""How processes connect: with limits on every wait, so that a stopped worker frees its locks.

Source: architecture, storage (timeouts); each value can be set in the connection string.
"""

from typing import Annotated, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from pydantic import AfterValidator, SecretStr

from ingest.db.errors import translated

Connection: TypeAlias = AsyncConnection[TupleRow]


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


async def connect(dsn: str, *, application_name: str, autocommit: bool = False) -> Connection:
    """Open one connection with limits. Raises ``DatabaseUnavailableError``."""
    with translated():
        return await AsyncConnection.connect(
            with_limits(dsn, application_name=application_name), autocommit=autocommit
        )
