"""SQL for ``amendment``: corrections, retractions and late contexts of readings.

A reading's row is never touched: what was said of it later stands beside it, and of each field
the latest received wins. What was said can be taken back by another row; it stays, and counts no
more. An amendment may come before its reading and then waits for it. A context
is a meter's word: of several the one captured last wins, and a person's correction over all of
them. Those that a gateway sends are stored by ``ingest.db.contexts``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import AwareDatetime

from gateway.wire.readings import MealContext, StatusFlag
from ingest.db import due_marks, storing
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from ingest.db.records import insert_each

_DECIMALS_MAX: Final = 7
_VALUE_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Fields of a reading that a correction sets, by their names on the wire; None: as it was."""

    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    glucose: Decimal | None = None
    unit: Literal["mmHg", "kPa", "mmol/L", "mg/dL", "mol/L", "kg/L"] | None = None
    meal_context: MealContext | None = None
    arm: Literal["left", "right"] | None = None
    setting: Literal["office", "home", "ambulatory"] | None = None
    status: tuple[StatusFlag, ...] | None = None
    measured_at: AwareDatetime | None = None
    resident_id: str | None = None  # Claimed, or moved to the right person.

    def __post_init__(self) -> None:
        for name in ("systolic", "diastolic", "glucose"):
            value: Decimal | None = getattr(self, name)
            if value is None:
                continue
            exact = value.is_finite() and value.scaleb(_DECIMALS_MAX) % 1 == 0
            if not exact or not 0 <= value <= _VALUE_MAX:
                msg = f"{name} must be a number from 0 to {_VALUE_MAX} with at most 7 decimals"
                raise ValueError(msg)

    def as_json(self) -> dict[str, Any]:
        """What is set, numbers as exact decimal text."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return format(value, "f") if isinstance(value, Decimal) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What somebody says of a reading. Raises ``ValueError`` when its kind needs more, or less."""

    id: UUID
    kind: Literal["correction", "retraction", "context", "undo"]
    author: str
    reading_id: UUID | None = None
    device_id: str | None = None  # A late context comes from the device:
    boot_id: str | None = None
    device_sequence: int | None = None  # it names the reading by its number.
    changes: Changes = Changes()
    reason: str | None = None
    undoes: UUID | None = None  # A correction or a retraction of the same reading.

    def __post_init__(self) -> None:
        names_reading = self.reading_id is not None
        names_sequence = self.device_id is not None and self.device_sequence is not None
        if names_reading == names_sequence or names_sequence != (self.kind == "context"):
            msg = "a context needs device_id and device_sequence, any other amendment reading_id"
            raise ValueError(msg)
        changed = set(self.changes.as_json())
        if self.kind == "context" and changed != {"meal_context"}:
            msg = "a context changes meal_context, and nothing else"
            raise ValueError(msg)
        if self.kind != "context" and bool(changed) != (self.kind == "correction"):
            msg = "a correction changes something, a retraction nothing"
            raise ValueError(msg)
        if (self.kind == "undo") != (self.undoes is not None):
            msg = "undoes belongs to an amendment of kind undo, which needs one"
            raise ValueError(msg)


class _Row(NamedTuple):
    """One row, in the order of the statement below."""

    id: UUID
    kind: str
    reading_id: UUID | None
    device_id: str | None
    boot_id: str | None
    device_sequence: int | None
    changes: Any
    author: str
    reason: str | None
    received_at: datetime
    undoes: UUID | None


_COLUMNS: Final = ", ".join(_Row._fields)
_INSERT: Final = f"""
INSERT INTO amendment ({_COLUMNS}) VALUES ({", ".join(["%s"] * len(_Row._fields))})
ON CONFLICT DO NOTHING
RETURNING id"""  # noqa: S608 - column names of our own class
_OF_IDS: Final = f"SELECT {_COLUMNS} FROM amendment WHERE id = ANY(%s)"  # noqa: S608 - likewise

