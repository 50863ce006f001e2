"""Values that somebody measured at a visit and typed in, as readings of their own.

A value that is already there and stands, because the instrument sent it, is found and named
instead: it must not count twice. It is the same only where setting and meal context agree, since
what was typed must count as typed. What is stored has an id made from the visit's, so that the same
visit sent again stores nothing; a visit that is withdrawn retracts what it brought. The API has no
right to write readings but by ``add_visit_reading`` (migration 0019), which counts them under the
gateway ``visit``. Nothing is judged here: the record marks the resident.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from gateway.wire.ids import partition_time_of
from ingest.db import corrections, merges
from ingest.db.amendments import Amendment
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError

Kind = Literal["blood_pressure", "glucose"]
SAME_WITHIN: Final = timedelta(minutes=10)
"""Gap of one sitting. Source: decision table 2.2, step 7."""
_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-766973697400")
_VERSION, _VARIANT = 0x7, 0b10  # RFC 9562, 5.7.


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One measurement, in mmHg or mmol/L."""

    kind: Kind
    at: datetime
    setting: Literal["office", "home"]  # Home: the resident's own, told by telephone.
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    pulse: int | None = None
    glucose: Decimal | None = None
    meal_context: str | None = None

    @property
    def unit(self) -> str:
        """As it was shown."""
        return "mmHg" if self.kind == "blood_pressure" else "mmol/L"


def reading_id(visit: UUID, kind: Kind, at: datetime) -> UUID:
    """The id of what a visit brought: version 7 with the time of measuring, else of the visit."""
    milliseconds = int(at.timestamp() * 1_000) & (1 << 48) - 1
    rest = uuid5(visit, kind).int & (1 << 74) - 1
    high, low = rest >> 62, rest & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | _VERSION << 76 | high << 64 | _VARIANT << 62 | low)


# What somebody corrected or retracted is not found: it says something else now, or nothing.
_FIND: Final = """
SELECT r.id FROM visible_reading r
WHERE r.resident_id = %(person)s AND r.kind = %(kind)s
  AND r.effective_at BETWEEN %(since)s AND %(until)s AND r.unit = %(unit)s
  AND r.setting = %(setting)s
  AND r.systolic IS NOT DISTINCT FROM %(systolic)s
  AND r.diastolic IS NOT DISTINCT FROM %(diastolic)s
  AND r.glucose IS NOT DISTINCT FROM %(glucose)s
  AND coalesce((
      SELECT v.meal_context FROM visible_context v
      WHERE v.reading_id = r.id AND v.partition_at = r.partition_at
        AND v.meal_context <> 'unknown'
      ORDER BY v.said_at DESC, v.id DESC LIMIT 1), r.meal_context, 'unknown')
      = coalesce(%(meal_context)s, 'unknown')
  AND NOT EXISTS (SELECT FROM amendment a WHERE a.reading_id = r.id AND NOT a.undone
                  AND a.kind IN ('correction', 'retraction'))
ORDER BY r.effective_at, r.id LIMIT 1"""
_ADD: Final = """
SELECT add_visit_reading(%(id)s, %(partition_at)s, %(hash)s, %(kind)s, %(resident)s, %(at)s,
    %(received_at)s, %(setting)s, %(systolic)s, %(diastolic)s, %(pulse)s, %(glucose)s,
    %(meal_context)s, %(unit)s, %(extra)s)"""


async def add(
    connection: Connection,
    resident: str,
    visit: UUID,
    values: Sequence[Value],
    *,
    received_at: datetime,
) -> list[UUID]:
    """Store what is not there; the readings that the visit rests on. Never commits.

    Args:
        connection: Of a principal, inside a transaction.
        resident: Pseudonym of one whom the principal sees.
        visit: Id of the record.
        values: Of each kind at most one.
        received_at: The clock.

    Raises:
        UnstorableError: It is of a time of which no readings are kept any more.
    """
    found = []
    person = await merges.find_survivor(connection, resident)
    for value in values:
        asked = {**_as_row(value, resident, visit, received_at), "person": person}
        cursor = await connection.execute(_FIND, asked)
        known = await cursor.fetchone()
        if known is not None:
            found.append(known[0])
            continue
        cursor = await connection.execute(_ADD, asked)
        row = await cursor.fetchone()
        if row is None or not row[0]:
            msg = "measured before the time from which readings are kept; record it without"
            raise UnstorableError(msg)
        found.append(asked["id"])
    return found


def _as_row(value: Value, resident: str, visit: UUID, received_at: datetime) -> dict[str, Any]:
    id_ = reading_id(visit, value.kind, value.at)
    told = f"{value.kind} {value.systolic} {value.diastolic} {value.pulse} {value.glucose}"
    digest = hashlib.blake2b(f"{told} {value.meal_context}".encode(), digest_size=8).digest()
    return {
        "id": id_,
        "partition_at": partition_time_of(id_),
        "hash": int.from_bytes(digest, signed=True),
        "kind": value.kind,
        "resident": resident,
        "at": value.at,
        "since": value.at - SAME_WITHIN,
        "until": value.at + SAME_WITHIN,
        "received_at": received_at,
        "setting": value.setting,
        "systolic": value.systolic,
        "diastolic": value.diastolic,
        "pulse": value.pulse,
        "glucose": value.glucose,
        "meal_context": value.meal_context,
        "unit": value.unit,
        "extra": Jsonb({"visit_id": str(visit)}),
    }


_BROUGHT: Final = """
SELECT id FROM visible_reading
WHERE reported_for = %s AND gateway_id = 'visit' AND extra ->> 'visit_id' = %s"""


async def retract(
    connection: Connection,
    resident: str,
    visit: UUID,
    *,
    author: str,
    at: datetime,
) -> None:
    """Take back what a visit brought, because it was a mistake. Never commits.

    Raises:
        SettledError: It is folded into a checkpoint; the transaction must be rolled back.
    """
    cursor = await connection.execute(_BROUGHT, (resident, str(visit)))
    for id_ in sorted(row[0] for row in await cursor.fetchall()):
        held = await corrections.hold(connection, id_)
        if held is not None:
            amendment = Amendment(
                id=uuid5(_NAMESPACE, str(id_)),
                kind="retraction",
                reading_id=id_,
                author=author,
                reason=f"visit {visit} was withdrawn",
            )
            await corrections.amend(connection, held, amendment, at=at)


def values_of(form: Mapping[str, Any] | None, mode: str, at: datetime) -> list[Value]:
    """The values in a stored form. Whoever telephones tells what they measured at home."""
    measured = (form or {}).get("measured", {})
    when = datetime.fromisoformat(measured["measured_at"]) if "measured_at" in measured else at
    setting: Literal["office", "home"] = "home" if mode == "phone" else "office"
    found = []
    if "systolic_mmhg" in measured:
        found.append(
            Value(
                kind="blood_pressure",
                at=when,
                setting=setting,
                systolic=Decimal(measured["systolic_mmhg"]),
                diastolic=Decimal(measured["diastolic_mmhg"]),
                pulse=measured.get("pulse_per_min"),
            )
        )
    if "glucose_mmol_l" in measured:
        found.append(
            Value(
                kind="glucose",
                at=when,
                setting=setting,
                glucose=Decimal(measured["glucose_mmol_l"]),
                meal_context=measured["glucose_context"],
            )
        )
    return found
