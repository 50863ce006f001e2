"""The promise: sessions, days, ages, due dates and windows end at their very last instant.

Days are local calendar days in Asia/Shanghai. What the engine says is compared with the plain
evaluator in every row.
"""

from datetime import date, timedelta
from typing import Any

import pytest

from tests.unit.rules.oracle.told import DIABETIC, HEALTHY, HYPERTENSIVE, bp, glu, visit
from tests.unit.rules.rules_questions import (
    CONTROLLED,
    EMERGENCY,
    NONE,
    OPEN,
    OVERDUE,
    REFERRED,
    SCREENING,
    alerts,
    ask,
    brief,
    codes,
    follow,
    lateness,
    state,
)

HIGH = bp("e1", "2026-03-02 09:00", 152, 94)
NATIONAL = "cn_nbphs_2017"


def next_noon(when: str) -> str:
    return f"{date.fromisoformat(when[:10]) + timedelta(days=1)} 12:00"


@pytest.mark.parametrize(
    ("birth", "when", "elderly"),
    [
        pytest.param("1961-03-02", "2026-03-01 23:59:59.999999", False, id="a-moment-before"),
        pytest.param("1961-03-02", "2026-03-01 23:59:59", False, id="a-second-before"),
        pytest.param("1961-03-02", "2026-03-02 00:00:00", True, id="local-midnight"),
        pytest.param("1961-03-02", "2026-03-02 00:00:01", True, id="a-second-after"),
        pytest.param("1960-02-29", "2025-02-28 23:59:59", False, id="leap-day-before-1-march"),
        pytest.param("1960-02-29", "2025-03-01 00:00:00", True, id="leap-day-from-1-march"),
        pytest.param("1963-02-28", "2028-02-28 00:00:00", True, id="28-february-of-a-leap-year"),
        pytest.param("1963-03-01", "2028-02-29 23:59:59", False, id="leap-day-is-not-1-march"),
        pytest.param("1961-01-01", "2025-12-31 23:59:59", False, id="before-the-year-end"),
        pytest.param("1961-01-01", "2026-01-01 00:00:00", True, id="after-the-year-end"),
        pytest.param(None, "2026-03-02 09:00:00", False, id="unknown-age"),
    ],
)
def test_the_65th_birthday_begins_at_local_midnight(
    birth: str | None, when: str, *, elderly: bool
) -> None:
    person = HYPERTENSIVE | {"birth_date": birth}
    office, home = bp("e1", when, 146, 84), bp("e1", when, 140, 84, setting="home")

    at_office = ask([office], person, as_of=next_noon(when), profile=NATIONAL)
    at_home = ask([home], person, as_of=next_noon(when), profile=NATIONAL)

    assert state(at_office) == (CONTROLLED if elderly else OPEN)
    assert codes(at_home) == (set() if elderly else {"BP_HOME_HIGH"})


@pytest.mark.parametrize(
    ("birth", "wuzhou", "national"),
    [
        pytest.param(None, SCREENING, SCREENING, id="unknown-is-adult"),
        pytest.param("2008-03-03", NONE, NONE, id="17"),
        pytest.param("2008-03-02", SCREENING, NONE, id="18-today"),
        pytest.param("2008-02-29", SCREENING, NONE, id="18-since-1-march"),
        pytest.param("1991-03-03", SCREENING, NONE, id="34"),
        pytest.param("1991-03-02", SCREENING, SCREENING, id="35-today"),
    ],
)
def test_screening_begins_at_an_age(birth: str | None, wuzhou: str, national: str) -> None:
    person = HEALTHY | {"birth_date": birth}

    for profile, expected in (("wuzhou", wuzhou), (NATIONAL, national)):
        said = ask([HIGH], person, as_of="03-02 12:00", profile=profile)
        assert state(said) == expected
        assert said["high_normal_on"] is None
        normal = ask(
            [bp("e1", "03-02 09:00", 135, 70)], person, as_of="03-02 12:00", profile=profile
        )
        assert (normal["high_normal_on"] is not None) == (expected == SCREENING)


