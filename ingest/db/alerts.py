"""SQL for ``alert``: one row per (resident, condition, code, anchor), whoever raises it first.

The id is a function of those four, so ingest (emergencies, at once) and the judge (the whole
case) never raise the same alert twice. An alert is cancelled or resolved, never deleted.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from ingest.db.connections import Connection

_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-672d616c7274")


def alert_id(resident_id: str | None, condition: str, code: str, anchor: UUID) -> UUID:
    """The id of an alert; the same for every process and every run."""
    return uuid5(_NAMESPACE, f"{resident_id or ''}|{condition}|{code}|{anchor}")


class AlertRow(NamedTuple):
    """One alert, in the order of the statement below."""

    id: UUID
    resident_id: str | None
    centre_id: str
    condition: str
    code: str
    severity: str
    status: str
    anchor_reading_id: UUID
    effective_at: datetime
    raised_at: datetime
    due: date | None
    page: bool
    late: bool
    overdue_days: int
    escalation: int
    observed: str
    threshold: str
    source: str
    profile: str
    profile_version: str
    raised_by: str
    updated_at: datetime

    def as_event(self, team_id: str | None) -> dict[str, Any]:
        """The alert as the feed tells it: JSON types, names as in the table."""
        plain = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self._asdict().items()
        }
        plain["alert_id"] = str(plain.pop("id"))
        plain["anchor_reading_id"] = str(self.anchor_reading_id)
        plain["team_id"] = team_id
        return plain


_INSERT: Final = f"""
INSERT INTO alert ({", ".join(AlertRow._fields)})
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::date[], %s::bool[],
    %s::bool[], %s::int[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING id"""  # noqa: S608 - column names of our own class


async def insert_new(connection: Connection, rows: Sequence[AlertRow]) -> set[UUID]:
    """Raise alerts not raised before; return the ids of the new ones. Never commits."""
    if not rows:
        return set()
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor = await connection.execute(_INSERT, columns)
    return {row[0] for row in await cursor.fetchall()}


_RECENT: Final = """
SELECT resident_id, code, effective_at FROM alert
WHERE resident_id = ANY(%s) AND code = ANY(%s) AND status = 'active'"""


async def fetch_active_times(
    connection: Connection, residents: Sequence[str], codes: Sequence[str]
) -> list[tuple[str, str, datetime]]:
    """(resident, code, effective time) of active alerts, for "not again within 4 h"."""
    cursor = await connection.execute(_RECENT, (list(residents), list(codes)))
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


_OF_RESIDENTS: Final = f"""
SELECT {", ".join(AlertRow._fields)} FROM alert WHERE resident_id = ANY(%s)
ORDER BY id FOR UPDATE"""  # noqa: S608 - column names of our own class


async def fetch_for_update(connection: Connection, residents: Sequence[str]) -> list[AlertRow]:
    """Every alert of these residents, locked until the transaction ends."""
    cursor = await connection.execute(_OF_RESIDENTS, (list(residents),), binary=True)
    return [AlertRow(*row) for row in await cursor.fetchall()]


_UPDATE: Final = """
UPDATE alert SET severity = %s, status = %s, due = %s, overdue_days = %s, escalation = %s,
    updated_at = %s
WHERE id = %s"""


async def update(connection: Connection, rows: Sequence[AlertRow]) -> None:
    """Write what time and later data may change of an alert; its ground never changes."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            _UPDATE,
            [
                (r.severity, r.status, r.due, r.overdue_days, r.escalation, r.updated_at, r.id)
                for r in rows
            ],
        )
