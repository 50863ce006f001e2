"""SQL of alerts, cases, what they ask for, and where readings come from. Reads only.

Every statement runs under row-level security and pages by a key, as in ``queries``. What is asked
of one pseudonym is asked of the person: of all that are merged.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.alerts.measured import explanation, observed
from api.fhir.queries import find_person
from api.fhir.resources.service_request import REFERRALS
from api.fhir.searches import (
    DetectedIssueQuery,
    FlagQuery,
    OfPatientQuery,
    ProvenanceQuery,
    as_number,
    as_uuid,
)

_WITHIN: Final = """
  AND (%(person)s::text[] IS NULL OR {t}.resident_id = ANY(%(person)s))
  AND {at} >= %(since)s AND {at} < %(until)s"""
_ALERTS: Final = f"""
SELECT a.id, a.number, a.resident_id, a.condition, a.code, a.severity, a.status, a.anchor_id,
       a.anchor_kind, a.raised_at, {observed("a")} AS observed, a.threshold, a.source, a.profile,
       a.profile_version, {explanation("a")} AS explanation, a.updated_at
FROM alert a
WHERE a.number > %(after)s AND (%(id)s::uuid IS NULL OR a.id = %(id)s)
  AND (%(code)s::text IS NULL OR a.code = %(code)s)
  AND (%(status)s::text IS NULL OR (a.status = 'cancelled') = (%(status)s = 'cancelled'))
  AND a.raised_at >= %(raised_since)s AND a.raised_at < %(raised_until)s
  {_WITHIN.format(t="a", at="a.updated_at")}
ORDER BY a.number
LIMIT %(rows)s"""  # noqa: S608 - our own text
_CASES: Final = f"""
SELECT c.number, c.resident_id, c.condition, c.state, c.profile, c.profile_version, c.updated_at
FROM resident_case c
WHERE c.number > %(after)s AND (%(id)s::bigint IS NULL OR c.number = %(id)s)
  AND (%(status)s::text IS NULL OR
       (c.state IN ('none', 'closed')) = (%(status)s = 'inactive'))
  {_WITHIN.format(t="c", at="c.updated_at")}
ORDER BY c.number
LIMIT %(rows)s"""  # noqa: S608 - our own text
_TASKS: Final = f"""
SELECT c.number, c.resident_id, c.team_id, c.condition, c.updated_at, d.kind, d.due
FROM resident_case c CROSS JOIN LATERAL (VALUES
    ('referral-followup', c.referral_followup_due), ('routine', c.next_routine_due),
    ('second-followup', c.second_followup_due)) AS d (kind, due)
WHERE d.due IS NOT NULL AND (c.number, d.kind) > (%(after)s, %(after_kind)s::text)
  AND (%(id)s::text IS NULL OR (c.number = %(number)s AND d.kind = %(kind)s))
  {_WITHIN.format(t="c", at="c.updated_at")}
ORDER BY c.number, d.kind
LIMIT %(rows)s"""  # noqa: S608 - our own text
_REFERRALS: Final = f"""
SELECT t.number, t.resident_id, t.condition, t.to_state, t.at, t.author, t.profile,
       t.profile_version, t.threshold, t.input_ids, became.status, became.updated_at
FROM case_transition t
CROSS JOIN LATERAL (
    SELECT (SELECT n FROM case_transition n
            WHERE n.resident_id = t.resident_id AND n.condition = t.condition
              AND n.number > t.number AND n.to_state <> 'referral_followup_overdue'
            ORDER BY n.number LIMIT 1) AS later,
           (SELECT min(r.received_at) FROM record r
            WHERE r.resident_id = t.resident_id AND r.kind = 'referral_followup'
              AND r.at >= t.at AND (r.condition IS NULL OR r.condition = t.condition)) AS done_at
) what
CROSS JOIN LATERAL (
    SELECT CASE WHEN (what.later).number IS NULL THEN 'active'
                WHEN (what.later).to_state = ANY(%(referrals)s) THEN 'revoked'
                WHEN what.done_at IS NOT NULL THEN 'completed'
                ELSE 'unknown' END AS status,
           coalesce((what.later).at, t.at) AS updated_at
) became
WHERE t.to_state = ANY(%(referrals)s) AND t.from_state <> t.to_state
  AND t.number > %(after)s AND (%(id)s::bigint IS NULL OR t.number = %(id)s)
  {_WITHIN.format(t="t", at="became.updated_at")}
