"""Bring a database to the present schema: alembic, driving plain SQL files.

A migration is ``migrations/versions/NNNN_name.sql`` with ``NNNN_name.down.sql`` and a
five-line Python file that alembic finds. Two processes that migrate at once wait in line.
"""

import time
from importlib.resources import files
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import errors

from ingest.db.errors import DatabaseUnavailableError, translated

_TRIES_MAX: Final = 8
_PAUSE_S: Final = 0.5  # After the first; then twice, three times as long.
_LOCATION = str(files("ingest.db") / "migrations")


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", _LOCATION)
    config.attributes["conninfo"] = dsn
    return config


def upgrade(dsn: str, revision: str = "head") -> None:
    """Apply all migrations up to ``revision``, in one transaction.

    Processes work on meanwhile, and what they read may cross what is locked here: the database
    then ends one of the two. If it is this one, nothing has changed, and it is tried again.

    Raises:
        DatabaseUnavailableError: The server is away, or it lost so often.
    """
    with translated(), psycopg.connect(dsn, connect_timeout=10):
        pass  # Alembic's own error for an unreachable server is a page long.
    for tried in range(1, _TRIES_MAX + 1):
        try:
            command.upgrade(_config(dsn), revision)
        except (errors.DeadlockDetected, errors.LockNotAvailable) as error:
            if tried == _TRIES_MAX:
                why = str(error).splitlines()[0]
                msg = (
                    f"{tried} times a lock was not to be had ({why}): end what holds it "
                    "(docs/runbooks/database-unavailable.md), then `suifang migrate up` again"
                )
                raise DatabaseUnavailableError(msg) from error
            time.sleep(_PAUSE_S * tried)
        else:
            return


def downgrade(dsn: str, revision: str) -> None:
    """Undo migrations down to ``revision`` (``base`` for all). Deletes data: ops only."""
    command.downgrade(_config(dsn), revision)


def current(dsn: str) -> str | None:
    """The revision a database is at; None before the first migration."""
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        row = connection.execute("SELECT to_regclass('alembic_version')::text").fetchone()
        if row is None or row[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


def read_sql(module_file: str, suffix: str = ".sql") -> str:
    """The SQL beside a migration's Python file."""
    return Path(module_file).with_suffix(suffix).read_text(encoding="utf-8")
