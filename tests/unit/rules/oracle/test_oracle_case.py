"""The promise: the plain evaluator moves a case as table 2.4 and 2.5 and decision 0011 say."""

from typing import Any

import pytest

from tests.unit.rules.oracle.told import (
    DIABETIC,
    HYPERTENSIVE,
    alert,
    alerts,
    bp,
    brief,
    glu,
    judge,
    recorded,
    state,
    visit,
)

REACTION, COMPLICATION = "adverse_drug_reaction", "new_complication"
OPEN, CONTROLLED, REFERRED = "second_followup_open", "controlled", "referral_recommended"
HIGH = bp("e1", "03-02 09:00", 152, 94)
TWICE = [HIGH, bp("e2", "03-05 09:00", 152, 94)]  # Referral due on 2026-03-19.


@pytest.mark.parametrize(
    ("as_of", "days", "escalation"),
    [
        pytest.param("03-17 00:00", 1, 0, id="from-midnight-of-day-15"),
        pytest.param("03-22 23:59", 6, 0, id="day-6"),
        pytest.param("03-23 00:00", 7, 1, id="day-7"),
        pytest.param("03-29 23:59", 13, 1, id="day-13"),
        pytest.param("03-30 00:00", 14, 2, id="day-14"),
    ],
)
def test_overdue_escalates_by_time_alone(as_of: str, days: int, escalation: int) -> None:
    found = judge([HIGH], as_of=as_of)
    overdue = alert(found, "FOLLOWUP_OVERDUE")

    assert brief(found) == ("second_followup_overdue", 1, "2026-03-16")
    assert (overdue["overdue_days"], overdue["escalation"]) == (days, escalation)
    assert (overdue["severity"], overdue["page"], overdue["anchor"]) == ("high", True, "e1")


def test_on_the_due_day_nothing_is_overdue() -> None:
    found = judge([HIGH], as_of="03-16 23:59")

    assert [code for code, _, _ in alerts(found)] == ["BP_UNSATISFIED_1"]


def test_under_an_open_referral_only_a_satisfied_value_changes_the_count() -> None:
    third = bp("e3", "03-08 09:00", 152, 94)
    good = bp("e4", "03-10 09:00", 120, 70)

    assert brief(judge([*TWICE, third], as_of="03-09 09:00")) == (REFERRED, 2, "2026-03-19")
    found = judge([*TWICE, third, good], as_of="03-11 09:00")
    assert brief(found) == (REFERRED, 0, "2026-03-19")
    assert ("BP_UNSATISFIED_2", "e2", "active") in alerts(found)


def test_an_emergency_under_a_referral_counts_one_and_begins_anew() -> None:
    found = judge([*TWICE, bp("e3", "03-08 09:00", 182, 94)], as_of="03-09 09:00")

    assert brief(found) == ("emergency_referral", 3, "2026-03-22")


def test_an_emergency_ends_an_overdue_second_followup() -> None:
    found = judge([HIGH, bp("e3", "03-20 09:00", 182, 94)], as_of="03-20 12:00")

    assert alerts(found) == [
        ("BP_EMERGENCY", "e3", "active"),
        ("BP_UNSATISFIED_1", "e1", "resolved"),
        ("FOLLOWUP_OVERDUE", "e1", "resolved"),
    ]
    assert brief(found) == ("emergency_referral", 2, "2026-04-03")


