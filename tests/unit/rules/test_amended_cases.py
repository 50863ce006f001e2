"""The promise: what is said of an event later changes what follows from it, and cancels its alerts.

Engine and plain evaluator look step by step and agree in every field.
"""

from typing import Any

import pytest

from tests.unit.rules.oracle.told import DIABETIC, HEALTHY, HYPERTENSIVE, at, bp, glu, later
from tests.unit.rules.rules_questions import CONTROLLED, NONE, OPEN, REFERRED, follow
from tests.unit.rules.rules_stories import REACTION, bad, closes, good, home, seen, sugar

CORRECTION, RETRACTION = "correction", "retraction"
NUMBERED = {"device": "GL-A", "seq": 7}


def corrects(name: str, when: str, target: str, **said: object) -> dict[str, Any]:
    return later(CORRECTION, name, when, target=target, set=said)


def takes_back(name: str, when: str, target: str) -> dict[str, Any]:
    return later(RETRACTION, name, when, target=target, reason="wrong person")


def fasting(name: str, when: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    return later("context", name, when, **NUMBERED | {"context": "fasting"} | fields)


@pytest.mark.parametrize(
    ("events", "state", "told"),
    [
        pytest.param(
            [bad(2), takes_back("x1", "03-03 09:00", "e2")],
            NONE,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="reading-retracted",
        ),
        pytest.param(
            [bad(2), takes_back("x1", "03-03 09:00", "e2"), takes_back("x2", "03-04 09:00", "x1")],
            NONE,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="a-retraction-is-final",
        ),
        pytest.param(
            [
                bad(2),
                takes_back("x1", "03-03 09:00", "e2"),
                corrects("c1", "03-04 09:00", "e2", sbp=190),
            ],
            NONE,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="nothing-corrects-a-retracted-reading",
        ),
        pytest.param(
            [bad(2), corrects("c1", "03-03 09:00", "e2", sbp=120, dbp=70)],
            CONTROLLED,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="corrected-to-satisfied",
        ),
        pytest.param(
            [
                bad(2),
                corrects("c1", "03-03 09:00", "e2", sbp=120, dbp=70),
                takes_back("x1", "03-04 09:00", "c1"),
            ],
            OPEN,
            ["BP_UNSATISFIED_1 e2 active"],
            id="correction-retracted",
        ),
        pytest.param(
            [good(2), corrects("c1", "03-03 09:00", "e2", sbp=190)],
            "emergency_referral",
            ["BP_EMERGENCY e2 active"],
            id="corrected-to-an-emergency",
        ),
        pytest.param(
            [
                good(2),
                corrects("c1", "03-03 10:00", "e2", sbp=150, dbp=94),
                corrects("c2", "03-03 09:00", "e2", sbp=120),
            ],
            OPEN,
            ["BP_UNSATISFIED_1 e2 active"],
            id="of-each-field-the-latest",
        ),
        pytest.param(
            [bad(2), bad(5), takes_back("x1", "03-06 09:00", "e2")],
            OPEN,
            [
                "BP_UNSATISFIED_1 e2 cancelled",
                "BP_UNSATISFIED_1 e5 active",
                "BP_UNSATISFIED_2 e5 cancelled",
            ],
            id="the-second-becomes-the-first",
        ),
        pytest.param(
            [bad(2, unit=None), corrects("c1", "03-03 09:00", "e2", unit="mmHg")],
            OPEN,
            ["BP_UNSATISFIED_1 e2 active"],
            id="a-corrected-unit-takes-a-reading-out-of-quarantine",
        ),
        pytest.param(
            [bad(2), corrects("c1", "03-03 09:00", "e2", status=2)],
            NONE,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="corrected-into-quarantine",
        ),
        pytest.param(
            [bad(2), corrects("c1", "03-03 09:00", "e2", setting="home")],
            NONE,
            ["BP_HOME_HIGH e2 active", "BP_UNSATISFIED_1 e2 cancelled"],
            id="setting-corrected",
        ),
        pytest.param(
            [bad(2), corrects("c1", "03-03 09:00", "e2", resident="R9")],
            NONE,
            ["BP_UNSATISFIED_1 e2 cancelled"],
            id="moved-to-somebody-else",
        ),
        pytest.param(
            [bad(2, resident="R9"), corrects("c1", "03-03 09:00", "e2", resident="R1")],
            OPEN,
            ["BP_UNSATISFIED_1 e2 active"],
            id="moved-from-somebody-else",
        ),
        pytest.param(
            [{name: value for name, value in bad(2).items() if name != "resident"}],
            OPEN,
            ["BP_UNSATISFIED_1 e2 active"],
            id="without-a-resident-it-is-the-case-s",
        ),
        pytest.param(
            [seen(2, REACTION), takes_back("x1", "03-03 09:00", "v2")],
            NONE,
            ["ADR_1 v2 cancelled"],
            id="visit-retracted",
        ),
        pytest.param(
            [bad(2), closes(3), takes_back("x1", "03-04 09:00", "x3"), bad(5)],
            REFERRED,
            ["BP_UNSATISFIED_1 e2 resolved", "BP_UNSATISFIED_2 e5 active"],
            id="closure-retracted",
        ),
        pytest.param(
            [home(2), takes_back("x1", "03-03 09:00", "nothing")],
            "emergency_referral",
            ["BP_EMERGENCY e2 active"],
            id="a-retraction-of-nothing",
        ),
    ],
)
def test_what_is_said_later(events: list[dict[str, Any]], state: str, told: list[str]) -> None:
    found = follow(events, HYPERTENSIVE, as_of="03-09 09:00")

    assert found["cases"].get("hypertension", {"state": NONE})["state"] == state
    assert _told(found) == told


def _told(found: dict[str, Any]) -> list[str]:
    return sorted(f"{each['code']} {each['anchor']} {each['status']}" for each in found["alerts"])


@pytest.mark.parametrize(
    ("events", "state", "told"),
    [
        pytest.param(
            [sugar(2, 8, "unknown") | NUMBERED, fasting("c1", "03-02 09:20")],
            OPEN,
            ["GLU_UNSATISFIED_1 g2 active"],
            id="after-its-reading",
        ),
        pytest.param(
            [sugar(2, 8, "unknown") | NUMBERED, fasting("c1", "03-02 08:20")],
            OPEN,
            ["GLU_UNSATISFIED_1 g2 active"],
            id="before-its-reading",
        ),
        pytest.param(
            [sugar(2, 8, "unknown") | NUMBERED, fasting("c1", "03-02 09:20", seq=8)],
            NONE,
            [],
            id="other-sequence",
        ),
        pytest.param(
            [sugar(2, 8, "unknown") | NUMBERED, fasting("c1", "03-02 09:20", boot_id="b2")],
            NONE,
            [],
            id="other-boot",
        ),
        pytest.param(
            [sugar(2, 8, "unknown"), fasting("c1", "03-02 09:20")], NONE, [], id="no-sequence"
        ),
        pytest.param(
            [
                sugar(2, 8) | NUMBERED,
                fasting("c1", "03-03 09:00", context="bedtime"),
                fasting("c2", "03-04 09:00"),
            ],
            OPEN,
            ["GLU_UNSATISFIED_1 g2 active"],
            id="the-latest-wins",
        ),
        pytest.param(
            [
                sugar(2, 8, "unknown") | NUMBERED,
                corrects("c1", "03-03 09:00", "g2", context="random"),
                fasting("c2", "03-04 09:00"),
            ],
            NONE,
            [],
            id="a-correction-wins-over-it",
        ),
        pytest.param(
            [
                sugar(2, 8, "unknown") | NUMBERED,
                fasting("c1", "03-03 09:00"),
                takes_back("x1", "03-04 09:00", "c1"),
            ],
            NONE,
            ["GLU_UNSATISFIED_1 g2 cancelled"],
            id="retracted",
        ),
        pytest.param(
            [
                sugar(2, 8, "unknown") | NUMBERED | {"received_at": at("03-02 10:00")},
                sugar(2, 9, "unknown") | NUMBERED | {"event_id": "g3", "arm": "left"},
                fasting("c1", "03-03 09:00"),
            ],
            OPEN,
            ["GLU_UNSATISFIED_1 g3 active"],
            id="of-two-the-first-received",
        ),
    ],
)
def test_late_context(events: list[dict[str, Any]], state: str, told: list[str]) -> None:
    for order in (events, events[::-1]):
        found = follow(order, DIABETIC, as_of="03-09 09:00")

        assert found["cases"].get("diabetes_t2", {"state": NONE})["state"] == state
        assert _told(found) == told


def test_a_corrected_time_gives_another_due_day() -> None:
    events = [bad(2), corrects("c1", "03-03 09:00", "e2", measured_at=at("02-28 23:59"))]

    assert follow(events, as_of="03-09 09:00")["cases"]["hypertension"]["second_followup_due"] == (
        "2026-03-14"
    )


@pytest.mark.parametrize(
    ("events", "dispositions"),
    [
        pytest.param(
            [bp("e1", "03-02 09:00", 120, 70), takes_back("x1", "03-03 09:00", "e1")],
            {"e1": "retracted"},
            id="retracted",
        ),
        pytest.param(
            [
                bp("e1", "03-02 09:00", 120, 70, seq=1),
                bp("e2", "03-02 09:00", 120, 70, seq=1, received="03-02 09:05"),
                bp("e3", "03-02 09:00", 130, 70, seq=1, received="03-02 09:06"),
                takes_back("x1", "03-03 09:00", "e2"),
                takes_back("x2", "03-03 09:00", "e3"),
            ],
            {"e1": "accepted", "e2": "duplicate", "e3": "conflict"},
            id="of-a-duplicate-nothing-can-be-said",
        ),
        pytest.param(
            [
                glu("g1", "03-02 09:00", 5, sample_type=10),
                corrects("c1", "03-03 09:00", "g1", sample_type=1),
                glu("g2", "03-04 09:00", 5),
                corrects("c2", "03-05 09:00", "g2", sample_type=10),
            ],
            {"g1": "accepted", "g2": "excluded:control_solution"},
            id="control-solution-corrected",
        ),
    ],
)
def test_dispositions_after_what_was_said(
    events: list[dict[str, Any]], dispositions: dict[str, str]
) -> None:
    assert follow(events, HEALTHY, as_of="03-09 09:00")["dispositions"] == dispositions
