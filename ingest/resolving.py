"""A few quarantined items replayed for a page, as by ``suifang quarantine replay``.

One of the doors into ingest that other folders may use (docs/architecture.md, 6). It must never
change a value, judge, or reach items that nobody named. Invariants: all of it happens in the
caller's transaction or none of it; the conservation law holds at every instant. It loads numpy:
who imports it lazily does not pay before somebody replays.
"""

from collections.abc import Sequence

from gateway.wire.times import Clock
from ingest.db import readings
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from ingest.outcomes import Outcome, Tally
from ingest.profiles import Profiles
from ingest.replay import Replayer
from ingest.sweep import replay_all

__all__ = ["Outcome", "Profiles", "replay"]


async def replay(
    connection: Connection, numbers: Sequence[int], profiles: Profiles, clock: Clock
) -> Tally:
    """Take these items through ingest's normal path again, also those that were dropped.

    Args:
        connection: Inside a transaction that may do what ingest does.
        numbers: Of items; few, for they are all locked until the COMMIT.
        profiles: The deployment's, for emergencies.
        clock: The time.

    Raises:
        DatabaseUnavailableError: Nothing has changed once the transaction is rolled back.
    """
    await readings.prepare(connection)
    selection = Selection(numbers=sorted(set(numbers)), scope="unreplayed")
    return await replay_all(connection, Replayer(profiles.limits, clock), selection, lambda _: None)