@pytest.mark.parametrize(
    ("visits", "expected", "open_alerts"),
    [
        pytest.param([REACTION], (OPEN, 0, "2026-03-15"), {"ADR_1"}, id="first"),
        pytest.param([REACTION, None], (CONTROLLED, 0, None), set(), id="gone"),
        pytest.param([REACTION, REACTION], (REFERRED, 0, "2026-03-22"), {"ADR_2"}, id="twice"),
        pytest.param(
            [REACTION, None, REACTION], (OPEN, 0, "2026-03-29"), {"ADR_1"}, id="not-in-a-row"
        ),
        pytest.param([REACTION] * 3, (REFERRED, 0, "2026-03-22"), {"ADR_2"}, id="third"),
        pytest.param(
            [REACTION, COMPLICATION], (REFERRED, 0, "2026-03-22"), {"COMPLICATION"}, id="worse"
        ),
    ],
)
def test_adverse_reactions_are_counted_over_visits(
    visits: list[str | None], expected: tuple[object, ...], open_alerts: set[str]
) -> None:
    days = ("03-01", "03-08", "03-15")
    events = [
        visit(f"v{number}", f"{days[number]} 09:00", *([finding] if finding else []))
        for number, finding in enumerate(visits)
    ]

    found = judge(events, as_of="03-15 12:00")

    assert brief(found) == expected
    assert {code for code, _, status in alerts(found) if status == "active"} == open_alerts


def test_no_reading_answers_an_adverse_reaction() -> None:
    events = [visit("v1", "03-02 09:00", REACTION), bp("e1", "03-20 09:00", 120, 70)]

    found = judge(events, as_of="03-21 09:00")

    assert brief(found) == ("second_followup_overdue", 0, "2026-03-16")
    assert alerts(found) == [("ADR_1", "v1", "active"), ("FOLLOWUP_OVERDUE", "v1", "active")]


def test_a_visit_does_not_end_what_a_value_asked_for() -> None:
    clean = visit("v2", "03-04 09:00")
    both = [HIGH, visit("v1", "03-03 09:00", REACTION), clean]

    assert brief(judge([HIGH, clean], as_of="03-05 09:00")) == (OPEN, 1, "2026-03-16")
    found = judge(both, as_of="03-05 09:00")
    assert brief(found)[:2] == (OPEN, 1)
    assert alerts(found) == [("ADR_1", "v1", "resolved"), ("BP_UNSATISFIED_1", "e1", "active")]


def test_a_value_and_a_reaction_are_answered_apart() -> None:
    reaction = visit("v1", "03-03 09:00", REACTION)
    good, clean = bp("e2", "03-05 09:00", 120, 70), visit("v2", "03-06 09:00")

    found = judge([HIGH, reaction, good], as_of="03-05 12:00")
    assert brief(found) == (OPEN, 0, "2026-03-17")
    assert alerts(found) == [("ADR_1", "v1", "active"), ("BP_UNSATISFIED_1", "e1", "resolved")]
    found = judge([HIGH, reaction, good, clean], as_of="03-07 12:00")
    assert (state(found), found["cases"]["hypertension"]["next_routine_due"]) == (
        CONTROLLED,
        "2026-06-04",
    )


def test_a_first_reaction_under_a_referral_is_counted_and_raises_nothing() -> None:
    first = visit("v1", "03-06 09:00", REACTION)
    second = visit("v2", "03-07 09:00", REACTION)

    assert "ADR_1" not in {
        code for code, _, _ in alerts(judge([*TWICE, first], as_of="03-08 09:00"))
    }
    found = judge([*TWICE, first, second], as_of="03-08 09:00")
    assert brief(found) == (REFERRED, 2, "2026-03-21")
    assert ("ADR_2", "v2", "active") in alerts(found)


def test_an_open_emergency_referral_stays_one() -> None:
    emergency = bp("e1", "03-02 09:00", 182, 94)
    worse = visit("v1", "03-03 09:00", REACTION, "worse_complication")

    found = judge([emergency, worse], as_of="03-04 09:00")

    assert brief(found) == ("emergency_referral", 1, "2026-03-17")
    assert alerts(found) == [("BP_EMERGENCY", "e1", "active"), ("COMPLICATION", "v1", "active")]


def test_both_findings_are_first_the_reaction_then_the_complication() -> None:
    found = judge([visit("v1", "03-03 09:00", REACTION, COMPLICATION)], as_of="03-04 09:00")

    assert alerts(found) == [("ADR_1", "v1", "resolved"), ("COMPLICATION", "v1", "active")]


