"""SQL of retention: the edge, readings that are held beyond it, and chunks that are dropped.

The edge is a partition time. It is told to writers first (``announce``): after that nothing is
stored in front of it, so what lies there only gets less. What is let go here goes by functions of
the schema (migration 0032), whatever is asked of them: nothing that came within the least time
that readings are kept, which the database's owner says (``set_floor``), nothing behind the edge.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from ingest.db.amendments import CHOSEN
from ingest.db.connections import Connection
from ingest.db.readings import Known

NO_EDGE: Final = datetime.min.replace(tzinfo=UTC)
"""Retention was never used: nothing is older."""
FLOOR_DAYS_MIN: Final = 91
"""A quarter: screening looks back 90 days, and a routine visit is due within 90."""

_READING: Final = 0x5F1FA601  # Key of the advisory lock; any number that nothing else uses.
KEEP_CHUNKS: Final = f"SELECT pg_advisory_lock_shared({_READING})"
_LET_CHUNKS_GO: Final = f"SELECT pg_advisory_unlock_shared({_READING})"


async def fetch_edge(connection: Connection) -> datetime:
    """Before which nothing is stored any more. Read it after ``storing.let_amenders_wait``."""
    cursor = await connection.execute("SELECT edge FROM retention")
    row = await cursor.fetchone()
    edge: datetime = NO_EDGE if row is None else row[0]
    return edge


async def announce(connection: Connection, edge: datetime, *, at: datetime) -> datetime:
    """Move the edge on, once nobody is storing anything. Inside a transaction.

    Args:
        connection: Of a role that may.
        edge: As ``align`` gave it.
        at: When it is announced.

    Returns:
        The edge in force, which never goes back.
    """
    cursor = await connection.execute("SELECT announce_retention(%s, %s)", (edge, at))
    row = await cursor.fetchone()
    return row[0] if row else NO_EDGE


_SET_FLOOR: Final = """
INSERT INTO retention_floor (days) VALUES (%s)
ON CONFLICT (single) DO UPDATE SET days = EXCLUDED.days"""


async def set_floor(connection: Connection, days: int) -> None:
    """Say how many days readings are kept at least. As the owner of the database."""
    await connection.execute(_SET_FLOOR, (days,))


@asynccontextmanager
async def chunks_kept(connection: Connection) -> AsyncIterator[None]:
    """Let no chunk be dropped inside the block: for long looks at all history.

    Outside a transaction: a snapshot from before the lock might not know what was dropped.
    """
    await connection.execute(KEEP_CHUNKS)
    try:
        yield
    finally:
        if not connection.broken:
            await connection.execute(_LET_CHUNKS_GO)


async def may_drop_chunks(connection: Connection) -> bool:
    """Whether nobody is in the middle of such a look; nobody begins until the transaction ends.

    Tried, never waited for: whoever waits in line would hold up those behind.
    """
    cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (_READING,))
    row = await cursor.fetchone()
    return bool(row and row[0])


_HELD: Final = """
SELECT id, 'stored', content_hash, '' FROM reading_held WHERE id = ANY(%s)"""


async def fetch_held(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Known]:
    """Which of these ids are held beyond the edge."""
    if not ids:
        return {}
    cursor = await connection.execute(_HELD, (list(ids),), binary=True)
    return {row[0]: Known(*row[1:]) for row in await cursor.fetchall()}


async def hold(connection: Connection, ids: Sequence[UUID]) -> None:
    """Take readings out of the chunks in front of the edge; they stay stored. Never commits."""
    if ids:
        await connection.execute("SELECT hold_readings(%s)", (list(ids),))


_RELEASABLE: Final = """
SELECT id FROM reading_held WHERE id = ANY(%s) AND received_at < readings_kept_from()"""
_RETIRE_CONTEXTS_OF: Final = f"""
UPDATE amendment SET retired = true WHERE id IN (
    SELECT a.id FROM reading_held r JOIN amendment a ON {CHOSEN} WHERE r.id = ANY(%s))"""  # noqa: S608 - our own condition


async def release(connection: Connection, ids: Sequence[UUID]) -> int:
    """Drop readings that were held and need not be any more, and count them. Never commits.

    Those that came within the least time that readings are kept stay until a later run.
    """
    if not ids:
        return 0
    cursor = await connection.execute(_RELEASABLE, (list(ids),))
    old = [row[0] for row in await cursor.fetchall()]
    if not old:
        return 0
    await connection.execute(_RETIRE_CONTEXTS_OF, (old,))
    row = await (await connection.execute("SELECT release_readings(%s)", (old,))).fetchone()
    return int(row[0]) if row else 0


# Whose past must be folded before the chunks in front of an edge may go: who reported a reading
# there, who claimed one, and whose readings are held from before.
_CONCERNED: Final = """
SELECT id FROM (
    SELECT resident_id AS id FROM reading
     WHERE partition_at < %(edge)s AND resident_id IS NOT NULL
    UNION
    SELECT a.changes ->> 'resident_id' FROM amendment a JOIN reading r ON r.id = a.reading_id
     WHERE a.changes ? 'resident_id' AND r.partition_at < %(edge)s
    UNION
    SELECT resident_id FROM reading_held WHERE resident_id IS NOT NULL
    UNION
    SELECT a.changes ->> 'resident_id' FROM amendment a JOIN reading_held r ON r.id = a.reading_id
     WHERE a.changes ? 'resident_id') AS concerned
