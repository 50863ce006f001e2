"""A back-test writes nothing; a re-judge edits nothing, it compensates."""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from ingest.backtest import Question, backtest
from ingest.db.connections import Connection
from ingest.db.residents import Population, Resident, load
from ingest.profiles import Profiles
from ingest.rejudge import rejudge
from tests.builders import AT, a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench

NATIONAL = "cn_nbphs_2017"  # At or above 140/90; wuzhou: above.
QUESTION = Question(
    before=Profiles("wuzhou"),
    after=Profiles(NATIONAL),
    first=date(2026, 3, 1),
    last=date(2026, 3, 31),
)


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


async def _history(bench: JudgeBench, connection: Connection) -> None:
    """r-1: 140/90 (only the norm flags it), then 152/94 (both do). r-2: nothing."""
    await load(
        connection,
        Population(residents=[Resident(id="r-2", conditions=(HYPERTENSION,))]),
        at=AT,
    )
    await bench.send(a_blood_pressure("140", "90"))
    bench.clock.now = AT + timedelta(days=5)
    await bench.send(a_blood_pressure("152", "94", at=bench.clock.now))
    await bench.settle()


async def test_a_back_test_counts_what_another_profile_would_change(
    bench: JudgeBench, connection: Connection
) -> None:
    await _history(bench, connection)
    seen: list[int] = []

    found = (await backtest(connection, QUESTION, seen.append)).as_record(QUESTION)

    assert sum(seen) == found["residents"]
    assert found["affected"] == ["r-1"]
    codes = {row["code"]: row for row in found["alerts"]}
    # Under the norm the first value is unsatisfied, so the second one is the second in a row.
    assert codes["BP_UNSATISFIED_1"] == {
        "code": "BP_UNSATISFIED_1",
        "before": 1,
        "after": 1,
        "new": 1,
        "lost": 1,
    }
    assert codes["BP_UNSATISFIED_2"]["new"] == 1
    weeks = {row["week"]: (row["before"], row["after"]) for row in found["followups"]}
    assert weeks == {"2026-W12": (1, 2)}
    raised = {row["week"]: (row["before"], row["after"]) for row in found["alerts_by_week"]}
    assert raised == {"2026-W10": (1, 2), "2026-W12": (1, 1)}  # Overdue there, by either.
    for weekly, each in (("alerts_by_week", "extra"), ("alerts_by_week", "after")):
        assert sum(row[each] for row in found[weekly]) == sum(
            row["after"] - (row["before"] if each == "extra" else 0) for row in found["alerts"]
        )


async def test_a_back_test_looks_at_alerts_of_its_days_only(
    bench: JudgeBench, connection: Connection
) -> None:
    await _history(bench, connection)
    narrow = Question(
        before=QUESTION.before, after=QUESTION.after, first=date(2026, 3, 3), last=date(2026, 3, 31)
    )

    found = (await backtest(connection, narrow, lambda _: None)).as_record(narrow)

    codes = {row["code"]: (row["before"], row["after"]) for row in found["alerts"]}
    assert codes["BP_UNSATISFIED_1"] == (1, 0)
    assert codes["BP_UNSATISFIED_2"] == (0, 1)


async def test_a_back_test_writes_nothing(bench: JudgeBench, connection: Connection) -> None:
    await _history(bench, connection)
    before = await bench.rows("SELECT * FROM alert ORDER BY id")

    await backtest(connection, QUESTION, lambda _: None)

    assert await bench.rows("SELECT * FROM alert ORDER BY id") == before
    assert await bench.rows("SELECT count(*) FROM due_mark") == [(0,)]


async def test_re_judging_by_the_same_profile_changes_nothing(
    bench: JudgeBench, connection: Connection
) -> None:
    await _history(bench, connection)
    before = await bench.rows("SELECT * FROM alert ORDER BY id")

    found = await rejudge(connection, bench.judge, lambda _: None)

    assert found.residents >= 2
    assert (found.alerts_raised, found.alerts_changed, found.alerts_cancelled) == (0, 0, 0)
    assert found.cases_changed == 0
    assert await bench.rows("SELECT * FROM alert ORDER BY id") == before


async def test_re_judging_by_another_profile_compensates_and_edits_nothing(
    bench: JudgeBench, connection: Connection
) -> None:
    await _history(bench, connection)
    told = await bench.rows("SELECT id, threshold, profile, observed, raised_at FROM alert")

    bench.judge_by(NATIONAL)
    found = await rejudge(connection, bench.judge, lambda _: None)

    assert found.alerts_raised == 2  # _1 of the first value, _2 of the second.
    assert found.alerts_cancelled == 1  # _1 of the second.
    now = await bench.rows("SELECT id, threshold, profile, observed, raised_at FROM alert")
    assert set(told) <= set(now)
    events = await bench.rows("SELECT payload ->> 'status' FROM outbox WHERE kind LIKE 'alert.%'")
    assert ("cancelled",) in events


async def test_a_dry_run_says_the_same_and_takes_it_back(
    bench: JudgeBench, connection: Connection
) -> None:
    await _history(bench, connection)
    before = await bench.rows("SELECT * FROM alert ORDER BY id")
    events = await bench.rows("SELECT count(*) FROM outbox")

    bench.judge_by(NATIONAL)
    said = await rejudge(connection, bench.judge, lambda _: None, dry_run=True)

    assert await bench.rows("SELECT * FROM alert ORDER BY id") == before
    assert await bench.rows("SELECT count(*) FROM outbox") == events
    assert said == await rejudge(connection, bench.judge, lambda _: None)


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = Path(sys.executable).with_name("suifang")
    return subprocess.run(
        [command, "rules", *words], capture_output=True, text=True, check=False, timeout=120
    )


async def test_the_commands_answer_in_json_and_as_a_table(
    bench: JudgeBench, connection: Connection, database: Database
) -> None:
    await _history(bench, connection)
    days = ("--from", "2026-03-01", "--to", "2026-03-31")
    both = ("--profile", "wuzhou", "--against", NATIONAL, "--database", database.dsn)

    said = _run("backtest", *both, *days, "--json")
    assert said.returncode == 0, said.stderr
    record: dict[str, Any] = json.loads(said.stdout)
    assert record["residents_affected"] == 1

    table = _run("backtest", *both, *days)
    assert "BP_UNSATISFIED_2" in table.stdout
    assert "Follow-ups by team and week" in table.stdout

    wrong = _run("backtest", *both, "--from", "2026-04-01", "--to", "2026-03-31")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1

    again = _run("rejudge", "--database", database.dsn, "--json", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["dry_run"] is True

    unknown = _run("rejudge", "--database", database.dsn, "--profile", "no_such_profile")
    assert unknown.returncode == 2
    assert "no_such_profile" in unknown.stderr
