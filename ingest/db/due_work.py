"""SQL for ``due_mark``, ``due_batch``, ``due_context``, ``due_timer``, ``resident_fold``.

Who is due, and when.

Ingest leaves the marks of a transaction in one row of ``due_batch``, because a row and two index
entries for each would take a third of its time; ``find`` spreads them out as marks before it looks
for due residents. Marks are append-only rows; many marks of one resident are one piece of
work. The judge locks a resident, reads the mark ids, *then* the history, and deletes exactly those
marks with its result: a mark written meanwhile survives and brings it back. Timers fire with no new
data.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np

from ingest.db import merges
from ingest.db.connections import Connection
from ingest.db.plain import InstantArray, PlainRows, TextArray, as_array, instant_cells
from rules.columns import BoolArray

_MARK_BATCH: Final = "INSERT INTO due_batch (kind, residents, marked_at) VALUES (%s, %s, %s)"


async def mark_batch(connection: Connection, plain: PlainRows, keep: BoolArray) -> None:
    """Append the marks of freshly stored readings, all in one row a kind. Never commits.

    Args:
        connection: In the transaction that stored them.
        plain: The readings.
        keep: Which of them were stored.
    """
    claimed = keep & plain.has_resident
    for kind, mine in (
        ("blood_pressure", claimed & plain.is_pressure),
        ("glucose", claimed & ~plain.is_pressure),
    ):
        rows = np.flatnonzero(mine)
        if len(rows):
            residents = as_array(TextArray, [plain.resident_cells[row] for row in rows.tolist()])
            marked = as_array(InstantArray, instant_cells(plain.arrived_us[rows]))
            await connection.execute(_MARK_BATCH, (kind, residents, marked))


async def mark_contexts(connection: Connection, ids: Sequence[UUID], *, at: datetime) -> None:
    """Note late contexts whose readings have to be looked for. Never commits."""
    if ids:
        await connection.execute(
            "INSERT INTO due_context (amendment_id, marked_at)"
            " SELECT id, %s FROM unnest(%s::uuid[]) AS id",
            (at, list(ids)),
        )


_TAKE_CONTEXTS: Final = """
DELETE FROM due_context WHERE amendment_id IN (
    SELECT amendment_id FROM due_context ORDER BY marked_at, amendment_id LIMIT %s
    FOR UPDATE SKIP LOCKED)
RETURNING amendment_id"""
_CONTEXTS_MAX: Final = 5_000  # Of one transaction.


async def take_contexts(connection: Connection) -> list[UUID]:
    """Some of the contexts noted; the caller's transaction marks whom they concern."""
    cursor = await connection.execute(_TAKE_CONTEXTS, (_CONTEXTS_MAX,), binary=True)
    return [row[0] for row in await cursor.fetchall()]


_SPREAD: Final = """
WITH taken AS (
    DELETE FROM due_batch WHERE id IN (
        SELECT id FROM due_batch ORDER BY id LIMIT %(batches)s FOR UPDATE SKIP LOCKED)
    RETURNING kind, residents, marked_at),
news AS MATERIALIZED (
    SELECT m.resident_id, kind, max(m.marked_at) AS marked_at
    FROM taken, unnest(residents, taken.marked_at) AS m (resident_id, marked_at)
    GROUP BY m.resident_id, kind),
strangers AS (
    INSERT INTO resident (id, stub, created_at)
    SELECT DISTINCT resident_id, true, %(now)s::timestamptz FROM news ORDER BY resident_id
    ON CONFLICT (id) DO NOTHING)
INSERT INTO due_mark (resident_id, kind, marked_at) SELECT resident_id, kind, marked_at FROM news"""
_BATCHES_MAX: Final = 20  # Of one transaction: some 100,000 readings at full load.


async def _spread(connection: Connection, *, now: datetime) -> None:
    """Turn the rows of ``due_batch`` into marks, and unknown pseudonyms into stubs. Commits.

    Several judges share the rows; each row is spread once. At most so many rows at a time: what
    is left is found at the next look.
    """
    parameters = {"batches": _BATCHES_MAX, "now": now}
    async with connection.transaction():
        await connection.execute(_SPREAD, parameters)


class Work(NamedTuple):
    """The residents one judge has locked, and the marks it will have answered."""

    residents: list[str]
    marks: list[int]


# Whatever else there is to know does not wait, not even for the clock of a judge that was ahead
# when it wrote the mark: it would hold a correction up for hours.
_READY: Final = "(kind <> 'blood_pressure' OR marked_at <= %(closed)s)"
_DUE: Final = f"""
SELECT resident_id FROM (
    (SELECT resident_id, min(marked_at) AS since FROM due_mark WHERE {_READY}
      GROUP BY resident_id ORDER BY since LIMIT %(limit)s)
    UNION ALL
    (SELECT resident_id, due_at FROM due_timer WHERE due_at <= %(now)s
      ORDER BY due_at LIMIT %(limit)s)
) AS due
GROUP BY resident_id ORDER BY min(since) LIMIT %(limit)s"""  # noqa: S608 - our own condition
_ENSURE: Final = """
INSERT INTO resident_fold (resident_id, folded_at)
SELECT resident_id, '-infinity' FROM unnest(%s::text[]) AS resident_id
ON CONFLICT DO NOTHING"""
_LOCK: Final = """
SELECT resident_id FROM resident_fold WHERE resident_id = ANY(%s)
ORDER BY resident_id FOR UPDATE SKIP LOCKED"""
_MARKS: Final = f"""
SELECT id FROM due_mark WHERE resident_id = ANY(%(residents)s) AND {_READY}"""  # noqa: S608


