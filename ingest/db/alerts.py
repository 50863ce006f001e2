"""SQL for ``alert``: one row per (resident, condition, code, first anchor), whoever raises it.

The id is a function of those four, so ingest (emergencies, at once) and the judge (the whole
case) never raise the same alert twice. An alert is cancelled or resolved, never deleted. Its
anchor may move to an earlier reading of the same assessment; the row and its id stay.

Whoever locks alerts does so ``FOR NO KEY UPDATE``: ids never change, and what points at an alert
(the notifier's records, history) may be written meanwhile. A stronger lock is a deadlock with it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from ingest.db.connections import Connection

_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-672d616c7274")


def alert_id(resident_id: str | None, condition: str, code: str, anchor: UUID) -> UUID:
    """The id of an alert; the same for every process and every run."""
    return uuid5(_NAMESPACE, f"{resident_id or ''}|{condition}|{code}|{anchor}")


def resident_anchor(resident_id: str) -> UUID:
    """The anchor of what rests on no reading and no record, but on the resident."""
    return uuid5(_NAMESPACE, resident_id)


class Standing(NamedTuple):
    """What an alert is about and how it stands: all that time and later data may change."""

    resident_id: str | None
    condition: str
    code: str
    anchor_id: UUID
    anchor_kind: str  # 'reading', 'record', 'resident'
    effective_at: datetime
    severity: str
    status: str
    due: date | None
    overdue_days: int
    escalation: int


class AlertRow(NamedTuple):
    """One alert, in the order of the statement below."""

    id: UUID
    resident_id: str | None
    centre_id: str | None
    condition: str
    code: str
    severity: str
    status: str
    anchor_id: UUID
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
    anchor_kind: str
    explanation: Any  # JSON, or None: nobody has explained it yet.

    def as_event(self, team_id: str | None) -> dict[str, Any]:
        """The alert as the feed tells it: JSON types, names as in the table."""
        plain = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self._asdict().items()
            if name != "explanation"
        }
        plain["alert_id"] = str(plain.pop("id"))
        plain["anchor_id"] = str(self.anchor_id)
        plain["anchor_reading_id"] = plain["anchor_id"] if self.anchor_kind == "reading" else None
        plain["team_id"] = team_id
        return plain


_COLUMNS: Final = ", ".join(AlertRow._fields)
_INSERT: Final = f"""
INSERT INTO alert ({_COLUMNS})
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::date[], %s::bool[],
    %s::bool[], %s::int[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[], %s::text[], %b::jsonb[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING id"""  # noqa: S608 - column names of our own class


async def insert_new(connection: Connection, rows: Sequence[AlertRow]) -> set[UUID]:
    """Raise alerts not raised before; return the ids of the new ones. Never commits."""
    if not rows:
        return set()
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[-1] = [_as_jsonb(explanation) for explanation in columns[-1]]
    cursor = await connection.execute(_INSERT, columns)
    return {row[0] for row in await cursor.fetchall()}


def _as_jsonb(explanation: Any) -> Jsonb | None:  # noqa: ANN401 - JSON
    return None if explanation is None else Jsonb(explanation)


_RECENT: Final = """
SELECT resident_id, code, effective_at FROM alert
WHERE resident_id = ANY(%s) AND code = ANY(%s) AND status = 'active'"""


async def fetch_active_times(
    connection: Connection, residents: Sequence[str], codes: Sequence[str]
) -> list[tuple[str, str, datetime]]:
    """(resident, code, effective time) of active alerts, for "not again within 4 h"."""
    cursor = await connection.execute(_RECENT, (list(residents), list(codes)))
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


class Stored(NamedTuple):
    """An alert as it stands in the table."""

    id: UUID
    explained: bool
    standing: Standing


_STANDING: Final = ", ".join(Standing._fields)
_STORED: Final = f"""
SELECT id, explanation IS NOT NULL, {_STANDING} FROM alert WHERE resident_id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE"""  # noqa: S608 - column names of our own class
_UNCLAIMED: Final = f"""
SELECT id, explanation IS NOT NULL, {_STANDING} FROM alert
WHERE resident_id IS NULL AND anchor_id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE"""  # noqa: S608 - likewise


_OF_IDS: Final = f"""
SELECT id, explanation IS NOT NULL, {_STANDING} FROM alert WHERE id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE"""  # noqa: S608 - likewise


async def lock(connection: Connection, ids: Sequence[UUID]) -> list[Stored]:
    """Those of these alerts that there are, whoever they are about, until the transaction ends."""
    cursor = await connection.execute(_OF_IDS, (list(ids),), binary=True)
    return [Stored(row[0], row[1], Standing(*row[2:])) for row in await cursor.fetchall()]


async def fetch_for_update(
    connection: Connection, residents: Sequence[str], claimed: Sequence[UUID]
) -> list[Stored]:
    """Every alert of these residents, locked until the transaction ends.

    Args:
        connection: Inside a transaction.
        residents: Pseudonyms.
        claimed: Readings that came without a resident: alerts that rest on them, too.
    """
    cursor = await connection.execute(_STORED, (list(residents),), binary=True)
    rows = await cursor.fetchall()
    if claimed:
        cursor = await connection.execute(_UNCLAIMED, (list(claimed),), binary=True)
        rows += await cursor.fetchall()
    return [Stored(row[0], row[1], Standing(*row[2:])) for row in rows]


_UPDATE: Final = f"""
UPDATE alert AS a SET resident_id = n.resident_id, anchor_id = n.anchor_id,
    anchor_kind = n.anchor_kind, centre_id = coalesce(n.centre_id, a.centre_id),
    effective_at = n.effective_at, severity = n.severity, status = n.status, due = n.due,
    overdue_days = n.overdue_days, escalation = n.escalation, updated_at = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[],
    %s::timestamptz[], %s::text[], %s::text[], %s::date[], %s::int[], %s::int[], %s::text[])
    AS n (id, {_STANDING}, centre_id)
WHERE a.id = n.id
RETURNING {", ".join(f"a.{name}" for name in AlertRow._fields)}"""  # noqa: S608 - likewise


async def update(
    connection: Connection,
    changes: Mapping[UUID, Standing],
    *,
    centres: Mapping[UUID, str],
    at: datetime,
) -> list[AlertRow]:
    """Write how these alerts stand now, and return them whole; what they showed stays.

    Args:
        connection: Inside a transaction, after ``fetch_for_update``.
        changes: By the id of the alert.
        centres: Of readings that are anchors now and were not: the alert moves with them.
        at: The clock.
    """
    if not changes:
        return []
    columns = [list(column) for column in zip(*changes.values(), strict=True)]
    places = [centres.get(standing.anchor_id) for standing in changes.values()]
    values = [at, list(changes), *columns, places]
    cursor = await connection.execute(_UPDATE, values, binary=True)
    return sorted((AlertRow(*row) for row in await cursor.fetchall()), key=lambda row: row.id)


_EXPLAIN: Final = """
UPDATE alert AS a SET explanation = n.explanation
FROM unnest(%s::uuid[], %b::jsonb[]) AS n (id, explanation)
WHERE a.id = n.id AND a.explanation IS NULL"""


async def explain(connection: Connection, explanations: Mapping[UUID, Any]) -> None:
    """Write why there are alerts that were raised without a word (by ingest, at once)."""
    if explanations:
        texts = [Jsonb(explanation) for explanation in explanations.values()]
        await connection.execute(_EXPLAIN, (list(explanations), texts))