WHERE NOT EXISTS (SELECT FROM resident_checkpoint c
                   WHERE c.resident_id = concerned.id AND c.edge >= %(edge)s)"""
_LIST: Final = """
CREATE TEMP TABLE IF NOT EXISTS retiring (id text PRIMARY KEY);
TRUNCATE retiring"""


async def list_concerned(connection: Connection, edge: datetime) -> int:
    """Note in a table of the connection whose past is not folded yet; return how many."""
    await connection.execute(_LIST)
    statement = f"INSERT INTO retiring {_CONCERNED} ON CONFLICT DO NOTHING"
    cursor = await connection.execute(statement, {"edge": edge})
    return cursor.rowcount


async def page_concerned(connection: Connection, last: str, rows_max: int) -> list[str]:
    """Those noted that follow ``last``, in order; begin with an empty one."""
    cursor = await connection.execute(
        "SELECT id FROM retiring WHERE id > %s ORDER BY id LIMIT %s", (last, rows_max)
    )
    return [row[0] for row in await cursor.fetchall()]


_CLAIMED_SINCE: Final = """
SELECT EXISTS (
    SELECT FROM amendment a JOIN reading r ON r.id = a.reading_id
     WHERE a.changes ? 'resident_id' AND r.partition_at < %(edge)s
       AND NOT EXISTS (
           SELECT FROM resident_checkpoint c
            WHERE c.resident_id = a.changes ->> 'resident_id' AND c.edge >= %(edge)s))"""


async def is_anybody_left(connection: Connection, edge: datetime) -> bool:
    """Whether somebody claimed a reading since whose past is not closed; nobody else can come."""
    cursor = await connection.execute(_CLAIMED_SINCE, {"edge": edge})
    row = await cursor.fetchone()
    return bool(row and row[0])


_RUNNING: Final = 0x5F1FA602


async def begin_run(connection: Connection) -> bool:
    """Whether this connection is the only one that lets readings go, until it is closed."""
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_RUNNING,))
    row = await cursor.fetchone()
    return bool(row and row[0])


async def end_run(connection: Connection) -> None:
    """Let another one."""
    await connection.execute("SELECT pg_advisory_unlock(%s)", (_RUNNING,))


class Chunk(NamedTuple):
    """A month of readings."""

    begins_at: datetime
    ends_at: datetime


_CHUNKS: Final = """
SELECT range_start, range_end FROM timescaledb_information.chunks
WHERE hypertable_schema = 'public' AND hypertable_name = 'reading' AND range_end <= %s
ORDER BY range_start"""
_GRID: Final = """
SELECT time_interval, readings_kept_from() FROM timescaledb_information.dimensions
WHERE hypertable_schema = 'public' AND hypertable_name = 'reading'"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_chunks(connection: Connection, edge: datetime) -> list[Chunk]:
    """The chunks that end at the edge or before, oldest first."""
    cursor = await connection.execute(_CHUNKS, (edge,))
    return [Chunk(*row) for row in await cursor.fetchall()]


