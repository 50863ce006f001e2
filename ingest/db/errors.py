"""What can go wrong with the database, told apart by what the caller does next.

    DatabaseError
        DatabaseUnavailableError   bad world: roll back, wait, try the same work again
        UnstorableError            bad data: bisect the batch, quarantine the one that fails
        BeyondReachError           row-level security hides what was to be written
        TakenError                 an id is that of something else; nothing said is rewritten
        SettledError               what it is about is folded into a checkpoint, for good

psycopg's errors become these here and nowhere else; any other psycopg error is a bug of ours
and ends the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors


class DatabaseError(Exception):
    """The database did not do what it was asked."""


class DatabaseUnavailableError(DatabaseError):
    """The database is gone, busy or gave up on a lock; the same work may succeed later."""


class UnstorableError(DatabaseError):
    """The database refuses these values, and always will."""


class BeyondReachError(DatabaseError):
    """What was to be written is there, but not for whom the transaction is."""


class TakenError(DatabaseError):
    """An id that somebody chose is that of something else."""


class SettledError(DatabaseError):
    """What this is about is folded into a checkpoint; nothing is taken out of one again."""


# What a program newer than its database meets. It is migrated next, so this is not a bug.
SCHEMA_TOO_OLD: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
)
_WORLD = (
    psycopg.OperationalError,  # Includes lost connections, timeouts, deadlocks, shutdown.
    psycopg.InterfaceError,
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.InFailedSqlTransaction,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors inside the block into ours; programming errors pass through."""
    try:
        yield
    except _WORLD as error:
        raise DatabaseUnavailableError(str(error).strip() or type(error).__name__) from error
    except SCHEMA_TOO_OLD as error:
        msg = f"the schema is not there or too old: run `suifang migrate up` ({error})"
        raise DatabaseUnavailableError(msg) from error
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise UnstorableError(str(error).strip()) from error
