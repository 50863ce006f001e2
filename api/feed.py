"""The numbered outbox, followed once per process and told to any number of listeners.

    dispatcher ──NOTIFY feed──▶ follower (one connection) ──▶ recent events (one bounded ring)
                                                                   │ wake
                       database ◀── older pages ── listener ◀──────┘   (a position, no queue)

A listener owns nothing but its position: it asks for the page after it, from the ring when it
keeps up and from the database when it does not. So a slow listener costs one page and is never
dropped, and nothing is skipped or told twice. Invariants: only numbered events are seen; their
numbers only rise; when the database is lost every listener ends, and resumes by number.

The reader is shared, so here and nowhere else the database does not decide who sees what:
``FeedEvent.is_seen_by`` does, by where the resident is *now*. When a resident moves the follower
is told, and every event in the ring moves along.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from api.auth.principal import Principal, Reach
from api.auth.session import become_process
from api.database import APPLICATION_NAME, Database
from api.errors import EventsGoneError, FeedEndedError, ListenersFullError
from api.reconnecting import run_sessions
from api.round_trip import Statement
from api.settings import ApiSettings
from ingest.db.connections import with_limits
from ingest.db.errors import translated

# The team is the resident's now; only of an event about no resident it is in the payload.
_AFTER: Final = """
SELECT o.number, o.kind, p.resident_id, p.team_id, t.centre_id AS team_centre_id,
       COALESCE(o.payload ->> 'centre_id', t.centre_id) AS centre_id,
       (o.payload || jsonb_build_object('feed_number', o.number))::text AS data
FROM outbox o
LEFT JOIN resident r ON r.id = o.payload ->> 'resident_id'
CROSS JOIN LATERAL (
    SELECT o.payload ->> 'resident_id' AS resident_id,
           CASE WHEN o.payload ->> 'resident_id' IS NULL THEN o.payload ->> 'team_id'
                ELSE r.team_id END AS team_id
) p
LEFT JOIN team t ON t.id = p.team_id
WHERE o.number > %(after)s
ORDER BY o.number
LIMIT %(limit)s"""
_PLACES: Final = """
SELECT r.id, r.team_id, t.centre_id AS team_centre_id
FROM resident r LEFT JOIN team t ON t.id = r.team_id
WHERE r.id = ANY(%s)"""
_MOVED: Final = "resident_moved"
ALERTS_AND_CASES: Final = ("alert.", "case.")
ENDS: Final = Statement(b"SELECT feed_floor() AS floor, feed_head() AS head", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One numbered event. ``data`` is its payload as JSON text, exact, with ``feed_number``."""

    number: int
    kind: str
    resident_id: str | None
    team_id: str | None  # Of the resident, now.
    team_centre_id: str | None  # Of that team.
    centre_id: str | None  # Of the event.
    data: str

    def is_seen_by(self, principal: Principal) -> bool:
        """The same answer as the policy on ``outbox``: by team; without one, by centre.

        Who sees no measured values is told of alerts and cases only.
        """
        if not principal.sees_measured and not self.kind.startswith(ALERTS_AND_CASES):
            return False
        if principal.reach is not Reach.OWN:
            return principal.reach is Reach.ALL
        if self.team_id is None:
            return self.centre_id in principal.seen_centre_ids
        return (
            self.team_id in principal.seen_team_ids
            or self.team_centre_id in principal.seen_centre_ids
        )


class Ends(NamedTuple):
    """From where to where there are events."""

    floor: int  # Events up to this number are gone; 0: none.
    head: int  # The highest number given so far; 0 before the first.


async def read_ends(connection: AsyncConnection[DictRow]) -> Ends:
    """As this transaction sees them."""
    (row,) = await ENDS.run(connection)
    return Ends(**row)


async def read_head(connection: AsyncConnection[DictRow]) -> int:
    """The end alone."""
    return (await read_ends(connection)).head


def require_kept(after: int, floor: int, field: str = "after") -> None:
    """Raise ``EventsGoneError`` where events behind a number are missing."""
    if after < floor:
        raise EventsGoneError(field=field, value=str(after), floor=floor)


async def list_after(
    connection: AsyncConnection[DictRow], *, after: int, limit: int
) -> list[FeedEvent]:
    """The first ``limit`` events with a higher number than ``after``, in order."""
    cursor = await connection.execute(_AFTER, {"after": after, "limit": limit})
    return [FeedEvent(**row) for row in await cursor.fetchall()]


