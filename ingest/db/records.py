"""SQL for ``record``: visits, referral follow-ups, overrides, closures and returns.

Append-only: what somebody recorded stays, and a mistake is answered by another record. Every
new record marks its resident, so that the case is folded again, and is told to the feed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime

from ingest.db import due_marks, outbox
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from ingest.db.outbox import Event

Kind: TypeAlias = Literal["visit", "referral_followup", "override", "closure", "return"]
Finding: TypeAlias = Literal["adverse_drug_reaction", "new_complication", "worse_complication"]
State: TypeAlias = Literal[
    "none",
    "controlled",
    "second_followup_open",
    "referral_recommended",
    "emergency_referral",
    "referral_closed",
    "screening",
    "screening_referral",
    "closed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What somebody recorded. Raises ``ValueError`` when its kind needs more, or less."""

    id: UUID
    resident_id: str
    kind: Kind
    at: AwareDatetime  # When it happened.
    author: str
    condition: Literal["hypertension", "diabetes"] | None = None  # None: both.
    mode: Literal["clinic", "home", "phone"] = "clinic"
    findings: tuple[Finding, ...] = ()  # Of a visit.
    state: State | None = None  # Of an override; overdue follows from the due day by itself.
    due: date | None = None
    reason: Literal["death", "moved", "contract_ended"] | None = None  # Of a closure.
    outcome: str | None = None  # Of a referral follow-up.
    note: str | None = None

    def __post_init__(self) -> None:
        for kind, name, value in (
            ("visit", "findings", self.findings),
            ("override", "due", self.due),
            ("referral_followup", "outcome", self.outcome),
        ):
            if value and self.kind != kind:
                msg = f"{name} belongs to a record of kind {kind}"
                raise ValueError(msg)
        if (self.kind == "override") != (self.state is not None):
            msg = "state belongs to a record of kind override, which needs one"
            raise ValueError(msg)
        if (self.kind == "closure") != (self.reason is not None):
            msg = "reason belongs to a record of kind closure, which needs one"
            raise ValueError(msg)


class RecordRow(NamedTuple):
    """One row, in the order of the statement below."""

    id: UUID
    resident_id: str
    condition: str | None
    kind: str
    at: datetime
    received_at: datetime
    mode: str
    findings: list[str]
    state: str | None
    due: date | None
    reason: str | None
    outcome: str | None
    author: str
    note: str | None

    def as_event(self) -> dict[str, Any]:
        """The record as the feed tells it: neither findings nor words; those are read."""
        return {
            "record_id": str(self.id),
            "resident_id": self.resident_id,
            "condition": self.condition,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "mode": self.mode,
            "state": self.state,
            "due": self.due and self.due.isoformat(),
            "reason": self.reason,
            "author": self.author,
        }


def _as_row(record: Record, received_at: datetime) -> RecordRow:
    own = {name: getattr(record, name) for name in RecordRow._fields if name != "received_at"}
    return RecordRow(**{**own, "findings": list(record.findings)}, received_at=received_at)


_COLUMNS: Final = ", ".join(RecordRow._fields)
_INSERT: Final = f"""
INSERT INTO record ({_COLUMNS}) VALUES ({", ".join(["%s"] * len(RecordRow._fields))})
ON CONFLICT DO NOTHING
RETURNING id"""  # noqa: S608 - column names of our own class
_OF_IDS: Final = f"SELECT {_COLUMNS} FROM record WHERE id = ANY(%s)"  # noqa: S608 - likewise


async def insert_new(
    connection: Connection, records: Iterable[Record], *, at: datetime
) -> set[UUID]:
    """Store what is not stored yet, mark whose cases it concerns, tell the feed. Never commits.

    Args:
        connection: Inside a transaction.
        records: Of residents who are known.
        at: The clock: received now.

    Returns:
        The ids of the new ones.

    Raises:
        UnstorableError: An id is taken by a record with other content.
    """
    rows = {record.id: _as_row(record, at) for record in records}
    new = await insert_each(connection, _INSERT, list(rows.values()))
    for row in await fetch(connection, [id_ for id_ in rows if id_ not in new]):
        if rows[row.id]._replace(received_at=row.received_at) != row:
            msg = f"record {row.id} is stored with other content; records are never rewritten"
            raise UnstorableError(msg)
    await due_marks.mark(connection, {(rows[id_].resident_id, "record"): at for id_ in new})
    told = [Event("record.added", row.as_event()) for id_, row in rows.items() if id_ in new]
    await outbox.insert(connection, told, at=at)
    return new


async def insert_each(
    connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]
) -> set[UUID]:
    """Run an insertion that returns the id of a new row, for each row; the new ids."""
    new: set[UUID] = set()
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement, rows, returning=True)
            new |= {row[0] for row in await cursor.fetchall()}
            while cursor.nextset():
                new |= {row[0] for row in await cursor.fetchall()}
    return new


async def fetch(connection: Connection, ids: Sequence[UUID]) -> list[RecordRow]:
    """The records of these ids; unknown ones are simply absent."""
    if not ids:
        return []
    cursor = await connection.execute(_OF_IDS, (list(ids),))
    return [RecordRow(*row) for row in await cursor.fetchall()]


_AUTHORS: Final = """
SELECT id, author FROM record
WHERE resident_id = ANY(%s) AND kind IN ('override', 'closure', 'return')"""


async def fetch_authors(connection: Connection, residents: Sequence[str]) -> dict[UUID, str]:
    """Who gave a case its state by word alone: authors of overrides, closures and returns."""
    cursor = await connection.execute(_AUTHORS, (list(residents),), binary=True)
    return {row[0]: row[1] for row in await cursor.fetchall()}
