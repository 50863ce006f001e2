"""A city's database, made by the database itself: people, contracts, cases, alerts, feed, readings.

Rows are as ingest, judge and the contract system would have left them, as far as the API reads
them; the keys of measurements, which only ingest reads, are left out. The same plan gives the
same rows but for their times, which end when the filling began.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from deploy.bench.city.plan import CityPlan
from deploy.bench.display import Display

_CORES: Final = 2
_MONTHS: Final = 24
_MONTH: Final = timedelta(days=30)
_SESSION: Final = (
    "-c statement_timeout=0 -c lock_timeout=0 -c work_mem=256MB -c maintenance_work_mem=1GB"
)
_EVENTS_OF_CASE: Final = 4
_DONE: Final = "bench_city"

# A resident's number decides everything else: team, age, condition, contract.
_PEOPLE: Final = (
    """
INSERT INTO centre (id, name)
SELECT 'c-' || n, 'Centre ' || n FROM generate_series(0, %(centres)s - 1) AS n""",
    """
INSERT INTO team (id, centre_id, name)
SELECT 't-' || n, 'c-' || n %% %(centres)s, 'Team ' || n
FROM generate_series(0, %(teams)s - 1) AS n""",
    """
INSERT INTO package (id, name, followups_per_year)
VALUES ('basic', 'Basic', NULL), ('hypertension', 'Hypertension', 4), ('diabetes', 'Diabetes', 4)
""",
    """
INSERT INTO resident (id, team_id, birth_date, sex, created_at, enrolled_on)
SELECT 'r-' || md5('city:' || n), 't-' || n %% %(teams)s,
       %(today)s::date - 14000 - (n::bigint * 7919 %% 20000)::int,
       CASE n %% 2 WHEN 0 THEN 'female' ELSE 'male' END, %(at)s,
       CASE WHEN n < %(cases)s THEN %(today)s::date - 30 - n %% 1000 END
FROM generate_series(0, %(residents)s - 1) AS n""",
    """
INSERT INTO resident_condition (resident_id, condition, since)
SELECT 'r-' || md5('city:' || n), CASE WHEN n %% 10 < 7 THEN 'hypertension' ELSE 'diabetes' END,
       %(today)s::date - 400 - n %% 3000
FROM generate_series(0, %(cases)s - 1) AS n""",
    """
INSERT INTO contract (id, resident_id, package_id, since, until, signed_on)
SELECT 'k-' || n, 'r-' || md5('city:' || n),
       CASE WHEN n >= %(cases)s THEN 'basic' WHEN n %% 10 < 7 THEN 'hypertension'
            ELSE 'diabetes' END,
       %(today)s::date - n %% 365, %(today)s::date - n %% 365 + 364, %(today)s::date - n %% 365
FROM generate_series(0, %(residents)s - 1) AS n WHERE n %% 10 < 7""",
    """
INSERT INTO registry_entry (kind, id, version)
SELECT 'resident', id, 1 FROM resident UNION ALL SELECT 'contract', id, 1 FROM contract
UNION ALL SELECT 'team', id, 1 FROM team UNION ALL SELECT 'centre', id, 1 FROM centre
UNION ALL SELECT 'package', id, 1 FROM package""",
    """
INSERT INTO registry_change (kind, id, version, resident_id, author, at, content)
SELECT 'resident', r.id, 1, r.id, 'bench', %(at)s, jsonb_build_object('team_id', r.team_id,
    'birth_date', r.birth_date, 'sex', r.sex, 'enrolled_on', r.enrolled_on, 'personal', NULL,
    'conditions', coalesce((SELECT jsonb_agg(jsonb_build_object('condition', c.condition,
        'since', c.since, 'until', c.until))
        FROM resident_condition c WHERE c.resident_id = r.id), '[]'::jsonb))
FROM resident r
UNION ALL
SELECT 'team', t.id, 1, NULL, 'bench', %(at)s,
       jsonb_build_object('name', t.name, 'centre_id', t.centre_id) FROM team t""",
)
# Due days lie around today: a third has passed, as in a city that is behind with its work.
_CASES: Final = (
    """
INSERT INTO resident_case (resident_id, condition, state, severity, consecutive_unsatisfied,
    second_followup_due, referral_followup_due, next_routine_due, anchor_id, anchor_kind,
    profile, profile_version, updated_at, cause)