ORDER BY t.number
LIMIT %(rows)s"""  # noqa: S608 - our own text
_PROVENANCE: Final = """
SELECT * FROM (
    SELECT 'reading' AS kind, r.id, r.id AS reading_id, r.resident_id, r.gateway_id, r.device_id,
           NULL::text AS author, NULL::text AS reason, r.received_at, r.captured_at,
           EXISTS (SELECT FROM device d WHERE d.id = r.device_id) AS device_known
    FROM visible_reading r WHERE r.id IN (%(reading)s, %(id)s)
    UNION ALL
    SELECT a.kind, a.id, a.reading_id, r.resident_id, r.gateway_id, r.device_id, a.author,
           a.reason, a.received_at, r.captured_at, false
    FROM amendment a JOIN visible_reading r ON r.id = a.reading_id
    WHERE a.reading_id = %(reading)s OR a.id = %(id)s
    UNION ALL
    SELECT 'context', v.id, v.reading_id, r.resident_id, r.gateway_id, r.device_id, NULL, NULL,
           v.received_at, r.captured_at, false
    FROM visible_reading r JOIN visible_context v ON v.reading_id = r.id
    WHERE r.id = %(reading)s
) p
WHERE (%(id)s::uuid IS NULL OR p.id = %(id)s)
  AND (%(reading)s::uuid IS NULL OR p.reading_id = %(reading)s)
  AND (p.received_at, p.id) > (%(after_received)s, %(after_id)s::uuid)
ORDER BY p.received_at, p.id
LIMIT %(rows)s"""

ProvenanceKey = tuple[datetime, UUID]
TaskKey = tuple[int, str]


async def _fetch(
    connection: AsyncConnection[DictRow], statement: str, asked: dict[str, Any]
) -> list[DictRow]:
    return await (await connection.execute(statement.encode(), asked)).fetchall()


async def _common(
    connection: AsyncConnection[DictRow], query: OfPatientQuery, after: object, rows: int
) -> dict[str, Any]:
    person = await find_person(connection, query.resident)
    return {"after": after, "person": person, "rows": rows, **query.updated._asdict()}


async def list_alerts(
    connection: AsyncConnection[DictRow], query: DetectedIssueQuery, *, after: int | None, rows: int
) -> list[DictRow]:
    """Alerts in the order in which they were raised, above ``after``."""
    raised = query.raised
    asked = {
        **await _common(connection, query, after or 0, rows),
        "id": as_uuid(query.id),
        "code": query.alert_code,
        "status": query.status,
        "raised_since": raised.since,
        "raised_until": raised.until,
    }
    return await _fetch(connection, _ALERTS, asked)


async def list_cases(
    connection: AsyncConnection[DictRow], query: FlagQuery, *, after: int | None, rows: int
) -> list[DictRow]:
    """Cases in the order in which they were opened, above ``after``."""
    asked = {"id": as_number(query.id), "status": query.status}
    return await _fetch(
        connection, _CASES, {**await _common(connection, query, after or 0, rows), **asked}
    )


async def list_tasks(
    connection: AsyncConnection[DictRow], query: OfPatientQuery, *, after: TaskKey | None, rows: int
) -> list[DictRow]:
    """What cases ask for, in the order of cases, after the key."""
    number, kind = after or (0, "")
    named, _, what = (query.id or "").partition("-")
    asked = {
        **await _common(connection, query, number, rows),
        "after_kind": kind,
        "id": query.id,
        "number": as_number(named),
        "kind": what,
    }
    return await _fetch(connection, _TASKS, asked)


async def list_referrals(
    connection: AsyncConnection[DictRow], query: OfPatientQuery, *, after: int | None, rows: int
) -> list[DictRow]:
    """Referrals in the order in which they were asked for, above ``after``."""
    asked = {"id": as_number(query.id), "referrals": list(REFERRALS)}
    return await _fetch(
        connection, _REFERRALS, {**await _common(connection, query, after or 0, rows), **asked}
    )


async def list_provenance(
    connection: AsyncConnection[DictRow],
    query: ProvenanceQuery,
    *,
    after: ProvenanceKey | None,
    rows: int,
) -> list[DictRow]:
    """What there is to tell of one reading, in order of arrival, after the key."""
    received, last = after or (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    asked = {
        "id": as_uuid(query.id),
        "reading": as_uuid(query.reading),
        "after_received": received,
        "after_id": last,
        "rows": rows,
    }
    return await _fetch(connection, _PROVENANCE, asked)
