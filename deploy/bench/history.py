"""The history step: do fifty million readings slow the next one, and can they be read?

The rows are made by the database itself, month by month, as ingest would have left them:
``reading``, and the key of each measurement. Then turns alternate between a fresh database and
the full one, and residents' last years are read with the API's own query.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from statistics import median, quantiles
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from api.readings import queries
from api.readings.schemas import ReadingQuery
from deploy.bench.display import Display
from deploy.bench.figures import spread
from deploy.bench.lap import Lap, run_lap
from deploy.bench.machine import drop_page_cache
from deploy.bench.rate import shape_for
from deploy.bench.stack import BenchStack, Database
from deploy.bench.suifang import Suifang
from gateway.wire.times import Clock
from ingest.db.connections import connect
from ingest.db.tidying import list_untidy, tidy
from simulators.load.traffic import list_residents

_MONTHS: Final = 24
_MONTH: Final = timedelta(days=30)
_YEAR: Final = timedelta(days=365)
_SETTLED: Final = timedelta(days=14)  # As `suifang tidy`.
_READS: Final = 300
_PAGE: Final = 500
_CORES: Final = 2
_PREPARE: Final = """
CREATE TABLE bench_resident AS
SELECT row_number() OVER (ORDER BY id) - 1 AS number, id FROM resident;
CREATE TABLE bench_gateway AS
SELECT row_number() OVER (ORDER BY id) - 1 AS number, id, centre_id FROM gateway;
CREATE UNIQUE INDEX ON bench_resident (number);
ANALYZE bench_resident, bench_gateway"""
# One month: rows in order of time, each of a resident and a device at random.
_FILL: Final = """
WITH drawn AS MATERIALIZED (
    SELECT n, %(start)s::timestamptz + n * (%(span)s::interval / %(rows)s) AS at,
           md5(%(month)s || ':' || n) AS digits,
           (hashint8extended(n, %(month)s) & 9223372036854775807) AS chance
    FROM generate_series(0, %(rows)s - 1) AS n
), made AS (
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(digits, 1, 3) || '8' || substr(digits, 5, 15))::uuid AS id,
           date_trunc('milliseconds', at) AS at, chance, n,
           r.id AS resident_id, g.id AS gateway_id, g.centre_id,
           g.id || '-bp-' || (chance / 7 %% 8 + 1) AS device_id
    FROM drawn
    JOIN bench_resident r ON r.number = chance %% %(residents)s
    JOIN bench_gateway g ON g.number = chance / 1000 %% %(gateways)s
), keyed AS (
    INSERT INTO reading_key (device_id, rule_key, resident_id, reading_id, values_hash)
    SELECT device_id, 'sequence:h-' || %(month)s || ':' || n, resident_id, id, chance FROM made
)
INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
    device_id, device_sequence, boot_id, measured_at, stored_record, captured_at,
    clock_synchronised, received_at, arrived_at, effective_at, time_suspect, setting, status,
    systolic, diastolic, unit)
SELECT id, at, chance, 'blood_pressure', resident_id, centre_id, gateway_id,
    device_id, n, 'h-' || %(month)s, at, false, at,
    true, at, at, at, false, 'office', '{}',
    100 + chance %% 60, 60 + chance %% 30, 'mmHg'
FROM made"""


# An index of fifty million rows is built ten times faster than it is grown. That of the ids of
# ``reading`` stays: they come in order.
_KEY: Final = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'reading_key'::regclass AND contype = 'p'"""
_INDEXES: Final = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = 'reading'::regclass AND NOT indisunique"""
_SESSION: Final = (
    "-c statement_timeout=0 -c lock_timeout=0 -c work_mem=256MB -c maintenance_work_mem=1GB"
)


def measure_history(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    """How much slower inserts are, and how long a resident's last year takes to read."""
    settings = stack.settings
    with stack.fresh_database("history") as database:
        filled_s = _fill(database, stack, clock(), display)
        contender = Suifang(environment=settings.ingest)
        laps: dict[str, list[Lap]] = {"empty": [], "full": []}
        for number in range(1, settings.rounds + 1):
            shape = shape_for(stack, clock, number=930 + number, batch_size=settings.batch_size)
            for name, existing in (("empty", None), ("full", database)):
                with display.lap(f"history, round {number}: {name}") as progress:
                    lap = run_lap(stack, contender, shape, progress, database=existing)
                laps[name].append(lap)
                display.say(f"history, round {number}: {name} {lap.readings_per_s:,.0f} readings/s")
        reads = asyncio.run(_read_before_and_after(database, settings.residents, clock, display))
    rates = {name: [lap.readings_per_s for lap in turns] for name, turns in laps.items()}
    return {
        "rows": settings.history_rows,
        "months": _MONTHS,
        "filled_s": round(filled_s, 1),
        "readings_per_s": {name: spread(each) for name, each in rates.items()},
        "slower_by": spread(
            [1 - full / empty for full, empty in zip(rates["full"], rates["empty"], strict=True)]
        ),
        **reads,
        "laps": [lap.as_dict() for turns in laps.values() for lap in turns],
    }


