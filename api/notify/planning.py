"""From alerts that ask for somebody to messages that wait to be sent, in one transaction.

    alert_attention.look_at ─▶ climb ─▶ notification (who, as what, which step) ─▶ message

Nothing is sent here. A crash before the commit has planned nothing; after it every message has its
id, which stays the same however often it must be sent. What is critical is a message of its own;
of everything else one person gets one message a round, however many alerts it is about.

The ladder never ends with nobody told: as long as a step that was reached has nobody who knows, the
alert says since when (``untold_since``), and is looked at again every ``untold_s``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from api.local_days import local_day
from api.notify.ladder import Climb, Rung, Standing, climb
from api.notify.notifiers import Notifier
from api.notify.people import Crew, Person, load_crew
from api.notify.reached import Reached, fetch_reached
from api.notify.settings import NotifySettings
from gateway.wire.ids import new_id
from ingest.db import attention, outbox
from ingest.db.attention import Entry
from ingest.db.connections import Connection
from ingest.db.outbox import Event

_log = structlog.get_logger()

_AUTHOR: Final = "notify"
_SLEPT: Final = """
SELECT alert_id, snoozed_until FROM alert_attention
WHERE look_at <= %(now)s AND snoozed_until <= %(now)s
ORDER BY look_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED"""
_DUE: Final = """
SELECT t.alert_id, t.round, t.opened_at, t.step, t.snoozed_until, t.untold_since,
       a.resident_id, a.team_id,
       coalesce(m.centre_id, a.centre_id) AS centre_id, a.condition, a.code, a.severity,
       a.escalation, a.raised_at,
       a.status = 'active' AND a.page AND t.acknowledged_at IS NULL AS asks
FROM alert_attention t JOIN alert a ON a.id = t.alert_id LEFT JOIN team m ON m.id = a.team_id
WHERE t.look_at <= %(now)s
ORDER BY t.look_at LIMIT %(rows)s FOR UPDATE OF t SKIP LOCKED"""
_CLIMBED: Final = """
UPDATE alert_attention t SET step = n.step, look_at = n.look_at, untold_since = n.untold_since
FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[])
    AS n (alert_id, step, look_at, untold_since)
