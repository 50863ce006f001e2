"""The promise: profiles become columns of exact numbers, and each day has the version in force."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rules.codes import AlertCode
from rules.comparison import (
    Sums,
    crosses_bands,
    crosses_pressure,
    falls_to_glucose,
    reaches_glucose,
)
from rules.errors import ProfileError
from rules.limits import NO_DUE, pick, rows_as_column, rows_at, tabulate
from rules.profile import Comparator, Profile
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import MMHG

WUZHOU, NATIONAL = load_profile("wuzhou"), load_profile("cn_nbphs_2017")
NEWER = replace(WUZHOU, version="2", valid_from=date(2026, 3, 2))
TABLE = tabulate([[WUZHOU, NEWER], [NATIONAL]])
_STRICT, _LOOSE = 0, 2


def sums(systolic: int, diastolic: int, count: int = 1) -> Sums:
    return Sums(np.array([systolic], np.int64), np.array([diastolic], np.int64), count)


@pytest.mark.parametrize(
    ("choice", "day", "row"),
    [
        pytest.param(0, "2026-03-01", 0, id="before-the-newer-version"),
        pytest.param(0, "2026-03-02", 1, id="from-its-day-on"),
        pytest.param(0, "2015-01-01", 0, id="first-day"),
        pytest.param(0, "1999-01-01", 0, id="before-the-first-version-that-version"),
        pytest.param(0, "2099-01-01", 1, id="latest"),
        pytest.param(1, "2026-03-02", 2, id="other-choice"),
        pytest.param(1, "1999-01-01", 2, id="other-choice-before-its-first"),
    ],
)
def test_a_day_has_the_version_in_force(choice: int, day: str, row: int) -> None:
    others = [(0, "2026-03-02"), (1, "2026-03-02"), (choice, day)]
    choices = np.array([each for each, _ in others], np.int8)
    days = np.array([each for _, each in others], "datetime64[D]")

    assert np.asarray(TABLE.choose(choices, days)).tolist() == [1, 2, row]
    assert TABLE.profiles[row].valid_from <= max(
        date.fromisoformat(day), TABLE.profiles[row].valid_from
    )


def test_with_one_version_rows_cost_nothing() -> None:
    alone = tabulate([[WUZHOU]])

    assert alone.choose(np.zeros(3, np.int8), np.zeros(3, "datetime64[D]")) == 0
    assert rows_at(0, slice(0, 2)) == 0
    assert np.asarray(rows_at(np.array([3, 4, 5]), [0, 2])).tolist() == [3, 5]
    assert rows_as_column(0, 3).tolist() == [0, 0, 0]
    assert rows_as_column(np.array([1, 2]), 2).tolist() == [1, 2]
    assert pick(alone.second_days, 0) == 14


@pytest.mark.parametrize(
    ("offset", "count", "strict", "loose"),
    [
        (-1, 1, False, False),
        (0, 1, False, True),
        (1, 1, True, True),
        (0, 3, False, True),
        (1, 3, True, True),
        (-1, 3, False, False),
    ],
)
def test_above_begins_one_step_after_the_limit(
    offset: int, count: int, *, strict: bool, loose: bool
) -> None:
    for row, expected in ((_STRICT, strict), (_LOOSE, loose)):
        high = sums(140 * MMHG * count + offset, 0, count)
        low = sums(0, 90 * MMHG * count + offset, count)
        assert crosses_pressure(high, TABLE.bp_screening, row).tolist() == [expected]
        assert crosses_pressure(low, TABLE.bp_screening, row).tolist() == [expected]


@pytest.mark.parametrize(
    ("offset", "strict", "loose"), [(-1, False, False), (0, False, True), (1, True, True)]
)
def test_above_begins_one_step_after_the_limit_of_glucose(
    offset: int, *, strict: bool, loose: bool
) -> None:
    value = np.array([70_000 + offset])

    assert reaches_glucose(value, TABLE.glucose_fasting, _STRICT).tolist() == [strict]
    assert reaches_glucose(value, TABLE.glucose_fasting, _LOOSE).tolist() == [loose]


def test_a_lower_limit_is_reached_from_above() -> None:
    values = np.array([38_999, 39_000, 39_001])

    found = falls_to_glucose(values, TABLE.glucose_emergency_low, _STRICT)

    assert found.tolist() == [True, True, False]


def test_each_row_is_judged_by_its_own_profile() -> None:
    rows = np.array([_STRICT, _LOOSE])
    two = Sums(np.array([140 * MMHG] * 2), np.array([0, 0]), 1)

    assert crosses_pressure(two, TABLE.bp_screening, rows).tolist() == [False, True]
    assert reaches_glucose(np.array([70_000] * 2), TABLE.glucose_fasting, rows).tolist() == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("age", "row", "crossed"),
    [
        (64, _LOOSE, True),
        (65, _LOOSE, False),
        (64, _STRICT, True),
        (65, _STRICT, True),
        (120, _STRICT, True),
    ],
)
def test_a_tier_replaces_the_base_limit_from_its_age_on(
    age: int, row: int, *, crossed: bool
) -> None:
    found = crosses_bands(
        sums(145 * MMHG, 0), lambda years: np.array([age >= years]), TABLE.bp_office, row
    )

    assert found.tolist() == [crossed]


def test_a_tier_can_be_lower_than_the_base_limit() -> None:
    tier = replace(NATIONAL.bp_office.tiers[0], systolic_mmhg_e13=120 * MMHG, age_min=80)
    bands = replace(NATIONAL.bp_office, tiers=(*NATIONAL.bp_office.tiers, tier))
    table = tabulate([[replace(NATIONAL, bp_office=bands)], [WUZHOU]])

    def crosses(age: int, row: int = 0) -> list[bool]:
        found = crosses_bands(
            sums(130 * MMHG, 0), lambda years: np.array([age >= years]), table.bp_office, row
        )
        return [bool(each) for each in found]

    assert (crosses(64), crosses(79), crosses(80)) == ([False], [False], [True])
    assert crosses(80, row=1) == [False]  # The other profile has no tier at all.


def test_a_profile_without_a_rule_has_limits_that_nobody_crosses() -> None:
    quiet = replace(WUZHOU, glucose_screening_random_limit=None, glucose_screening_random=None)
    table = tabulate([[quiet], [WUZHOU]])

    assert reaches_glucose(np.array([550_000]), table.glucose_random, 0).tolist() == [False]
    assert reaches_glucose(np.array([550_000]), table.glucose_random, 1).tolist() == [True]
    assert table.glucose_random_screened.due_days.tolist() == [NO_DUE, NO_DUE]
    assert table.glucose_random_screened.age_min[0] > 150
    unsuspecting = replace(WUZHOU, bp_screening=replace(WUZHOU.bp_screening, suspected=None))
    alone = tabulate([[unsuspecting]])
    assert (alone.suspected_within.tolist(), alone.suspected_due.tolist()) == ([-1], [NO_DUE])


def test_days_and_spans_are_those_of_the_profile() -> None:
    minute = 60_000_000
    expected = {
        "second_days": 14,
        "referral_days": 14,
        "routine_days": 90,
        "routine_overdue_days": 90,
        "unsatisfied_for_referral": 2,
        "reactions_for_referral": 2,
        "suspected_within": 90,
        "suspected_due": 14,
        "session_gap_us": 10 * minute,
        "session_span_us": 60 * minute,
        "session_wait_us": 10 * minute,
        "assessment_span_us": 24 * 60 * minute,
        "emergency_repeat_us": 4 * 60 * minute,
        "late_after_us": 24 * 60 * minute,
        "third_reading": 10 * MMHG,
        "bp_interarm": 20 * MMHG,
    }

    assert {name: getattr(TABLE, name).tolist() for name in expected} == {
        name: [value] * 3 for name, value in expected.items()
    }
    assert TABLE.bp_screened.due_days.tolist() == [14, 14, NO_DUE]
    assert TABLE.bp_screened.age_min.tolist() == [18, 18, 35]
    assert TABLE.glucose_screened.age_min.tolist() == [18, 18, 0]
    assert TABLE.glucose_screened.due_days.tolist() == [14, 14, NO_DUE]
    assert TABLE.utc_offset == np.timedelta64(8, "h")
    assert TABLE.first_row == (0, 2)


def test_a_strict_difference_of_the_arms_is_moved_by_its_comparator() -> None:
    strict = replace(WUZHOU.bp_interarm, comparator=Comparator.ABOVE)

    table = tabulate([[replace(WUZHOU, bp_interarm=strict)]])

    assert table.bp_interarm.tolist() == [20 * MMHG + 1]


def test_severities_are_those_of_the_profile() -> None:
    screened = TABLE.severity[:, AlertCode.SCREEN_BP_HIGH]

    assert screened.tolist() == [2, 2, 1]
    assert TABLE.severity[:, 0].tolist() == [0, 0, 0]
    assert TABLE.severity[:, AlertCode.ADR_2].tolist() == [3, 3, 3]
    assert TABLE.random_severity.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        pytest.param([], "none is in use", id="no-choice"),
        pytest.param([[]], "none is in use", id="no-version"),
        pytest.param([[WUZHOU], []], "none is in use", id="an-empty-choice"),
        pytest.param([[NEWER, WUZHOU]], "versions must ascend by date", id="newest-first"),
        pytest.param([[WUZHOU, WUZHOU]], "versions must ascend by date", id="same-day"),
        pytest.param(
            [[WUZHOU], [replace(NATIONAL, utc_offset=np.timedelta64(0, "us"))]],
            "must share one time zone",
            id="two-zones",
        ),
    ],
)
def test_profiles_that_cannot_be_used_together_are_refused(
    choices: list[list[Profile]], problem: str
) -> None:
    with pytest.raises(ProfileError, match=problem):
        tabulate(choices)
