"""The promise: each decision that an indicator takes is the documented one; nothing is guessed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rules.codes import Condition
from rules.errors import RulesError, ShapeError, UnknownCodeError
from rules.indicator_columns import PERSONS_MAX, Managed, Obligations, Visits
from rules.indicators import INDICATORS, Parameters, Period, measure
from rules.local_time import fixed_offset, local_date
from tests.unit.rules.rules_indicators import (
    BOTH,
    DM,
    HTN,
    LEAP_DAY,
    LONG_AGO,
    NEW_YEAR,
    REFERRAL,
    ROUTINE,
    SECOND,
    YEAR,
    YEAR_END,
    World,
    persons,
    table_of,
)


@pytest.mark.parametrize(
    ("since", "until", "managed"),
    [
        pytest.param(LONG_AGO, None, True, id="all-the-time"),
        pytest.param(YEAR_END, None, True, id="from-the-last-day"),
        pytest.param(date(2029, 1, 1), None, False, id="from-the-next-year"),
        pytest.param(LONG_AGO, NEW_YEAR, True, id="until-the-first-day"),
        pytest.param(LONG_AGO, date(2027, 12, 31), False, id="until-the-year-before"),
        pytest.param(LEAP_DAY, LEAP_DAY, True, id="on-the-leap-day-alone"),
    ],
)
def test_managed_on_one_day_of_the_year_is_managed_in_the_year(
    since: date, until: date | None, *, managed: bool
) -> None:
    found = World(managed=[(7, HTN, since, until)]).measure()

    assert persons(found["htn.management_rate"]) == [7] * managed
    assert persons(found["t2dm.management_rate"]) == []


def test_somebody_enrolled_again_is_one_person() -> None:
    twice = [(5, HTN, LONG_AGO, LEAP_DAY), (5, HTN, date(2028, 6, 1), None)]

    counted = World(managed=twice, estimated={Condition.HYPERTENSION: 4}).measure()

    assert counted["htn.management_rate"].text == "1/4 = 25%"


def test_a_visit_for_both_conditions_counts_for_each() -> None:
    found = World(
        managed=[(1, HTN, LONG_AGO, None), (1, DM, LONG_AGO, None)],
        visits=[(1, BOTH, NEW_YEAR, True), (1, HTN, LEAP_DAY, True)],
        examinations=[(1, YEAR_END)],
        outcomes=[(1, HTN, NEW_YEAR, True, False), (1, DM, NEW_YEAR, False, False)],
    ).measure()

    assert found["htn.standard_management_rate"].text == "1/1 = 100%"
    assert found["t2dm.standard_management_rate"].text == "0/1 = 0%"
    assert found["htn.control_rate"].text == "1/1 = 100%"
    assert found["t2dm.control_rate"].text == "0/1 = 0%"


@pytest.mark.parametrize(
    ("visits", "examined", "standard"),
    [
        pytest.param([NEW_YEAR, LEAP_DAY], YEAR_END, True, id="two-days-and-a-check"),
        pytest.param([LEAP_DAY, LEAP_DAY], YEAR_END, False, id="two-on-one-day-count-once"),
        pytest.param([NEW_YEAR, date(2027, 12, 31)], YEAR_END, False, id="one-the-year-before"),
        pytest.param([NEW_YEAR, LEAP_DAY], date(2029, 1, 1), False, id="check-a-year-later"),
    ],
)
def test_managed_to_the_standard_needs_enough_days_and_the_check(
    visits: list[date], examined: date, *, standard: bool
) -> None:
    world = World(
        managed=[(1, HTN, LONG_AGO, None)],
        visits=[(1, HTN, day, True) for day in visits],
        examinations=[(1, examined)],
    )
    assert persons(world.measure()["htn.standard_management_rate"]) == [1] * standard


@pytest.mark.parametrize(
    ("outcomes", "controlled"),
    [
        pytest.param([], False, id="never-followed-up"),
        pytest.param([(LEAP_DAY, True, False)], True, id="under-control"),
        pytest.param([(LEAP_DAY, True, True)], False, id="lost-whatever-the-value"),
        pytest.param([(NEW_YEAR, True, False), (LEAP_DAY, False, False)], False, id="latest-high"),
        pytest.param([(NEW_YEAR, False, False), (LEAP_DAY, True, False)], True, id="latest-good"),
        pytest.param([(LEAP_DAY, True, False), (YEAR_END, False, True)], False, id="lost-later"),
        pytest.param([(NEW_YEAR, False, True), (LEAP_DAY, True, False)], True, id="found-again"),
        pytest.param(
            [(LEAP_DAY, True, False), (LEAP_DAY, False, False)], False, id="both-on-one-day"
        ),
        pytest.param(
            [(LEAP_DAY, True, False), (date(2029, 1, 1), False, False)], True, id="next-year"
        ),
        pytest.param([(date(2027, 12, 31), True, False)], False, id="only-the-year-before"),
    ],
)
def test_the_most_recent_follow_up_of_the_year_decides_on_control(
    outcomes: list[tuple[date, bool, bool]], *, controlled: bool
) -> None:
    world = World(
        managed=[(1, DM, LONG_AGO, None)], outcomes=[(1, DM, *outcome) for outcome in outcomes]
    )
    assert persons(world.measure()["t2dm.control_rate"]) == [1] * controlled


def test_what_happened_after_the_day_of_looking_is_not_known() -> None:
    world = World(
        managed=[(1, HTN, LONG_AGO, None), (2, HTN, date(2028, 3, 2), None)],
        visits=[(1, HTN, NEW_YEAR, True), (1, HTN, date(2028, 3, 2), True)],
        examinations=[(1, NEW_YEAR)],
        outcomes=[(1, HTN, NEW_YEAR, True, False), (1, HTN, date(2028, 3, 2), False, False)],
    )

    found = world.measure(Period.of_year(2028, as_of=date(2028, 3, 1)))

    assert persons(found["htn.management_rate"]) == [1]
    assert persons(found["htn.standard_management_rate"]) == []
    assert persons(found["htn.control_rate"]) == [1]


@pytest.mark.parametrize(
    ("answered", "as_of", "ended"),
    [
        pytest.param(LEAP_DAY, YEAR_END, "on_time", id="on-the-due-day"),
        pytest.param(date(2028, 3, 1), YEAR_END, "late", id="a-day-late"),
        pytest.param(date(2028, 3, 1), LEAP_DAY, None, id="due-today-is-open"),
        pytest.param(NEW_YEAR, LEAP_DAY, None, id="answered-but-its-day-has-not-passed"),
        pytest.param(None, date(2028, 3, 1), "missed", id="the-day-has-passed"),
        pytest.param(date(2028, 3, 2), date(2028, 3, 1), "missed", id="answered-after-looking"),
        pytest.param(date(2029, 1, 1), date(2029, 1, 1), "late", id="answered-in-the-next-year"),
    ],
)
def test_a_follow_up_is_on_time_or_late_or_missed_once_its_due_day_has_passed(
    answered: date | None, as_of: date, ended: str | None
) -> None:
    world = World(obligations=[(3, HTN, SECOND, LEAP_DAY, answered)])

    found = world.measure(Period.of_year(2028, as_of=as_of))

    numbers = {
        word: found[f"htn.second_followup_{word}"].counted.numerator
        for word in ("on_time", "late", "missed")
    }
    assert numbers == {word: int(word == ended) for word in numbers}
    assert found["htn.second_followup_late"].counted.denominator == int(ended is not None)
    assert found["htn.referral_followup_late"].counted.denominator == 0


def test_one_person_can_be_owed_several_follow_ups() -> None:
    owed = [(3, HTN, REFERRAL, NEW_YEAR, NEW_YEAR), (3, HTN, REFERRAL, LEAP_DAY, None)]

    closed = World(obligations=owed).measure()["htn.referral_closure_rate"]

    assert closed.text == "1/2 = 50%"
    assert persons(closed) == [3]


def test_a_visit_late_on_new_years_eve_utc_belongs_to_the_next_local_year() -> None:
    at = np.array([datetime(2028, 12, 31, 17, tzinfo=UTC).replace(tzinfo=None)], "datetime64[us]")
    day = local_date(at, fixed_offset("Asia/Shanghai"))[0].item()
    world = World(
        managed=[(1, HTN, LONG_AGO, None)],
        visits=[(1, HTN, day, True)],
        examinations=[(1, day)],
        face_to_face=1,
    )

    this_year = world.measure(Period.of_year(2028, as_of=date(2030, 1, 1)))
    next_year = world.measure(Period.of_year(2029, as_of=date(2030, 1, 1)))

    assert persons(this_year["htn.standard_management_rate"]) == []
    assert persons(next_year["htn.standard_management_rate"]) == [1]


@pytest.mark.parametrize(
    ("managed", "estimated", "text"),
    [
        pytest.param(5, 400, "5/400 = 1.25%", id="two-decimals"),
        pytest.param(3, 5, "3/5 = 60%", id="whole"),
        pytest.param(2, 3, "2/3 = 66.67%", id="rounded-up"),
        pytest.param(1, 3, "1/3 = 33.33%", id="rounded-down"),
        pytest.param(1, 800, "1/800 = 0.13%", id="half-up"),
        pytest.param(1, 20_001, "1/20001 = 0%", id="less-than-half-a-hundredth"),
        pytest.param(0, 5, "0/5 = 0%", id="none"),
        pytest.param(3, 2, "3/2 = 150%", id="more-than-estimated"),
        pytest.param(10, 10, "10/10 = 100%", id="all"),
        pytest.param(3, 0, "3/0", id="no-ratio-over-nothing"),
    ],
)
def test_a_ratio_is_exact_and_its_percent_rounded_half_up(
    managed: int, estimated: int, text: str
) -> None:
    rows = [(person, HTN, LONG_AGO, None) for person in range(managed)]

    rate = World(managed=rows, estimated={Condition.HYPERTENSION: estimated}).measure()

    found = rate["htn.management_rate"]
    assert found.text == text
    assert found.ratio == (Fraction(managed, estimated) if estimated else None)
    assert (found.percent is None) == (estimated == 0)


def test_nobody_at_all_gives_no_ratio_rather_than_nothing_achieved() -> None:
    found = World().measure()

    assert set(found) == set(INDICATORS)
    assert all(each.ratio is None and each.percent is None for each in found.values())
    assert {each.text for each in found.values()} == {"0/0"}


def test_only_the_indicators_asked_for_are_counted() -> None:
    ids = ["t2dm.control_rate", "htn.management_rate"]
    parameters = Parameters(estimated_patients={}, face_to_face_per_year=4)

    assert list(measure(World().facts(), YEAR, parameters, ids)) == ids
    with pytest.raises(UnknownCodeError, match=r"'htn\.magic'"):
        measure(World().facts(), YEAR, parameters, ["htn.magic"])


def test_every_indicator_says_what_it_is_and_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "indicators.md").read_text(encoding="utf-8")
    titles = [name for each in INDICATORS.values() for name in (each.title_zh, each.title_en)]

    assert len(set(titles)) == 2 * len(INDICATORS)
    for name, each in INDICATORS.items():
        assert each.id == name
        assert f"| `{name.partition('.')[2]}` | {each.version} |" in text
        assert each.formula in text


_ONE_DAY = np.array([LEAP_DAY], "datetime64[D]")
_NO_DAY = np.array(["NaT"], "datetime64[D]")
_PERSON, _HTN = np.array([0]), np.array([HTN], np.int8)


def _managed(**columns: npt.NDArray[Any]) -> Managed:
    usual = {"person": _PERSON, "condition": _HTN, "since": _ONE_DAY, "until": _NO_DAY}
    return Managed(**{**usual, **columns})


@pytest.mark.parametrize(
    ("build", "error", "named"),
    [
        (lambda: _managed(person=np.array([0, 1])), ShapeError, "Managed.condition"),
        (lambda: _managed(person=np.array([0.0])), ShapeError, "Managed.person"),
        (lambda: _managed(person=np.array([-1])), UnknownCodeError, "Managed.person"),
        (lambda: _managed(person=np.array([PERSONS_MAX])), UnknownCodeError, "Managed.person"),
        (lambda: _managed(since=_NO_DAY), ShapeError, "Managed.since"),
        (lambda: _managed(until=_ONE_DAY - 1), ShapeError, "Managed.until"),
        (lambda: _managed(condition=np.array([0], np.int8)), UnknownCodeError, "Managed.condition"),
        (lambda: _managed(condition=np.array([3], np.int8)), UnknownCodeError, "Managed.condition"),
        (
            lambda: table_of(Obligations, [(0, BOTH, 1, LEAP_DAY, None)]),
            UnknownCodeError,
            "condition",
        ),
        (lambda: table_of(Obligations, [(0, HTN, 0, LEAP_DAY, None)]), UnknownCodeError, "kind"),
        (lambda: table_of(Visits, [(0, HTN, None, True)]), ShapeError, "Visits.day"),
        (lambda: Period(first=LEAP_DAY, last=NEW_YEAR, as_of=LEAP_DAY), RulesError, "period"),
        (
            lambda: Parameters(estimated_patients={}, face_to_face_per_year=0),
            RulesError,
            "face_to_face_per_year",
        ),
        (
            lambda: Parameters(
                estimated_patients={Condition.DIABETES: -1}, face_to_face_per_year=4
            ),
            RulesError,
            "estimated_patients",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    build: Callable[[], object], error: type[RulesError], named: str
) -> None:
    with pytest.raises(error, match=named):
        build()


def test_one_day_of_a_period_is_a_period() -> None:
    one = Period(first=LEAP_DAY, last=LEAP_DAY, as_of=LEAP_DAY + timedelta(days=1))
    world = World(obligations=[(1, DM, ROUTINE, LEAP_DAY, LEAP_DAY)])

    assert world.measure(one)["t2dm.routine_followup_on_time"].text == "1/1 = 100%"
