"""The promise: the plain evaluator forms sittings and assessments as table 2.2 and 2.3 say.

Each expectation is written from the decision table and from decision 0011.
"""

from typing import Any

import pytest

from tests.unit.rules.oracle.told import (
    DIABETIC,
    HEALTHY,
    HYPERTENSIVE,
    PREGNANT,
    alert,
    alerts,
    bp,
    brief,
    glu,
    judge,
    later,
    recorded,
    state,
)

OPEN, CONTROLLED = "second_followup_open", "controlled"
SENIOR = HYPERTENSIVE | {"birth_date": "1956-01-20"}


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param("09:10", CONTROLLED, id="one-sitting-with-a-mean-of-139"),
        pytest.param("09:10:01", OPEN, id="two-of-which-the-second-decides"),
    ],
)
def test_a_gap_of_ten_minutes_is_one_sitting(second: str, expected: str) -> None:
    readings = [bp("e1", "03-02 09:00", 132, 84), bp("e2", f"03-02 {second}", 146, 88)]

    assert state(judge(readings, as_of="03-02 12:00")) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("10:00", CONTROLLED, id="an-hour"),
        pytest.param("10:00:01", OPEN, id="longer-begins-another"),
    ],
)
def test_a_sitting_lasts_an_hour_at_most(last: str, expected: str) -> None:
    minutes = (0, 10, 20, 30, 40, 50, 55)
    readings = [bp(f"e{minute}", f"03-02 09:{minute:02}", 120, 80) for minute in minutes]

    found = judge([*readings, bp("e9", f"03-02 {last}", 150, 92)], as_of="03-02 12:00")

    assert state(found) == expected


def test_only_readings_of_one_setting_are_a_sitting() -> None:
    readings = [bp("e1", "03-02 09:00", 146, 88), bp("e2", "03-02 09:01", 110, 70, setting="home")]

    assert state(judge(readings, as_of="03-02 12:00")) == OPEN


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param((128, 80), (142, 84), OPEN, id="the-higher-arm-decides"),
        pytest.param((138, 80), (138, 92), OPEN, id="on-a-tie-the-higher-diastolic"),
        pytest.param((138, 95), (139, 80), CONTROLLED, id="never-one-side-of-each"),
    ],
)
def test_with_both_arms_one_decides(
    left: tuple[int, int], right: tuple[int, int], expected: str
) -> None:
    readings = [
        bp("e1", "03-02 09:00", *left, arm="left"),
        bp("e2", "03-02 09:01", *right, arm="right"),
        bp("e3", "03-02 09:02", 100, 60),  # An unknown arm drops out.
    ]

    assert state(judge(readings, as_of="03-02 12:00")) == expected


@pytest.mark.parametrize(("right", "raised"), [(129, False), (130, True)])
def test_arms_twenty_apart_are_told(right: int, *, raised: bool) -> None:
    readings = [
        bp("e1", "03-02 09:00", 110, 70, arm="left"),
        bp("e2", "03-02 09:01", right, 70, arm="right"),
    ]
    calm = [
        bp("e3", "03-09 09:00", 120, 70, arm="left"),
        bp("e4", "03-09 09:01", 125, 70, arm="right"),
    ]

    found = judge(readings, HEALTHY, as_of="03-02 12:00")
    assert alerts(found) == ([("BP_INTERARM_DIFF", "e1", "active")] if raised else [])
    after = judge(readings + calm, HEALTHY, as_of="03-09 12:00")
    assert alerts(after) == ([("BP_INTERARM_DIFF", "e1", "resolved")] if raised else [])


def test_an_emergency_value_forms_no_advisory() -> None:
    readings = [
        bp("e1", "03-02 09:00", 200, 100, arm="left"),
        bp("e2", "03-02 09:01", 150, 90, arm="right"),
        bp("e3", "03-02 20:00", 190, 100, setting="home"),
    ]

    codes = {code for code, _, _ in alerts(judge(readings, as_of="03-03 09:00"))}

    assert codes == {"BP_EMERGENCY"}


def test_a_late_reading_waits_its_own_ten_minutes() -> None:
    readings = [
        bp("e1", "03-02 09:00", 146, 88),
        bp("e2", "03-02 09:05", 132, 84, received="03-02 11:00"),
        bp("e3", "03-02 09:06", 150, 92, received="03-02 11:08"),
    ]

    assert state(judge(readings, as_of="03-02 09:09")) == "none"
    assert alerts(judge(readings, as_of="03-02 11:12")) == [("BP_UNSATISFIED_1", "e1", "active")]
    found = judge(readings[:2], as_of="03-02 11:10")
    assert alerts(found) == [("BP_UNSATISFIED_1", "e1", "cancelled")]
    assert alerts(judge(readings, as_of="03-02 11:18")) == [("BP_UNSATISFIED_1", "e1", "active")]