def test_a_recorded_referral_followup_closes_everything_of_the_referral() -> None:
    done = recorded("referral_followup", "f1", "03-21 09:00", outcome="seen")

    found = judge([*TWICE, visit("v1", "03-06 09:00", COMPLICATION), done], as_of="03-22 09:00")

    assert {status for _, _, status in alerts(found)} == {"resolved"}
    overdue = judge([*TWICE, done], as_of="03-22 09:00")
    assert alert(overdue, "REFERRAL_FOLLOWUP_OVERDUE")["overdue_days"] == 2
    assert found["cases"]["hypertension"]["next_routine_due"] == "2026-06-19"
    assert judge([HIGH, done], as_of="03-22 09:00") == judge([HIGH], as_of="03-22 09:00")


@pytest.mark.parametrize("said", ["none", "controlled", "referral_closed", "closed"])
def test_an_override_that_ends_a_case_resolves_its_alerts(said: str) -> None:
    override = recorded("override", "o1", "03-06 09:00", state=said, author="d", reason="r")

    found = judge([*TWICE, override, bp("e3", "03-10 09:00", 152, 94)], as_of="03-11 09:00")

    statuses = {anchor: status for _, anchor, status in alerts(found)}
    assert (statuses["e1"], statuses["e2"]) == ("resolved", "resolved")
    assert brief(found) == (OPEN, 1, "2026-03-24")  # A doctor's word is no rest: only a closure.


def test_an_overridden_open_state_keeps_alerts_and_has_its_own_due_day() -> None:
    override = recorded(
        "override", "o1", "03-03 09:00", state=REFERRED, due="2026-03-06", author="d", reason="r"
    )

    found = judge([HIGH, override], as_of="03-07 09:00")

    assert brief(found) == ("referral_followup_overdue", 1, "2026-03-06")
    assert alerts(found) == [
        ("BP_UNSATISFIED_1", "e1", "active"),
        ("REFERRAL_FOLLOWUP_OVERDUE", "o1", "active"),
    ]


def test_another_day_moves_what_is_due_and_nothing_else() -> None:
    moved = recorded("reschedule", "m1", "03-03 09:00", due="2026-03-25")
    late = recorded("reschedule", "m2", "03-27 09:00", due="2026-03-30")

    before = judge([HIGH, moved], as_of="03-25 09:00")
    over = judge([HIGH, moved], as_of="03-26 09:00")
    again = judge([HIGH, moved, late], as_of="03-28 09:00")

    assert brief(before) == ("second_followup_open", 1, "2026-03-25")
    assert brief(over) == ("second_followup_overdue", 1, "2026-03-25")
    assert brief(again) == ("second_followup_open", 1, "2026-03-30")
    assert alerts(again) == [
        ("BP_UNSATISFIED_1", "e1", "active"),
        ("FOLLOWUP_OVERDUE", "m1", "resolved"),
    ]


def test_another_day_meets_the_state_that_late_data_give() -> None:
    """Told before it was known that the second value was high, too: the referral stays one."""
    moved = recorded("reschedule", "m1", "03-10 09:00", due="2026-03-25")

    found = judge([*TWICE, moved], as_of="03-11 09:00")

    assert brief(found)[::2] == ("referral_recommended", "2026-03-25")


def test_a_closed_contract_counts_nothing_but_raises_emergencies() -> None:
    events = [
        *TWICE,
        recorded("closure", "x1", "03-06 09:00", reason="death"),
        bp("e3", "03-07 09:00", 160, 100),
        bp("e4", "03-08 09:00", 190, 100),
        bp("e5", "03-08 09:05", 120, 70, setting="home"),
        visit("v1", "03-09 09:00", COMPLICATION),
    ]

    found = judge(events, as_of="04-30 09:00")

    assert found["cases"] == {"hypertension": found["cases"]["hypertension"]}
    assert brief(found) == ("closed", 0, None)
    assert alerts(found) == [
        ("BP_EMERGENCY", "e4", "active"),
        ("BP_UNSATISFIED_1", "e1", "resolved"),
        ("BP_UNSATISFIED_2", "e2", "resolved"),
    ]
    assert alert(found, "BP_EMERGENCY")["page"] is True


