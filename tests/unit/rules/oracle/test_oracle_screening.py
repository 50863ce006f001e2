"""The promise: the plain evaluator screens those without a diagnosis as B3 and G4 say.

Each expectation is written from the decision table and from decision 0011.
"""

import pytest

from tests.unit.rules.oracle.told import (
    HEALTHY,
    HYPERTENSIVE,
    PREGNANT,
    alerts,
    bp,
    brief,
    glu,
    judge,
    state,
)

OPEN, CONTROLLED = "second_followup_open", "controlled"
HIGH = bp("e1", "03-02 09:00", 152, 94)


@pytest.mark.parametrize(
    ("born", "wuzhou", "national"),
    [
        pytest.param(None, "warn", "info", id="unknown-is-adult"),
        pytest.param("2008-03-03", None, None, id="17"),
        pytest.param("2008-03-02", "warn", None, id="18"),
        pytest.param("1991-03-03", "warn", None, id="34"),
        pytest.param("1991-03-02", "warn", "info", id="35"),
    ],
)
def test_screening_begins_at_an_age(
    born: str | None, wuzhou: str | None, national: str | None
) -> None:
    for profile, severity in (("wuzhou", wuzhou), ("cn_nbphs_2017", national)):
        found = judge([HIGH], HEALTHY | {"birth_date": born}, as_of="03-03 09:00", profile=profile)

        assert [each["severity"] for each in found["alerts"]] == ([severity] if severity else [])
        due = "2026-03-16" if severity == "warn" else None
        assert [each["due"] for each in found["alerts"]] == ([due] if severity else [])


def test_a_high_recheck_moves_the_due_day_and_not_the_alerts() -> None:
    events = [HIGH, bp("e2", "03-10 09:00", 152, 94)]

    found = judge(events, HEALTHY, as_of="03-11 09:00", profile="wuzhou")

    assert brief(found) == ("screening", 0, "2026-03-24")
    assert [(each["anchor"], each["due"]) for each in found["alerts"]] == [("e1", "2026-03-16")]
    missed = judge(events, HEALTHY, as_of="03-25 09:00", profile="wuzhou")
    assert brief(missed) == ("second_followup_overdue", 0, "2026-03-24")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("05-31", "screening_referral", id="day-90"),
        pytest.param("06-01", "screening", id="too-far-apart"),
    ],
)
def test_three_high_days_within_ninety(last: str, expected: str) -> None:
    events = [HIGH, bp("e2", "04-10 09:00", 152, 94), bp("e3", f"{last} 09:00", 152, 94)]

    assert state(judge(events, HEALTHY, as_of="06-01 12:00")) == expected


def test_a_normal_value_ends_screening_on_a_later_day_only() -> None:
    high = bp("e1", "03-02 20:00", 152, 94)
    still_high = bp("e2", "03-03 10:00", 152, 94)  # Decides the first assessment, on March 3.
    same_day, later_day = bp("e3", "03-03 21:00", 120, 70), bp("e4", "03-05 09:00", 120, 70)

    found = judge([high, still_high, same_day], HEALTHY, as_of="03-04 09:00")
    assert state(found) == "screening"
    found = judge([high, still_high, same_day, later_day], HEALTHY, as_of="03-06 09:00")
    assert (found["cases"], alerts(found)) == ({}, [("SCREEN_BP_HIGH", "e1", "resolved")])


def test_a_diagnosis_ends_screening_at_the_next_assessment() -> None:
    person = {"conditions": [{"condition": "hypertension", "since": "2026-03-10"}]}

    found = judge([HIGH], person, as_of="03-12 09:00")
    assert state(found) == "screening"
    found = judge([HIGH, bp("e2", "03-12 09:00", 152, 94)], person, as_of="03-12 12:00")
    assert brief(found) == (OPEN, 1, "2026-03-26")
    assert alerts(found) == [
        ("BP_UNSATISFIED_1", "e2", "active"),
        ("SCREEN_BP_HIGH", "e1", "resolved"),
    ]


@pytest.mark.parametrize(
    ("context", "value", "raised"),
    [
        pytest.param("random", 11.1, True, id="random"),
        pytest.param("postprandial_2h", 11.1, True, id="after-a-meal"),
        pytest.param("random", 11.0, False, id="below"),
        pytest.param("unknown", 15.0, False, id="unknown-asks-for-the-context"),
        pytest.param("preprandial", 15.0, False, id="before-a-meal"),
    ],
)
@pytest.mark.parametrize("profile", ["wuzhou", "cn_nbphs_2017"])
def test_a_random_value_opens_screening(
    context: str, value: float, profile: str, *, raised: bool
) -> None:
    found = judge(
        [glu("e1", "03-02 09:00", value, context)], HEALTHY, as_of="03-30 09:00", profile=profile
    )

    assert state(found, "diabetes_t2") == ("screening" if raised else "none")
    assert [(each["code"], each["severity"], each["due"]) for each in found["alerts"]] == (
        [("SCREEN_GLU_HIGH", "info", None)] if raised else []
    )


def test_a_fasting_high_replaces_the_random_one_and_a_normal_one_ends_it() -> None:
    random = glu("e1", "03-02 15:00", 12, "random")
    fasting, normal = glu("e2", "03-02 20:00", 8), glu("e3", "03-03 09:00", 5)

    found = judge([random, fasting], HEALTHY, as_of="03-02 21:00", profile="wuzhou")
    assert alerts(found) == [
        ("SCREEN_GLU_HIGH", "e1", "resolved"),
        ("SCREEN_GLU_HIGH", "e2", "active"),
    ]
    assert brief(found, "diabetes_t2") == ("screening", 0, "2026-03-16")
    found = judge([random, normal], HEALTHY, as_of="03-03 12:00", profile="wuzhou")
    assert (found["cases"], alerts(found)) == ({}, [("SCREEN_GLU_HIGH", "e1", "resolved")])


def test_a_random_value_answers_nothing() -> None:
    fasting, random = glu("e1", "03-02 08:00", 8), glu("e2", "03-10 15:00", 12, "random")

    found = judge([fasting, random], HEALTHY, as_of="03-11 09:00", profile="wuzhou")

    assert brief(found, "diabetes_t2") == ("screening", 0, "2026-03-16")
    assert alerts(found) == [("SCREEN_GLU_HIGH", "e1", "active")]


def test_screening_raises_nothing_under_a_referral() -> None:
    events = [bp(f"e{day}", f"03-0{day} 09:00", 152, 94) for day in (2, 4, 6, 8)]

    found = judge(events, PREGNANT, as_of="03-09 09:00")

    assert {code for code, _, _ in alerts(found)} == {"BP_PREG_HIGH"}
    assert brief(found) == ("emergency_referral", 0, "2026-03-22")


def test_the_profile_of_the_contracts_package_goes_before_the_deployments() -> None:
    even = bp("e1", "03-02 09:00", 140, 90)

    assert (
        state(judge([even], HYPERTENSIVE | {"profile": "wuzhou"}, as_of="03-02 12:00"))
        == CONTROLLED
    )
    assert state(judge([even], as_of="03-02 12:00")) == OPEN
