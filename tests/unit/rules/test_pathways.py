"""The promise: cases move as decision table 2.4 and decision 0011 say, from every state.

Each row is a history, read from left to right. What the engine says is compared with the plain
evaluator in every row.
"""

from typing import Any

import pytest

from tests.unit.rules.oracle.told import HEALTHY
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
)
from tests.unit.rules.rules_stories import (
    CLOSED,
    COMPLICATION,
    REACTION,
    at_hour,
    bad,
    closes,
    doctor,
    evening_of_the_last,
    good,
    home,
    result,
    returns,
    seen,
    urgent,
)

CASES: dict[str, tuple[list[dict[str, Any]], tuple[object, ...], list[str]]] = {
    "satisfied": ([good(2)], (CONTROLLED, 0, None), []),
    "twice-in-a-row": (
        [bad(2), bad(5)],
        (REFERRED, 2, "2026-03-19"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_2 e5 active"],
    ),
    "twice-but-not-in-a-row": (
        [bad(2), good(5), bad(8)],
        (OPEN, 1, "2026-03-22"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_1 e8 active"],
    ),
    "late-second-still-counts": (
        [bad(2), bad(20)],
        (REFERRED, 2, "2026-04-03"),
        [
            "BP_UNSATISFIED_1 e2 resolved",
            "BP_UNSATISFIED_2 e20 active",
            "FOLLOWUP_OVERDUE e2 resolved",
        ],
    ),
    "more-under-the-referral": (
        [bad(2), bad(5), bad(8), bad(11)],
        (REFERRED, 2, "2026-03-19"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_2 e5 active"],
    ),
    "satisfied-under-the-referral": (
        [bad(2), bad(5), good(8)],
        (REFERRED, 0, "2026-03-19"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_2 e5 active"],
    ),
    "referral-followed-up": (
        [bad(2), bad(5), result(8), bad(11)],
        (OPEN, 1, "2026-03-25"),
        [
            "BP_UNSATISFIED_1 e11 active",
            "BP_UNSATISFIED_1 e2 resolved",
            "BP_UNSATISFIED_2 e5 resolved",
        ],
    ),
    "referral-followup-of-nothing": (
        [bad(2), result(5)],
        (OPEN, 1, "2026-03-16"),
        ["BP_UNSATISFIED_1 e2 active"],
    ),
    "overdue-referral-followed-up": (
        [urgent(2), result(20)],
        ("referral_closed", 0, None),
        ["BP_EMERGENCY e2 resolved", "REFERRAL_FOLLOWUP_OVERDUE e2 resolved"],
    ),
    "emergency-in-office-counts-one": (
        [urgent(2)],
        (EMERGENCY, 1, "2026-03-16"),
        ["BP_EMERGENCY e2 active"],
    ),
    "emergency-at-home-counts-none": (
        [home(2)],
        (EMERGENCY, 0, "2026-03-16"),
        ["BP_EMERGENCY e2 active"],
    ),
    "emergency-ends-the-second-followup": (
        [bad(2), home(5)],
        (EMERGENCY, 1, "2026-03-19"),
        ["BP_EMERGENCY e5 active", "BP_UNSATISFIED_1 e2 resolved"],
    ),
    "emergency-again-begins-anew": (
        [home(2), home(5)],
        (EMERGENCY, 0, "2026-03-19"),
        ["BP_EMERGENCY e2 resolved", "BP_EMERGENCY e5 active"],
    ),
    "emergency-under-a-referral-counts": (
        [bad(2), bad(5), urgent(8)],
        (EMERGENCY, 3, "2026-03-22"),
        [
            "BP_EMERGENCY e8 active",
            "BP_UNSATISFIED_1 e2 resolved",
            "BP_UNSATISFIED_2 e5 active",
        ],
    ),
    "emergency-after-somebody-dealt-with-the-last": (
        [home(2), at_hour(result(2), 10), at_hour(home(2) | {"event_id": "e3"}, 11)],
        (EMERGENCY, 0, "2026-03-16"),
        ["BP_EMERGENCY e2 resolved", "BP_EMERGENCY e3 active"],
    ),
    "emergency-after-a-doctor-said-controlled": (
        [home(2), at_hour(doctor(2, CONTROLLED), 10), at_hour(home(2) | {"event_id": "e3"}, 11)],
        (EMERGENCY, 0, "2026-03-16"),
        ["BP_EMERGENCY e2 resolved", "BP_EMERGENCY e3 active"],
    ),
    "emergency-after-a-doctor-referred-is-the-same": (
        [home(2), at_hour(doctor(2, REFERRED), 10), at_hour(home(2) | {"event_id": "e3"}, 11)],
        (REFERRED, 0, None),
        ["BP_EMERGENCY e2 active"],
    ),
    "value-after-the-referral-was-followed-up-is-another-assessment": (
        [bad(2), bad(5), at_hour(result(5), 12), at_hour(bad(5) | {"event_id": "e6"}, 19)],
        (OPEN, 1, "2026-03-19"),
        [
            "BP_UNSATISFIED_1 e2 resolved",
            "BP_UNSATISFIED_1 e6 active",
            "BP_UNSATISFIED_2 e5 resolved",
        ],
    ),
    "value-before-and-after-a-visit-is-one-assessment": (
        [bad(5), at_hour(seen(5), 12), at_hour(bad(5) | {"event_id": "e6"}, 19)],
        (OPEN, 1, "2026-03-19"),
        ["BP_UNSATISFIED_1 e5 active"],
    ),
    "closed-twice-and-an-emergency-between": (
        [closes(2), home(5), closes(8, "death")],
        (NONE, 0, None),
        ["BP_EMERGENCY e5 active"],
    ),
    "reaction": ([seen(2, REACTION)], (OPEN, 0, "2026-03-16"), ["ADR_1 v2 active"]),
    "reaction-gone": ([seen(2, REACTION), seen(5)], (CONTROLLED, 0, None), ["ADR_1 v2 resolved"]),
    "reaction-twice": (
        [seen(2, REACTION), seen(5, REACTION)],
        (REFERRED, 0, "2026-03-19"),
        ["ADR_1 v2 resolved", "ADR_2 v5 active"],
    ),
    "reaction-a-third-time": (
        [seen(2, REACTION), seen(5, REACTION), seen(8, REACTION)],
        (REFERRED, 0, "2026-03-19"),
        ["ADR_1 v2 resolved", "ADR_2 v5 active"],
    ),
    "reaction-again-after-the-referral": (
        [seen(2, REACTION), seen(5, REACTION), result(8), seen(11, REACTION)],
        (OPEN, 0, "2026-03-25"),
        ["ADR_1 v11 active", "ADR_1 v2 resolved", "ADR_2 v5 resolved"],
    ),
    "reaction-again-after-a-doctor-ended-the-referral": (
        [seen(2, REACTION), seen(5, REACTION), doctor(8, OPEN, "2026-03-20"), seen(11, REACTION)],
        (REFERRED, 0, "2026-03-25"),
        ["ADR_1 v2 resolved", "ADR_2 v11 active", "ADR_2 v5 resolved"],
    ),
    "reaction-under-a-referral": (
        [home(2), seen(5, REACTION)],
        (EMERGENCY, 0, "2026-03-16"),
        ["BP_EMERGENCY e2 active"],
    ),
    "second-reaction-under-an-emergency": (
        [home(2), seen(5, REACTION), seen(8, REACTION)],
        (EMERGENCY, 0, "2026-03-22"),
        ["ADR_2 v8 active", "BP_EMERGENCY e2 active"],
    ),
    "satisfied-does-not-answer-a-reaction": (
        [seen(2, REACTION), good(5)],
        (OPEN, 0, "2026-03-16"),
        ["ADR_1 v2 active"],
    ),
    "satisfied-answers-the-value-beside-the-reaction": (
        [bad(2), seen(5, REACTION), good(8)],
        (OPEN, 0, "2026-03-19"),
        ["ADR_1 v5 active", "BP_UNSATISFIED_1 e2 resolved"],
    ),
    "visit-does-not-end-what-a-value-asked-for": (
        [bad(2), seen(5, REACTION), seen(8)],
        (OPEN, 1, "2026-03-19"),
        ["ADR_1 v5 resolved", "BP_UNSATISFIED_1 e2 active"],
    ),
    "complication": (
        [seen(2, COMPLICATION)],
        (REFERRED, 0, "2026-03-16"),
        ["COMPLICATION v2 active"],
    ),
    "complication-under-an-emergency": (
        [home(2), seen(5, COMPLICATION)],
        (EMERGENCY, 0, "2026-03-19"),
        ["BP_EMERGENCY e2 active", "COMPLICATION v5 active"],
    ),
    "reaction-and-complication": (
        [seen(2, REACTION, COMPLICATION)],
        (REFERRED, 0, "2026-03-16"),
        ["ADR_1 v2 resolved", "COMPLICATION v2 active"],
    ),
    "a-complication-is-no-reaction": (
        [seen(2, REACTION), seen(5, COMPLICATION), result(6), seen(8, REACTION)],
        (OPEN, 0, "2026-03-22"),
        ["ADR_1 v2 resolved", "ADR_1 v8 active", "COMPLICATION v5 resolved"],
    ),
    "doctor-says-controlled": (
        [bad(2), doctor(5, CONTROLLED)],
        (CONTROLLED, 0, None),
        ["BP_UNSATISFIED_1 e2 resolved"],
    ),
    "doctor-says-none": (
        [bad(2), doctor(5, NONE)],
        (NONE, 0, None),
        ["BP_UNSATISFIED_1 e2 resolved"],
    ),
    "doctor-asks-for-a-second-followup": (
        [doctor(2, OPEN, "2026-03-09"), good(5)],
        (CONTROLLED, 0, None),
        [],
    ),
    "doctor-refers": (
        [bad(2), doctor(5, REFERRED, "2026-03-31")],
        (REFERRED, 1, "2026-03-31"),
        ["BP_UNSATISFIED_1 e2 active"],
    ),
    "doctor-names-an-overdue-state": (
        [doctor(2, OVERDUE, "2026-03-31")],
        (OPEN, 0, "2026-03-31"),
        [],
    ),
    "doctor-closes-and-the-next-value-opens": (
        [bad(2), doctor(5, CLOSED), bad(8)],
        (OPEN, 1, "2026-03-22"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_1 e8 active"],
    ),
    "a-doctor's-screening-does-not-answer-a-reaction": (
        [seen(2, REACTION), doctor(5, "screening_referral"), good(8)],
        (CONTROLLED, 0, None),
        ["ADR_1 v2 active"],
    ),
    "closed": ([bad(2), closes(5)], (CLOSED, 0, None), ["BP_UNSATISFIED_1 e2 resolved"]),
    "closed-and-nothing-counts": (
        [bad(2), closes(5), bad(8), seen(9, REACTION), doctor(10, OPEN, "2026-03-20"), result(11)],
        (CLOSED, 0, None),
        ["BP_UNSATISFIED_1 e2 resolved"],
    ),
    "closed-without-a-case": ([closes(5), bad(8)], (NONE, 0, None), []),
    "emergency-of-somebody-closed": (
        [bad(2), closes(5), home(8)],
        (CLOSED, 0, None),
        ["BP_EMERGENCY e8 active", "BP_UNSATISFIED_1 e2 resolved"],
    ),
    "returned": (
        [bad(2), closes(5), returns(8), bad(11)],
        (OPEN, 1, "2026-03-25"),
        ["BP_UNSATISFIED_1 e11 active", "BP_UNSATISFIED_1 e2 resolved"],
    ),
    "returned-without-having-left": (
        [bad(2), returns(5), bad(8)],
        (REFERRED, 2, "2026-03-22"),
        ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_2 e8 active"],
    ),
}
SCREENED: dict[str, tuple[list[dict[str, Any]], tuple[object, ...], list[str]]] = {
    "high": ([bad(2)], (SCREENING, 0, "2026-03-16"), ["SCREEN_BP_HIGH e2 active"]),
    "high-again-moves-the-recheck": (
        [bad(2), bad(5)],
        (SCREENING, 0, "2026-03-19"),
        ["SCREEN_BP_HIGH e2 active"],
    ),
    "third-day": (
        [bad(2), bad(5), bad(8)],
        ("screening_referral", 0, "2026-03-22"),
        ["SCREEN_BP_HIGH e2 active", "SCREEN_HTN_SUSPECTED e8 active"],
    ),
    "normal-on-a-later-day": ([bad(2), good(5)], (NONE, 0, None), ["SCREEN_BP_HIGH e2 resolved"]),
    "normal-does-not-end-the-suspicion": (
        [bad(2), bad(5), bad(8), good(11)],
        ("screening_referral", 0, "2026-03-22"),
        ["SCREEN_BP_HIGH e2 resolved", "SCREEN_HTN_SUSPECTED e8 active"],
    ),
    "suspicion-followed-up": (
        [bad(2), bad(5), bad(8), result(11)],
        ("referral_closed", 0, None),
        ["SCREEN_BP_HIGH e2 resolved", "SCREEN_HTN_SUSPECTED e8 resolved"],
    ),
    "missed-recheck": (
        [bad(2), bad(20)],
        (SCREENING, 0, "2026-04-03"),
        ["FOLLOWUP_OVERDUE e2 resolved", "SCREEN_BP_HIGH e2 active"],
    ),
    "beside-a-reaction": (
        [seen(2, REACTION), bad(5)],
        (OPEN, 0, "2026-03-16"),
        ["ADR_1 v2 active", "SCREEN_BP_HIGH e5 active"],
    ),
    "normal-beside-a-reaction": (
        [seen(2, REACTION), bad(5), good(8)],
        (OPEN, 0, "2026-03-16"),
        ["ADR_1 v2 active", "SCREEN_BP_HIGH e5 resolved"],
    ),
    "suspected-beside-a-reaction": (
        [seen(2, REACTION), bad(5), bad(8), bad(11)],
        ("screening_referral", 0, "2026-03-25"),
        ["ADR_1 v2 resolved", "SCREEN_BP_HIGH e5 active", "SCREEN_HTN_SUSPECTED e11 active"],
    ),
    "normal-answers-the-doctor-beside-a-reaction": (
        [doctor(2, OPEN, "2026-03-20"), seen(3, REACTION), good(5), seen(8)],
        (CONTROLLED, 0, None),
        ["ADR_1 v3 resolved"],
    ),
    "normal-answers-the-doctor": ([doctor(2, OPEN, "2026-03-20"), good(5)], (NONE, 0, None), []),
    "an-emergency-does-not-screen": (
        [urgent(2)],
        (EMERGENCY, 0, "2026-03-16"),
        ["BP_EMERGENCY e2 active"],
    ),
}


@pytest.mark.parametrize(
    ("events", "expected", "told"), [pytest.param(*row, id=name) for name, row in CASES.items()]
)
def test_the_case_of_somebody_diagnosed(
    events: list[dict[str, Any]], expected: tuple[object, ...], told: list[str]
) -> None:
    said = ask(events, as_of=evening_of_the_last(events))

    assert (brief(said), alerts(said)) == (expected, told)


@pytest.mark.parametrize(
    ("events", "expected", "told"), [pytest.param(*row, id=name) for name, row in SCREENED.items()]
)
def test_the_screening_of_somebody_without_a_diagnosis(
    events: list[dict[str, Any]], expected: tuple[object, ...], told: list[str]
) -> None:
    said = ask(events, HEALTHY, as_of=evening_of_the_last(events))

    assert (brief(said), alerts(said)) == (expected, told)
