"""The same seed is the same town; days, treatments, seasons and instruments do what they say."""

from dataclasses import fields, replace
from datetime import date, timedelta

import numpy as np
import pytest

from gateway.wire import limits
from simulators.people.care import Care, rehearse
from simulators.people.columns import (
    BLOOD_PRESSURE,
    FASTING,
    GLUCOSE,
    NO_GLUCOSE,
    DayReadings,
    Sittings,
)
from simulators.people.parameters import Parameters, Treatment
from simulators.people.population import list_residents, rows_of_news
from simulators.people.town import Town, TownPlan, make_town
from simulators.people.traits import IntArray

FIRST = date(2025, 1, 1)
PLAN = TownPlan(residents=1_500, first_day=FIRST)
STABLE = replace(
    PLAN,
    age_years_min=35,
    parameters=Parameters(treatment=Treatment(lapses_per_year=0.0, step_sd=0.0)),
)


def equal(first: DayReadings, other: DayReadings) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in ((getattr(first, f.name), getattr(other, f.name)) for f in fields(first))
    )


def all_of(town: Town) -> IntArray:
    return np.arange(len(town))


def sat(rows: IntArray, hour: float, *, meal: int = NO_GLUCOSE, office: bool = False) -> Sittings:
    size = len(rows)
    return Sittings(
        row=rows,
        hour=np.full(size, hour),
        office=np.full(size, office),
        pressures=np.full(size, 1 if meal == NO_GLUCOSE else 0),
        meal=np.full(size, meal),
        manual=np.zeros(size, np.bool_),
    )


def test_the_same_seed_is_the_same_year_bit_for_bit_and_another_seed_another() -> None:
    first, again, other = (
        DayReadings.joined(rehearse(make_town(PLAN, seed), Care(), days=60).readings)
        for seed in (1, 1, 2)
    )

    assert len(first) > 500
    assert equal(first, again)
    assert not equal(first, other)


def test_what_is_asked_in_between_changes_no_later_day() -> None:
    quiet, asked = make_town(PLAN, 3), make_town(PLAN, 3)
    asked.readings_of(FIRST)
    asked.readings_at_visit(np.arange(20), FIRST)
    day = FIRST + timedelta(days=9)

    assert equal(quiet.readings_of(day), asked.readings_of(day))


def test_days_do_not_go_back() -> None:
    town = make_town(PLAN, 1)
    town.readings_of(FIRST + timedelta(days=3))

    with pytest.raises(ValueError, match="2025-01-03 has passed in this town; it is 2025-01-04"):
        town.readings_of(FIRST + timedelta(days=2))


def test_every_reading_is_one_that_a_terminal_may_send() -> None:
    town = make_town(replace(PLAN, age_years_min=35), 4)
    random = np.random.default_rng(0)
    rows = np.repeat(all_of(town), 4)
    pressures = town.measure(sat(rows, 9.0), FIRST, random=random, severe_share=0.2)
    sugars = town.measure(sat(rows, 7.0, meal=FASTING), FIRST, random=random, severe_share=0.2)
    systolic, diastolic = pressures.systolic_mmhg, pressures.diastolic_mmhg
    lowest, highest = (int(10 * limit) for limit in limits.GLUCOSE_MMOL_L)
    least = int(limits.DIASTOLIC_MMHG[0])
    low, high = (int(limit) for limit in limits.SYSTOLIC_MMHG)

    assert (systolic >= low).all()
    assert (systolic <= high).all()
    assert (diastolic >= least).all()
    assert (diastolic < systolic).all()
    assert (sugars.glucose_tenths >= lowest).all()
    assert (sugars.glucose_tenths <= highest).all()
    assert 0.18 < np.mean((systolic >= 180) | (diastolic >= 110)) < 0.27
    assert 0.18 < np.mean((sugars.glucose_tenths >= 167) | (sugars.glucose_tenths <= 39)) < 0.24


def test_a_day_is_in_the_order_of_time_and_holds_the_truth_beside_the_value() -> None:
    day = make_town(replace(PLAN, residents=20_000), 1).readings_of(FIRST)
    pressure, sugar = day.kind == BLOOD_PRESSURE, day.kind == GLUCOSE

    assert (np.diff(day.second) >= 0).all()
    assert np.isnan(day.true_glucose_mmol_l[pressure]).all()
    assert np.isnan(day.true_systolic_mmhg[sugar]).all()
    off = day.systolic_mmhg[pressure] - day.true_systolic_mmhg[pressure]
    assert 0 < off.mean() < 7  # The white coat.
    assert 7 < off.std() < 13
    assert (day.meal[sugar] != NO_GLUCOSE).all()
    assert (day.systolic_mmhg[sugar] == 0).all()


