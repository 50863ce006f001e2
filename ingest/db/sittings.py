"""SQL for one question of ``reading``: which pressures stand beside one that was taken just now."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from ingest.db.connections import Connection


class Pressure(NamedTuple):
    """One pressure as reported."""

    id: UUID
    effective_at: datetime
    systolic: Decimal
    diastolic: Decimal
    unit: str


class HasId(Protocol):
    """A reading that is stored."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def partition_at(self) -> datetime:
        """The time in it."""


# Of the same sitting only chunks of these hours can be: what is live was captured just now.
_BESIDE: Final = """
SELECT n.id, o.id, o.effective_at, o.systolic, o.diastolic, o.unit
FROM reading n JOIN reading o ON o.resident_id = n.resident_id
 AND o.effective_at BETWEEN n.effective_at - 2 * %(gap)s AND n.effective_at + %(gap)s
WHERE n.id = ANY(%(ids)s) AND n.partition_at BETWEEN %(low)s AND %(high)s
  AND o.partition_at BETWEEN %(low)s - INTERVAL '2 hours' AND %(high)s + INTERVAL '2 hours'
  AND n.setting = 'office' AND NOT n.stored_record AND NOT n.time_suspect
  AND o.kind = 'blood_pressure' AND o.setting = 'office'
  AND NOT (o.stored_record AND o.time_suspect)"""


async def fetch_beside(
    connection: Connection, readings: Sequence[HasId], gap: timedelta
) -> list[tuple[UUID, Pressure]]:
    """Each live office reading among these, with itself and its resident's others around it.

    Args:
        connection: In the transaction that stored them.
        readings: Pressures of somebody known.
        gap: Two before and one after it is how far the look goes.
    """
    times = [reading.partition_at for reading in readings]
    asked = {
        "ids": [reading.id for reading in readings],
        "low": min(times),
        "high": max(times),
        "gap": gap,
    }
    cursor = await connection.execute(_BESIDE, asked, binary=True)
    return [(row[0], Pressure(*row[1:])) for row in await cursor.fetchall()]
