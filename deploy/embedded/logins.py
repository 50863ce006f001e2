"""Logins of the private PostgreSQL: one for each process, each a member of its own roles only.

The roles are made by the migrations (0008, 0016, 0022, 0025, 0028) and cannot log in; what they may
do is written there. A login inherits nothing: a process says who it is (``ingest.db.connections``),
and one that does not can do nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from ingest.db.connections import ProcessRole

ROLES: Final[Mapping[str, Sequence[str]]] = {
    "ingest": [ProcessRole.INGEST],
    "judge": [ProcessRole.JUDGE],
    "dispatcher": [ProcessRole.DISPATCH],
    "notify": [ProcessRole.NOTIFY],
    "deliver": [ProcessRole.DELIVER, "suifang_deliver_own", "suifang_deliver_all"],
    "maintenance": [ProcessRole.MAINTENANCE],
    "backtest": [ProcessRole.BACKTEST],
    "api": [
        "suifang_api",
        "suifang_api_all",
        "suifang_api_process",
        "suifang_api_intake",
        "suifang_api_operations",
    ],
}
"""Of whom each process is a member. The commands' names; ``maintenance``: retention and
tidy; ``backtest``: what the API starts for the operators' pages."""


BACKUP: Final = "suifang_backup"
"""Copies the whole server (``suifang backup``), and can do nothing in any database."""


def name_of(process: str) -> str:
    """What a process logs in as."""
    return f"suifang_{process}_login"


def make_login(dsn: str, owner: str, process: str, password: str) -> None:
    """Make the login, or let it be as it must be. Call with the stack's lock held.

    Args:
        dsn: The superuser's, or the owner's. The roles must be there: some database was migrated.
        owner: Of the databases; may see and end this login's sessions.
        process: One of ``ROLES``.
        password: Never in a log.
    """
    login = sql.Identifier(name_of(process))
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        _write_role(connection, name_of(process), "LOGIN NOINHERIT", password)
        for role in ROLES[process]:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(str(role)), login))
        if connection.info.user != owner:  # Who made it is a member already.
            connection.execute(sql.SQL("GRANT {} TO {}").format(login, sql.Identifier(owner)))


def make_backup_login(dsn: str, password: str) -> None:
    """Make who takes backups, or let it be as it must be. Call with the stack's lock held.

    Args:
        dsn: The superuser's.
        password: Never in a log.
    """
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        _write_role(connection, BACKUP, "LOGIN NOINHERIT REPLICATION", password)


def change_own_password(dsn: str, password: str) -> None:
    """Have whoever logs in so have another password from now on; what is connected goes on.

    Args:
        dsn: With the present password.
        password: Never in a log.
    """
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        _write_role(connection, connection.info.user, "", password)


def _write_role(
    connection: psycopg.Connection[tuple[object, ...]],
    name: str,
    attributes: LiteralString,
    password: str,
) -> None:
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )  # The password itself does not leave this process, so no log of the server can hold it.
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    connection.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL("CREATE" if known is None else "ALTER"),
            sql.Identifier(name),
            sql.SQL(attributes),
            sql.Literal(verifier.decode()),
        )
    )
