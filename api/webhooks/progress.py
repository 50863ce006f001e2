"""SQL of the delivering process: what is due, whose it is, and how far it has come.

Progress is written only where nothing else has changed it meanwhile: the subscription stands where
the attempt began (``epoch`` and ``after``). Whoever was elected before, was frozen, and wakes up
can so tell an event twice, but never move a subscription back or past what was not told.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ingest.db.connections import Connection
from ingest.db.webhook_secrets import Sealed

_DUE: Final = """
SELECT number FROM webhook
WHERE enabled AND parked_at IS NULL AND (next_at IS NULL OR next_at <= %(at)s)
  AND after < feed_head() AND number <> ALL (%(busy)s)
ORDER BY coalesce(last_delivered_at, created_at), number LIMIT %(limit)s"""
_LOAD: Final = """
SELECT number, owner, id, url, kinds, reach, after, epoch, failures, failing_since
FROM webhook
WHERE number = %(number)s AND enabled AND parked_at IS NULL
  AND (next_at IS NULL OR next_at <= %(at)s)"""
_SECRETS: Final = """
SELECT key_id, content FROM webhook_secret
WHERE webhook = %(number)s AND (expires_at IS NULL OR expires_at > %(at)s)
ORDER BY expires_at DESC NULLS FIRST"""
_AS_IT_WAS: Final = "WHERE number = %(number)s AND epoch = %(epoch)s AND after = %(after)s"
_DELIVERED: Final = f"""
UPDATE webhook SET after = %(upto)s, failures = 0, failing_since = NULL, next_at = NULL,
    last_problem = NULL, last_delivered_at = %(at)s
{_AS_IT_WAS}"""  # noqa: S608 - our own condition
_PASSED: Final = f"UPDATE webhook SET after = %(upto)s {_AS_IT_WAS}"  # noqa: S608 - likewise
_FAILED: Final = f"""
UPDATE webhook SET failures = failures + 1, failing_since = coalesce(failing_since, %(at)s),
    next_at = %(next_at)s, last_problem = %(problem)s,
    parked_because = %(parked_because)s,
    parked_at = CASE WHEN %(parked_because)s::text IS NOT NULL THEN %(at)s::timestamptz END
{_AS_IT_WAS}"""  # noqa: S608 - likewise
_STATES: Final = """
SELECT CASE WHEN NOT enabled THEN 'disabled' WHEN parked_because = 'gone' THEN 'gone'
            WHEN parked_at IS NOT NULL THEN 'parked' WHEN failures > 0 THEN 'retrying'
            ELSE 'active' END AS state,
       count(*), max(feed_head() - after)
FROM webhook GROUP BY 1"""

_EVENTS: Final = "SELECT feed_head() - feed_floor()"


class Subscription(NamedTuple):
    """One subscription as an attempt finds it."""

    number: int
    owner: str
    id: str
    url: str
    kinds: list[str] | None
    reach: dict[str, Any]
    after: int
    epoch: int
    failures: int
    failing_since: datetime | None


class State(NamedTuple):
    """How many stand so, and how many events the last of them is behind."""

    name: str
    subscriptions: int
    behind: int


async def list_due(
    connection: Connection, *, busy: Sequence[int], limit: int, at: datetime
) -> list[int]:
    """Subscriptions that have something to be told now; who waits longest first."""
    asked = {"busy": list(busy), "limit": limit, "at": at}
    return [row[0] for row in await (await connection.execute(_DUE, asked)).fetchall()]


async def load(
    connection: AsyncConnection[DictRow], number: int, *, at: datetime
) -> Subscription | None:
    """The subscription, if it may be told something now."""
    row = await (await connection.execute(_LOAD, {"number": number, "at": at})).fetchone()
    return None if row is None else Subscription(**row)


async def list_secrets(
    connection: AsyncConnection[DictRow], number: int, *, at: datetime
) -> list[Sealed]:
    """All that sign now, the newest first."""
    cursor = await connection.execute(_SECRETS, {"number": number, "at": at})
    return [Sealed(**row) for row in await cursor.fetchall()]


async def note_delivered(
    connection: AsyncConnection[DictRow], told: Subscription, *, upto: int, at: datetime
) -> bool:
    """Note that the receiver has everything up to a number; false: it stands elsewhere by now."""
    return await _note(connection, _DELIVERED, told, {"upto": upto, "at": at})


async def note_passed(
    connection: AsyncConnection[DictRow], told: Subscription, *, upto: int
) -> bool:
    """Note that up to a number there is nothing for it; false as above."""
    return await _note(connection, _PASSED, told, {"upto": upto})


async def note_failed(
    connection: AsyncConnection[DictRow],
    told: Subscription,
    *,
    problem: str,
    next_at: datetime,
    parked_because: str | None,
    at: datetime,
) -> bool:
    """Note a failure, and when it is tried again if it is; false as above."""
    values = {"problem": problem, "next_at": next_at, "parked_because": parked_because, "at": at}
    return await _note(connection, _FAILED, told, values)


async def _note(
    connection: AsyncConnection[DictRow],
    statement: str,
    told: Subscription,
    values: dict[str, Any],
) -> bool:
    as_it_was = {"number": told.number, "epoch": told.epoch, "after": told.after}
    cursor = await connection.execute(statement.encode(), {**values, **as_it_was})
    return cursor.rowcount == 1


async def measure(connection: Connection) -> list[State]:
    """How the subscriptions stand, for whoever runs this."""
    return [State(*row) for row in await (await connection.execute(_STATES)).fetchall()]


async def count_events(connection: Connection) -> int:
    """How many numbered events there are still."""
    row = await (await connection.execute(_EVENTS)).fetchone()
    return 0 if row is None else int(row[0])