WHERE t.alert_id = n.alert_id"""
_MESSAGE: Final = """
INSERT INTO message (id, kind, staff_id, channel, content, made_at, next_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_NOTIFICATION: Final = """
INSERT INTO notification (alert_id, round, step, rung, held, at, staff_id, message_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""


@dataclass(slots=True)
class Letter:
    """What one person is to be told in one message."""

    person: Person
    kind: str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[tuple[Any, ...]] = field(default_factory=list)  # Of the alerts: up to ``held``.
    counts: Mapping[str, int] = field(default_factory=dict)


async def plan_round(
    connection: Connection, channels: Sequence[Notifier], settings: NotifySettings, *, now: datetime
) -> int:
    """Plan for at most ``alerts_max`` alerts that are due; return how many there were."""
    asked = {"now": now, "rows": settings.alerts_max}
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SLEPT, asked)
        for row in await cursor.fetchall():
            await _bring_back(connection, row, now)
        await cursor.execute(_DUE, asked)
        due = await cursor.fetchall()
        if due:
            crew = await load_crew(connection, channels, settings.hours, today=local_day(now))
            reached = await fetch_reached(
                connection,
                [row["alert_id"] for row in due],
                now=now,
                pause=settings.refused_pause,
            )
            await _Round(connection, settings, crew, reached, now).plan(due)
    return len(due)


async def _bring_back(connection: Connection, row: Mapping[str, Any], now: datetime) -> None:
    of = await attention.fetch(connection, row["alert_id"], lock=False)
    if of is not None:
        entry = Entry(what="returned", at=now, author=_AUTHOR, until=row["snoozed_until"])
        await attention.bring_back(connection, of, entry)


class _Round:
    """One transaction's planning."""

    def __init__(
        self,
        connection: Connection,
        settings: NotifySettings,
        crew: Crew,
        reached: Mapping[UUID, Reached],
        now: datetime,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._crew = crew
        self._reached = reached
        self._now = now
        self._letters: dict[tuple[str, UUID | None], Letter] = {}
        self._nobody: list[tuple[Any, ...]] = []
        self._events: list[Event] = []

    async def plan(self, due: Sequence[Mapping[str, Any]]) -> None:
        found = [(row["alert_id"], *self._climb(row)) for row in due]
        await self._connection.execute(_CLIMBED, [list(c) for c in zip(*found, strict=True)])
        await write_letters(self._connection, list(self._letters.values()), now=self._now)
        async with self._connection.cursor() as cursor:
            await cursor.executemany(_NOTIFICATION, self._nobody)
        await outbox.insert(self._connection, self._events, at=self._now)

    def _climb(self, row: Mapping[str, Any]) -> tuple[int, datetime | None, datetime | None]:
        """How far one has come, when to look again, since when nobody could be told."""
        climbed = self._look(row)
        if climbed is None:
            # One that sleeps is looked at when it wakes: what woke before was brought back above.
            return row["step"], row["snoozed_until"], None
        untold_since = self._address(row, climbed)
        look_at = climbed.look_at
        if untold_since is not None and climbed.reached:
            again = self._now + timedelta(seconds=self._settings.untold_s)
            look_at = min(look_at or again, again)
        return climbed.step, look_at, untold_since

    def _look(self, row: Mapping[str, Any]) -> Climb | None:
        """None: nobody is to be told."""
        if not row["asks"] or row["snoozed_until"] is not None:
            return None
        critical = row["severity"] == "critical"
        standing = Standing(
            opened_at=row["opened_at"],
            step=row["step"],
            escalation=row["escalation"],
            critical=critical,
        )
        ladder = (self._settings.critical if critical else self._settings.high).ladder()
        hours = self._crew.hours(row["team_id"], row["centre_id"])
        return climb(standing, ladder, hours, self._now)

    def _address(self, row: Mapping[str, Any], climbed: Climb) -> datetime | None:
        """Put an alert into the letters of those who are to be told.

        Returns:
            Since when a step that was reached has nobody who was told or is about to be.
        """
        known = self._reached.get(row["alert_id"], Reached())
        untold_since: datetime | None = row["untold_since"] if row["step"] else None
        chosen: dict[str, tuple[Rung, Person]] = {}
        vain, told = [], bool(climbed.reached or known.sent)
        for rung in climbed.reached:
            found, people = self._crew.find(rung, row["team_id"], row["centre_id"], lost=known.lost)
            ids = {person.recipient.staff_id for person in people}
            new = rung in climbed.new
            fresh = ids if new else ids - known.addressed
            for person in people:
                if person.recipient.staff_id in fresh:
                    chosen.setdefault(person.recipient.staff_id, (found, person))
            told &= not ids.isdisjoint(known.sent)
            if not fresh and ids.isdisjoint(known.sent | known.hoped):
                vain.append(rung)
            if not people and (new or untold_since is None):
                note = (row["alert_id"], row["round"], climbed.step, rung, climbed.held)
                self._nobody.append((*note, self._now, None, None))
        for rung, person in chosen.values():
            self._put(row, climbed, rung, person)
        if any(rung is not Rung.DOCTOR for rung in climbed.new):
            self._events.append(Event("alert.escalated", _escalated(row, climbed.step)))
        if vain and untold_since is None:
            alert = str(row["alert_id"])
            _log.warning("nobody_told", alert=alert, severity=row["severity"], rung=str(vain[0]))
            return self._now
        return None if told else untold_since

    def _put(self, row: Mapping[str, Any], climbed: Climb, rung: Rung, person: Person) -> None:
        critical = row["severity"] == "critical"
        key = (person.recipient.staff_id, row["alert_id"] if critical else None)
        kind = "page" if critical else "notice"
        letter = self._letters.setdefault(key, Letter(person, kind))
        told = as_told(row, row["alert_id"], rung, step=climbed.step, held=climbed.held)
        letter.alerts.append(told)
        letter.notes.append((row["alert_id"], row["round"], climbed.step, rung, climbed.held))


def as_told(
    row: Mapping[str, Any], alert_id: UUID, rung: Rung, *, step: int, held: bool
) -> dict[str, Any]:
    """One alert of a letter, as ``delivery`` reads it."""
    return {
        "alert_id": str(alert_id),
        "resident_id": row["resident_id"],
        "team_id": row["team_id"],
        "severity": row["severity"],
        "raised_at": row["raised_at"].isoformat(),
        "rung": str(rung),
        "step": step,
        "held": held,
    }


def _escalated(row: Mapping[str, Any], step: int) -> dict[str, Any]:
    return {
        "alert_id": str(row["alert_id"]),
        "resident_id": row["resident_id"],
        "team_id": row["team_id"],
        "centre_id": row["centre_id"],
        "condition": row["condition"],
        "code": row["code"],
        "severity": row["severity"],
        "step": step,
        "author": _AUTHOR,
    }


async def write_letters(
    connection: Connection, letters: Sequence[Letter], *, now: datetime
) -> None:
    """One message for every channel that reaches the person; whoever has one of them, has it."""
    messages, notes = [], []
    for letter in letters:
        content = Jsonb({"alerts": letter.alerts, "counts": dict(letter.counts)})
        staff_id = letter.person.recipient.staff_id
        for channel in letter.person.channels:
            id_ = new_id(now)
            messages.append((id_, letter.kind, staff_id, channel, content, now, now))
            notes += [(*note, now, staff_id, id_) for note in letter.notes]
    async with connection.cursor() as cursor:
        await cursor.executemany(_MESSAGE, messages)
        await cursor.executemany(_NOTIFICATION, notes)
