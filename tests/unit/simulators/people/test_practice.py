"""Teams sign whom they should, see people by the due day, and call again who did not come."""

from datetime import date, timedelta

import numpy as np
import pytest

from simulators.people.practice import (
    NEVER,
    PACKAGES,
    REFERRAL,
    SECOND,
    UNSIGNED,
    Diary,
    Practice,
    agree,
)
from simulators.people.town import TownPlan, make_town
from simulators.people.traits import IntArray

FIRST = date(2025, 1, 1)
TODAY = FIRST.toordinal()
TOWN = make_town(TownPlan(residents=4_000, first_day=FIRST, age_years_min=35), 1)
NOBODY = np.zeros(len(TOWN), np.bool_)


def all_due(kind: int, day: int) -> IntArray:
    due = np.full((2, len(TOWN)), NEVER)
    due[kind] = day
    return due


def test_contracts_follow_the_share_of_the_key_groups() -> None:
    """70.9 % of whom family doctors sign first, within two points; the package by diagnosis."""
    town = make_town(TownPlan(residents=20_000, first_day=FIRST), 1)
    agreed = agree(town, Practice())
    key = (
        town.diagnosed("hypertension", FIRST)
        | town.diagnosed("diabetes", FIRST)
        | (town.traits.age_years >= 65)
        | (town.traits.age_years < 7)
    )
    signed = agreed.package != UNSIGNED

    assert abs(signed[key].mean() - 0.709) < 0.02
    assert abs(signed[~key].mean() - 0.25) < 0.03
    diabetic = signed & town.diagnosed("diabetes", FIRST)
    assert (agreed.package[diabetic] == PACKAGES.index("diabetes")).all()


@pytest.mark.parametrize("kind", [SECOND, REFERRAL])
def test_most_are_called_by_the_due_day_and_all_in_the_end(kind: int) -> None:
    diary = Diary(TOWN, Practice(on_time=0.9, late_days=20))
    diary.note(all_due(kind, TODAY + 14), NOBODY)
    before = len(diary.called(FIRST)[0])
    by_then, for_what = diary.called(FIRST + timedelta(days=14))
    in_the_end, _ = diary.called(FIRST + timedelta(days=34))

    assert before == 0
    assert len(by_then) / len(TOWN) == pytest.approx(0.9, abs=0.02)
    assert for_what[kind].all()
    assert not for_what[1 - kind].any()
    assert len(in_the_end) == len(TOWN)


def test_some_do_not_come_and_everybody_is_called_again_while_it_stays_due() -> None:
    diary = Diary(TOWN, Practice(again_days=10))
    diary.note(all_due(SECOND, TODAY), NOBODY)
    rows, _ = diary.called(FIRST)
    comes = diary.come(rows, FIRST)

    assert 0.7 < comes.mean() < 1
    assert len(diary.called(FIRST)[0]) == 0
    assert set(rows) <= set(diary.called(FIRST + timedelta(days=10))[0])
    diary.note(all_due(SECOND, NEVER), NOBODY)  # Answered meanwhile.
    assert len(diary.called(FIRST + timedelta(days=400))[0]) == 0


def test_a_routine_visit_is_planned_after_the_last_visit_of_whoever_is_managed() -> None:
    diary = Diary(TOWN, Practice(on_time=1.0, routine_days=90))
    nothing = all_due(SECOND, NEVER)
    everybody = np.arange(len(TOWN))
    diary.saw(everybody, FIRST)
    diary.note(nothing, TOWN.managed(FIRST))
    rows, _ = diary.called(FIRST + timedelta(days=90))

    assert np.array_equal(rows, np.flatnonzero(TOWN.managed(FIRST)))
    assert len(diary.called(FIRST + timedelta(days=77))[0]) == 0


def test_one_dose_more_in_seven_visits_and_only_where_it_is_high() -> None:
    high = np.zeros((2, 40_000), np.bool_)
    high[0] = True
    stepped = Diary(TOWN, Practice(steps_up=1 / 7)).steps_up(high)

    assert stepped[0].mean() == pytest.approx(1 / 7, abs=0.01)
    assert not stepped[1].any()