async def align(connection: Connection, before: datetime) -> datetime:
    """The latest boundary of chunks that is not after ``before``: only whole chunks go.

    Nor after the time from which on readings are kept whatever is asked; ``NO_EDGE`` where nothing
    has come yet.
    """
    row = await (await connection.execute(_GRID)).fetchone()
    if row is None or row[1] is None:
        return NO_EDGE
    span: timedelta = row[0]
    latest: datetime = min(before, row[1])
    return latest - (latest - _EPOCH) % span


_RETIRE_CONTEXTS: Final = f"""
UPDATE amendment SET retired = true WHERE id IN (
    SELECT a.id FROM amendment a JOIN reading r
        ON r.device_id = a.device_id AND r.device_sequence = a.device_sequence AND {CHOSEN}
    WHERE a.kind = 'context' AND NOT a.retired
      AND r.partition_at >= %(low)s AND r.partition_at < %(high)s)"""  # noqa: S608 - our own condition
_COUNT: Final = """
SELECT gateway_id, count(*) FROM reading
WHERE partition_at >= %(low)s AND partition_at < %(high)s GROUP BY gateway_id"""
_DROP: Final = "SELECT drop_retired_readings(%s, %s::text[], %s::bigint[])"


async def count_readings(connection: Connection, chunk: Chunk) -> dict[str, int]:
    """How many readings of each gateway are in a chunk in front of the edge: it only gets less."""
    bounds = {"low": chunk.begins_at, "high": chunk.ends_at}
    cursor = await connection.execute(_COUNT, bounds)
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def drop_chunk(connection: Connection, chunk: Chunk, counts: Mapping[str, int]) -> None:
    """Drop the oldest chunk, and count what was in it. Inside a transaction without writers."""
    bounds = {"low": chunk.begins_at, "high": chunk.ends_at}
    await connection.execute(_RETIRE_CONTEXTS, bounds)
    given = (chunk.ends_at, list(counts), list(counts.values()))
    await connection.execute(_DROP, given)


_FORGET_KEYS: Final = "SELECT * FROM forget_reading_keys(%s, %s, %s, %s)"


async def forget_keys(
    connection: Connection, after: tuple[str, str, str], rows_max: int
) -> tuple[tuple[str, str, str] | None, int]:
    """Look at the duplicate keys that follow; forget those of readings that are let go.

    Returns:
        The last one looked at, None: there are no more; and how many were forgotten.
    """
    row = await (await connection.execute(_FORGET_KEYS, (*after, rows_max))).fetchone()
    return (None, 0) if row is None else ((row[0], row[1], row[2]), row[3])


class Counts(NamedTuple):
    """How things stand."""

    chunks: int
    oldest_chunk: datetime | None
    held: int
    retired: int
    checkpoints: int
    before_retention: int  # Quarantined for their age.
    unfolded: int  # Stored, but measured before their resident's checkpoint.
    policies: int  # Retention policies of TimescaleDB on ``reading``: they fold nothing.
    floor_days: int  # Readings are kept for so many days at least.
    edition: str


_COUNTS: Final = """
SELECT (SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'),
       (SELECT min(range_start) FROM timescaledb_information.chunks
         WHERE hypertable_name = 'reading'),
       (SELECT count(*) FROM reading_held),
       (SELECT coalesce(sum(readings), 0)::int8 FROM gateway_retired),
       (SELECT count(*) FROM resident_checkpoint),
       (SELECT count(*) FROM quarantine WHERE reason = 'before_retention'),
       (SELECT count(*) FROM resident_checkpoint c JOIN stored_reading r USING (resident_id)
         WHERE r.effective_at < c.until AND r.received_at >= c.made_at),
       (SELECT count(*) FROM timescaledb_information.jobs
         WHERE proc_name = 'policy_retention' AND hypertable_name = 'reading'),
       coalesce((SELECT days FROM retention_floor), %s),
       current_setting('timescaledb.license')"""


async def count(connection: Connection) -> Counts:
    """Look at everything once."""
    row = await (await connection.execute(_COUNTS, (FLOOR_DAYS_MIN,))).fetchone()
    if row is None:
        msg = "no row from a query that has one"
        raise AssertionError(msg)
    return Counts(*row)


async def count_ahead(connection: Connection, edge: datetime) -> tuple[int, int]:
    """(readings, residents) in front of an edge."""
    cursor = await connection.execute(
        "SELECT count(*), count(DISTINCT resident_id) FROM reading WHERE partition_at < %s", (edge,)
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)