# A late context belongs to the latest reading under its number that was there when it came,
# else to the first one after it: once found, another reading never takes it away, not even when
# retention has dropped the one that it belonged to (ingest.db.retention). It is of no reading of
# somebody else, where both say of whom they are; nor of one taken more than a month before or
# after it, where both clocks can be believed: a counter that began anew gives numbers again.
_MAY_MEAN: Final = """
{r}.kind = 'glucose'
AND (a.resident_id IS NULL OR {r}.resident_id IS NULL OR a.resident_id = {r}.resident_id)
AND (a.captured_at IS NULL OR NOT {r}.clock_synchronised
     OR {r}.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                            AND a.captured_at + INTERVAL '30 days')"""
CHOSEN: Final = f"""
a.kind = 'context' AND NOT a.retired
AND a.device_id = r.device_id AND a.device_sequence = r.device_sequence
AND a.boot_id IS NOT DISTINCT FROM r.boot_id AND {_MAY_MEAN.format(r="r")}
AND NOT EXISTS (
    SELECT FROM reading_key k JOIN stored_reading o ON o.id = k.reading_id
    WHERE k.device_id = a.device_id AND k.reading_id <> r.id
      AND k.rule_key = 'sequence:' || coalesce(a.boot_id, '') || ':' || a.device_sequence
      AND {_MAY_MEAN.format(r="o")}
      AND CASE WHEN r.received_at <= a.received_at
               THEN o.received_at <= a.received_at
                    AND (o.received_at, o.id) > (r.received_at, r.id)
               ELSE (o.received_at, o.id) < (r.received_at, r.id) END)"""
_CONCERNED: Final = f"""
WITH said AS (SELECT * FROM amendment WHERE id = ANY(%(ids)s)),
touched AS (
    SELECT r.id, r.resident_id FROM said a JOIN stored_reading r ON r.id = a.reading_id
    UNION
    SELECT r.id, r.resident_id FROM said a JOIN reading_key k
        ON k.device_id = a.device_id
       AND k.rule_key = 'sequence:' || coalesce(a.boot_id, '') || ':' || a.device_sequence
    JOIN stored_reading r ON r.id = k.reading_id AND {CHOSEN})
SELECT resident_id FROM touched WHERE resident_id IS NOT NULL
UNION
SELECT m.changes ->> 'resident_id' FROM amendment m JOIN touched ON touched.id = m.reading_id
WHERE m.changes ? 'resident_id'
ORDER BY 1"""  # noqa: S608 - our own condition


async def insert_new(
    connection: Connection, amendments: Iterable[Amendment], *, at: datetime
) -> set[UUID]:
    """Store what is not stored yet, and mark whose cases it concerns. Never commits.

    Whoever has the reading, had it, or gets it, is marked. Meanwhile nobody stores a reading: one
    that commits between our look and our COMMIT would be judged without what is said of it here,
    and nothing would bring its resident back.

    Args:
        connection: Inside a transaction.
        amendments: Of readings, stored or still to come.
        at: The clock: received now.

    Returns:
        The ids of the new ones.

    Raises:
        UnstorableError: An id is taken by an amendment with other content.
    """
    await storing.keep_out_writers(connection)
    new = await store(connection, amendments, at=at)
    await mark_concerned(connection, list(new), at=at)
    return new


async def store(
    connection: Connection, amendments: Iterable[Amendment], *, at: datetime
) -> set[UUID]:
    """Only the rows; whoever calls this knows whom they concern. As ``insert_new`` otherwise."""
    rows = {amendment.id: _as_row(amendment, at) for amendment in amendments}
    sent = [row._replace(changes=Jsonb(row.changes)) for row in rows.values()]
    new = await insert_each(connection, _INSERT, sent)
    known = [id_ for id_ in rows if id_ not in new]
    for stored in await (await connection.execute(_OF_IDS, (known,))).fetchall():
        row = _Row(*stored)
        if rows[row.id]._replace(received_at=row.received_at) != row:
            msg = f"amendment {row.id} is stored with other content; nothing said is rewritten"
            raise UnstorableError(msg)
    return new