async def find(
    connection: Connection, *, now: datetime, session_wait: timedelta, residents_max: int
) -> list[str]:
    """Up to ``residents_max`` residents that are due, the longest waiting first, locked or not.

    Outside a transaction: spreads the marks of new batches first, and commits that.

    A mark of a blood pressure is ready once ``session_wait`` has passed since its arrival, any
    other one at once.
    """
    await _spread(connection, now=now)
    when = {"now": now, "closed": now - session_wait, "limit": residents_max}
    cursor = await connection.execute(_DUE, when)
    return [row[0] for row in await cursor.fetchall()]


async def ensure(connection: Connection, residents: Sequence[str]) -> None:
    """Make the fold rows that ``claim`` locks. Outside a transaction: committed at once.

    Inside the claiming transaction two judges that meet the same new resident would wait for
    each other.
    """
    await connection.execute(_ENSURE, (sorted(residents),))


async def claim(
    connection: Connection, residents: Sequence[str], *, now: datetime, session_wait: timedelta
) -> Work:
    """Lock those residents that no other judge holds, then read their ready marks.

    Who was ever merged is claimed together with the other one, or stays due.
    """
    cursor = await connection.execute(_LOCK, (list(residents),))
    held = [row[0] for row in await cursor.fetchall()]
    locked = await merges.keep_whole(connection, held)
    when = {"closed": now - session_wait, "residents": locked}
    cursor = await connection.execute(_MARKS, when)
    return Work(locked, [row[0] for row in await cursor.fetchall()])


_FORGET_TIMERS: Final = "DELETE FROM due_timer WHERE resident_id = ANY(%s)"
_SET_TIMERS: Final = """
INSERT INTO due_timer (resident_id, due_at)
SELECT * FROM unnest(%s::text[], %s::timestamptz[])"""
_FOLDED: Final = """
UPDATE resident_fold AS f SET folded_at = %s, high_normal_on = n.high_normal_on
FROM unnest(%s::text[], %s::date[]) AS n (resident_id, high_normal_on)
WHERE f.resident_id = n.resident_id"""


async def finish(
    connection: Connection,
    work: Work,
    *,
    now: datetime,
    timers: Sequence[tuple[str, datetime]] = (),
    high_normal_on: Sequence[date | None] = (),
) -> None:
    """Delete the answered marks and set each resident's next timer. Never commits.

    Args:
        connection: In the transaction of ``claim``.
        work: What ``claim`` gave.
        now: The clock.
        timers: Residents who have one, each once.
        high_normal_on: Of each of the residents, or nothing: of nobody.
    """
    await connection.execute("DELETE FROM due_mark WHERE id = ANY(%s)", (work.marks,))
    await connection.execute(_FORGET_TIMERS, (work.residents,))
    if timers:
        columns = ([row[0] for row in timers], [row[1] for row in timers])
        await connection.execute(_SET_TIMERS, columns)
    days = list(high_normal_on) or [None] * len(work.residents)
    await connection.execute(_FOLDED, (now, work.residents, days))


async def count_waiting(connection: Connection) -> int:
    """How many residents wait to be judged, ready or not; a late context counts as one."""
    cursor = await connection.execute(
        "SELECT count(*) FROM (SELECT resident_id FROM due_mark"
        " UNION SELECT unnest(residents) FROM due_batch"
        " UNION SELECT amendment_id::text FROM due_context) AS waiting"
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


class Backlog(NamedTuple):
    """How much due work there is."""

    batches: int
    marks: int
    overdue_s: float  # Of the longest waiting: a ready mark or a timer.


_BACKLOG: Final = f"""
SELECT (SELECT count(*) FROM due_batch),
       (SELECT count(*) FROM due_mark) + (SELECT count(*) FROM due_context),
       extract(epoch FROM %(now)s - least(
           (SELECT min(due_at) FROM due_timer),
           (SELECT min(marked_at) FROM due_mark WHERE {_READY}),
           %(now)s))"""  # noqa: S608 - our own condition


async def measure(connection: Connection, *, now: datetime, session_wait: timedelta) -> Backlog:
    """For metrics. Cost: a look at every mark, so not at every turn."""
    cursor = await connection.execute(_BACKLOG, {"now": now, "closed": now - session_wait})
    row = await cursor.fetchone()
    return Backlog(int(row[0]), int(row[1]), float(row[2])) if row else Backlog(0, 0, 0.0)