def test_after_the_return_the_case_begins_anew() -> None:
    events = [
        HIGH,
        recorded("closure", "x1", "03-04 09:00", reason="moved"),
        recorded("reopening", "x2", "03-10 09:00"),
    ]

    assert judge(events, as_of="03-11 09:00")["cases"] == {}
    found = judge([*events, bp("e2", "03-12 09:00", 152, 94)], as_of="03-13 09:00")
    assert brief(found) == (OPEN, 1, "2026-03-26")


def test_a_closure_of_somebody_without_a_case_leaves_none() -> None:
    events = [
        recorded("closure", "x1", "03-04 09:00", reason="moved"),
        glu("e1", "03-05 09:00", 2, "random"),
    ]

    found = judge(events, DIABETIC, as_of="03-06 09:00")

    assert (found["cases"], alerts(found)) == ({}, [("GLU_EMERGENCY_LOW", "e1", "active")])


@pytest.mark.parametrize(
    ("resident", "events", "as_of", "expected"),
    [
        pytest.param({}, [], "06-01 09:00", None, id="day-90-after-enrolment"),
        pytest.param({}, [], "06-02 00:00", ("R1", "2026-06-01", 1), id="day-91"),
        pytest.param({}, [], "06-30 09:00", ("R1", "2026-06-01", 29), id="no-escalation"),
        pytest.param(
            {"conditions": [{"condition": "hypertension", "since": "2026-03-10"}]},
            [],
            "06-09 09:00",
            ("R1", "2026-06-08", 1),
            id="diagnosed-later",
        ),
        pytest.param(
            {}, [visit("v1", "03-12 09:00")], "06-11 09:00", ("v1", "2026-06-10", 1), id="visited"
        ),
        pytest.param(
            {}, [visit("v1", "03-12 09:00", mode="home")], "06-10 09:00", None, id="at-home"
        ),
        pytest.param(
            {},
            [visit("v1", "03-12 09:00", mode="phone")],
            "06-02 09:00",
            ("R1", "2026-06-01", 1),
            id="by-telephone",
        ),
        pytest.param({"conditions": []}, [], "07-01 09:00", None, id="undiagnosed"),
        pytest.param({"enrolled_on": None}, [], "07-01 09:00", None, id="no-day-to-count-from"),
        pytest.param(
            {},
            [recorded("closure", "x1", "05-01 09:00", reason="moved")],
            "07-01 09:00",
            None,
            id="closed",
        ),
        pytest.param(
            {},
            [
                recorded("closure", "x1", "05-01 09:00", reason="moved"),
                recorded("reopening", "x2", "05-02 09:00"),
            ],
            "08-01 09:00",
            ("x2", "2026-07-31", 1),
            id="counted-from-the-return",
        ),
    ],
)
def test_routine_is_overdue_from_day_91(
    resident: dict[str, Any],
    events: list[dict[str, Any]],
    as_of: str,
    expected: tuple[object, ...] | None,
) -> None:
    person = HYPERTENSIVE | {"enrolled_on": "2026-03-03"} | resident

    found = judge(events, person, as_of=as_of)["alerts"]

    assert [(each["anchor"], each["due"], each["overdue_days"]) for each in found] == (
        [expected] if expected else []
    )
    for each in found:
        assert (each["severity"], each["page"], each["condition"]) == (
            "info",
            False,
            "hypertension",
        )


def test_a_late_visit_resolves_the_overdue_routine() -> None:
    person = HYPERTENSIVE | {"enrolled_on": "2026-03-03"}

    found = judge([visit("v1", "06-11 09:00")], person, as_of="06-12 09:00")

    assert alerts(found) == [("ROUTINE_OVERDUE", "R1", "resolved")]
    assert alert(found, "ROUTINE_OVERDUE")["overdue_days"] == 10
