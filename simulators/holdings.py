"""What the database and the spools hold, as streams; the SQL of ``reconcile``, read only.

Sets are streamed through server-side cursors inside one snapshot, so memory here does not grow
with the database.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import psycopg

from gateway.counters import SpoolCounters, read_counters, waiting_ids
from gateway.errors import SpoolError
from gateway.wire.errors import WireError
from gateway.wire.readings import parse_json
from ingest.db.connections import with_limits
from ingest.db.errors import DatabaseError, translated
from ingest.db.retention import KEEP_CHUNKS
from simulators.errors import ReconcileError
from simulators.ledger import Delivery, delivery_of

Snapshot: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_ROWS_PER_FETCH: Final = 5_000
_DISPOSED: Final = {
    "stored": (
        "SELECT id, gateway_id FROM stored_reading UNION ALL "
        "SELECT id, gateway_id FROM amendment WHERE gateway_id IS NOT NULL AND NOT repeats"
    ),
    "duplicate": "SELECT id, gateway_id FROM duplicate",
    "quarantined": (
        "SELECT CASE WHEN settles THEN reading_id END, coalesce(gateway_id, '') FROM quarantine"
    ),
}
_TOTALS: Final = """
SELECT gateway_id, sum(stored)::int8, sum(duplicate)::int8, sum(quarantined)::int8,
       sum(unsettling)::int8, sum(redelivered)::int8
FROM gateway_day GROUP BY gateway_id ORDER BY gateway_id"""
_EDGE: Final = "SELECT edge FROM retention"
_TOO_OLD: Final = """
SELECT reading_id FROM quarantine WHERE settles AND reason = 'before_retention'"""
_RETIRED: Final = "SELECT gateway_id, readings FROM gateway_retired"
_STORED: Final = """
SELECT id, device_id, boot_id, device_sequence, measured_at FROM stored_reading
WHERE id = ANY(%(ids)s)
UNION ALL
SELECT id, device_id, boot_id, device_sequence, NULL FROM amendment
WHERE id = ANY(%(ids)s) AND gateway_id IS NOT NULL"""
_REASONS: Final = """
SELECT reading_id, reason FROM quarantine WHERE settles AND reading_id = ANY(%s)"""
_DUPLICATES: Final = "SELECT id, duplicate_of FROM duplicate WHERE id = ANY(%s)"
_QUARANTINED: Final = "SELECT reading_id, payload FROM quarantine WHERE reading_id = ANY(%s)"


_ALERTS: Final = """
SELECT resident_id, condition, code, status, severity, due, effective_at,
       observed, threshold, source, profile
