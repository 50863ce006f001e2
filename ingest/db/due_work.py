"""SQL for ``due_mark``, ``due_timer`` and ``resident_fold``: whose cases must be judged, when.

Marks are append-only rows; many marks of one resident are one piece of work. The judge locks
a resident, reads the mark ids, *then* the history, and deletes exactly those marks with its
result: a mark written meanwhile survives and brings it back. Timers fire with no new data.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from ingest.db.connections import Connection


async def mark(connection: Connection, marks: Mapping[tuple[str, str], datetime]) -> None:
    """Append one mark per (resident, kind of news) with the arrival it speaks of. Never commits.

    A blood pressure waits for its session to close; whatever else there is to know does not.
    """
    if not marks:
        return
    await connection.execute(
        "INSERT INTO due_mark (resident_id, kind, marked_at)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])",
        ([key[0] for key in marks], [key[1] for key in marks], list(marks.values())),
    )


class Work(NamedTuple):
    """The residents one judge has locked, and the marks it will have answered."""

    residents: list[str]
    marks: list[int]


_READY: Final = "marked_at <= CASE kind WHEN 'blood_pressure' THEN %(closed)s ELSE %(now)s END"
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

    Outside a transaction.

    A mark of a blood pressure is ready once ``session_wait`` has passed since its arrival.
    """
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
    """Lock those residents that no other judge holds, then read their ready marks."""
    cursor = await connection.execute(_LOCK, (list(residents),))
    locked = [row[0] for row in await cursor.fetchall()]
    when = {"now": now, "closed": now - session_wait}
    cursor = await connection.execute(_MARKS, {**when, "residents": locked})
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
    """How many residents wait to be judged, ready or not."""
    cursor = await connection.execute("SELECT count(DISTINCT resident_id) FROM due_mark")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
