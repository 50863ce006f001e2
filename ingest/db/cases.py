"""SQL for ``resident_case`` and ``case_transition``: the present state and how it came to be."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from ingest.db.connections import Connection


class CaseRow(NamedTuple):
    """The case of one resident and condition, in the order of the statement below."""

    resident_id: str
    condition: str
    state: str
    consecutive_unsatisfied: int
    second_followup_due: date | None
    referral_followup_due: date | None
    next_routine_due: date | None
    anchor_id: UUID | None
    profile: str
    profile_version: str
    updated_at: datetime
    anchor_kind: str | None  # 'reading', 'record', 'resident'
    cause: str | None  # Action of the case machine that last moved it.
    severity: str | None = None  # Of its state and its open alerts the worst; None: quiet.

    def as_event(
        self, from_state: str, team_id: str | None, centre_id: str | None
    ) -> dict[str, Any]:
        """The change as the feed tells it: JSON types, names as in the table."""
        plain = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self._asdict().items()
        }
        plain["anchor_id"] = self.anchor_id and str(self.anchor_id)
        plain["anchor_reading_id"] = plain["anchor_id"] if self.anchor_kind == "reading" else None
        return {**plain, "from_state": from_state, "team_id": team_id, "centre_id": centre_id}


_COLUMNS: Final = ", ".join(CaseRow._fields)
_FETCH: Final = f"SELECT {_COLUMNS} FROM resident_case WHERE resident_id = ANY(%s)"  # noqa: S608 - column names of our own class


async def fetch(connection: Connection, residents: Sequence[str]) -> list[CaseRow]:
    """The cases of these residents. The caller holds their fold rows, nobody else writes."""
    cursor = await connection.execute(_FETCH, (list(residents),), binary=True)
    return [CaseRow(*row) for row in await cursor.fetchall()]


_UPSERT: Final = f"""
INSERT INTO resident_case ({_COLUMNS})
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::date[], %s::date[],
    %s::date[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[],
    %s::text[])
ON CONFLICT (resident_id, condition) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in CaseRow._fields[2:])}"""  # noqa: S608 - likewise


async def upsert(connection: Connection, rows: Sequence[CaseRow]) -> None:
    """Write the present state of cases. Never commits."""
    if rows:
        await connection.execute(_UPSERT, [list(column) for column in zip(*rows, strict=True)])


class TransitionRow(NamedTuple):
    """One change of state, in the order of the statement below."""

    resident_id: str
    condition: str
    from_state: str
    to_state: str
    at: datetime
    profile: str
    profile_version: str
    anchor_id: UUID | None
    author: str
    anchor_kind: str | None
    cause: str | None
    threshold: str | None
    input_ids: list[UUID]
    explanation: Any  # JSON, or None.


_TRANSITION: Final = f"""
INSERT INTO case_transition ({", ".join(TransitionRow._fields)})
VALUES ({", ".join(["%s"] * len(TransitionRow._fields))})"""  # noqa: S608 - likewise


async def insert_transitions(connection: Connection, rows: Sequence[TransitionRow]) -> None:
    """Append changes of state. Never commits."""
    told = [row._replace(explanation=row.explanation and Jsonb(row.explanation)) for row in rows]
    async with connection.cursor() as cursor:
        await cursor.executemany(_TRANSITION, told)
