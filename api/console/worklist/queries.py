"""SQL of the worklist that the list of cases does not have. Reads only."""

from collections.abc import Iterable
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

_PEOPLE: Final = (
    "SELECT id, birth_date, sex FROM resident WHERE id = ANY(%s) AND (SELECT sees_measured())"
)


async def list_people(
    connection: AsyncConnection[DictRow], residents: Iterable[str]
) -> dict[str, DictRow]:
    """Birth date and sex by pseudonym."""
    rows = await (await connection.execute(_PEOPLE, (list(residents),))).fetchall()
    return {row["id"]: row for row in rows}
