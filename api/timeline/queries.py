"""SQL of one resident's timeline: a page of each source, the newest first. Reads only."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.readings.queries import view_of

_PLACE: Final = """
{at} >= %(from)s AND {at} < %(until)s
  AND ({at}, %(rank)s::int, {id}) < (%(after_at)s::timestamptz, %(after_rank)s::int,
                                     %(after_id)s::text COLLATE "C")
ORDER BY 1 DESC, 2 DESC LIMIT %(rows)s"""
# A number as text of one length, so that texts are in the order of the numbers.
_NUMBER: Final = "lpad({number}::text, 19, '0') COLLATE \"C\""
_ID: Final = '{id}::text COLLATE "C"'
_DAY: Final = "(c.since::timestamp AT TIME ZONE 'Asia/Shanghai')"  # Days are local.


def _source(columns: str, table: str, at: str, id_: str) -> str:
    place = _PLACE.format(at=at, id=id_)
    return f"SELECT {at} AS at, {id_} AS id, {columns} FROM {table} AND {place}"  # noqa: S608 - our own names


SOURCES: Final[Mapping[str, str]] = {
    "case": _source(
        "condition, from_state, to_state, cause, threshold, author, profile, profile_version,"
        " input_ids AS reading_ids, explanation",
        "case_transition WHERE resident_id = ANY(%(residents)s)",
        "case_transition.at",
        _NUMBER.format(number="number"),
    ),
    "alert": _source(
        "condition, code, severity, status, observed, threshold, source, due, overdue_days,"
        " anchor_id, anchor_kind, effective_at, updated_at, explanation",
        "alert WHERE resident_id = %(resident)s",
        "raised_at",
        _ID.format(id="alert.id"),
    ),
    "attention": _source(
        "h.alert_id, a.condition, a.code, a.severity, h.what, h.author, h.reason,"
        " CASE WHEN (SELECT sees_measured()) THEN h.note END AS note, h.until",
        "alert a JOIN alert_history h ON h.alert_id = a.id WHERE a.resident_id = %(resident)s",
        "h.at",
        _NUMBER.format(number="h.number"),
    ),
    # One for each message that was taken, at the end of the attempt that did it.
    "notification": _source(
        "n.alert_id, a.condition, a.code, a.severity, n.rung, n.step, n.held, n.staff_id,"
        " m.channel, m.kind AS message_kind, n.at AS planned_at",
        "alert a JOIN notification n ON n.alert_id = a.id"
        " JOIN message m ON m.id = n.message_id AND m.status = 'sent'"
        " JOIN message_attempt s ON s.message_id = m.id AND s.ended_at IS NOT NULL"
        " AND s.problem IS NULL WHERE a.resident_id = %(resident)s",
        "s.ended_at",
        _NUMBER.format(number="n.number"),
    ),
    "record": _source(
        "r.kind AS recorded, r.condition, r.mode, r.findings, r.state, r.due, r.reason, r.outcome,"
        " r.note, r.author, r.received_at, r.withdraws AS replaces, w.id AS withdrawn_by",
        "record r LEFT JOIN record w ON w.withdraws = r.id"
        " WHERE r.resident_id = ANY(%(residents)s)",
        "r.at",
        _ID.format(id="r.id"),
    ),
    "contract": _source(
        "package_id, since, until, signed_on, ended_on, end_reason",
        "contract c WHERE resident_id = ANY(%(residents)s)",
        _DAY,
        'c.id COLLATE "C"',
    ),
}
_MEASURED: Final = """
SELECT id, partition_at, kind, resident_id, device_id, measured_at, stored_record, captured_at,
       clock_synchronised, device_now, received_at, arrived_at, effective_at, time_suspect,
       setting, status, systolic, diastolic, pulse, arm, glucose, meal_context, sample, unit
FROM {view} WHERE resident_id = %(resident)s AND """
_BELOW: Final = (
    _MEASURED
    + """effective_at >= %(from)s AND effective_at < %(until)s AND effective_at <= %(after_at)s
  AND (effective_at, %(rank)s::int, id::text COLLATE "C")
      < (%(after_at)s::timestamptz, %(after_rank)s::int, %(after_id)s::text COLLATE "C")
ORDER BY effective_at DESC, id::text COLLATE "C" DESC LIMIT %(rows)s"""
)
_AMENDMENTS: Final = """
SELECT reading_id, id, kind, changes, reason, author, received_at, undoes, undone FROM amendment
WHERE reading_id = ANY(%s) ORDER BY received_at, id"""
_CONTEXTS: Final = """
SELECT v.reading_id, v.id, v.meal_context, v.said_at
FROM unnest(%s::uuid[], %s::timestamptz[]) AS asked (id, partition_at)
JOIN visible_context v ON v.reading_id = asked.id AND v.partition_at = asked.partition_at"""
_PROFILE: Final = """
SELECT profile FROM resident_case WHERE resident_id = %s AND condition = 'hypertension'"""


async def list_source(
    connection: AsyncConnection[DictRow], kind: str, asked: Mapping[str, Any]
) -> list[DictRow]:
    """One source's rows below a place, the newest first."""
    return await (await connection.execute(SOURCES[kind].encode(), asked)).fetchall()


_SPANS: Final = (timedelta(days=60), timedelta(days=360))
"""Looked at before everything: who measures twice a day fills a page of 100 in the first one."""


async def list_readings(
    connection: AsyncConnection[DictRow], asked: Mapping[str, Any], *, top: datetime
) -> list[DictRow]:
    """A resident's readings below a place, by effective time, the newest first.

    ``asked["plain"]`` is of ``api.readings.queries.fetch_standing`` and chooses the plan only.

    Every look is the same statement, whose plan PostgreSQL keeps: a plan for all chunks costs more
    than the look (15 ms of three years). Span by span back from ``top``: readings lie in chunks by
    another time, so whatever a statement may look at is read and sorted whole (10 ms).
    """
    found: list[DictRow] = []
    below = _BELOW.format(view=view_of(plain=asked["plain"])).encode()
    end = asked["until"]
    for span in (*_SPANS, timedelta.max):
        begin = asked["from"] if top - asked["from"] <= span else top - span
        if begin < end:
            part = {**asked, "from": begin, "until": end, "rows": asked["rows"] - len(found)}
            found += await (await connection.execute(below, part)).fetchall()
            end = begin
        if begin == asked["from"] or len(found) >= asked["rows"]:
            break
    return found


async def list_amendments(
    connection: AsyncConnection[DictRow], readings: Sequence[UUID]
) -> list[DictRow]:
    """All that people said of these readings, the oldest first."""
    return await (await connection.execute(_AMENDMENTS, (list(readings),))).fetchall()


async def list_contexts(
    connection: AsyncConnection[DictRow], readings: Sequence[DictRow]
) -> list[DictRow]:
    """Meal contexts that came after their glucose values."""
    mine = [row for row in readings if row["kind"] == "glucose"]
    if not mine:
        return []
    columns = ([row["id"] for row in mine], [row["partition_at"] for row in mine])
    return await (await connection.execute(_CONTEXTS, columns)).fetchall()


async def fetch_profile(connection: AsyncConnection[DictRow], resident: str) -> str | None:
    """Id of the profile by which their blood pressure was judged last; None: it never was."""
    row = await (await connection.execute(_PROFILE, (resident,))).fetchone()
    return None if row is None else row["profile"]
