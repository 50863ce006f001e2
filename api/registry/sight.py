"""Whether a principal sees a resident: row-level security answers, and it is asked here only."""

from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.errors import NotFoundError

_SEEN: Final = "SELECT FROM resident WHERE id = %(resident)s"
_KNOWN: Final = f"""
SELECT WHERE EXISTS ({_SEEN})
    OR EXISTS (SELECT FROM visible_reading WHERE resident_id = %(resident)s)"""  # noqa: S608 - our own words


async def is_seen(connection: AsyncConnection[DictRow], resident: str) -> bool:
    """Whether this pseudonym is on record, and its team's or centre's people are asking."""
    cursor = await connection.execute(_SEEN, {"resident": resident})
    return await cursor.fetchone() is not None


async def require_seen(connection: AsyncConnection[DictRow], resident: str) -> None:
    """Raise ``NotFoundError`` for one who is not on record, or may not be seen."""
    if not await is_seen(connection, resident):
        msg = "no such resident; PUT it first, or look at the list"
        raise NotFoundError(msg)


async def is_known(connection: AsyncConnection[DictRow], resident: str) -> bool:
    """Whether this pseudonym is on record and seen, or has readings that are."""
    cursor = await connection.execute(_KNOWN.encode(), {"resident": resident})
    return await cursor.fetchone() is not None
