"""SQL for ``outbox``: what the world is told, written in the transaction that made it true.

The one way to tell anything, for ingest, the judge and the API alike:

    await outbox.insert(connection, [Event("record.added", {...})], at=now)

Rows are unnumbered here; the one elected dispatcher numbers them after commit, so that readers
see a sequence without gaps. Of one transaction they keep their order. A payload says what changed
and how it stands now, in JSON types, by the names of the tables. Who may see it is decided by
``resident_id``, where that one is *now*; without one by ``team_id``, without both by ``centre_id``.
It must never hold a name, an ID number or free text: what it names is read where it is kept.
``api/events/schemas.py`` describes each kind; a new kind has its place there, too.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ingest.db.connections import Connection

EventKind: TypeAlias = Literal[
    "alert.raised",
    "alert.changed",  # Its standing: resolved, cancelled, due, escalation, another centre.
    "alert.acknowledged",
    "alert.acknowledgement_withdrawn",
    "alert.snoozed",
    "alert.snooze_ended",
    "alert.escalated",  # Up the ladder of people: nobody has acknowledged it.
    "case.changed",
    "record.added",  # Visit, referral, contact attempt, override, closure, return, ...
    "reading.corrected",
    "reading.retracted",
    "resident.changed",
    "resident.erased",  # Name and ID number: who keeps a copy destroys it.
    "resident.merged",
    "resident.unmerged",
    "contract.changed",
]


class Event(NamedTuple):
    """One event; ``payload`` holds ``resident_id``, or says by team or centre whose it is."""

    kind: EventKind
    payload: Mapping[str, Any]


# One text for all: arrays of JSON would take longer to write than to store.
_INSERT: Final = """
INSERT INTO outbox (kind, payload, created_at)
SELECT e.kind, e.payload, %s::timestamptz
FROM json_to_recordset(%s::json) AS e (kind text, payload jsonb)"""
_WAKE: Final = "SELECT pg_notify('outbox', '')"


async def insert(connection: Connection, events: Sequence[Event], *, at: datetime) -> None:
    """Write events, in this order, and wake the dispatcher on commit. Never commits."""
    if not events:
        return
    rows = [{"kind": event.kind, "payload": event.payload} for event in events]
    await connection.execute(_INSERT, (at, msgspec.json.encode(rows).decode()))
    await connection.execute(_WAKE)