def test_a_third_pressure_follows_two_that_differ() -> None:
    town = make_town(PLAN, 1)
    day = town.readings_at_visit(all_of(town), FIRST)
    pressures = day.take(day.kind == BLOOD_PRESSURE)
    systolic = [pressures.systolic_mmhg[pressures.row == row] for row in range(200)]

    assert {len(each) for each in systolic} == {2, 3}
    assert all((abs(int(s[0]) - int(s[1])) > 10) == (len(s) == 3) for s in systolic)


def test_a_dose_lowers_over_four_weeks_and_steps_add_up() -> None:
    town, untreated = make_town(STABLE, 1), make_town(STABLE, 1)
    rows = np.flatnonzero(town.diagnosed("hypertension", FIRST) & (town.traits.steps < 3))
    yes, no = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.bool_)

    def lower(days: int) -> float:
        day = FIRST + timedelta(days=days)
        a, b = town.usual(day).systolic_mmhg, untreated.usual(day).systolic_mmhg
        return float((b - a)[rows].mean())

    town.visit(rows, FIRST, pressure=yes, sugar=no)
    after = {days: lower(days) for days in (0, 7, 28, 200)}
    usual = town.traits.systolic_mmhg[rows]
    expected = np.maximum(9.1 + 0.1 * (usual - 154), 0).mean()
    assert after[0] == 0
    assert after[200] == pytest.approx(expected, abs=0.01)
    assert 0.45 < after[7] / after[200] < 0.6
    assert after[28] / after[200] > 0.94
    town.visit(rows, FIRST + timedelta(days=200), pressure=yes, sugar=no)
    assert 1.5 * expected < lower(400) < 2 * expected


def test_nobody_takes_more_than_all_doses_and_some_leave_one_off() -> None:
    plan = replace(PLAN, parameters=Parameters(treatment=Treatment(lapses_per_year=3.0)))
    town = make_town(plan, 1)
    rows = np.flatnonzero(town.diagnosed("hypertension", FIRST))
    yes = np.ones(len(rows), np.bool_)
    for _ in range(6):
        town.visit(rows, FIRST, pressure=yes, sugar=yes)
    lowest = town.usual(FIRST + timedelta(days=28)).systolic_mmhg[rows].mean()
    town.readings_of(FIRST + timedelta(days=365))
    later = town.usual(FIRST + timedelta(days=365)).systolic_mmhg[rows].mean()

    assert later > lowest + 10


def test_winter_is_higher_than_summer_and_the_afternoon_than_the_night() -> None:
    town = make_town(STABLE, 1)
    winter = town.usual(date(2025, 1, 15)).systolic_mmhg.mean()
    summer = town.usual(date(2025, 7, 16)).systolic_mmhg.mean()
    random = np.random.default_rng(1)
    day = date(2025, 7, 17)
    at = {
        hour: town.measure(sat(all_of(town), hour), day, random=random).true_systolic_mmhg.mean()
        for hour in (3.5, 15.5)
    }

    assert winter - summer == pytest.approx(8, abs=1)
    assert at[15.5] - at[3.5] == pytest.approx(16, abs=0.01)


def test_the_white_coat_stays_in_the_office() -> None:
    town = make_town(STABLE, 1)
    random = np.random.default_rng(1)
    means = [
        town.measure(
            sat(np.repeat(all_of(town), 20), 9.0, office=office), FIRST, random=random
        ).systolic_mmhg.mean()
        for office in (True, False)
    ]

    assert means[0] - means[1] == pytest.approx(town.traits.white_coat_mmhg.mean(), abs=0.5)


def test_the_register_learns_of_nobody_before_it_is_known() -> None:
    town = make_town(replace(PLAN, residents=4_000), 5)
    later = FIRST + timedelta(days=300)

    def known(day: date) -> dict[str, set[str]]:
        people = list_residents(town, day, name_of=lambda row: f"r{row}", team_of=lambda _: "t")
        return {person.id: {c.condition for c in person.conditions} for person in people}

    before, after = known(FIRST), known(later)
    rows = np.flatnonzero(town.diagnosed("hypertension", FIRST))
    assert {id_ for id_, names in before.items() if "hypertension" in names} == {
        f"r{row}" for row in rows
    }
    news = {
        f"r{row}"
        for days in range(1, 301)
        for row in rows_of_news(town, FIRST + timedelta(days=days))
    }
    changed = {id_ for id_ in before if before[id_] != after[id_]}
    assert 10 < len(changed) < 200
    assert changed <= news
    assert any("pregnant" in names for names in before.values())


def test_who_is_managed_is_diagnosed_and_of_age() -> None:
    traits = make_town(replace(PLAN, residents=20_000), 1).traits
    managed = ~np.isnat(traits.enrolled_on)
    since = np.fmin(traits.hypertension_since, traits.diabetes_since)

    assert managed.sum() > 1_000
    assert (since[managed] <= traits.enrolled_on[managed]).all()
    assert (traits.age_years[managed] >= 35).all()
    assert (traits.diastolic_mmhg < traits.systolic_mmhg).all()
    assert len(set(traits.card_numbers.tolist())) == len(traits)
