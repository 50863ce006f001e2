"""The beginning of a town's year: nothing is lost, and the figures count what was truly done."""

from datetime import date
from pathlib import Path

from deploy.embedded.stack import Stack
from deploy.rehearsal.year import HEADLINES, rehearse_year
from simulators.people.practice import Practice
from simulators.people.town import TownPlan, make_town
from tests.fix_db import Database

FIRST = date(2025, 1, 1)
RESIDENTS = 300
DAYS = 10


async def test_what_a_town_does_is_stored_judged_and_counted(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    report = await rehearse_year(
        stack,
        database.dsn,
        tmp_path / "rehearsal",
        residents=RESIDENTS,
        seed=4,
        first_day=FIRST,
        days=DAYS,
        practice=Practice(visits_basic=1.0),
    )
    town = make_town(TownPlan(residents=RESIDENTS, first_day=FIRST), 4)
    managed = town.managed(FIRST) & town.diagnosed("hypertension", FIRST)
    told = report.as_dict()
    figures = told["figures"]

    assert report.lost == 0
    assert report.days == DAYS
    assert report.counts.readings > 50
    assert report.counts.visits > 3
    assert report.engine.judged >= RESIDENTS
    assert figures["htn.control_rate"]["denominator"] == managed.sum()
    assert figures["signing.all"]["numerator"] == report.counts.contracts
    assert figures["signing.all"]["denominator"] == RESIDENTS
    assert set(HEADLINES) <= set(figures)
    assert report.percent("signing.all") == figures["signing.all"]["percent"]
