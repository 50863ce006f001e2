"""SQL of one resident's page. Reads only; under row-level security a stranger is not there.

A reading is shown as it stands: corrected, without what was retracted or given to somebody else,
with a meal context that came late. Of each field the latest word holds, as for the judge.
"""

from datetime import date, datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.readings.standing import standing

_RESIDENT: Final = """
SELECT r.id, r.birth_date, r.sex, r.enrolled_on, r.stub, r.team_id, t.name AS team_name,
       t.centre_id, n.name AS centre_name, n.profile AS centre_profile
FROM resident r
LEFT JOIN team t ON t.id = r.team_id
LEFT JOIN centre n ON n.id = t.centre_id
WHERE r.id = %(resident)s"""
_CONDITIONS: Final = """
SELECT condition, since, until FROM resident_condition WHERE resident_id = %(resident)s
ORDER BY since DESC, condition"""
# Of a contract that ended, the day before is the last one it ran.
_CONTRACTS: Final = """
SELECT c.id, p.name AS package, p.profile, p.followups_per_year, c.since, l.last, c.end_reason,
       c.referral_hospitals
FROM contract c JOIN package p ON p.id = c.package_id
CROSS JOIN LATERAL (SELECT least(c.until, c.ended_on - 1)) AS l (last)
WHERE c.resident_id = %(resident)s
ORDER BY c.since DESC LIMIT 5"""
_CASES: Final = """
SELECT number, condition, state, consecutive_unsatisfied, second_followup_due,
       referral_followup_due, next_routine_due, profile, profile_version, updated_at,
       LEAST(second_followup_due, referral_followup_due, next_routine_due) AS due
FROM resident_case WHERE resident_id = %(resident)s ORDER BY condition DESC"""
_ALERTS: Final = """
SELECT id, condition, code, severity, observed, threshold, source, profile, profile_version, due,
       effective_at, explanation
FROM alert WHERE resident_id = %(resident)s AND status = 'active'
ORDER BY severity_rank(severity) DESC, number DESC
LIMIT 20"""
_TRANSITIONS: Final = """
SELECT number, condition, from_state, to_state, at, author, cause, explanation
FROM case_transition WHERE resident_id = %(resident)s ORDER BY number DESC LIMIT %(rows)s"""
_RECORDS: Final = """
SELECT id, kind, condition, at, mode, findings, outcome, reason, author, note, form
FROM record r
WHERE resident_id = %(resident)s AND at >= %(since)s AND kind <> 'withdrawal'
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = r.id)  -- That was a mistake.
ORDER BY at DESC LIMIT 200"""
_READINGS: Final = f"""
SELECT r.id, r.kind, stands.status, stands.setting, stands.taken_at AS at, stands.systolic,
       stands.diastolic, r.pulse, stands.glucose, stands.unit,
       coalesce(stands.meal_context, 'unknown') AS meal_context,
       said.changes IS NOT NULL AS corrected, said.retracted
FROM visible_reading r {standing("r")}
WHERE r.resident_id = %(resident)s AND (%(retracted)s OR NOT said.retracted)
  AND r.sample IS DISTINCT FROM 'control_solution'  -- A meter's test, of nobody.
  AND r.effective_at >= %(since)s AND r.effective_at < %(until)s
ORDER BY r.effective_at DESC, r.id DESC
LIMIT %(rows)s"""  # noqa: S608 - our own words
# Whose centre it is the database decides; the newest first, for they are asked about.
_UNCLAIMED: Final = """
SELECT id, kind, centre_id, device_id, effective_at AS at, systolic, diastolic, pulse, glucose,
       unit, status
FROM visible_reading
WHERE resident_id IS NULL AND effective_at >= %(since)s
ORDER BY effective_at DESC, id DESC LIMIT %(rows)s"""
_FLAGS: Final = """
SELECT anchor_id, code, severity, condition, explanation
FROM alert
WHERE resident_id = %(resident)s AND anchor_kind = 'reading' AND status <> 'cancelled'
  AND effective_at >= %(since)s
ORDER BY severity_rank(severity), number"""


async def _fetch_all(
    connection: AsyncConnection[DictRow], statement: str, **values: object
) -> list[DictRow]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def fetch_resident(connection: AsyncConnection[DictRow], resident: str) -> DictRow | None:
    """Who it is, without a name; None: not on record, or not to be seen."""
    found = await _fetch_all(connection, _RESIDENT, resident=resident)
    return found[0] if found else None


async def fetch_about(
    connection: AsyncConnection[DictRow], resident: str, *, since: datetime, transitions: int
) -> dict[str, Any]:
    """Conditions, contracts, cases, active alerts, changes and records, the newest first."""
    return {
        "conditions": await _fetch_all(connection, _CONDITIONS, resident=resident),
        "contracts": await _fetch_all(connection, _CONTRACTS, resident=resident),
        "cases": await _fetch_all(connection, _CASES, resident=resident),
        "alerts": await _fetch_all(connection, _ALERTS, resident=resident),
        "transitions": await _fetch_all(
            connection, _TRANSITIONS, resident=resident, rows=transitions
        ),
        "records": await _fetch_all(connection, _RECORDS, resident=resident, since=since),
    }


async def list_readings(
    connection: AsyncConnection[DictRow],
    resident: str,
    *,
    since: datetime,
    until: datetime,
    rows: int,
    retracted: bool = False,
) -> list[DictRow]:
    """Readings as they stand, the newest first; also those that are none, if asked."""
    values = {
        "resident": resident,
        "since": since,
        "until": until,
        "rows": rows,
        "retracted": retracted,
    }
    return await _fetch_all(connection, _READINGS, **values)


async def list_unclaimed(
    connection: AsyncConnection[DictRow], *, since: datetime, rows: int
) -> list[DictRow]:
    """Readings of nobody, the newest first."""
    return await _fetch_all(connection, _UNCLAIMED, since=since, rows=rows)


async def list_flags(
    connection: AsyncConnection[DictRow], resident: str, *, since: datetime
) -> list[DictRow]:
    """What the rules said of readings, the loudest last."""
    return await _fetch_all(connection, _FLAGS, resident=resident, since=since)


async def choose_profiles(
    connection: AsyncConnection[DictRow], resident: DictRow, *, default: str, today: date
) -> dict[str, tuple[str, str | None]]:
    """Profile and version by condition: as the case was judged, else as it would be.

    Of who has no case: what the running contract says, else the centre, else the deployment.
    The version is None where none judged yet.
    """
    cases = await _fetch_all(connection, _CASES, resident=resident["id"])
    chosen = {case["condition"]: (case["profile"], case["profile_version"]) for case in cases}
    contracts = await _fetch_all(connection, _CONTRACTS, resident=resident["id"])
    running = [
        each["profile"]
        for each in contracts
        if each["profile"] and each["since"] <= today and (each["last"] or today) >= today
    ]
    otherwise = [*running, resident["centre_profile"] or default][0]
    return {
        condition: chosen.get(condition, (otherwise, None))
        for condition in ("hypertension", "diabetes")
    }