@pytest.mark.parametrize(
    ("second", "third", "expected"),
    [
        pytest.param((130, 80), None, [], id="ten-apart"),
        pytest.param((131, 80), None, ["e1"], id="systolic"),
        pytest.param((120, 91), None, ["e1"], id="diastolic"),
        pytest.param((131, 80), (125, 80), [], id="there-is-a-third"),
    ],
)
def test_two_that_differ_ask_for_a_third(
    second: tuple[int, int], third: tuple[int, int] | None, expected: list[str]
) -> None:
    readings = [bp("e1", "03-02 09:00", 120, 80), bp("e2", "03-02 09:01", *second)]
    readings += [bp("e3", "03-02 09:02", *third)] if third else []

    assert judge(readings, as_of="03-02 09:03")["needs_third_reading"] == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        pytest.param("03-03 08:59:59", (OPEN, 1, "2026-03-16"), id="one-assessment"),
        pytest.param("03-03 09:00", ("referral_recommended", 2, "2026-03-17"), id="two"),
    ],
)
def test_an_assessment_lasts_less_than_24_hours(when: str, expected: tuple[object, ...]) -> None:
    readings = [bp("e1", "03-02 09:00", 150, 92), bp("e2", when, 150, 92)]

    assert brief(judge(readings, as_of="03-04 09:00")) == expected


def test_the_latest_decides_and_the_first_anchors() -> None:
    readings = [bp("e1", "03-02 23:00", 120, 70), bp("e2", "03-03 08:00", 150, 92)]

    found = judge(readings, as_of="03-03 12:00")

    assert brief(found) == (OPEN, 1, "2026-03-16")
    assert alerts(found) == [("BP_UNSATISFIED_1", "e1", "active")]


def test_an_alert_whose_assessment_turns_out_well_is_cancelled() -> None:
    readings = [bp("e1", "03-02 09:00", 150, 92), bp("e2", "03-02 17:00", 120, 70)]

    found = judge(readings, as_of="03-02 18:00")

    assert (state(found), alerts(found)) == (
        CONTROLLED,
        [("BP_UNSATISFIED_1", "e1", "cancelled")],
    )


def test_an_assessment_stands_where_it_was_settled() -> None:
    # Satisfied first at 17:00, after the emergency at 10:00, although the group began at 9:00.
    readings = [
        bp("e1", "03-02 09:00", 150, 92),
        bp("e2", "03-02 10:00", 185, 92),
        bp("e3", "03-02 17:00", 120, 70),
    ]

    assert brief(judge(readings, as_of="03-02 18:00")) == ("emergency_referral", 0, "2026-03-16")


@pytest.mark.parametrize(
    ("resident", "value", "raised"),
    [
        pytest.param(HYPERTENSIVE, (134, 84), False, id="below"),
        pytest.param(HYPERTENSIVE, (135, 70), True, id="systolic"),
        pytest.param(HYPERTENSIVE, (120, 85), True, id="diastolic"),
        pytest.param(SENIOR, (144, 84), False, id="65-below"),
        pytest.param(SENIOR, (145, 84), True, id="65-systolic"),
        pytest.param(SENIOR, (120, 85), True, id="65-diastolic"),
        pytest.param(HEALTHY, (170, 100), False, id="undiagnosed"),
    ],
)
@pytest.mark.parametrize("profile", ["wuzhou", "cn_nbphs_2017"])
def test_home_values_are_an_advisory(
    resident: dict[str, Any], value: tuple[int, int], profile: str, *, raised: bool
) -> None:
    readings = [bp("e1", "03-02 09:00", *value, setting="home")]

    found = judge(readings, resident, as_of="03-02 12:00", profile=profile)

    assert alerts(found) == ([("BP_HOME_HIGH", "e1", "active")] if raised else [])
    assert found["cases"] == {}


def test_one_advisory_is_active_until_a_value_below() -> None:
    days = [(1, 140), (3, 150), (5, 120), (7, 140)]
    readings = [bp(f"e{day}", f"03-0{day} 09:00", value, 70, setting="home") for day, value in days]

    assert alerts(judge(readings, as_of="03-08 09:00")) == [
        ("BP_HOME_HIGH", "e1", "resolved"),
        ("BP_HOME_HIGH", "e7", "active"),
    ]