SELECT c.resident_id, c.condition, s.state,
       CASE WHEN s.state LIKE 'referral%%' THEN 'high' WHEN s.state LIKE 'second%%' THEN 'warn' END,
       n.n %% 3,
       CASE WHEN s.state LIKE 'second%%' THEN n.due END,
       CASE WHEN s.state LIKE 'referral%%' THEN n.due END,
       CASE WHEN s.state = 'controlled' THEN n.due END,
       md5(c.resident_id)::uuid, 'reading', 'wuzhou', '1', %(at)s, 'first_unsatisfied'
FROM (SELECT g AS n, 'r-' || md5('city:' || g) AS resident_id,
             %(today)s::date - 28 + (g::bigint * 7919 %% 84)::int AS due
      FROM generate_series(0, %(cases)s - 1) AS g) n
JOIN resident_condition c USING (resident_id)
CROSS JOIN LATERAL (SELECT (ARRAY['controlled', 'controlled', 'second_followup_open',
    'second_followup_overdue', 'referral_recommended', 'referral_followup_overdue'])[1 + n.n %% 6]
    AS state) s""",
    """
INSERT INTO record (id, resident_id, condition, kind, at, received_at, mode, findings, author)
SELECT md5('visit:' || n || ':' || v)::uuid, 'r-' || md5('city:' || n), NULL, 'visit',
       %(at)s::timestamptz - make_interval(days => 20 + 90 * v + n %% 60),
       %(at)s::timestamptz - make_interval(days => 20 + 90 * v + n %% 60),
       (ARRAY['clinic', 'home', 'phone'])[1 + n %% 3], '{}', 'doctor-' || n %% %(teams)s
FROM generate_series(0, %(cases)s - 1) AS n, generate_series(0, 3) AS v
WHERE (n + v) %% 5 < 4""",
    """
INSERT INTO alert (id, resident_id, centre_id, condition, code, severity, status, anchor_id,
    effective_at, raised_at, due, page, late, observed, threshold, source, profile,
    profile_version, raised_by, updated_at, anchor_kind, explanation)
SELECT md5('alert:' || c.resident_id || ':' || k)::uuid, c.resident_id, t.centre_id, c.condition,
       (ARRAY['BP_HIGH', 'SECOND_FOLLOWUP', 'FOLLOWUP_OVERDUE'])[1 + k],
       (ARRAY['warn', 'high', 'info'])[1 + k], CASE k WHEN 0 THEN 'active' ELSE 'resolved' END,
       md5(c.resident_id)::uuid, %(at)s::timestamptz - make_interval(days => 9 * k + 1),
       %(at)s::timestamptz - make_interval(days => 9 * k + 1), %(today)s::date + 7, false, false,
       '152/94 mmHg', '> 140/90 mmHg', 'national norm, third edition, 2.4', 'wuzhou', '1',
       'judge', %(at)s, 'reading', jsonb_build_object('zh', '152/94 mmHg，高于 140/90 mmHg',
       'en', '152/94 mmHg is above 140/90 mmHg', 'record', jsonb_build_object('mean', '152/94'))
FROM resident_case c JOIN team t ON t.id = c.team_id, generate_series(0, 2) AS k
WHERE c.state <> 'controlled' OR k = 1
ORDER BY hashtext(c.resident_id || k)""",
    """
INSERT INTO outbox (number, kind, payload, created_at)
SELECT row_number() OVER (), 'case.changed', jsonb_build_object(
    'resident_id', c.resident_id, 'condition', c.condition, 'state', c.state,
    'consecutive_unsatisfied', c.consecutive_unsatisfied,
    'second_followup_due', c.second_followup_due,
    'referral_followup_due', c.referral_followup_due, 'next_routine_due', c.next_routine_due,
    'anchor_id', c.anchor_id, 'anchor_kind', c.anchor_kind, 'profile', c.profile,
    'profile_version', c.profile_version, 'updated_at', c.updated_at, 'cause', c.cause,
    'anchor_reading_id', c.anchor_id, 'from_state', 'none', 'team_id', c.team_id,
    'centre_id', t.centre_id), %(at)s::timestamptz - make_interval(secs => n)
