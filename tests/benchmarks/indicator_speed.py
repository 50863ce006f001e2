"""How long the figures of a city take, and of a centre and a team, from a filled database.

    python -m tests.benchmarks.indicator_speed --residents 1000000

A database of its own on the private stack, filled by SQL: of the residents 30 % have hypertension
and 12 % diabetes, 70 % a contract, 2 % were closed; open cases, visits, assessments (a bit a day)
and follow-ups of two years. Timed are the queries of ``api.indicators`` as the API asks them,
each role with its row-level security: first question, and the best of the next five.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from datetime import UTC, date, datetime
from typing import Any, Final

import psycopg
from pydantic import SecretStr

from api.auth.permissions import Role
from api.auth.principal import Principal
from api.database import Database
from api.indicators import queries
from api.indicators.periods import parse
from api.indicators.settings import IndicatorSettings
from api.indicators.shown import SHOWN, Family
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from ingest.db import migrate

NAME: Final = "bench_indicators"
_TODAY: Final = date(2026, 11, 30)
_PERIOD: Final = parse("2026")
_RESIDENTS_PER_TEAM: Final = 2_000
_TEAMS_PER_CENTRE: Final = 10
# Bits of a year: every n-th day from one that the resident's number gives.
_EVERY: Final = """(
    SELECT ('0'::bit(366) | bit_or((1::bit(366)) << (d - 1)))
    FROM generate_series(1 + i %% {every}, 366, {every}) AS d)"""
_FILL: Final = (
    "INSERT INTO centre SELECT 'c' || n, 'C' FROM generate_series(0, %(centres)s) AS n",
    """
INSERT INTO team SELECT 't' || n, 'c' || n / %(teams_per_centre)s, 'T'
FROM generate_series(0, %(teams)s) AS n""",
    "INSERT INTO package (id, name, followups_per_year) VALUES ('p', 'P', 4)",
    """
INSERT INTO staff SELECT 's' || n, 'c' || n / 3 / %(teams_per_centre)s, 'doctor', NULL, '2024-01-01'
FROM generate_series(0, 3 * %(teams)s) AS n""",
    "INSERT INTO staff_team SELECT 's' || n, 't' || n / 3 FROM generate_series(0, 3 * %(teams)s) n",
    """
INSERT INTO resident (id, team_id, birth_date, created_at, enrolled_on)
SELECT 'r-' || md5(i::text), 't' || i / %(per_team)s, date '1930-01-01' + i %% 32000, %(at)s,
       date '2024-01-01' + i %% 700
FROM generate_series(0, %(residents)s - 1) AS i""",
    """
INSERT INTO resident_condition (resident_id, condition, since)
SELECT 'r-' || md5(i::text), 'hypertension', date '2020-01-01' + i %% 1500
FROM generate_series(0, %(residents)s - 1) AS i WHERE i %% 10 < 3
UNION ALL
SELECT 'r-' || md5(i::text), 'diabetes', date '2020-01-01' + i %% 1500
FROM generate_series(0, %(residents)s - 1) AS i WHERE i %% 25 < 3""",
    """
INSERT INTO contract (id, resident_id, package_id, since)
SELECT 'k' || i, 'r-' || md5(i::text), 'p', date '2025-01-01' + i %% 500
FROM generate_series(0, %(residents)s - 1) AS i WHERE i %% 10 < 7""",
    """
INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings, author, reason)
SELECT gen_random_uuid(), 'r-' || md5(i::text), 'closure', %(at)s, %(at)s, 'clinic', '{}', 'x',
       'moved' FROM generate_series(0, %(residents)s - 1) AS i WHERE i %% 50 = 7""",
    """
INSERT INTO resident_case (resident_id, condition, state, consecutive_unsatisfied, profile,
    profile_version, updated_at, second_followup_due)
SELECT resident_id, condition, 'second_followup_open', 1, 'wuzhou', '1', %(at)s, '2026-11-20'
FROM resident_condition LIMIT %(residents)s * 3 / 10""",
    f"""
INSERT INTO indicator_year (resident_id, condition, year, controlled, uncontrolled, visited,
    face_to_face, second_due, second_on_time, routine_due, routine_on_time)
SELECT 'r-' || md5(i::text), c.condition, y.year, b.some & ~b.few, b.few, b.visits, b.visits, b.few,
       b.few & b.some, b.visits, b.visits
