"""``suifang tidy``: other order on the disk, the same readings, and nobody held up for long."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from ingest.db.connections import Connection, connect
from tests.builders import a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import JudgeBench, open_bench
from tests.integration.retention_bench import send_at

OLD = datetime(2020, 6, 1, tzinfo=UTC)  # By the real clock, which the command has.
RESIDENTS = ("r-1", "r-2", "r-3")
AS_STORED = """
SELECT tableoid::regclass::text, resident_id FROM reading
WHERE tableoid = (SELECT tableoid FROM reading ORDER BY partition_at LIMIT 1) ORDER BY ctid"""
ALL = "SELECT * FROM reading ORDER BY id"


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    """Two months of 2020 and the present one, residents in turn."""
    opened = await open_bench(connection, database, clock)
    for days in (0, 1, 2, 40, 41):
        at = OLD + timedelta(days=days)
        for name in RESIDENTS:
            await send_at(opened, at, a_glucose("5.6", at=at, resident_id=name, device_id=name))
    soon = datetime.now(UTC) + timedelta(days=2)  # No past month either when this one ends now.
    await send_at(opened, soon, a_glucose("5.6", at=soon))
    return opened


def tidy(database: Database, *words: str) -> "subprocess.CompletedProcess[str]":
    command = Path(sys.executable).with_name("suifang")
    return subprocess.run(
        [command, "tidy", "--database", database.dsn, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def months(ran: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout)["months"])


async def test_past_months_are_put_in_the_order_of_residents_once(
    bench: JudgeBench, database: Database
) -> None:
    before = await bench.rows(ALL)
    in_turn = await bench.rows(AS_STORED)
    await bench.connection.commit()

    planned = await asyncio.to_thread(tidy, database, "--dry-run", "--json")
    assert await bench.rows(AS_STORED) == in_turn
    await bench.connection.commit()
    done = await asyncio.to_thread(tidy, database, "--json")

    assert len(months(planned)) == len(months(done)) == 2  # Not the present one.
    ordered = await bench.rows(AS_STORED)
    assert [row[1] for row in in_turn] != sorted(row[1] for row in in_turn)
    assert [row[1] for row in ordered] == sorted(row[1] for row in in_turn)
    assert await bench.rows(ALL) == before
    await bench.connection.commit()
    assert months(await asyncio.to_thread(tidy, database, "--json")) == []


async def test_a_month_that_was_tidied_takes_late_readings(
    bench: JudgeBench, database: Database
) -> None:
    await bench.connection.commit()
    assert months(await asyncio.to_thread(tidy, database, "--json"))
    (before,) = await bench.rows("SELECT count(*) FROM reading")

    late = a_glucose("5.6", at=OLD + timedelta(hours=1), resident_id="r-2", device_id="r-2")
    await send_at(bench, OLD + timedelta(hours=1), late)
    await send_at(bench, OLD + timedelta(hours=2), late)

    assert await bench.rows("SELECT count(*) FROM reading") == [(before[0] + 1,)]


async def test_a_month_that_somebody_uses_is_left_and_the_command_says_so(
    bench: JudgeBench, database: Database
) -> None:
    in_turn = await bench.rows(AS_STORED)
    await bench.connection.commit()
    async with await connect(database.dsn, application_name="test") as user:
        await user.execute("SELECT count(*) FROM reading")

        ran = await asyncio.to_thread(tidy, database, "--lock-wait-s", "1")

    assert ran.returncode == 1
    assert "run it again in a quieter hour" in ran.stderr
    assert await bench.rows(AS_STORED) == in_turn