@pytest.mark.parametrize(("birth", "wuzhou"), [("2008-03-03", NONE), ("2008-03-02", SCREENING)])
def test_fasting_glucose_is_screened_from_18_years_in_wuzhou_only(birth: str, wuzhou: str) -> None:
    person, reading = HEALTHY | {"birth_date": birth}, glu("e1", "03-02 09:00", 8)

    assert state(ask([reading], person, as_of="03-02 12:00"), "diabetes_t2") == wuzhou
    said = ask([reading], person, as_of="03-02 12:00", profile=NATIONAL)
    assert state(said, "diabetes_t2") == SCREENING


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param("09:10:00", CONTROLLED, id="ten-minutes-is-one-session-mean-140"),
        pytest.param("09:10:00.000001", OPEN, id="more-is-two"),
    ],
)
def test_a_gap_of_ten_minutes_joins_a_session(second: str, expected: str) -> None:
    readings = [bp("e1", "03-02 09:00", 130, 80), bp("e2", f"03-02 {second}", 150, 80)]

    assert state(ask(readings, as_of="03-02 12:00")) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("10:00:00", OPEN, id="sixty-minutes"),
        pytest.param("10:00:00.000001", CONTROLLED, id="more-than-sixty"),
    ],
)
def test_a_session_lasts_sixty_minutes(last: str, expected: str) -> None:
    # The mean is above 140 only while the first reading counts with the last.
    readings = [bp("e", "03-02 09:00", 170, 80)]
    readings += [bp(f"e{n}", f"03-02 09:{n}9", 137, 80) for n in range(6)]
    readings.append(bp("e6", f"03-02 {last}", 137, 80))

    assert state(ask(readings, as_of="03-02 12:00")) == expected
    after = bp("e7", "03-02 10:09", 137, 80)
    assert state(ask([*readings, after], as_of="03-02 12:00")) == CONTROLLED


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [("03-02 09:10:59.999999", NONE), ("03-02 09:11:00", OPEN)],
)
def test_a_session_is_judged_ten_minutes_after_its_last_arrival(as_of: str, expected: str) -> None:
    reading = bp("e1", "03-02 09:00", 152, 94, received="03-02 09:01")

    assert state(ask([reading], as_of=as_of)) == expected


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param("03-03 08:59:59.999999", (OPEN, 1, "2026-03-16"), id="one-assessment"),
        pytest.param("03-03 09:00:00", (REFERRED, 2, "2026-03-17"), id="two-assessments"),
    ],
)
def test_an_assessment_lasts_less_than_24_hours(second: str, expected: tuple[object, ...]) -> None:
    assert brief(ask([HIGH, bp("e2", second, 152, 94)], as_of="03-04 09:00")) == expected
    values = [glu("e1", "03-02 09:00", 8), glu("e2", second, 8)]
    assert brief(ask(values, DIABETIC, as_of="03-04 09:00"), "diabetes_t2") == expected


def test_an_assessment_is_counted_from_its_first_not_from_its_last() -> None:
    days = ("03-02 09:00", "03-03 01:00", "03-03 17:00")
    readings = [bp(f"e{n}", when, 152, 94) for n, when in enumerate(days)]

    assert brief(ask(readings, as_of="03-04 09:00")) == (REFERRED, 2, "2026-03-17")


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param("13:00:00", ["BP_EMERGENCY e1 active"], id="within-four-hours"),
        pytest.param(
            "13:00:00.000001",
            ["BP_EMERGENCY e1 resolved", "BP_EMERGENCY e2 active"],
            id="after-four-hours",
        ),
    ],
)
def test_the_same_emergency_within_four_hours_is_the_same(second: str, expected: list[str]) -> None:
    readings = [bp(n, f"03-02 {when}", 190, 90) for n, when in (("e1", "09:00"), ("e2", second))]

    assert alerts(ask(readings, HEALTHY, as_of="03-02 13:05")) == expected