def _fill(database: Database, stack: BenchStack, now: datetime, display: Display) -> float:
    settings, began = stack.settings, time.monotonic()
    with (
        psycopg.connect(database.dsn, autocommit=True, options=_SESSION) as connection,
        display.lap(f"history: making {settings.history_rows:,} rows") as progress,
        ThreadPoolExecutor(_CORES) as workers,
    ):
        connection.execute(_PREPARE)
        key = connection.execute(_KEY).fetchone()
        indexes = connection.execute(_INDEXES).fetchall()
        undone = [f"DROP INDEX {name}" for name, _ in indexes]
        again = [str(definition) for _, definition in indexes]
        if key is not None:
            undone.append(f"ALTER TABLE reading_key DROP CONSTRAINT {key[0]}")
            again.append(f"ALTER TABLE reading_key ADD {key[1]}")
        for statement in undone:
            connection.execute(statement.encode())
        for done, _ in enumerate(
            workers.map(lambda month: _fill_month(database, stack, now, month), range(_MONTHS)), 1
        ):
            progress(settings.history_rows * done // _MONTHS, settings.history_rows)
        display.say("history: building indexes")
        for statement in again:
            connection.execute(statement.encode())
        connection.execute("DROP TABLE bench_resident, bench_gateway")
        connection.execute("VACUUM ANALYZE")
    return time.monotonic() - began


def _fill_month(database: Database, stack: BenchStack, now: datetime, month: int) -> None:
    """One month on a connection of its own. A month is about a chunk, so they do not collide."""
    settings = stack.settings
    rows = settings.history_rows * (month + 1) // _MONTHS - settings.history_rows * month // _MONTHS
    if not rows:
        return
    given = {
        "start": now - _MONTH * (_MONTHS - month) - timedelta(days=1),
        "span": _MONTH,
        "month": month,
        "rows": rows,
        "residents": settings.residents,
        "gateways": settings.gateways,
    }
    with psycopg.connect(database.dsn, autocommit=True, options=_SESSION) as connection:
        connection.execute(_FILL.encode(), given)


async def _read_before_and_after(
    database: Database, residents: int, clock: Clock, display: Display
) -> dict[str, Any]:
    """Last years as ingest left them and as ``suifang tidy`` does; from the disk, then again."""
    found: dict[str, Any] = {}
    for state in ("as_arrived", "tidied"):
        if state == "tidied":
            display.say("history: suifang tidy")
            began = time.monotonic()
            async with await connect(
                database.dsn, application_name="suifang-bench", autocommit=True
            ) as connection:
                await connection.execute("SET statement_timeout = 0")
                for chunk in await list_untidy(connection, clock() - _SETTLED):
                    await tidy(connection, chunk)
            found["tidied_s"] = round(time.monotonic() - began, 1)
        dropped = drop_page_cache()
        first = await _read_years(database, residents, clock())
        found[f"read_last_year_{state}"] = {"page_cache_dropped": dropped, **_of_reads(first)}
        again = await _read_years(database, residents, clock())
        found[f"read_last_year_{state}_again"] = _of_reads(again)
        display.say(f"history: a resident's last year, {state}: {found}")
    return found


async def _read_years(database: Database, residents: int, now: datetime) -> list[float]:
    """Milliseconds of each read, the first pass left out: it only warms the catalogue."""
    ids = list_residents(residents)
    chosen = ids[:: max(residents // _READS, 1)]
    query = ReadingQuery.model_validate({"from": now - _YEAR, "limit": _PAGE})
    took: list[float] = []
    async with await AsyncConnection.connect(
        database.dsn, autocommit=True, row_factory=dict_row
    ) as connection:
        for resident in [chosen[0], *chosen]:
            began = time.perf_counter()
            (standing,) = await queries.fetch_standing(resident).run(connection)
            plain = standing["is_plain"]
            await queries.list_by_time(resident, query, after=None, plain=plain).run(connection)
            took.append((time.perf_counter() - began) * 1_000)
    return took[1:]


def _of_reads(reads_ms: Sequence[float]) -> dict[str, float | int]:
    if len(reads_ms) < 2:  # noqa: PLR2004 - a quantile needs two
        return {"count": len(reads_ms), "p50_ms": round(reads_ms[0], 2)}
    return {
        "count": len(reads_ms),
        "p50_ms": round(median(reads_ms), 2),
        "p99_ms": round(quantiles(reads_ms, n=100, method="inclusive")[98], 2),
    }
