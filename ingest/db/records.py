"""SQL for ``record``: visits, referrals, attempts, other days, overrides, closures, returns.

Append-only: what somebody recorded stays, and a mistake is answered by another record that
withdraws it: then it moves no case, and stands in no export. Every new record marks its resident,
so that the case is folded again, and is told to the feed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import AwareDatetime

from ingest.db import due_marks, outbox
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from ingest.db.outbox import Event

Kind: TypeAlias = Literal[
    "visit",
    "referral",
    "referral_followup",
    "contact_attempt",
    "reschedule",
    "override",
    "closure",
    "return",
    "withdrawal",
]
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
    outcome: str | None = None  # Of a referral follow-up or an attempt to reach somebody.
    note: str | None = None
    form: Mapping[str, Any] | None = None  # What the form asks, JSON; numbers as exact text.
    withdraws: UUID | None = None  # A record that was a mistake.

    def __post_init__(self) -> None:
        for kinds, name, value in (
            (("visit",), "findings", self.findings),
            (("override", "reschedule"), "due", self.due),
            (("referral_followup", "contact_attempt"), "outcome", self.outcome),
            (("visit", "referral"), "form", self.form),
        ):
            if value and self.kind not in kinds:
                msg = f"{name} belongs to a record of kind {' or '.join(kinds)}"
                raise ValueError(msg)
        if self.kind == "reschedule" and self.due is None:
            msg = "a record of kind reschedule needs due"
            raise ValueError(msg)
        if self.kind == "withdrawal" and self.withdraws is None:
            msg = "a record of kind withdrawal needs withdraws"
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
    form: Any  # JSON, or None.
    withdraws: UUID | None

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
            "withdraws": self.withdraws and str(self.withdraws),
        }


def _as_row(record: Record, received_at: datetime) -> RecordRow:
    own = {name: getattr(record, name) for name in RecordRow._fields if name != "received_at"}
    own |= {"findings": list(record.findings), "form": record.form and dict(record.form)}
    return RecordRow(**own, received_at=received_at)


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
    sent = [row._replace(form=row.form and Jsonb(row.form)) for row in rows.values()]
    new = await insert_each(connection, _INSERT, sent)
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


STANDS: Final = "NOT EXISTS (SELECT FROM record AS w WHERE w.withdraws = record.id)"
"""Nobody said that a row of ``record`` was a mistake."""
_AUTHORS: Final = f"""
SELECT id, author FROM record
WHERE resident_id = ANY(%s) AND {STANDS}
  AND kind IN ('override', 'reschedule', 'closure', 'return')"""  # noqa: S608 - our own condition


async def fetch_authors(connection: Connection, residents: Sequence[str]) -> dict[UUID, str]:
    """Who gave a case its state by word alone: authors of words and days."""
    cursor = await connection.execute(_AUTHORS, (list(residents),), binary=True)
    return {row[0]: row[1] for row in await cursor.fetchall()}