def test_an_ambulatory_value_is_an_emergency_or_nothing() -> None:
    calm = bp("e1", "03-02 09:00", 170, 100, setting="ambulatory")
    bad = bp("e2", "03-02 10:00", 180, 100, setting="ambulatory")

    assert alerts(judge([calm, bad], as_of="03-02 12:00")) == [("BP_EMERGENCY", "e2", "active")]


@pytest.mark.parametrize(("value", "raised"), [("9.9", False), ("10", True)])
def test_two_hours_after_a_meal_is_an_advisory(value: str, *, raised: bool) -> None:
    reading = glu("e1", "03-02 09:00", float(value), "postprandial_2h")

    found = judge([reading], DIABETIC, as_of="03-02 12:00")

    assert alerts(found) == ([("GLU_POSTPRANDIAL_HIGH", "e1", "active")] if raised else [])


@pytest.mark.parametrize(
    ("value", "profile", "expected"),
    [
        pytest.param((129, 84), "wuzhou", None, id="normal"),
        pytest.param((130, 70), "wuzhou", "2026-03-02", id="systolic"),
        pytest.param((120, 85), "wuzhou", "2026-03-02", id="diastolic"),
        pytest.param((140, 90), "wuzhou", "2026-03-02", id="not-above-is-not-high"),
        pytest.param((140, 80), "cn_nbphs_2017", None, id="high"),
    ],
)
def test_high_normal_is_a_date(value: tuple[int, int], profile: str, expected: str | None) -> None:
    readings = [bp("e1", "03-02 09:00", *value)]

    found = judge(readings, HEALTHY, as_of="03-02 12:00", profile=profile)

    assert found["high_normal_on"] == expected
    diagnosed = judge(readings, HYPERTENSIVE, as_of="03-02 12:00", profile=profile)
    assert diagnosed["high_normal_on"] is None


@pytest.mark.parametrize(
    ("on", "expected"),
    [("03-01", "none"), ("03-02", "emergency_referral"), ("03-03", "none")],
)
def test_a_pregnancy_has_dates(on: str, expected: str) -> None:
    dated = PREGNANT | {"pregnant": {"since": "2026-03-02", "until": "2026-03-02"}}

    found = judge([bp("e1", f"{on} 09:00", 140, 80)], dated, as_of="03-04 09:00", profile="wuzhou")

    assert state(found) == expected


def test_an_emergency_value_counts_as_the_one_that_is_worse() -> None:
    found = judge([bp("e1", "03-02 09:00", 180, 90)], PREGNANT, as_of="03-02 12:00")

    assert alerts(found) == [("BP_EMERGENCY", "e1", "active")]


@pytest.mark.parametrize(
    ("hours", "anchors"),
    [
        pytest.param("13:00", [("e1", "active")], id="within-four-hours"),
        pytest.param("13:00:01", [("e1", "resolved"), ("e2", "active")], id="later"),
    ],
)
def test_the_same_emergency_within_four_hours_is_the_same(
    hours: str, anchors: list[tuple[str, str]]
) -> None:
    readings = [
        glu("e1", "03-02 09:00", 18, "random"),
        glu("e2", f"03-02 {hours}", 19, "random"),
    ]

    found = judge(readings, DIABETIC, as_of="03-03 09:00")

    assert [(anchor, status) for _, anchor, status in alerts(found)] == anchors


def test_a_correction_can_move_the_day_of_the_65th_birthday() -> None:
    birthday = SENIOR | {"birth_date": "1961-03-03"}
    evening = bp("e1", "03-02 23:59", 146, 84)
    moved = later(
        "correction",
        "c1",
        "03-05 09:00",
        target="e1",
        set={"measured_at": "2026-03-02T16:00:00+00:00"},
    )

    assert state(judge([evening], birthday, as_of="03-03 12:00")) == OPEN
    late = {"received_at": "2026-03-03T00:10:00+08:00"}
    found = judge([evening | late, moved], birthday, as_of="03-05 12:00")
    assert (state(found), alerts(found)[0][2]) == (CONTROLLED, "cancelled")


def test_nothing_is_one_assessment_across_a_return() -> None:
    events = [
        bp("e1", "03-02 09:00", 150, 92),
        recorded("closure", "x1", "03-02 10:00", reason="moved"),
        bp("e2", "03-02 11:00", 150, 92),
        recorded("reopening", "x2", "03-02 12:00"),
        bp("e3", "03-02 13:00", 120, 70),
    ]

    found = judge(events, as_of="03-03 09:00")

    assert (state(found), alerts(found)) == (
        CONTROLLED,
        [("BP_UNSATISFIED_1", "e1", "resolved")],
    )
    assert alert(found, "BP_UNSATISFIED_1")["due"] == "2026-03-16"
