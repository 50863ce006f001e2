"""SQL for ``gateway_day``: the totals of the conservation law, kept for ever.

Written in the transaction they count, so that dropping old readings never breaks the sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from ingest.db.connections import Connection


@dataclass(slots=True)
class Totals:
    """What one transaction adds for one gateway. The last two stand beside the law."""

    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    unsettling: int = 0
    redelivered: int = 0

    @property
    def readings(self) -> int:
        """All that were settled, anew or again."""
        return sum(getattr(self, name) for name in self.__slots__)

    def add(self, other: "Totals") -> None:
        """Add another transaction's."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_ADD: Final = """
INSERT INTO gateway_day
    (gateway_id, day, stored, duplicate, quarantined, unsettling, redelivered)
SELECT gateway_id, %(day)s::date, stored, duplicate, quarantined, unsettling, redelivered
FROM unnest(%(gateways)b::text[], %(stored)b::bigint[], %(duplicate)b::bigint[],
            %(quarantined)b::bigint[], %(unsettling)b::bigint[], %(redelivered)b::bigint[])
     AS a (gateway_id, stored, duplicate, quarantined, unsettling, redelivered)
ORDER BY gateway_id
ON CONFLICT (gateway_id, day) DO UPDATE
SET stored = gateway_day.stored + EXCLUDED.stored,
    duplicate = gateway_day.duplicate + EXCLUDED.duplicate,
    quarantined = gateway_day.quarantined + EXCLUDED.quarantined,
    unsettling = gateway_day.unsettling + EXCLUDED.unsettling,
    redelivered = gateway_day.redelivered + EXCLUDED.redelivered"""


async def add(connection: Connection, day: date, totals: Mapping[str, Totals]) -> None:
    """Add to the totals of the gateways of one transaction, in order of gateway."""
    if not totals:
        return
    await connection.execute(
        _ADD,
        {
            "day": day,
            "gateways": list(totals),
            "stored": [t.stored for t in totals.values()],
            "duplicate": [t.duplicate for t in totals.values()],
            "quarantined": [t.quarantined for t in totals.values()],
            "unsettling": [t.unsettling for t in totals.values()],
            "redelivered": [t.redelivered for t in totals.values()],
        },
    )
