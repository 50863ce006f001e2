"""Messages that wait are sent, each attempt on record before it is made.

At least once, under one id: an attempt is written down and committed, then made, then its result
is written down. Whoever is killed in between leaves an attempt without an end, and the message is
sent again when its time comes; one that is known to be taken never is. A page or notice whose
alerts ask for nobody any more is dropped, a digest is not.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from psycopg.rows import dict_row

from api.notify.notifiers import Message, Notifier, NotSentError, Recipient, Told
from api.notify.settings import NotifySettings
from gateway.wire.times import Clock
from ingest.db.connections import Connection

_log = structlog.get_logger()

_WAITING: Final = """
SELECT m.id, m.kind, m.staff_id, m.channel, m.content, m.attempts, c.email, c.phone,
       m.kind = 'digest' OR EXISTS (
           SELECT FROM notification n JOIN alert a ON a.id = n.alert_id AND a.status = 'active'
           JOIN alert_attention t ON t.alert_id = a.id AND t.acknowledged_at IS NULL
                AND coalesce(t.snoozed_until <= %(now)s, true) AND t.round = n.round
           WHERE n.message_id = m.id) AS needed
FROM message m LEFT JOIN staff_contact c ON c.staff_id = m.staff_id
WHERE m.next_at <= %(now)s ORDER BY m.kind <> 'page', m.next_at, m.id LIMIT %(rows)s"""
_DROP: Final = "UPDATE message SET status = 'dropped', next_at = NULL WHERE id = ANY(%s)"
_BEGIN: Final = """
WITH begun AS (
    UPDATE message m SET attempts = m.attempts + 1, next_at = n.next_at
    FROM unnest(%(ids)s::uuid[], %(next)s::timestamptz[]) AS n (id, next_at)
    WHERE m.id = n.id RETURNING m.id, m.attempts)
INSERT INTO message_attempt (message_id, number, begun_at)
SELECT id, attempts, %(at)s FROM begun"""
_END: Final = """
WITH ended AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(numbers)s::int[], %(problems)s::text[],
        %(statuses)s::text[]) AS n (id, number, problem, status)
), settled AS (
    UPDATE message m
    SET status = n.status, next_at = CASE n.status WHEN 'waiting' THEN m.next_at END
    FROM ended n WHERE m.id = n.id)
UPDATE message_attempt t SET ended_at = %(at)s, problem = n.problem
FROM ended n WHERE t.message_id = n.id AND t.number = n.number"""
# Somebody else is to be told where one is refused, and what was said of an alert is to be looked at
# again. Nobody waits here for whoever holds a row at this moment: of which messages it was is
# returned, since the holder may change nothing after all.
_LOOK: Final = """
WITH wanted AS (
    SELECT t.alert_id, n.id, n.status FROM alert_attention t
    JOIN notification o ON o.alert_id = t.alert_id AND o.round = t.round
    JOIN unnest(%(ids)s::uuid[], %(statuses)s::text[]) AS n (id, status) ON n.id = o.message_id
    WHERE t.acknowledged_at IS NULL AND t.snoozed_at IS NULL
      AND (t.look_at IS NULL OR t.look_at > %(at)s)
      AND (n.status = 'failed' OR (n.status = 'sent') = (t.untold_since IS NOT NULL))
), looked AS (
    UPDATE alert_attention SET look_at = %(at)s WHERE alert_id IN (
        SELECT t.alert_id FROM alert_attention t
        WHERE t.alert_id IN (SELECT alert_id FROM wanted)
          AND t.acknowledged_at IS NULL AND t.snoozed_at IS NULL
          AND (t.look_at IS NULL OR t.look_at > %(at)s)
        FOR UPDATE SKIP LOCKED)
    RETURNING alert_id)
