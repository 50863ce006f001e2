"""The promise: glucose, routine, diagnoses and advisories run their own course.

Each row is a history, read from left to right. What the engine says is compared with the plain
evaluator in every row.
"""

from typing import Any

import pytest

from tests.unit.rules.oracle.told import DIABETIC, HEALTHY, HYPERTENSIVE, bp
from tests.unit.rules.rules_questions import (
    CONTROLLED,
    EMERGENCY,
    NONE,
    OPEN,
    REFERRED,
    SCREENING,
    alerts,
    ask,
    brief,
    follow,
    state,
)
from tests.unit.rules.rules_stories import (
    CLOSED,
    DAYS,
    REACTION,
    bad,
    closes,
    doctor,
    evening_of_the_last,
    good,
    result,
    seen,
    sugar,
    urgent,
)

NEWLY = {"conditions": [{"condition": "hypertension", "since": "2026-03-10"}]}


@pytest.mark.parametrize(
    ("events", "resident", "expected", "told"),
    [
        pytest.param(
            [sugar(2, 8), sugar(5, 8)],
            DIABETIC,
            (REFERRED, 2, "2026-03-19"),
            ["GLU_UNSATISFIED_1 g2 resolved", "GLU_UNSATISFIED_2 g5 active"],
            id="twice-in-a-row",
        ),
        pytest.param(
            [sugar(2, 8), sugar(5, 3)],
            DIABETIC,
            (EMERGENCY, 1, "2026-03-19"),
            ["GLU_EMERGENCY_LOW g5 active", "GLU_UNSATISFIED_1 g2 resolved"],
            id="low-never-satisfies",
        ),
        pytest.param(
            [sugar(2, 12, "random")],
            HEALTHY,
            (SCREENING, 0, None),
            ["SCREEN_GLU_HIGH g2 active"],
            id="random-high",
        ),
        pytest.param(
            [sugar(2, 12, "random"), sugar(5, 8)],
            HEALTHY,
            (SCREENING, 0, "2026-03-19"),
            ["SCREEN_GLU_HIGH g2 resolved", "SCREEN_GLU_HIGH g5 active"],
            id="fasting-replaces-random",
        ),
        pytest.param(
            [sugar(2, 8), sugar(5, 12, "random")],
            HEALTHY,
            (SCREENING, 0, "2026-03-16"),
            ["SCREEN_GLU_HIGH g2 active"],
            id="random-answers-nothing",
        ),
        pytest.param(
            [sugar(2, 8), sugar(5, 8), sugar(8, 8), sugar(11, 8)],
            HEALTHY,
            (SCREENING, 0, "2026-03-25"),
            ["SCREEN_GLU_HIGH g2 active"],
            id="glucose-is-never-suspected",
        ),
        pytest.param(
            [sugar(2, 12, "random")], DIABETIC, (NONE, 0, None), [], id="random-diagnosed"
        ),
        pytest.param(
            [sugar(2, 20, "random"), sugar(5, 3, "bedtime")],
            DIABETIC,
            (EMERGENCY, 0, "2026-03-19"),
            ["GLU_EMERGENCY_HIGH g2 active", "GLU_EMERGENCY_LOW g5 active"],
            id="two-emergencies-are-two",
        ),
    ],
)
def test_the_case_of_glucose(
    events: list[dict[str, Any]],
    resident: dict[str, Any],
    expected: tuple[object, ...],
    told: list[str],
) -> None:
    said = ask(events, resident, as_of=evening_of_the_last(events))

    assert (brief(said, "diabetes_t2"), alerts(said)) == (expected, told)


