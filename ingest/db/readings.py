"""SQL for ``reading``, ``reading_key`` and ``duplicate``: each id stored once, whoever asks.

COPY cannot skip duplicates, so rows go through a temporary table of the connection. Three
questions are asked in order: is the id known, is the *measurement* known under another id
(same device, sequence, resident), and only then is the row inserted. Every table is written
in key order, so that two workers with overlapping batches wait for each other and never
deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from ingest.db import plain
from ingest.db.connections import Connection


class ReadingRow(NamedTuple):
    """One row for ``reading``, in the order and types of COPY below, and its duplicate key."""

    id: UUID
    partition_at: datetime
    content_hash: int
    kind: str
    resident_id: str | None
    centre_id: str
    gateway_id: str
    device_id: str
    device_sequence: int | None
    boot_id: str | None
    measured_at: datetime | None
    stored_record: bool
    captured_at: datetime
    clock_synchronised: bool
    device_now: datetime | None
    received_at: datetime
    arrived_at: datetime
    effective_at: datetime
    time_suspect: bool
    setting: str
    status: list[str]
    systolic: Decimal | None
    diastolic: Decimal | None
    pulse: Decimal | None
    arm: str | None
    posture: str | None
    glucose: Decimal | None
    meal_context: str | None
    sample: str | None
    unit: str | None
    extra: Jsonb | None
    rule_key: str | None
    values_hash: int


_TYPES: Final = [
    "uuid",
    "timestamptz",
    "int8",
    "text",
    "text",
    "text",
    "text",
    "text",
    "int8",
    "text",
    "timestamptz",
    "bool",
    "timestamptz",
    "bool",
    "timestamptz",
    "timestamptz",
    "timestamptz",
    "timestamptz",
    "bool",
    "text",
    "text[]",
    "numeric",
    "numeric",
    "numeric",
    "text",
    "text",
    "numeric",
    "text",
    "text",
    "text",
    "jsonb",
    "text",
    "int8",
]
_COLUMNS: Final = ", ".join(ReadingRow._fields)
_STORED_COLUMNS: Final = ", ".join(ReadingRow._fields[:-2])

_STAGE: Final = """
CREATE TEMP TABLE IF NOT EXISTS staged (
    LIKE reading, rule_key text, values_hash bigint NOT NULL
) ON COMMIT DELETE ROWS"""
_COPY: Final = f"COPY staged ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"

_CLAIM_KEYS: Final = """
INSERT INTO reading_key (device_id, rule_key, resident_id, reading_id, values_hash)
SELECT device_id, rule_key, coalesce(resident_id, ''), id, values_hash
FROM staged WHERE rule_key IS NOT NULL
ORDER BY device_id, rule_key, coalesce(resident_id, ''), id
ON CONFLICT DO NOTHING"""
_SPLIT_KNOWN_MEASUREMENTS: Final = """
DELETE FROM staged s USING reading_key k
WHERE k.device_id = s.device_id AND k.rule_key = s.rule_key
  AND k.resident_id = coalesce(s.resident_id, '') AND k.reading_id <> s.id
RETURNING s.id, s.content_hash, s.gateway_id, s.received_at,
          k.reading_id, k.values_hash = s.values_hash"""
_INSERT: Final = f"""
INSERT INTO reading ({_STORED_COLUMNS})
SELECT {_STORED_COLUMNS} FROM staged ORDER BY id
ON CONFLICT DO NOTHING
RETURNING id"""  # noqa: S608 - column names of our own class
_INSERT_DUPLICATE: Final = """
INSERT INTO duplicate (id, duplicate_of, content_hash, gateway_id, received_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[], %s::timestamptz[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING id"""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the staged rows; an id in none of these was stored by someone else."""

    inserted: frozenset[UUID]
    duplicates: frozenset[UUID]  # Newly recorded as duplicates of another id.
    known_duplicates: frozenset[UUID]
    conflicts: frozenset[UUID]  # Same device and sequence, other values.


async def prepare(connection: Connection) -> None:
    """Make this connection ready for both lanes. Once per connection, before anything else."""
    plain.prepare(connection)
    await connection.execute(_STAGE)


async def merge(connection: Connection, rows: Iterable[ReadingRow]) -> Merged:
    """Store rows whose ids are not known yet (see ``fetch_known``). Never commits.

    Args:
        connection: Inside a transaction, after ``prepare``.
        rows: Ids distinct within the call.
    """
    async with connection.cursor(binary=True) as cursor:
        async with cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                await copy.write_row(row)
        await cursor.execute(_CLAIM_KEYS)
        await cursor.execute(_SPLIT_KNOWN_MEASUREMENTS)
        others = await cursor.fetchall()
        same = [row for row in others if row[5]]
        recorded = await insert_duplicates(
            connection, [(row[0], row[4], row[1], row[2], row[3]) for row in same]
        )
        await cursor.execute(_INSERT)
        inserted = frozenset(row[0] for row in await cursor.fetchall())
    return Merged(
        inserted=inserted,
        duplicates=recorded,
        known_duplicates=frozenset(row[0] for row in same) - recorded,
        conflicts=frozenset(row[0] for row in others if not row[5]),
    )


async def insert_duplicates(
    connection: Connection, rows: Sequence[tuple[UUID, UUID, int, str, datetime]]
) -> frozenset[UUID]:
    """Record ids as duplicates of another id; return the ids of the new ones. Never commits.

    Args:
        connection: Inside a transaction.
        rows: Id, of which id, content hash, gateway, received at.
    """
    if not rows:
        return frozenset()
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor = await connection.execute(_INSERT_DUPLICATE, columns, binary=True)
    return frozenset(row[0] for row in await cursor.fetchall())


class Known(NamedTuple):
    """The disposition an id already has."""

    disposition: str  # 'stored', 'duplicate' or 'quarantined'
    content_hash: int
    reason: str  # Of the quarantine; else empty.


_KNOWN: Final = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(at)s::timestamptz[]) AS a (id, partition_at))
SELECT id, 'stored', content_hash, '' FROM asked JOIN reading USING (id, partition_at)
 WHERE reading.partition_at BETWEEN %(low)s AND %(high)s
UNION ALL
SELECT id, 'duplicate', content_hash, '' FROM asked JOIN duplicate USING (id)
UNION ALL
SELECT id, 'stored', content_hash, '' FROM asked JOIN amendment USING (id)
 WHERE gateway_id IS NOT NULL AND NOT repeats
UNION ALL
SELECT id, 'quarantined', content_hash, reason
FROM asked JOIN quarantine ON reading_id = id AND settles"""


async def fetch_known(
    connection: Connection, ids: Sequence[tuple[UUID, datetime]]
) -> dict[UUID, Known]:
    """Which of these (id, partition time) already have a disposition, and which one."""
    if not ids:
        return {}
    times = [at for _, at in ids]
    cursor = await connection.execute(
        _KNOWN,
        {"ids": [id_ for id_, _ in ids], "at": times, "low": min(times), "high": max(times)},
        binary=True,
    )
    return {row[0]: Known(*row[1:]) for row in await cursor.fetchall()}
