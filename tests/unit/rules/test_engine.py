"""The promise: cases and alerts move as the decision table says, at every boundary of time."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from rules.engine import judge
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import (
    DIABETIC,
    HYPERTENSIVE,
    LOCAL,
    NOON,
    a_blood_pressure,
    a_glucose,
    alerts_in,
    cases_in,
    instant,
    readings_of,
    residents_of,
)
from tests.unit.rules.rules_questions import (
    CONTROLLED,
    DAY,
    HOUR,
    MINUTE,
    OPEN,
    alerts_of,
    case_of,
    state_of,
)


def test_nobody_and_nothing_is_judged_without_complaint() -> None:
    profile, at = load_profile("wuzhou"), instant(NOON)

    empty = judge(readings_of([]), residents_of([]), profile, as_of=at)
    idle = judge(readings_of([]), residents_of([HYPERTENSIVE]), profile, as_of=at)

    assert (len(empty.cases), len(empty.alerts), empty.next_tick.shape) == (0, 0, (0,))
    assert np.isnat(idle.next_tick).tolist() == [True]


def test_session_is_judged_ten_minutes_after_its_last_arrival() -> None:
    row = a_blood_pressure(152, 94, arrived_at=NOON + MINUTE)

    assert state_of([row], as_of=NOON + 11 * MINUTE - timedelta(microseconds=1)) == "none"
    assert state_of([row], as_of=NOON + 11 * MINUTE) == OPEN


def test_shorter_wait_can_be_asked_for() -> None:
    readings = readings_of([a_blood_pressure(152, 94, arrived_at=NOON)])
    residents, profile = residents_of([HYPERTENSIVE]), load_profile("wuzhou")

    judgement = judge(
        readings, residents, profile, as_of=instant(NOON), session_wait=np.timedelta64(0, "s")
    )

    assert cases_in(judgement)[0, "hypertension"]["state"] == OPEN


def test_open_session_raises_its_emergency_and_ticks_at_its_close() -> None:
    rows = [a_blood_pressure(182, 104, arrived_at=NOON)]
    judgement = judge(
        readings_of(rows),
        residents_of([HYPERTENSIVE]),
        load_profile("wuzhou"),
        as_of=instant(NOON),
    )

    case = cases_in(judgement)[0, "hypertension"]
    assert (case["state"], case["consecutive_unsatisfied"]) == ("emergency_referral", 0)
    assert judgement.next_tick.tolist() == [instant(NOON + 10 * MINUTE).item()]


@pytest.mark.parametrize(
    ("gap", "state"),
    [
        pytest.param(10 * MINUTE, CONTROLLED, id="ten-minutes-is-one-session-mean-140"),
        pytest.param(10 * MINUTE + timedelta(microseconds=1), OPEN, id="more-is-two"),
    ],
)
def test_gap_of_ten_minutes_joins_a_session(gap: timedelta, state: str) -> None:
    rows = [a_blood_pressure(130, 80), a_blood_pressure(150, 80, at=NOON + gap)]

    assert state_of(rows) == state


@pytest.mark.parametrize("readings", [7, 8, 13, 14, 15, 30])
def test_session_lasts_at_most_sixty_minutes(readings: int) -> None:
    # Every ten minutes: seven span sixty minutes, the eighth begins a session of its own.
    # The last of each seven is so high that the mean is above 140 only when all seven count.
    rows = [
        a_blood_pressure(146 if number % 7 == 6 else 140, 80, at=NOON + number * 10 * MINUTE)
        for number in range(readings)
    ]
    complete = readings % 7 == 0

    assert state_of(rows) == (OPEN if complete else CONTROLLED)


def test_session_of_more_readings_than_one_sum_holds_is_cut_not_overflowed() -> None:
    rows = [
        a_blood_pressure(300, 79, at=NOON + timedelta(milliseconds=number))
        for number in range(7_000)
    ]

    assert state_of(rows) == "emergency_referral"


def test_mean_is_exact_across_units() -> None:
    # 18.66 kPa + 140.0385097… would average to 140; only an exact sum tells the sides apart.
    below = [a_blood_pressure("18.66", 12, unit="kPa"), a_blood_pressure("140.0385", 80)]
    above = [a_blood_pressure("18.66", 12, unit="kPa"), a_blood_pressure("140.0386", 80)]

    assert state_of(below) == CONTROLLED
    assert state_of(above) == OPEN


@pytest.mark.parametrize(
    ("left", "right", "state"),
    [
        pytest.param((144, 80), (130, 80), OPEN, id="left-is-higher"),
        pytest.param((130, 80), (144, 80), OPEN, id="right-is-higher"),
        pytest.param((139, 80), (130, 95), CONTROLLED, id="by-systolic-not-diastolic"),
        pytest.param((139, 80), (139, 95), OPEN, id="tie-goes-to-the-higher-diastolic"),
    ],
)
def test_higher_arm_decides(left: tuple[int, int], right: tuple[int, int], state: str) -> None:
    rows = [
        a_blood_pressure(*left, arm="left"),
        a_blood_pressure(*right, arm="right", at=NOON + MINUTE),
    ]

    assert state_of(rows) == state


def test_arms_are_compared_by_mean_not_by_sum() -> None:
    rows = [
        a_blood_pressure(130, 80, arm="left"),
        a_blood_pressure(130, 80, arm="left", at=NOON + MINUTE),
        a_blood_pressure(150, 80, arm="right", at=NOON + 2 * MINUTE),
    ]

    assert state_of(rows) == OPEN


def test_home_and_ambulatory_values_never_move_a_case() -> None:
    rows = [
        a_blood_pressure(170, 100, setting="home"),
        a_blood_pressure(170, 100, setting="ambulatory", at=NOON + MINUTE),
    ]

    assert state_of(rows) == "none"
    assert alerts_of(rows) == [("BP_HOME_HIGH", "active")]


def test_home_advisory_is_not_repeated_and_a_normal_value_resolves_it() -> None:
    rows = [
        a_blood_pressure(137, 83, setting="home"),
        a_blood_pressure(139, 83, setting="home", at=NOON + 2 * DAY),
        a_blood_pressure(120, 70, setting="home", at=NOON + 4 * DAY),
    ]

    assert alerts_of(rows[:2]) == [("BP_HOME_HIGH", "active")]
    assert alerts_of(rows) == [("BP_HOME_HIGH", "resolved")]


@pytest.mark.parametrize(
    ("apart", "state"),
    [
        pytest.param(DAY - timedelta(microseconds=1), OPEN, id="one-assessment"),
        pytest.param(DAY, "referral_recommended", id="two-assessments"),
    ],
)
def test_twenty_four_hours_part_two_assessments(apart: timedelta, state: str) -> None:
    rows = [a_blood_pressure(152, 94), a_blood_pressure(152, 94, at=NOON + apart)]

    assert state_of(rows) == state


def test_twenty_four_hours_are_counted_from_the_first_value() -> None:
    rows = [a_glucose("8.0", at=NOON + number * 12 * HOUR) for number in range(3)]

    assert state_of(rows[:2], DIABETIC, condition="diabetes") == OPEN
    assert state_of(rows, DIABETIC, condition="diabetes") == "referral_recommended"


def test_group_is_counted_from_its_first_value_not_from_the_last() -> None:
    # Every 16 hours: 0 and 16 are one assessment, 32 begins the next, although 16 h after 16.
    rows = [a_glucose("8.0", at=NOON + number * 16 * HOUR) for number in range(3)]

    case = case_of(rows, DIABETIC, condition="diabetes")
    assert (case["state"], case["consecutive_unsatisfied"]) == ("referral_recommended", 2)


def test_latest_session_of_a_day_decides_and_the_first_anchors() -> None:
    late = datetime(2026, 3, 2, 20, 0, tzinfo=LOCAL)
    rows = [a_blood_pressure(128, 78, at=late), a_blood_pressure(152, 94, at=late + 12 * HOUR)]
    judgement = judge(
        readings_of(rows),
        residents_of([HYPERTENSIVE]),
        load_profile("wuzhou"),
        as_of=instant(late + DAY),
    )

    (alert,) = alerts_in(judgement, rows)
    assert (alert["code"], alert["due"]) == ("BP_UNSATISFIED_1", "2026-03-16")
    assert alert["anchor"] == rows[0].id
    assert state_of([*rows, a_blood_pressure(128, 78, at=late + 13 * HOUR)]) == CONTROLLED


@pytest.mark.parametrize(
    ("as_of", "state", "escalation"),
    [
        pytest.param("2026-03-16T23:59:59+08:00", OPEN, None, id="day-14"),
        pytest.param("2026-03-17T00:00:00+08:00", "second_followup_overdue", 0, id="day-15"),
        pytest.param("2026-03-22T23:59:59+08:00", "second_followup_overdue", 0, id="6-days-over"),
        pytest.param("2026-03-23T00:00:00+08:00", "second_followup_overdue", 1, id="7-days-over"),
        pytest.param("2026-03-30T00:00:00+08:00", "second_followup_overdue", 2, id="14-days-over"),
    ],
)
def test_overdue_by_local_midnights(as_of: str, state: str, escalation: int | None) -> None:
    rows = [a_blood_pressure(152, 94)]
    at = datetime.fromisoformat(as_of)
    judgement = judge(
        readings_of(rows), residents_of([HYPERTENSIVE]), load_profile("wuzhou"), as_of=instant(at)
    )

    assert state_of(rows, as_of=at) == state
    found = [each for each in alerts_in(judgement, rows) if each["code"] == "FOLLOWUP_OVERDUE"]
    assert [alert["escalation"] for alert in found] == [escalation][: len(found)]
    assert len(found) == (escalation is not None)


@pytest.mark.parametrize(
    ("measured", "due"),
    [
        pytest.param("2026-03-02T23:59:59+08:00", "2026-03-16", id="before-midnight"),
        pytest.param("2026-03-03T00:00:00+08:00", "2026-03-17", id="at-midnight"),
        pytest.param("2026-12-25T09:00:00+08:00", "2027-01-08", id="over-the-year-end"),
        pytest.param("2028-02-16T09:00:00+08:00", "2028-03-01", id="over-a-leap-day"),
        pytest.param("2026-03-02T16:30:00+00:00", "2026-03-17", id="utc-day-is-not-the-local-day"),
    ],
)
def test_due_day_is_a_local_calendar_day(measured: str, due: str) -> None:
    row = a_blood_pressure(152, 94, at=datetime.fromisoformat(measured))

    assert case_of([row])["second_followup_due"] == due


@pytest.mark.parametrize(
    ("birth", "state"),
    [
        pytest.param(date(1961, 3, 2), CONTROLLED, id="65-today"),
        pytest.param(date(1961, 3, 3), OPEN, id="65-tomorrow"),
        pytest.param(None, OPEN, id="unknown-age-has-no-tier"),
    ],
)
def test_elderly_tier_begins_on_the_birthday(birth: date | None, state: str) -> None:
    person = replace(HYPERTENSIVE, birth_date=birth)

    assert state_of([a_blood_pressure(146, 84)], person, profile="cn_nbphs_2017") == state