async def mark_concerned(connection: Connection, ids: Sequence[UUID], *, at: datetime) -> None:
    """Mark whose cases these amendments concern, as readings stand now. Never commits."""
    cursor = await connection.execute(_CONCERNED, {"ids": list(ids)})
    concerned = [row[0] for row in await cursor.fetchall()]
    await due_marks.mark(connection, {(resident, "amendment"): at for resident in concerned})


def _as_row(amendment: Amendment, received_at: datetime) -> _Row:
    own = {name: getattr(amendment, name) for name in _Row._fields if name != "received_at"}
    return _Row(**{**own, "changes": amendment.changes.as_json()}, received_at=received_at)


class Said(NamedTuple):
    """One amendment of one reading, as the judge loads it."""

    id: UUID
    reading_id: UUID
    kind: str
    changes: Mapping[str, Any]
    received_at: datetime


_CLAIMED: Final = """
SELECT DISTINCT reading_id FROM amendment
WHERE changes ? 'resident_id' AND changes ->> 'resident_id' = ANY(%s)"""
_WHEN: Final = "coalesce(a.captured_at, a.received_at)"  # An outage changes nothing.
_COUNTS: Final = "NOT a.undone AND a.kind <> 'undo'"
_SAID: Final = f"""
SELECT a.id, r.id, a.kind, a.changes, {_WHEN}
FROM {{table}} r JOIN amendment a ON a.reading_id = r.id AND {_COUNTS}
WHERE r.resident_id = ANY(%(residents)s)
UNION
SELECT a.id, r.id, a.kind, a.changes, {_WHEN}
FROM {{table}} r JOIN amendment a ON {CHOSEN}
WHERE r.resident_id = ANY(%(residents)s)"""  # noqa: S608 - our own condition
_SAID_OF: Final = f"""
UNION
SELECT a.id, r.id, a.kind, a.changes, {_WHEN}
FROM {{table}} r JOIN amendment a ON a.reading_id = r.id AND {_COUNTS}
WHERE r.id = ANY(%(readings)s)
UNION
SELECT a.id, r.id, a.kind, a.changes, {_WHEN}
FROM {{table}} r JOIN amendment a ON {CHOSEN}
WHERE r.id = ANY(%(readings)s)"""  # noqa: S608 - our own condition


async def fetch_claimed(connection: Connection, residents: Sequence[str]) -> list[UUID]:
    """Readings that somebody once said are of these residents, also where it was taken back."""
    cursor = await connection.execute(_CLAIMED, (list(residents),), binary=True)
    return [row[0] for row in await cursor.fetchall()]


async def fetch_said(
    connection: Connection,
    residents: Sequence[str],
    readings: Sequence[UUID] = (),
    *,
    table: Literal["reading", "stored_reading"] = "stored_reading",
) -> list[Said]:
    """All that was said of the readings reported for these residents, and of these readings.

    Args:
        connection: Inside a transaction or not.
        residents: Pseudonyms.
        readings: Of others.
        table: ``reading`` is faster, where none of them is held back by retention.
    """
    statement = (_SAID + (_SAID_OF if readings else "")).format(table=table)
    asked = {"residents": list(residents), "readings": list(readings)}
    cursor = await connection.execute(statement, asked, binary=True)
    return [Said(*row) for row in await cursor.fetchall()]


_CLAIMANTS: Final = """
SELECT DISTINCT changes ->> 'resident_id' FROM amendment
WHERE reading_id = ANY(%s) AND changes ? 'resident_id' ORDER BY 1"""


async def fetch_claimants(connection: Connection, readings: Sequence[UUID]) -> list[str]:
    """Residents of whom somebody said, before these readings came, that they are theirs."""
    cursor = await connection.execute(_CLAIMANTS, (list(readings),), binary=True)
    return [row[0] for row in await cursor.fetchall()]
