"""The beginning of a town's year: nothing is lost, and the figures count what was truly done."""

import asyncio
import threading
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from deploy.embedded.stack import Stack
from deploy.rehearsal.year import HEADLINES, YearReport, rehearse_year
from deploy.simulate_cli import app
from simulators.people.practice import Practice
from simulators.people.town import TownPlan, make_town
from tests.fix_db import Database

# By the gateways' virtual clock: what they did not believe would arrive by chance.
_CAPTURED = """
SELECT min(captured_at AT TIME ZONE 'Asia/Shanghai')::date,
       max(captured_at AT TIME ZONE 'Asia/Shanghai')::date, count(*)
FROM reading"""
FIRST = date(2027, 1, 1)
RESIDENTS = 300
DAYS = 10


async def test_what_a_town_does_is_stored_judged_and_counted(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    report = YearReport(residents=RESIDENTS, seed=4)
    await rehearse_year(
        stack,
        database.dsn,
        tmp_path / "rehearsal",
        report,
        first_day=FIRST,
        days=DAYS,
        practice=Practice(visits_basic=1.0),
    )
    town = make_town(TownPlan(residents=RESIDENTS, first_day=FIRST), 4)
    managed = town.managed(FIRST) & town.diagnosed("hypertension", FIRST)
    told = report.as_dict()
    figures = told["figures"]

    with psycopg.connect(database.dsn) as connection:
        captured = connection.execute(_CAPTURED).fetchone()

    assert report.lost == 0
    assert report.judged_again == RESIDENTS
    assert captured == (FIRST, FIRST + timedelta(days=DAYS - 1), report.counts.readings)
    assert report.days == DAYS
    assert report.counts.readings > 50
    assert report.counts.visits > 3
    assert report.engine.judged >= RESIDENTS
    assert figures["htn.control_rate"]["denominator"] == managed.sum()
    assert figures["signing.all"]["numerator"] == report.counts.contracts
    assert figures["signing.all"]["denominator"] == RESIDENTS
    assert set(HEADLINES) <= set(figures)
    assert report.percent("signing.all") == figures["signing.all"]["percent"]


async def test_a_year_that_is_stopped_leaves_its_report_and_nothing_that_runs(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    report = YearReport(residents=50, seed=4)
    year = asyncio.create_task(
        rehearse_year(stack, database.dsn, tmp_path / "rehearsal", report, first_day=FIRST)
    )
    while report.days < 2 and not year.done():  # noqa: ASYNC110 - it tells nobody of a day
        await asyncio.sleep(0.05)
    year.cancel()
    with pytest.raises(asyncio.CancelledError):
        await year

    assert 2 <= report.days < 365
    assert report.as_dict()["differences"] is None
    assert not [thread.name for thread in threading.enumerate() if "gateway" in thread.name]


def test_a_year_that_gateways_do_not_believe_is_refused() -> None:
    result = CliRunner().invoke(app, ["town-year", "--first-day", "2025-01-01"])

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "name a day after it" in result.stderr