SELECT DISTINCT id, status FROM wanted WHERE alert_id NOT IN (SELECT alert_id FROM looked)"""
# What a notifier that was killed had still to look at: at the top of a ladder nothing else would.
_LEFT: Final = """
UPDATE alert_attention SET look_at = %(at)s WHERE alert_id IN (
    SELECT t.alert_id FROM alert_attention t
    JOIN alert a ON a.id = t.alert_id AND a.status = 'active' AND a.page
    WHERE t.step > 0 AND t.look_at IS NULL AND t.untold_since IS NULL
      AND t.acknowledged_at IS NULL AND t.snoozed_at IS NULL
      AND EXISTS (SELECT FROM notification o JOIN message m ON m.id = o.message_id
                  WHERE o.alert_id = t.alert_id AND o.round = t.round AND m.status = 'failed')
    FOR UPDATE OF t SKIP LOCKED)"""


class Outcome(NamedTuple):
    """What came of one attempt."""

    id: UUID
    number: int
    channel: str
    problem: str | None
    status: str  # Of the message, from now on.


class Courier:
    """Sends what waits, at most ``messages_max`` a round and ``sending_max`` at once."""

    def __init__(
        self, channels: Sequence[Notifier], settings: NotifySettings, clock: Clock
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._settings = settings
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.sending_max)
        self._has_begun = False
        # By message: what became of it, while somebody holds its alert. They hold it for as long as
        # a statement takes, so there are no more than one round has, or few.
        self._unlooked: dict[UUID, str] = {}

    async def deliver_round(self, connection: Connection) -> list[Outcome]:
        """One round. Cancellation leaves attempts without an end: they are made again."""
        now = self._clock()
        if not self._has_begun:
            await connection.execute(_LEFT, {"at": now})
            self._has_begun = True
        if self._unlooked:
            self._unlooked = await self._look(connection, self._unlooked, now)
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_WAITING, {"now": now, "rows": self._settings.messages_max})
            rows = await cursor.fetchall()
        unneeded = [row["id"] for row in rows if not row["needed"]]
        needed = [row for row in rows if row["needed"]]
        if unneeded:
            await connection.execute(_DROP, (unneeded,))
        if not needed:
            return []
        begun = {
            "ids": [row["id"] for row in needed],
            "next": [now + self._pause(row["attempts"]) for row in needed],
            "at": now,
        }
        await connection.execute(_BEGIN, begun)
        outcomes = await asyncio.gather(*(self._attempt(row, now) for row in needed))
        ended_at = self._clock()
        ended = {
            "ids": [each.id for each in outcomes],
            "numbers": [each.number for each in outcomes],
            "problems": [each.problem for each in outcomes],
            "statuses": [each.status for each in outcomes],
            "at": ended_at,
        }
        became = self._unlooked | {each.id: each.status for each in outcomes}
        async with connection.transaction():
            await connection.execute(_END, ended)
            unlooked = await self._look(connection, became, ended_at)
        self._unlooked = unlooked
        return outcomes

    @staticmethod
    async def _look(
        connection: Connection, became: Mapping[UUID, str], at: datetime
    ) -> dict[UUID, str]:
        """Have the alerts of these messages looked at; return those that somebody holds."""
        asked = {"ids": list(became), "statuses": list(became.values()), "at": at}
        return dict(await (await connection.execute(_LOOK, asked)).fetchall())

    def _pause(self, attempts: int) -> timedelta:
        """Until it is tried again, if this attempt fails or is never heard of again."""
        shortest, longest = self._settings.again_s_min, self._settings.again_s_max
        return timedelta(seconds=min(longest, shortest * 2 ** min(attempts, 20)))

    async def _attempt(self, row: Mapping[str, Any], now: datetime) -> Outcome:
        number, channel = row["attempts"] + 1, self._channels.get(row["channel"])
        problem, final = None, False
        if channel is None:
            problem = "this channel is not configured any more"
        else:
            try:
                async with self._slots, asyncio.timeout(self._settings.send_s_max):
                    await channel.send(_read(row), at=now)
            except TimeoutError:
                problem = f"no answer within {self._settings.send_s_max} s"
            except NotSentError as error:
                problem, final = str(error), error.final
        status = "sent" if problem is None else "waiting"
        if problem is not None:
            if final or number >= self._settings.attempts_max:
                status = "failed"
            _log.warning("message not sent", message=str(row["id"]), problem=problem, status=status)
        return Outcome(row["id"], number, row["channel"], problem, status)


def _read(row: Mapping[str, Any]) -> Message:
    alerts = [
        Told(
            **{
                **each,
                "alert_id": UUID(each["alert_id"]),
                "raised_at": datetime.fromisoformat(each["raised_at"]),
            }
        )
        for each in row["content"]["alerts"]
    ]
    return Message(
        id=row["id"],
        kind=row["kind"],
        recipient=Recipient(staff_id=row["staff_id"], email=row["email"], phone=row["phone"]),
        alerts=alerts,
        counts=row["content"]["counts"],
    )