@pytest.mark.parametrize(
    ("events", "expected", "told"),
    [
        pytest.param(
            [bad(2), bad(12)],
            (OPEN, 1, "2026-03-26"),
            ["BP_UNSATISFIED_1 e12 active", "SCREEN_BP_HIGH e2 resolved"],
            id="screening",
        ),
        pytest.param(
            [bad(2), bad(4), bad(6), good(12)],
            (CONTROLLED, 0, None),
            ["SCREEN_BP_HIGH e2 resolved", "SCREEN_HTN_SUSPECTED e6 resolved"],
            id="suspicion",
        ),
        pytest.param(
            [urgent(2), good(12)],
            (EMERGENCY, 0, "2026-03-16"),
            ["BP_EMERGENCY e2 active"],
            id="not-an-emergency",
        ),
    ],
)
def test_a_diagnosis_ends_screening_at_the_next_assessment(
    events: list[dict[str, Any]], expected: tuple[object, ...], told: list[str]
) -> None:
    said = ask(events, NEWLY, as_of=evening_of_the_last(events))

    assert (brief(said), alerts(said)) == (expected, told)


def test_the_routine_day_is_set_by_what_went_well_and_by_a_doctor() -> None:
    def routine(*events: dict[str, Any]) -> object:
        return ask(list(events), as_of="03-20 20:00")["cases"]["hypertension"]["next_routine_due"]

    assert routine(good(2)) == "2026-05-31"
    assert routine(good(2), bad(5)) is None
    assert routine(bad(2), bad(5), result(8)) == "2026-06-06"
    assert routine(seen(2, REACTION), seen(5)) == "2026-06-03"
    assert routine(doctor(2, CONTROLLED)) == "2026-05-31"
    assert routine(doctor(2, CONTROLLED, "2026-04-30")) == "2026-04-30"
    assert routine(good(2), doctor(5, OPEN, "2026-04-30")) is None
    assert routine(good(2), doctor(5, CLOSED)) is None
    assert routine(good(2), closes(5)) is None


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        pytest.param(None, ["ROUTINE_OVERDUE R1 resolved"], id="clinic"),
        pytest.param("home", ["ROUTINE_OVERDUE R1 resolved"], id="at-home"),
        pytest.param("phone", ["ROUTINE_OVERDUE R1 active"], id="phone-is-not-face-to-face"),
    ],
)
def test_a_face_to_face_visit_ends_the_routine(mode: str | None, told: list[str]) -> None:
    person = HYPERTENSIVE | {"enrolled_on": "2025-11-01"}
    extra = {"mode": mode} if mode else {}

    assert alerts(ask([seen(2, **extra)], person, as_of="03-03 09:00")) == told


def test_an_advisory_is_answered_and_not_repeated() -> None:
    def at_home(day: int, systolic: int) -> dict[str, Any]:
        return bp(f"e{day}", DAYS[day - 1], systolic, 70, setting="home")

    days = [at_home(2, 140), at_home(5, 150), at_home(8, 120), at_home(11, 140)]

    assert alerts(ask(days[:2], as_of="03-20 20:00")) == ["BP_HOME_HIGH e2 active"]
    assert alerts(ask(days, as_of="03-20 20:00")) == [
        "BP_HOME_HIGH e11 active",
        "BP_HOME_HIGH e2 resolved",
    ]
    assert alerts(ask([days[0], closes(5)], as_of="03-20 20:00")) == ["BP_HOME_HIGH e2 resolved"]


def test_conditions_do_not_touch_each_other() -> None:
    both = {"conditions": ["hypertension", "diabetes_t2"]}

    said = ask([bad(2), sugar(2, 5)], both, as_of="03-02 20:00")

    assert (state(said), state(said, "diabetes_t2")) == (OPEN, CONTROLLED)


def test_a_second_session_that_is_well_cancels_the_alert_of_the_first() -> None:
    found = follow([bad(2), bp("e0", "03-02 17:00", 120, 70)], as_of="03-02 20:00")

    assert [(each["code"], each["status"]) for each in found["alerts"]] == [
        ("BP_UNSATISFIED_1", "cancelled")
    ]
    assert found["cases"]["hypertension"]["state"] == CONTROLLED
