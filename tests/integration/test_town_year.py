"""A town whose teams work by plan is a scenario: its figures count what was truly done."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import psycopg

from deploy.embedded.stack import Stack
from deploy.rehearsal.run import Run
from simulators.people.practice import Practice
from simulators.people.town import TownPlan, make_town
from simulators.scenarios.expecting import FIGURES
from simulators.scenarios.reader import list_builtin, read_scenario
from simulators.scenarios.scenario import Expectation
from tests.fix_db import Database

# By the gateways' virtual clock: what they did not believe would arrive by chance.
_CAPTURED = """
SELECT min(captured_at AT TIME ZONE 'Asia/Shanghai')::date,
       max(captured_at AT TIME ZONE 'Asia/Shanghai')::date, count(*)
FROM reading"""
FIRST = date(2027, 1, 1)
DAYS = 10


async def test_the_figures_of_a_town_count_what_its_teams_did(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    """Other teams than those of the shipped scenario, whose short version is played elsewhere."""
    shipped = read_scenario(list_builtin()["town-year"], short=True)
    practice = Practice(visits_basic=1.0)
    wanted = [
        Expectation(where="here", what="figure", value=code, at_least=0, at_most=100)
        for code in FIGURES
    ]
    scenario = replace(shipped, seed=4, days=DAYS, practice=practice, expectations=wanted)
    run = Run(scenario=scenario, stack=stack, dsn=database.dsn, folder=tmp_path)

    await run.play()
    await asyncio.to_thread(run.judge)
    with psycopg.connect(database.dsn) as connection:
        captured = connection.execute(_CAPTURED).fetchone()

    residents = scenario.town.residents
    town = make_town(TownPlan(residents=residents, first_day=FIRST), 4)
    managed = town.managed(FIRST) & town.diagnosed("hypertension", FIRST)
    told = run.report()
    figures = told["figures"]
    assert run.verdicts[0].met, run.verdicts[0].seen
    assert told["conservation"]["judged"] == residents
    assert captured == (FIRST, FIRST + timedelta(days=DAYS - 1), told["readings"])
    assert told["readings"] > 50
    assert told["town"]["visits"] > 3
    assert told["town"]["health_checks"] > 0
    assert set(figures) == set(FIGURES)
    assert figures["htn.control_rate"]["denominator"] == managed.sum()
    assert figures["signing.all"]["numerator"] == told["town"]["contracts"]
    assert figures["signing.all"]["denominator"] == residents