@pytest.mark.parametrize(
    ("received", "late"),
    [("03-03 09:00:00", False), ("03-03 09:00:00.000001", True)],
)
def test_what_is_known_after_more_than_24_hours_is_late_and_pages_nobody(
    received: str, *, late: bool
) -> None:
    (alert,) = follow(
        [bp("e1", "03-02 09:00", 190, 90, received=received)], HEALTHY, as_of="03-04 09:00"
    )["alerts"]

    assert (alert["code"], alert["late"], alert["page"]) == ("BP_EMERGENCY", late, not late)


@pytest.mark.parametrize(
    ("received", "late"),
    [("03-18 00:00:00", False), ("03-18 00:00:00.000001", True)],
)
def test_an_overdue_day_that_came_to_light_late_pages_nobody(received: str, *, late: bool) -> None:
    readings = [bp("e1", "03-02 09:00", 152, 94, received=received)]

    assert lateness(readings, as_of="03-19 09:00") == {
        "BP_UNSATISFIED_1": (True, False),
        "FOLLOWUP_OVERDUE": (late, not late),
    }


@pytest.mark.parametrize(
    ("as_of", "days", "escalation"),
    [
        pytest.param("03-16 23:59:59.999999", 0, 0, id="day-14"),
        pytest.param("03-17 00:00", 1, 0, id="day-15"),
        pytest.param("03-22 23:59:59.999999", 6, 0, id="six-days-over"),
        pytest.param("03-23 00:00", 7, 1, id="seven-days-over"),
        pytest.param("03-29 23:59:59.999999", 13, 1, id="thirteen-days-over"),
        pytest.param("03-30 00:00", 14, 2, id="fourteen-days-over"),
    ],
)
@pytest.mark.parametrize(
    ("reading", "code"),
    [
        pytest.param(HIGH, "FOLLOWUP_OVERDUE", id="second-followup"),
        pytest.param(bp("e1", "03-02 09:00", 190, 80), "REFERRAL_FOLLOWUP_OVERDUE", id="referral"),
    ],
)
def test_overdue_begins_and_escalates_at_local_midnights(
    reading: dict[str, Any], code: str, as_of: str, days: int, escalation: int
) -> None:
    said = ask([reading], as_of=as_of)

    overdue = said["alerts"].get(("hypertension", code, "e1"))
    assert (overdue is not None) == (days > 0)
    if overdue is None:
        assert state(said) in {OPEN, EMERGENCY}
    else:
        assert state(said) in {OVERDUE, "referral_followup_overdue"}
        assert (overdue["due"], overdue["overdue_days"]) == ("2026-03-16", days)
        assert overdue["escalation"] == escalation


@pytest.mark.parametrize(
    ("measured", "due"),
    [
        pytest.param("2026-03-02 23:59:59.999999", "2026-03-16", id="before-midnight"),
        pytest.param("2026-03-03 00:00", "2026-03-17", id="at-midnight"),
        pytest.param("2026-12-18 09:00", "2027-01-01", id="over-the-year-end"),
        pytest.param("2026-12-17 09:00", "2026-12-31", id="on-the-last-day"),
        pytest.param("2028-02-15 09:00", "2028-02-29", id="on-a-leap-day"),
        pytest.param("2028-02-16 09:00", "2028-03-01", id="over-a-leap-day"),
        pytest.param("2027-02-15 09:00", "2027-03-01", id="no-leap-day"),
    ],
)
def test_a_due_day_is_fourteen_local_days_on(measured: str, due: str) -> None:
    reading = bp("e1", measured, 152, 94)

    assert brief(ask([reading], as_of=next_noon(measured))) == (OPEN, 1, due)