FROM generate_series(1, %(events)s) AS n, resident_case c JOIN team t ON t.id = c.team_id""",
)
# One month: rows in order of time, each of a resident at random.
_READINGS: Final = """
INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
    device_id, device_sequence, boot_id, measured_at, stored_record, captured_at,
    clock_synchronised, received_at, arrived_at, effective_at, time_suspect, setting, status,
    systolic, diastolic, pulse, arm, posture, unit)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(digits, 1, 3) || '8' || substr(digits, 5, 15))::uuid,
    at, chance, 'blood_pressure', 'r-' || md5('city:' || chance %% %(residents)s),
    'c-' || chance %% %(residents)s %% %(teams)s %% %(centres)s, 'gw-' || chance / 7 %% 4000,
    'gw-' || chance / 7 %% 4000 || '-bp-1', n, 'h-' || %(month)s, at, false, at,
    true, at, at, at, false, 'office', '{}',
    100 + chance / 11 %% 60, 60 + chance / 13 %% 30, 60 + chance / 17 %% 30, 'left', 'sitting',
    'mmHg'
FROM (SELECT n, date_trunc('milliseconds',
                 %(start)s::timestamptz + n * (%(span)s::interval / %(rows)s)) AS at,
             md5(%(month)s || ':' || n) AS digits,
             (hashint8extended(n, %(month)s) & 9223372036854775807) AS chance
      FROM generate_series(0, %(rows)s - 1) AS n) drawn"""
_IS_DUE: Final = "SELECT 1 FROM due_indicator LIMIT 1"
_SETTLE: Final = "SELECT settle_people(1000)"  # And the rest of the last statement's.
# An index of fifty million rows is built ten times faster than it is grown.
_INDEXES: Final = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = 'reading'::regclass AND NOT indisunique"""


def is_filled(dsn: str) -> bool:
    """Whether a run before this one filled it to the end."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_DONE,)).fetchone()
    return bool(row and row[0])


def fill_city(dsn: str, plan: CityPlan, now: datetime, display: Display) -> float:
    """Fill an empty database with the schema; how many seconds it took."""
    began = time.monotonic()
    given: dict[str, Any] = {
        "residents": plan.residents,
        "cases": plan.cases,
        "teams": plan.teams,
        "centres": plan.centres,
        "events": _EVENTS_OF_CASE,
        "at": now,
        "today": now.date(),
    }
    with psycopg.connect(dsn, autocommit=True, options=_SESSION) as connection:
        display.say(f"city: {plan.residents:,} residents, {plan.cases:,} cases")
        for statement in (*_PEOPLE, *_CASES):
            connection.execute(statement.encode(), given)
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        _fill_months(dsn, plan, now, display)
        display.say("city: building indexes")
        _execute_all(connection, [str(definition) for _, definition in indexes])
        display.say("city: folding what figures count")
        while connection.execute(_IS_DUE).fetchone():
            connection.execute(_SETTLE)
        connection.execute("VACUUM ANALYZE")
        connection.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(_DONE)))
    return time.monotonic() - began


def _execute_all(
    connection: "psycopg.Connection[tuple[Any, ...]]", statements: Sequence[str]
) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def _fill_months(dsn: str, plan: CityPlan, now: datetime, display: Display) -> None:
    with (
        display.lap(f"city: {plan.readings:,} readings") as progress,
        ThreadPoolExecutor(_CORES) as workers,
    ):
        done = workers.map(lambda month: _fill_month(dsn, plan, now, month), range(_MONTHS))
        for month, _ in enumerate(done, 1):
            progress(plan.readings * month // _MONTHS, plan.readings)


def _fill_month(dsn: str, plan: CityPlan, now: datetime, month: int) -> None:
    """One month on a connection of its own. A month is about a chunk, so they do not collide."""
    rows = plan.readings * (month + 1) // _MONTHS - plan.readings * month // _MONTHS
    if not rows:
        return
    given = {
        "start": now - _MONTH * (_MONTHS - month),
        "span": _MONTH,
        "month": month,
        "rows": rows,
        "residents": plan.residents,
        "teams": plan.teams,
        "centres": plan.centres,
    }
    with psycopg.connect(dsn, autocommit=True, options=_SESSION) as connection:
        connection.execute(_READINGS.encode(), given)