FROM alert WHERE status <> 'cancelled' AND resident_id IS NOT NULL"""
_STATES: Final = """
SELECT resident_id, condition, state, second_followup_due, referral_followup_due, next_routine_due
FROM resident_case WHERE state <> 'none'"""
# Events of before the lowest number may have been let go; the highest number always stays.
_UNTOLD: Final = """
SELECT a.resident_id, a.code, a.effective_at FROM alert a
WHERE a.status <> 'cancelled'
  AND a.raised_at >= coalesce(
      (SELECT min(created_at) FROM outbox HAVING min(number) > 1), '-infinity')
  AND NOT EXISTS (
      SELECT FROM outbox o WHERE o.kind = 'alert.raised' AND o.number IS NOT NULL
        AND o.payload ->> 'alert_id' = a.id::text)"""
# Nobody is called at night for what is a day old, nor for what is no more than a warning.
_WRONGLY_PAGED: Final = """
SELECT resident_id, code, effective_at, CASE WHEN page THEN 'pages' ELSE 'does not page' END
FROM alert
WHERE status <> 'cancelled' AND CASE
    WHEN page THEN severity NOT IN ('high', 'critical')
    ELSE severity IN ('high', 'critical') AND raised_at - CASE
        WHEN code IN ('FOLLOWUP_OVERDUE', 'REFERRAL_FOLLOWUP_OVERDUE')
        THEN (due + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' ELSE effective_at
    END <= interval '24 hours' END"""
_RAISED: Final = """
SELECT a.resident_id, a.code, a.severity, a.anchor_id, a.anchor_kind, a.raised_at, a.due,
       ARRAY(SELECT m.received_at
             FROM amendment m LEFT JOIN stored_reading x ON x.id = m.reading_id
             WHERE m.received_at <= a.raised_at
               AND (m.reading_id = a.anchor_id OR x.resident_id = a.resident_id))
FROM alert a
WHERE a.status <> 'cancelled' AND a.resident_id IS NOT NULL"""
_KEPT: Final = """
SELECT r.id, r.owner_id, r.effective_at, r.systolic, r.diastolic, r.glucose,
       r.meal_context, r.setting, r.arm
FROM owned_reading r
WHERE NOT EXISTS (SELECT FROM amendment m WHERE m.reading_id = r.id)
  AND NOT EXISTS (SELECT FROM amendment m WHERE m.device_id = r.device_id
                  AND m.device_sequence = r.device_sequence)"""


class Kept(NamedTuple):
    """One stored reading that nobody amended; values as on the wire, ``resident_id`` its owner."""

    id: UUID
    resident_id: str | None
    effective_at: datetime
    systolic: Decimal | None
    diastolic: Decimal | None
    glucose: Decimal | None
    meal_context: str | None
    setting: str
    arm: str | None


class ToldAlert(NamedTuple):
    """An alert as people see it; the first six fields tell it from others."""

    resident_id: str
    condition: str
    code: str
    status: str
    severity: str
    due: date | None
    effective_at: datetime
    observed: str
    threshold: str
    source: str
    profile: str

    @property
    def key(self) -> tuple[str, str, str, str, str, date | None]:
        """Resident, condition, code, status, severity, due."""
        return self[:6]


class Raised(NamedTuple):
    """When an alert was raised, and on what ground."""

    resident_id: str
    code: str
    severity: str
    anchor_id: UUID
    anchor_kind: str
    raised_at: datetime
    due: date | None
    amended_at: Sequence[datetime]  # Before it, something about its anchor or its resident.


class Totals(NamedTuple):
    """The kept totals of one gateway."""

    stored: int
    duplicate: int
    quarantined: int
    unsettling: int
    redelivered: int


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention has let go: rows that were stored, and are counted only."""

    edge: datetime | None  # Readings with an id before it may be gone; None: none is.
    retired: Mapping[str, int]  # By gateway.


@dataclass(frozen=True, slots=True)
class SpoolState:
    """One spool: its counters, and what has no receipt."""

    counters: SpoolCounters
    waiting: frozenset[UUID]


def read_spool(path: Path) -> SpoolState:
    """Read one spool, in use or not. Raises ``ReconcileError``."""
    try:
        return SpoolState(read_counters(path), frozenset(waiting_ids(path)))
    except SpoolError as error:
        raise ReconcileError(str(error)) from error


@contextmanager
def opened(dsn: str) -> Iterator[Snapshot]:
    """Open one read-only snapshot of the database. Raises ``ReconcileError``."""
    try:
        with (
            translated(),
            psycopg.connect(with_limits(dsn, application_name="suifang reconcile")) as connection,
        ):
            connection.execute(KEEP_CHUNKS)  # A chunk that goes meanwhile would be missing; and
            connection.commit()  # a snapshot from before the lock might not know what went.
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
    except (DatabaseError, psycopg.Error) as error:
        msg = f"cannot read the database: {error}; check --database and `suifang migrate`"
        raise ReconcileError(msg) from error


def stream_disposed(snapshot: Snapshot, disposition: str) -> Iterator[tuple[UUID | None, str]]:
    """Every row with this disposition: its id and gateway, ``""`` when no gateway is known.

    The id is None where a quarantined item settles none: it could not be read, or the id has
    another disposition.
    """
    with snapshot.cursor(name=f"reconcile_{disposition}", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(_DISPOSED[disposition].encode())
        yield from cursor


def read_totals(snapshot: Snapshot) -> dict[str, Totals]:
    """``gateway_day`` summed over days. Bounded by the number of gateways."""
    with snapshot.cursor() as cursor:
        cursor.execute(_TOTALS)
        return {row[0]: Totals(*row[1:]) for row in cursor}


def read_retained(snapshot: Snapshot) -> Retained:
    """What retention has let go of. Bounded by the number of gateways."""
    with snapshot.cursor(binary=True) as cursor:
        edge = cursor.execute(_EDGE).fetchone()
        cursor.execute(_RETIRED)
        return Retained(None if edge is None else edge[0], dict(cursor.fetchall()))


def read_alerts(snapshot: Snapshot) -> list[ToldAlert]:
    """Every alert of a resident that was not cancelled."""
    return [ToldAlert(*row) for row in snapshot.execute(_ALERTS)]


def read_states(
    snapshot: Snapshot,
) -> list[tuple[str, str, str, date | None, date | None, date | None]]:
    """Every case that is one.

    Resident, condition, state; due day of the second follow-up, of the referral's, of routine.
    """
    return snapshot.execute(_STATES).fetchall()


def read_untold(snapshot: Snapshot) -> list[tuple[str, str, datetime]]:
    """Alerts of which the feed does not tell, though it goes back so far."""
    return snapshot.execute(_UNTOLD).fetchall()


def read_wrongly_paged(snapshot: Snapshot) -> list[tuple[str, str, datetime, str]]:
    """Alerts that should page and do not, or the other way round."""
    return snapshot.execute(_WRONGLY_PAGED).fetchall()


def stream_kept(snapshot: Snapshot) -> Iterator[Kept]:
    """Every stored reading that nobody amended."""
    with snapshot.cursor(name="reconcile_kept", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(_KEPT)
        for row in cursor:
            yield Kept(*row)


def read_raised(snapshot: Snapshot) -> list[Raised]:
    """Every alert of a resident that was not cancelled."""
    return [Raised(*row) for row in snapshot.execute(_RAISED)]


def read_reasons(snapshot: Snapshot, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Why these were quarantined, of those that were."""
    return dict(snapshot.execute(_REASONS, (list(ids),)).fetchall())


def stream_too_old(snapshot: Snapshot) -> Iterator[UUID]:
    """Ids that came when nothing so old was kept any more: they may have been stored before."""
    with snapshot.cursor(name="reconcile_too_old", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(_TOO_OLD)
        for (reading_id,) in cursor:
            yield reading_id


def find_deliveries(snapshot: Snapshot, ids: Sequence[UUID]) -> dict[UUID, Delivery | UUID]:
    """What device and sequence these ids are; for a duplicate, the id it is a duplicate of."""
    found: dict[UUID, Delivery | UUID] = {}
    with snapshot.cursor(binary=True) as cursor:
        cursor.execute(_QUARANTINED, (list(ids),))
        for reading_id, payload in cursor:
            delivery = _delivery_in(payload)
            if delivery is not None:
                found[reading_id] = delivery
        cursor.execute(_DUPLICATES, (list(ids),))
        found |= dict(cursor.fetchall())
        cursor.execute(_STORED, {"ids": list(ids)})
        for reading_id, device_id, boot_id, sequence, measured_at in cursor:
            found[reading_id] = delivery_of(
                {
                    "device_id": device_id,
                    "boot_id": boot_id,
                    "device_sequence": sequence,
                    "measured_at": _text(measured_at),
                }
            )
    return found


def _text(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _delivery_in(payload: bytes) -> Delivery | None:
    try:
        reading = parse_json(bytes(payload))
        return delivery_of(reading) if isinstance(reading, dict) else None
    except (WireError, ValueError, TypeError):
        return None