FROM generate_series(0, %(residents)s - 1) AS i
CROSS JOIN (VALUES ('hypertension', 10, 3), ('diabetes', 25, 3)) AS c (condition, of, less)
CROSS JOIN (VALUES (2025), (2026)) AS y (year)
CROSS JOIN LATERAL (SELECT {_EVERY.format(every=15)} AS some, {_EVERY.format(every=47)} AS few,
                           {_EVERY.format(every=83)} AS visits) AS b
WHERE i %% c.of < c.less""",  # noqa: S608 - texts of this file
    """
INSERT INTO health_check
SELECT resident_id, '2026-05-04', 'x', %(at)s FROM resident_condition
WHERE condition = 'diabetes'""",
    "ANALYZE",
)  # fmt: skip

_MARKS: Final = """
INSERT INTO due_indicator (residents)
SELECT array_agg(id) FROM (SELECT id, row_number() OVER () / 1000 AS part FROM resident) AS r
GROUP BY part"""


def fill(dsn: str, residents: int) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    teams = (residents - 1) // _RESIDENTS_PER_TEAM
    values = {
        "residents": residents,
        "per_team": _RESIDENTS_PER_TEAM,
        "teams_per_centre": _TEAMS_PER_CENTRE,
        "teams": teams,
        "centres": teams // _TEAMS_PER_CENTRE,
        "at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL:
            begun = time.perf_counter()
            connection.execute(statement.encode(), values if "%(" in statement else None)
            sys.stderr.write(
                f"{statement.split(maxsplit=3)[:3]} {time.perf_counter() - begun:.1f} s\n"
            )
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Marks as big as a statement of a city would be folded whole, one after the other.
        connection.execute("TRUNCATE due_indicator")
        connection.execute(_MARKS)
        while connection.execute("SELECT 1 FROM due_indicator LIMIT 1").fetchone():
            connection.execute("SELECT settle_people(%s)", (10_000,))
        connection.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


def _somebody(role: Role, *, teams: str = "", centres: str = "") -> Principal:
    return Principal(
        subject="x",
        kind="person",
        roles=frozenset({role}),
        team_ids=frozenset(teams.split()),
        centre_ids=frozenset(centres.split()),
    )


ASKED: Final = {
    "city, supervisor": _somebody(Role.SUPERVISOR),
    "centre, its admin": _somebody(Role.CENTRE_ADMIN, centres="c0"),
    "team, its doctor": _somebody(Role.DOCTOR, teams="t0"),
}


async def measure(dsn: str) -> dict[str, Any]:
    """Seconds by who asks and what: the first time, and the best of five more."""
    found: dict[str, Any] = {}
    families = {"all": [*SHOWN.values()]} | {
        str(family): [shown for shown in SHOWN.values() if shown.family is family]
        for family in Family
    }
    settings = IndicatorSettings()
    work_mem = f"{settings.sort_memory_kb}kB"
    api = ApiSettings(db_dsn=SecretStr(dsn), statement_ms_max=60_000)
    async with Database(api) as database:
        for name, who in ASKED.items():
            for family, wanted in families.items():
                took = []
                for _ in range(6):
                    async with database.reading(who) as connection:
                        await queries.bound(connection, statement_ms=60_000, work_mem=work_mem)
                        began = time.perf_counter()
                        await queries.count_by_team(connection, _PERIOD, _TODAY, wanted)
                        took.append(round(time.perf_counter() - began, 3))
                found[f"{name}: {family}"] = {"first_s": took[0], "best_s": min(took[1:])}
            async with database.reading(who) as connection:
                await queries.bound(connection, statement_ms=60_000, work_mem=work_mem)
                began = time.perf_counter()
                asked = {"side": "rest", "team": None, "centre": None}
                await queries.list_people(
                    connection, SHOWN["htn.control_rate"], _PERIOD, _TODAY, asked,
                    after=None, rows=101,
                )  # fmt: skip
                found[f"{name}: first page of persons"] = {
                    "first_s": round(time.perf_counter() - began, 3)
                }
    return found


def main() -> None:
    """Fill, unless it is filled already, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--residents", type=int, default=200_000)
    parser.add_argument("--keep", action="store_true", help="leave the database for another run")
    given = parser.parse_args()
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    stack = Stack.of_checkout(checkout.home / "bench")
    stack.up()
    name = f"{NAME}_{given.residents}"
    found: dict[str, Any] = {"residents": given.residents}
    filled = name in stack.list_databases()
    dsn = stack.create_database(name)
    try:
        if not filled:
            migrate.upgrade(dsn)
            found["fill_s"] = round(fill(dsn, given.residents), 1)
        found |= asyncio.run(measure(dsn))
    finally:
        if not given.keep:
            stack.drop_database(name)
            stack.down()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
