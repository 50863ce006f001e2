"""SQL for ``alert_attention`` and ``alert_history``: what people do about an alert.

One row an alert that pages, or that somebody has attended to; every act is also a row of history
that is never rewritten, and an event of the feed, in the transaction that made it true. What was
acknowledged or snoozed opens again by a trigger when the alert gets worse, or is active again:
whoever writes alerts cannot forget it, and judging anew touches nothing else of it. Never commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from psycopg import AsyncCursor

from ingest.db import outbox
from ingest.db.connections import Connection
from ingest.db.outbox import Event, EventKind

Act: TypeAlias = Literal[
    "acknowledged",
    "acknowledgement_withdrawn",
    "snoozed",
    "snooze_withdrawn",
    "returned",  # From a snooze, when its time was up.
    "reopened",  # By the judge: it got worse, or is active again.
]
Reason: TypeAlias = Literal[
    "contacted",
    "visit_planned",
    "referred",
    "emergency_service_called",
    "already_under_care",
    "measurement_doubted",
    "other",
]
_KINDS: Final[Mapping[Act, EventKind]] = {
    "acknowledged": "alert.acknowledged",
    "acknowledgement_withdrawn": "alert.acknowledgement_withdrawn",
    "snoozed": "alert.snoozed",
    "snooze_withdrawn": "alert.snooze_ended",
    "returned": "alert.snooze_ended",
    "reopened": "alert.changed",  # By the judge, who tells it.
}
State: TypeAlias = Literal["open", "acknowledged", "snoozed", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """An alert and what people have done about it, as it stands."""

    alert_id: UUID
    resident_id: str | None
    team_id: str | None
    centre_id: str | None
    condition: str
    code: str
    severity: str
    status: str
    page: bool
    escalation: int
    due: date | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    reason: str | None
    note: str | None
    snoozed_at: datetime | None
    snoozed_by: str | None
    snoozed_until: datetime | None

    def state(self, at: datetime) -> State:
        """Whether it asks for somebody at this time."""
        if self.status != "active":
            return "closed"
        if self.acknowledged_at is not None:
            return "acknowledged"
        return "snoozed" if self.snoozed_until is not None and self.snoozed_until > at else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act: who did what, when and why."""

    what: Act
    at: datetime
    author: str
    reason: Reason | None = None
    note: str | None = None  # Stays here: neither the feed nor a message repeats free text.
    until: datetime | None = None


_SELECT: Final = """
SELECT a.id AS alert_id, a.resident_id, a.team_id, a.centre_id, a.condition, a.code, a.severity,
       a.status, a.page, a.escalation, a.due, t.acknowledged_at, t.acknowledged_by, t.reason,
       t.note, t.snoozed_at, t.snoozed_by, t.snoozed_until
FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id"""
_FETCH: Final = f"{_SELECT} WHERE a.id = %s"
_OF_CASE: Final = f"""{_SELECT}
WHERE a.id = %(id)s
   OR (a.resident_id = %(resident)s AND a.condition = %(condition)s AND a.status = 'active')
ORDER BY a.id"""


async def fetch(connection: Connection, alert_id: UUID, *, lock: bool) -> Attended | None:
    """One alert; None: there is none, or it may not be seen.

    With ``lock`` nobody else changes it until the transaction ends, the judge included.
    """
    if lock:  # First the lock, then what it protects: the second statement sees the last word.
        await connection.execute("SELECT FROM alert WHERE id = %s FOR NO KEY UPDATE", (alert_id,))
    cursor = await connection.execute(_FETCH.encode(), (alert_id,), binary=True)
    found = [_as_attended(cursor, row) for row in await cursor.fetchall()]
    return found[0] if found else None


async def hold_case(connection: Connection, lead: Attended) -> list[Attended]:
    """An alert and the other active ones of its case; nobody else changes them meanwhile.

    Held in the order in which the judge holds them.
    """
    values = {"id": lead.alert_id, "resident": lead.resident_id, "condition": lead.condition}
    await connection.execute(f"{_OF_CASE} FOR NO KEY UPDATE OF a".encode(), values)
    cursor = await connection.execute(_OF_CASE.encode(), values, binary=True)
    return [_as_attended(cursor, row) for row in await cursor.fetchall()]


