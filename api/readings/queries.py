"""SQL of one resident's readings. Reads only."""

from datetime import UTC, datetime
from typing import Final, NamedTuple, get_args
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.readings.schemas import Kind, ReadingQuery
from api.round_trip import Statement

Key = tuple[datetime, datetime, UUID]  # effective_at, captured_at, id: the order of the rules.
_BEFORE_ALL: Final = (datetime.min.replace(tzinfo=UTC),) * 2 + (UUID(int=0),)
_AFTER_ALL: Final = datetime.max.replace(tzinfo=UTC)

_COLUMNS: Final = """
SELECT id, kind, resident_id, centre_id, gateway_id, device_id, device_sequence, measured_at,
       captured_at, received_at, effective_at, time_suspect, stored_record, setting, status,
       systolic, diastolic, pulse, arm, posture, glucose, meal_context, sample, unit"""
_OF_ANY: Final = f"""{_COLUMNS}
FROM visible_reading
WHERE resident_id = %(resident)s AND effective_at >= %(from)s AND effective_at < %(until)s
  AND kind = ANY(%(kinds)s)
  AND (effective_at, captured_at, id)
      > (%(after_effective)s, %(after_captured)s::timestamptz, %(after_id)s::uuid)
ORDER BY effective_at, captured_at, id
LIMIT %(rows)s"""
# A resident whose readings are those reported for it has a shorter way to them: the other has four
# parts, each with every month, and most of what a year costs is to prepare them.
_OF_PLAIN: Final = f"""{_COLUMNS}, (SELECT edge FROM retention) AS retained_since
FROM list_reported(%(resident)s, %(kinds)s, %(from)s, %(until)s, %(after_effective)s,
                   %(after_captured)s, %(after_id)s, %(rows)s::int)
ORDER BY effective_at, captured_at, id"""  # noqa: S608 - likewise


async def retained_since(connection: AsyncConnection[DictRow]) -> datetime | None:
    """From when on readings are kept; None: all are."""
    row = await (await connection.execute("SELECT edge FROM retention")).fetchone()
    return None if row is None else row["edge"]


_STANDING: Final = """
SELECT owns_only_reported(%(resident)s) AS is_plain,
       (SELECT edge FROM retention) AS retained_since"""


class Standing(NamedTuple):
    """What is known of a resident's readings before one looks."""

    is_plain: bool  # All were reported for this pseudonym: none claimed, nobody merged into it.
    retained_since: datetime | None  # From when on readings are kept; None: all are.


def fetch_standing(resident: str) -> Statement:
    """One row, a ``Standing``; of a resident who is not there as of one without readings."""
    return Statement(_STANDING.encode(), {"resident": resident})


def view_of(*, plain: bool) -> str:
    """Where to look for the readings of a resident who stands so (``Standing.is_plain``)."""
    return "visible_reported" if plain else "visible_reading"


def list_by_time(
    resident: str, query: ReadingQuery, *, after: Key | None, plain: bool
) -> Statement:
    """Readings after the key, in order: one more than the limit, if there is one.

    With ``plain`` there are none of a resident who is not plain (``Standing.is_plain``), and each
    row says ``retained_since`` besides.
    """
    effective, captured, identifier = after or _BEFORE_ALL
    # Every condition is there whatever is asked: PostgreSQL then keeps one plan that uses the
    # index, instead of planning for each month anew (8 of 12 ms for a year in 26 chunks).
    asked = {
        "resident": resident,
        "from": max(query.since or effective, effective),
        "until": query.until or _AFTER_ALL,
        "kinds": [query.kind] if query.kind else list(get_args(Kind)),
        "after_effective": effective,
        "after_captured": captured,
        "after_id": identifier,
        "rows": query.limit + 1,
    }
    return Statement((_OF_PLAIN if plain else _OF_ANY).encode(), asked)
