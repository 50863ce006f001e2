"""The promise: referrals, emergencies and screening run their course, and late data is quiet."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from rules.engine import judge
from rules.errors import ShapeError, UnknownCodeError
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import (
    DIABETIC,
    HEALTHY,
    HYPERTENSIVE,
    LOCAL,
    NOON,
    PREGNANT,
    Person,
    a_blood_pressure,
    a_glucose,
    alerts_in,
    instant,
    readings_of,
    residents_of,
)
from tests.unit.rules.rules_questions import (
    BOTH,
    CONTROLLED,
    DAY,
    HOUR,
    MINUTE,
    OPEN,
    alerts_of,
    case_of,
    state_of,
)


def test_satisfied_visit_under_an_open_referral_keeps_it_open() -> None:
    days = [(152, 94), (152, 94), (120, 70)]
    rows = [
        a_blood_pressure(*value, at=NOON + number * 3 * DAY) for number, value in enumerate(days)
    ]

    case = case_of(rows)
    assert (case["state"], case["consecutive_unsatisfied"]) == ("referral_recommended", 0)
    assert case["referral_followup_due"] == "2026-03-19"


def test_unsatisfied_visit_under_an_open_referral_raises_nothing() -> None:
    rows = [a_blood_pressure(152, 94, at=NOON + number * 3 * DAY) for number in range(4)]

    assert case_of(rows)["consecutive_unsatisfied"] == 2
    assert alerts_of(rows) == [("BP_UNSATISFIED_1", "resolved"), ("BP_UNSATISFIED_2", "active")]


@pytest.mark.parametrize(
    ("apart", "emergencies"),
    [
        pytest.param(4 * HOUR, 1, id="within-four-hours"),
        pytest.param(4 * HOUR + timedelta(microseconds=1), 2, id="after-four-hours"),
    ],
)
def test_same_emergency_is_not_repeated_within_four_hours(
    apart: timedelta, emergencies: int
) -> None:
    rows = [a_blood_pressure(185, 100), a_blood_pressure(190, 100, at=NOON + apart)]

    assert alerts_of(rows)[-1] == ("BP_EMERGENCY", "active")
    assert len(alerts_of(rows)) == emergencies


def test_other_emergency_is_not_silenced() -> None:
    rows = [a_blood_pressure(150, 80), a_blood_pressure(185, 100, at=NOON + MINUTE)]

    assert alerts_of(rows, PREGNANT) == [("BP_PREG_HIGH", "active"), ("BP_EMERGENCY", "active")]


def test_emergency_at_home_replaces_the_open_second_followup() -> None:
    rows = [a_blood_pressure(152, 94), a_blood_pressure(185, 100, at=NOON + DAY, setting="home")]

    case = case_of(rows)
    assert (case["state"], case["second_followup_due"]) == ("emergency_referral", None)
    assert case["consecutive_unsatisfied"] == 1
    assert alerts_of(rows) == [("BP_UNSATISFIED_1", "resolved"), ("BP_EMERGENCY", "active")]


def test_pregnancy_counts_between_its_dates_only() -> None:
    row = a_blood_pressure(140, 80)
    until_today = replace(PREGNANT, pregnant_until=date(2026, 3, 2))
    until_yesterday = replace(PREGNANT, pregnant_until=date(2026, 3, 1))

    assert alerts_of([row], until_today) == [("BP_PREG_HIGH", "active")]
    assert alerts_of([row], until_yesterday) == []


def test_fasting_low_is_an_emergency_and_never_satisfies() -> None:
    rows = [a_glucose("8.0"), a_glucose("3.5", at=NOON + 2 * DAY)]

    case = case_of(rows, DIABETIC, condition="diabetes")
    assert (case["state"], case["consecutive_unsatisfied"]) == ("emergency_referral", 1)


def test_fasting_hi_counts_as_unsatisfied() -> None:
    rows = [a_glucose(None, unit=None, range_status=1)]

    case = case_of(rows, DIABETIC, condition="diabetes")
    assert (case["state"], case["consecutive_unsatisfied"]) == ("emergency_referral", 1)


def test_conditions_do_not_touch_each_other() -> None:
    rows = [a_blood_pressure(152, 94), a_glucose("5.0", at=NOON + MINUTE)]

    assert state_of(rows, BOTH) == OPEN
    assert state_of(rows, BOTH, condition="diabetes") == CONTROLLED


def test_screening_ends_with_a_normal_value_on_a_later_day() -> None:
    high, normal = a_blood_pressure(150, 92), a_blood_pressure(120, 70, at=NOON + 3 * DAY)

    assert case_of([high], HEALTHY)["second_followup_due"] == "2026-03-16"
    assert state_of([high, normal], HEALTHY) == "none"
    assert alerts_of([high, normal], HEALTHY) == [("SCREEN_BP_HIGH", "resolved")]


def test_missed_recheck_is_overdue_as_a_second_followup_is() -> None:
    rows = [a_blood_pressure(150, 92)]
    late = NOON + 15 * DAY

    assert state_of(rows, HEALTHY, as_of=late) == "second_followup_overdue"
    assert ("FOLLOWUP_OVERDUE", "active") in alerts_of(rows, HEALTHY, as_of=late)
    assert state_of(rows, HEALTHY, as_of=late, profile="cn_nbphs_2017") == "screening"


def test_high_recheck_asks_for_the_next_recheck() -> None:
    rows = [a_blood_pressure(150, 92), a_blood_pressure(150, 92, at=NOON + 10 * DAY)]

    assert case_of(rows, HEALTHY)["second_followup_due"] == "2026-03-26"
    assert alerts_of(rows, HEALTHY) == [("SCREEN_BP_HIGH", "active")]


@pytest.mark.parametrize(
    ("third", "state"),
    [
        pytest.param(90 * DAY, "screening_referral", id="within-90-days"),
        pytest.param(91 * DAY, "screening", id="too-far-apart"),
    ],
)
def test_three_high_days_within_ninety_are_suspected(third: timedelta, state: str) -> None:
    rows = [a_blood_pressure(150, 92, at=NOON + after) for after in (timedelta(0), 40 * DAY, third)]

    assert state_of(rows, HEALTHY) == state


@pytest.mark.parametrize(
    ("birth", "wuzhou", "national"),
    [
        pytest.param(None, "screening", "screening", id="unknown-is-adult"),
        pytest.param(date(2008, 3, 3), "none", "none", id="17"),
        pytest.param(date(2008, 3, 2), "screening", "none", id="18-today"),
        pytest.param(date(1991, 3, 3), "screening", "none", id="34"),
        pytest.param(date(1991, 3, 2), "screening", "screening", id="35-today"),
    ],
)
def test_screening_begins_at_an_age(birth: date | None, wuzhou: str, national: str) -> None:
    person, rows = Person(birth_date=birth), [a_blood_pressure(150, 92)]

    assert state_of(rows, person) == wuzhou
    assert state_of(rows, person, profile="cn_nbphs_2017") == national


def test_two_assessments_of_one_day_are_one_high_day() -> None:
    # The first group spans two days and is decided on the second, where the next one begins.
    evening = datetime(2026, 3, 2, 20, 0, tzinfo=LOCAL)
    times = [evening, evening + 23 * HOUR, evening + 24 * HOUR, evening + 3 * DAY]
    rows = [a_blood_pressure(150, 92, at=at) for at in times]
    normal = a_blood_pressure(120, 70, at=times[2])

    assert state_of(rows, HEALTHY) == "screening"
    assert state_of([*rows[:2], normal], HEALTHY) == "screening"
    assert state_of([*rows, a_blood_pressure(150, 92, at=evening + 6 * DAY)], HEALTHY) == (
        "screening_referral"
    )


def test_diagnosis_ends_the_screening_referral() -> None:
    person = Person(hypertension_since=date(2026, 3, 20))
    rows = [a_blood_pressure(150, 92, at=NOON + number * DAY) for number in range(3)]
    later = a_blood_pressure(120, 70, at=NOON + 20 * DAY)

    assert state_of(rows, person) == "screening_referral"
    assert state_of([*rows, later], person) == CONTROLLED
    assert alerts_of([*rows, later], person) == [
        ("SCREEN_BP_HIGH", "resolved"),
        ("REFERRAL_FOLLOWUP_OVERDUE", "resolved"),
        ("SCREEN_HTN_SUSPECTED", "resolved"),
    ]


def test_fasting_glucose_is_screened_likewise() -> None:
    rows = [a_glucose("7.1", at=NOON + number * DAY) for number in range(4)]

    assert state_of(rows, HEALTHY, condition="diabetes") == "screening"
    assert alerts_of(rows, HEALTHY) == [("SCREEN_GLU_HIGH", "active")]


def test_diagnosis_turns_screening_into_the_conditions_case() -> None:
    person = Person(hypertension_since=date(2026, 3, 10))
    rows = [a_blood_pressure(150, 92), a_blood_pressure(150, 92, at=NOON + 9 * DAY)]

    case = case_of(rows, person)
    assert (case["state"], case["consecutive_unsatisfied"]) == (OPEN, 1)
    assert alerts_of(rows, person) == [
        ("SCREEN_BP_HIGH", "resolved"),
        ("BP_UNSATISFIED_1", "active"),
    ]


@pytest.mark.parametrize(
    ("delay", "page"),
    [pytest.param(24 * HOUR, True, id="a-day"), pytest.param(25 * HOUR, False, id="longer")],
)
def test_late_emergency_pages_nobody(delay: timedelta, *, page: bool) -> None:
    rows = [a_blood_pressure(185, 100, received_at=NOON + delay)]
    judgement = judge(
        readings_of(rows),
        residents_of([HEALTHY]),
        load_profile("wuzhou"),
        as_of=instant(NOON + 2 * DAY),
    )

    (alert,) = alerts_in(judgement, rows)
    assert (alert["page"], alert["late"]) == (page, not page)


def test_overdue_pages_although_its_reading_is_old() -> None:
    rows = [a_blood_pressure(152, 94, received_at=NOON + 3 * DAY)]
    judgement = judge(
        readings_of(rows),
        residents_of([HYPERTENSIVE]),
        load_profile("wuzhou"),
        as_of=instant(NOON + 16 * DAY),
    )

    first, overdue = alerts_in(judgement, rows)
    assert (first["code"], first["late"]) == ("BP_UNSATISFIED_1", True)
    assert (overdue["code"], overdue["page"]) == ("FOLLOWUP_OVERDUE", True)


@pytest.mark.parametrize(
    ("beyond", "page"),
    [
        pytest.param(timedelta(0), True, id="known-a-day-after-it-was-missed"),
        pytest.param(timedelta(microseconds=1), False, id="known-later-still"),
    ],
)
def test_overdue_that_came_to_light_late_pages_nobody(beyond: timedelta, *, page: bool) -> None:
    missed_at = datetime(2026, 3, 17, tzinfo=LOCAL)
    rows = [a_blood_pressure(152, 94, received_at=missed_at + DAY + beyond)]
    judgement = judge(
        readings_of(rows),
        residents_of([HYPERTENSIVE]),
        load_profile("wuzhou"),
        as_of=instant(missed_at + 2 * DAY),
    )

    overdue = alerts_in(judgement, rows)[-1]
    assert (overdue["code"], overdue["page"]) == ("FOLLOWUP_OVERDUE", page)


def test_uncountable_reading_moves_nothing() -> None:
    rows = [
        a_blood_pressure(190, 120, countable=False),
        a_glucose("2.0", at=NOON + MINUTE, countable=False),
    ]

    assert alerts_of(rows, BOTH) == []
    assert state_of(rows, BOTH) == "none"


def test_ticks_stop_after_the_last_escalation() -> None:
    rows, midnight = [a_blood_pressure(152, 94)], datetime(2026, 3, 17, tzinfo=LOCAL)

    def tick(as_of: datetime) -> object:
        judgement = judge(
            readings_of(rows),
            residents_of([HYPERTENSIVE]),
            load_profile("wuzhou"),
            as_of=instant(as_of),
        )
        return judgement.next_tick[0].item()

    assert tick(NOON + HOUR) == instant(midnight).item()
    assert tick(midnight) == instant(midnight + 6 * DAY).item()
    assert tick(midnight + 6 * DAY) == instant(midnight + 13 * DAY).item()
    assert tick(midnight + 13 * DAY) is None


def test_reading_of_nobody_is_refused() -> None:
    readings = readings_of([a_blood_pressure(resident=1)])

    with pytest.raises(UnknownCodeError, match="1 residents"):
        judge(readings, residents_of([HEALTHY]), load_profile("wuzhou"), as_of=instant(NOON))


def test_misfitting_columns_are_refused() -> None:
    good = readings_of([a_blood_pressure(), a_glucose()])

    with pytest.raises(ShapeError, match="arm has 1 rows"):
        replace(good, arm=good.arm[:1])
    with pytest.raises(ShapeError, match="glucose_mmol_l_e4 is float64"):
        replace(good, glucose_mmol_l_e4=good.glucose_mmol_l_e4.astype(np.float64))
    with pytest.raises(UnknownCodeError, match="setting"):
        replace(good, setting=np.array([0, 1], dtype=np.int8))
    with pytest.raises(ShapeError, match="NaT"):
        replace(good, arrived_at=np.array(["NaT", "NaT"], dtype="datetime64[us]"))
