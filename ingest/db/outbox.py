"""SQL for ``outbox``: what the world is told, written in the transaction that made it true.

Rows are unnumbered here; the one elected dispatcher numbers them after commit, so that
readers see a sequence without gaps.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from psycopg.types.json import Jsonb

from ingest.db.connections import Connection

EventKind: TypeAlias = Literal["alert.raised", "alert.changed", "case.changed"]


class Event(NamedTuple):
    """One event; the payload holds ``team_id`` and ``centre_id`` for whoever filters."""

    kind: EventKind
    payload: Mapping[str, Any]


_INSERT: Final = """
INSERT INTO outbox (kind, payload, created_at)
SELECT kind, payload, %s::timestamptz FROM unnest(%s::text[], %b::jsonb[]) AS e (kind, payload)"""
_WAKE: Final = "SELECT pg_notify('outbox', '')"


async def insert(connection: Connection, events: Sequence[Event], *, at: datetime) -> None:
    """Write events and wake the dispatcher on commit. Never commits."""
    if not events:
        return
    payloads = [Jsonb(dict(event.payload)) for event in events]
    await connection.execute(_INSERT, (at, [event.kind for event in events], payloads))
    await connection.execute(_WAKE)