def _as_attended(cursor: AsyncCursor[tuple[Any, ...]], row: tuple[Any, ...]) -> Attended:
    names = [column.name for column in cursor.description or ()]
    return Attended(**dict(zip(names, row, strict=True)))


_WRITE: Final = """
INSERT INTO alert_attention AS t (alert_id, opened_at, look_at, acknowledged_at, acknowledged_by,
    reason, note, snoozed_at, snoozed_by, snoozed_until)
SELECT a.id, a.raised_at, %(look_at)s, %(acknowledged_at)s, %(acknowledged_by)s, %(reason)s,
    %(note)s, %(snoozed_at)s, %(snoozed_by)s, %(snoozed_until)s
FROM alert a WHERE a.id = %(alert_id)s
ON CONFLICT (alert_id) DO UPDATE
SET look_at = EXCLUDED.look_at, acknowledged_at = EXCLUDED.acknowledged_at,
    acknowledged_by = EXCLUDED.acknowledged_by, reason = EXCLUDED.reason, note = EXCLUDED.note,
    snoozed_at = EXCLUDED.snoozed_at, snoozed_by = EXCLUDED.snoozed_by,
    snoozed_until = EXCLUDED.snoozed_until, untold_since = NULL"""
_NOTE: Final = """
INSERT INTO alert_history (alert_id, what, at, author, reason, note, until)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_NOTHING: Final[Mapping[str, Any]] = dict.fromkeys(
    (
        *("acknowledged_at", "acknowledged_by", "reason", "note"),
        *("snoozed_at", "snoozed_by", "snoozed_until", "look_at"),
    )
)


async def acknowledge(connection: Connection, of: Attended, entry: Entry) -> None:
    """Somebody has it: nobody is reminded any more, and a snooze ends."""
    standing = {
        "acknowledged_at": entry.at,
        "acknowledged_by": entry.author,
        "reason": entry.reason,
        "note": entry.note,
    }
    await _write(connection, of, entry, standing)


async def snooze(connection: Connection, of: Attended, entry: Entry) -> None:
    """Put an alert aside until ``entry.until``; the notifier brings it back and tells."""
    standing = {
        "snoozed_at": entry.at,
        "snoozed_by": entry.author,
        "snoozed_until": entry.until,
        "look_at": entry.until,
    }
    await _write(connection, of, entry, standing)


async def reopen(connection: Connection, of: Attended, entry: Entry) -> None:
    """An acknowledgement or a snooze was a slip: as if it had never been, but for the history.

    Reminders go on where they would be by now.
    """
    await _write(connection, of, entry, {"look_at": entry.at})


async def _write(
    connection: Connection, of: Attended, entry: Entry, standing: Mapping[str, Any]
) -> None:
    await connection.execute(_WRITE, {**_NOTHING, **standing, "alert_id": of.alert_id})
    await note(connection, of, entry)


async def note(connection: Connection, of: Attended, entry: Entry) -> None:
    """Write history, and tell it to the feed."""
    values = (entry.what, entry.at, entry.author, entry.reason, entry.note, entry.until)
    await connection.execute(_NOTE, (of.alert_id, *values))
    await outbox.insert(connection, [Event(_KINDS[entry.what], _told(of, entry))], at=entry.at)


def _told(of: Attended, entry: Entry) -> dict[str, Any]:
    return {
        "alert_id": str(of.alert_id),
        "resident_id": of.resident_id,
        "team_id": of.team_id,
        "centre_id": of.centre_id,
        "condition": of.condition,
        "code": of.code,
        "severity": of.severity,
        "escalation": of.escalation,
        "what": entry.what,
        "at": entry.at.isoformat(),
        "author": entry.author,
        "reason": entry.reason,
        "until": None if entry.until is None else entry.until.isoformat(),
    }


_BRING_BACK: Final = """
UPDATE alert_attention
SET round = round + 1, opened_at = %s, step = 0, look_at = %s,
    snoozed_at = NULL, snoozed_by = NULL, snoozed_until = NULL
WHERE alert_id = %s"""


async def bring_back(connection: Connection, of: Attended, entry: Entry) -> None:
    """A snooze is over: the alert asks for somebody again, from the first step on."""
    await connection.execute(_BRING_BACK, (entry.at, entry.at, of.alert_id))
    await note(connection, of, entry)
