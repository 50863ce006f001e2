"""SQL for ``indicator_year``: what indicators count, a bit a day, by resident, condition, year.

Written by whoever judges, under the resident's fold row and in the transaction of the case; read
by the API. Only rows that differ are written. Bit 0 of a number here is the first of January.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from ingest.db.connections import Connection

DAYS: Final = 366
Key: TypeAlias = tuple[str, str, int]
"""Pseudonym, condition, year."""


class YearBits(NamedTuple):
    """One row's days as whole numbers, in the order of the statement below."""

    controlled: int = 0
    uncontrolled: int = 0
    visited: int = 0
    face_to_face: int = 0
    second_due: int = 0
    second_on_time: int = 0
    second_late: int = 0
    referral_due: int = 0
    referral_on_time: int = 0
    referral_late: int = 0
    routine_due: int = 0
    routine_on_time: int = 0
    routine_late: int = 0


_FIELDS: Final = YearBits._fields
_COLUMNS: Final = ", ".join(_FIELDS)
_OLD: Final = ", ".join(f"y.{name}" for name in _FIELDS)
_NEW: Final = ", ".join(f"EXCLUDED.{name}" for name in _FIELDS)
_UPSERT: Final = f"""
INSERT INTO indicator_year AS y (resident_id, condition, year, {_COLUMNS})
SELECT n.resident_id, n.condition, n.year, {", ".join(f"n.{name}::bit({DAYS})" for name in _FIELDS)}
FROM unnest(%s::text[], %s::text[], %s::smallint[]{", %s::text[]" * len(_FIELDS)})
    AS n (resident_id, condition, year, {_COLUMNS})
ON CONFLICT (resident_id, condition, year) DO UPDATE SET ({_COLUMNS}) = ROW ({_NEW})
WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})"""  # noqa: S608 - column names of our own class
_REMOVE: Final = """
DELETE FROM indicator_year y WHERE y.resident_id = ANY(%s)
  AND NOT EXISTS (SELECT FROM unnest(%s::text[], %s::text[], %s::smallint[])
                      AS n (resident_id, condition, year)
                  WHERE (n.resident_id, n.condition, n.year)
                      = (y.resident_id, y.condition, y.year))"""


async def replace_rows(
    connection: Connection, rows: Mapping[Key, YearBits], whole: Sequence[str]
) -> None:
    """Write these rows; of residents in ``whole`` there are no others. Never commits."""
    residents, conditions, years = ([key[part] for key in rows] for part in range(3))
    if whole:
        await connection.execute(_REMOVE, (list(whole), residents, conditions, years))
    if rows:
        columns = [list(map(_to_text, column)) for column in zip(*rows.values(), strict=True)]
        await connection.execute(_UPSERT, (residents, conditions, years, *columns))


async def fetch(connection: Connection, residents: Sequence[str]) -> dict[Key, YearBits]:
    """The rows of these residents."""
    texts = ", ".join(f"{name}::text" for name in _FIELDS)
    cursor = await connection.execute(
        f"SELECT resident_id, condition, year, {texts} FROM indicator_year"  # noqa: S608 - likewise
        " WHERE resident_id = ANY(%s)",
        (list(residents),),
    )
    return {
        (row[0], row[1], row[2]): YearBits(*(int(text or "0", 2) for text in row[3:]))
        for row in await cursor.fetchall()
    }


def _to_text(days: int) -> str | None:
    """As ``bit(366)`` is written; NULL for no day."""
    return f"{days:0{DAYS}b}" if days else None