@pytest.mark.parametrize(
    ("measured", "due"),
    [
        pytest.param("2026-03-02 09:00", "2026-05-31", id="spring"),
        pytest.param("2026-10-02 09:00", "2026-12-31", id="last-day-of-the-year"),
        pytest.param("2026-10-03 09:00", "2027-01-01", id="over-the-year-end"),
        pytest.param("2027-12-01 09:00", "2028-02-29", id="on-a-leap-day"),
        pytest.param("2027-12-02 09:00", "2028-03-01", id="over-a-leap-day"),
    ],
)
def test_a_satisfied_assessment_sets_the_routine_ninety_days_on(measured: str, due: str) -> None:
    said = ask([bp("e1", measured, 120, 70)], as_of=next_noon(measured))

    assert said["cases"]["hypertension"]["next_routine_due"] == due


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        pytest.param("2026-05-31 23:59:59.999999", [], id="day-90"),
        pytest.param("2026-06-01 00:00", ["ROUTINE_OVERDUE v1 active"], id="day-91"),
    ],
)
def test_a_routine_visit_is_overdue_from_day_91(as_of: str, expected: list[str]) -> None:
    assert alerts(ask([visit("v1", "2026-03-02 09:00")], as_of=as_of)) == expected


@pytest.mark.parametrize(
    ("enrolled", "since", "as_of", "overdue"),
    [
        pytest.param("2026-03-02", None, "2026-05-31 23:59:59", False, id="enrolment-day-90"),
        pytest.param("2026-03-02", None, "2026-06-01 00:00", True, id="enrolment-day-91"),
        pytest.param("2026-03-02", "2026-03-05", "2026-06-03 23:59", False, id="diagnosis-day-90"),
        pytest.param("2026-03-02", "2026-03-05", "2026-06-04 00:00", True, id="diagnosis-day-91"),
        pytest.param(None, None, "2027-06-04 00:00", False, id="never-enrolled"),
    ],
)
def test_without_a_visit_the_enrolment_counts_but_not_before_the_diagnosis(
    enrolled: str | None, since: str | None, as_of: str, *, overdue: bool
) -> None:
    known = {"condition": "hypertension", "since": since} if since else "hypertension"
    person = {"conditions": [known], "enrolled_on": enrolled}

    assert alerts(ask([], person, as_of=as_of)) == (
        ["ROUTINE_OVERDUE R1 active"] if overdue else []
    )


@pytest.mark.parametrize(
    ("third", "expected"),
    [
        pytest.param("2026-05-31 23:59:59", "screening_referral", id="day-90"),
        pytest.param("2026-06-01 00:00", SCREENING, id="day-91"),
    ],
)
@pytest.mark.parametrize("profile", ["wuzhou", NATIONAL])
def test_three_high_days_within_ninety_are_suspected(
    third: str, expected: str, profile: str
) -> None:
    days = ("2026-03-02 09:00", "2026-03-20 09:00", third)
    readings = [bp(f"e{n}", when, 152, 94) for n, when in enumerate(days)]

    assert state(ask(readings, HEALTHY, as_of=next_noon(third), profile=profile)) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [("2026-03-01 23:59:59", NONE), ("2026-03-02 00:00", EMERGENCY), ("2026-03-03 00:00", NONE)],
)
def test_a_pregnancy_has_a_first_and_a_last_day(when: str, expected: str) -> None:
    one_day = {"since": "2026-03-02", "until": "2026-03-02"}
    person = {"conditions": [], "birth_date": "2010-05-05", "pregnant": one_day}

    assert state(ask([bp("e1", when, 145, 80)], person, as_of=next_noon(when))) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [("2026-03-01 23:59:59", SCREENING), ("2026-03-02 00:00", OPEN)],
)
def test_a_diagnosis_counts_from_its_day(when: str, expected: str) -> None:
    person = {"conditions": [{"condition": "hypertension", "since": "2026-03-02"}]}

    assert state(ask([bp("e1", when, 152, 94)], person, as_of=next_noon(when))) == expected
