"""SQL for ``resident_case`` and ``case_transition``: the present state and how it came to be."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

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
    anchor_reading_id: UUID | None
    profile: str
    profile_version: str
    updated_at: datetime

    def as_event(
        self, from_state: str, team_id: str | None, centre_id: str | None
    ) -> dict[str, Any]:
        """The change as the feed tells it: JSON types, names as in the table."""
        plain = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self._asdict().items()
        }
        plain["anchor_reading_id"] = self.anchor_reading_id and str(self.anchor_reading_id)
        return {**plain, "from_state": from_state, "team_id": team_id, "centre_id": centre_id}


_FETCH: Final = f"""
SELECT {", ".join(CaseRow._fields)} FROM resident_case
WHERE resident_id = ANY(%s)"""  # noqa: S608 - column names of our own class


async def fetch(connection: Connection, residents: Sequence[str]) -> list[CaseRow]:
    """The cases of these residents. The caller holds their fold rows, nobody else writes."""
    cursor = await connection.execute(_FETCH, (list(residents),))
    return [CaseRow(*row) for row in await cursor.fetchall()]


_UPSERT: Final = f"""
INSERT INTO resident_case ({", ".join(CaseRow._fields)})
VALUES ({", ".join(["%s"] * len(CaseRow._fields))})
ON CONFLICT (resident_id, condition) DO UPDATE
SET state = EXCLUDED.state, consecutive_unsatisfied = EXCLUDED.consecutive_unsatisfied,
    second_followup_due = EXCLUDED.second_followup_due,
    referral_followup_due = EXCLUDED.referral_followup_due,
    next_routine_due = EXCLUDED.next_routine_due,
    anchor_reading_id = EXCLUDED.anchor_reading_id,
    profile = EXCLUDED.profile, profile_version = EXCLUDED.profile_version,
    updated_at = EXCLUDED.updated_at"""  # noqa: S608 - column names of our own class


async def upsert(connection: Connection, rows: Sequence[CaseRow]) -> None:
    """Write the present state of cases. Never commits."""
    async with connection.cursor() as cursor:
        await cursor.executemany(_UPSERT, rows)


_TRANSITION: Final = """
INSERT INTO case_transition (resident_id, condition, from_state, to_state, at, profile,
    profile_version, anchor_reading_id, author)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'judge')"""


async def insert_transitions(
    connection: Connection, changes: Sequence[tuple[str, CaseRow]]
) -> None:
    """Append (previous state, case as it is now) for every case whose state changed."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            _TRANSITION,
            [
                (
                    case.resident_id,
                    case.condition,
                    from_state,
                    case.state,
                    case.updated_at,
                    case.profile,
                    case.profile_version,
                    case.anchor_reading_id,
                )
                for from_state, case in changes
            ],
        )
