"""SQL that lets old events of the feed go.

Only numbered ones go, from the lowest number on and without a gap, so that ``feed_floor()`` (the
number before the lowest that is there) says all that readers must know. What stays, however old:
the event with the highest number, from which numbering goes on, and what a subscription that is
being told has not been told yet. Every page is a transaction of its own; killed anywhere it is run
again. Beside the dispatcher: it only numbers what has no number, above all that is here. It is a
function of the schema (migration 0032): nobody else deletes events, and half a year stays.
"""

from datetime import datetime
from typing import Final, NamedTuple

from ingest.db.connections import Connection

_PRUNE: Final = "SELECT prune_events(%s, %s)"
_STATE: Final = """
SELECT feed_floor(), min(created_at),
       (SELECT min(after) FROM webhook WHERE enabled AND parked_at IS NULL)
FROM outbox WHERE number = feed_floor() + 1"""


class FeedState(NamedTuple):
    """What the feed still has."""

    floor: int  # Events up to this number are gone.
    oldest_at: datetime | None  # When the first that is there was written.
    held_at: int | None  # The subscription that is furthest behind has been told up to this one.


async def prune(connection: Connection, before: datetime, *, rows_max: int) -> int:
    """Let at most ``rows_max`` of the oldest events go, if they were written before that instant.

    Returns:
        How many went; fewer than ``rows_max``: there are no more. Cost: two looks at an index.
    """
    cursor = await connection.execute(_PRUNE, (before, rows_max))
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def fetch_state(connection: Connection) -> FeedState:
    """How far back the feed goes."""
    row = await (await connection.execute(_STATE)).fetchone()
    return FeedState(0, None, None) if row is None else FeedState(*row)