class Feed:
    """One follower and its listeners. ``run`` must be running for anything else to work."""

    def __init__(self, settings: ApiSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._recent: deque[FeedEvent] = deque(maxlen=settings.feed.recent_events_max)
        self._head: int | None = None  # None: the database is not there.
        self._session = 0
        self._closed = False
        self._listeners = 0
        self._change = asyncio.Event()  # Set and replaced at every change.

    @property
    def is_connected(self) -> bool:
        """Whether the follower has its database."""
        return self._head is not None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return self._listeners

    async def run(self) -> None:
        """Follow the outbox for ever; reconnect when the database is lost.

        Bounded by the ring and one page. Any error but a lost database is a bug and ends it.
        """
        await run_sessions(
            self._run_session, name="feed", wait_s_max=self._settings.retry_ms_max / 1_000
        )

    async def position(self) -> int:
        """A number up to which a transaction that begins afterwards sees everything.

        For lists, which say from where the stream goes on: it may lag a little, so that the
        stream tells again what a list showed, and never leaves anything out. From memory; the
        database is asked only while the follower has none. Raises ``UnavailableError``.
        """
        return await self.head() if self._head is None else self._head

    async def head(self) -> int:
        """The present end of the feed, from the database. Raises ``UnavailableError``."""
        return (await self.ends()).head

    async def ends(self) -> Ends:
        """Both ends, from the database. Raises ``UnavailableError``."""
        async with self._database.reading_as_process() as connection:
            return await read_ends(connection)

    def close(self) -> None:
        """End every listener and admit no more: the process is stopping."""
        self._closed = True
        self._end_session()

    # --- listeners -------------------------------------------------------------------------------

    @contextmanager
    def listen(self) -> Iterator["Listener"]:
        """Admit one listener.

        Raises:
            ListenersFullError: ``listeners_max`` are here already.
            FeedEndedError: The feed has no database, or the process is stopping.
        """
        retry_after_s = self._settings.retry_after_s
        if self._listeners >= self._settings.feed.listeners_max:
            msg = f"{self._listeners} listeners are connected, no more are admitted; poll instead"
            raise ListenersFullError(msg, retry_after_s=retry_after_s)
        self.require(self._session)
        self._listeners += 1
        try:
            yield Listener(self, self._session)
        finally:
            self._listeners -= 1

    def require(self, session: int) -> None:
        """Raise ``FeedEndedError`` unless this session of the feed is still the present one."""
        if self._closed or not self.is_connected or session != self._session:
            msg = "the feed is interrupted; connect again with the last number seen"
            raise FeedEndedError(msg, retry_after_s=self._settings.retry_after_s)

    async def page_after(self, after: int) -> Sequence[FeedEvent]:
        """At most one page of events above ``after``; empty when there are none yet.

        Raises:
            EventsGoneError: They are not all there any more.
        """
        limit = self._settings.feed.page_rows_max
        if self._head is None or after >= self._head:
            return []
        start = bisect_right(self._recent, after, key=lambda event: event.number)
        if start > 0 or (self._recent and self._recent[0].number == after + 1):
            stop = min(start + limit, len(self._recent))
            return [self._recent[place] for place in range(start, stop)]
        async with self._database.reading_as_process() as connection:
            require_kept(after, (await read_ends(connection)).floor)
            older = await list_after(connection, after=after, limit=limit)
        return older or list(islice(self._recent, limit))

    async def wait_beyond(self, after: int, wait_s: float) -> None:
        """Wait until there is something above ``after``, the session ends or time is up."""
        change = self._change
        if self._head is None or self._head > after:
            return
        try:
            async with asyncio.timeout(wait_s):
                await change.wait()
        except TimeoutError:
            return

    # --- the follower ----------------------------------------------------------------------------

    async def _run_session(self) -> None:
        dsn = with_limits(
            self._settings.db_dsn.get_secret_value(), application_name=f"{APPLICATION_NAME}-feed"
        )
        try:
            with translated():
                async with await AsyncConnection.connect(
                    dsn, autocommit=True, row_factory=dict_row
                ) as connection:
                    await self._follow(connection)
        finally:
            self._end_session()

    async def _follow(self, connection: AsyncConnection[DictRow]) -> None:
        feed = self._settings.feed
        patience_s = self._settings.statement_ms_max / 1_000
        async with asyncio.timeout(patience_s):
            await become_process(connection)
            await connection.execute("LISTEN feed")
            await connection.execute(f"LISTEN {_MOVED}")
            self._begin_session(await read_head(connection))
        while True:
            async with asyncio.timeout(patience_s):
                events = await list_after(
                    connection, after=self._head or 0, limit=feed.page_rows_max
                )
            self._append(events)
            wait_s = 0 if len(events) == feed.page_rows_max else feed.poll_ms / 1_000
            told = {n.channel async for n in connection.notifies(timeout=wait_s, stop_after=1)}
            if _MOVED in told:
                async with asyncio.timeout(patience_s):
                    await self._place_again(connection)

    async def _place_again(self, connection: AsyncConnection[DictRow]) -> None:
        """Move the events in the ring to where their residents are now."""
        residents = list({event.resident_id for event in self._recent if event.resident_id})
        cursor = await connection.execute(_PLACES, (residents,))
        places = {row.pop("id"): row for row in await cursor.fetchall()}
        for at, event in enumerate(self._recent):
            if event.resident_id in places:
                self._recent[at] = replace(event, **places[event.resident_id])

    def _begin_session(self, head: int) -> None:
        self._session += 1
        self._head = head
        self._recent.clear()
        self._announce()

    def _end_session(self) -> None:
        self._head = None
        self._recent.clear()
        self._announce()

    def _append(self, events: Sequence[FeedEvent]) -> None:
        if events:
            self._recent.extend(events)
            self._head = events[-1].number
            self._announce()

    def _announce(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class Listener:
    """One reader of the feed, valid for one session of it."""

    def __init__(self, feed: Feed, session: int) -> None:
        self._feed = feed
        self._session = session

    async def ends(self) -> Ends:
        """From where to where there are events at present."""
        return await self._feed.ends()

    async def pages(self, after: int, *, wait_s: float) -> AsyncIterator[Sequence[FeedEvent]]:
        """Pages above ``after``, in order, each event once; an empty page when time is up.

        Holds one page at most. Ends by ``FeedEndedError`` or ``UnavailableError`` when the
        database is lost, by cancellation when the client goes.
        """
        while True:
            self._feed.require(self._session)
            page = await self._feed.page_after(after)
            if not page:
                await self._feed.wait_beyond(after, wait_s)
                self._feed.require(self._session)
                page = await self._feed.page_after(after)
            yield page
            if page:
                after = page[-1].number
