"""The promise: every number of a profile is used, and used in its own place.

The profiles that we ship share most of their numbers; here each is another one.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from rules.codes import Severity
from rules.engine import judge
from rules.limits import tabulate
from rules.profile import Profile
from rules.profiles import load_profile
from tests.unit.rules.oracle.told import DIABETIC, HEALTHY, HYPERTENSIVE, at, bp, glu, visit
from tests.unit.rules.rules_crowd import Said, engine_says, gather, instant, read_member
from tests.unit.rules.rules_questions import a_case, alerts, brief
from tests.unit.rules.rules_stories import REACTION, bad, good, home, result, seen, sugar

_MINUTE = np.timedelta64(60_000_000, "us")
_WUZHOU = load_profile("wuzhou")
_FOLLOWUP = replace(
    _WUZHOU.followup,
    second_days=5,
    referral_days=6,
    routine_days=7,
    routine_overdue_days=8,
    unsatisfied_for_referral=3,
    adverse_reactions_for_referral=3,
    escalation_days=(2, 4, 6),
)
_SUSPECTED = _WUZHOU.bp_screening.suspected
assert _SUSPECTED is not None
_SCREENING = replace(
    _WUZHOU.bp_screening,
    age_min=20,
    due_days=3,
    severity=Severity.HIGH,
    suspected=replace(_SUSPECTED, within_days=10, due_days=9),
)
_RANDOM = _WUZHOU.glucose_screening_random
assert _RANDOM is not None
_TIMING = replace(
    _WUZHOU.timing,
    session_gap=20 * _MINUTE,
    session_span=40 * _MINUTE,
    session_wait=30 * _MINUTE,
    assessment_span=60 * 12 * _MINUTE,
    emergency_repeat=60 * _MINUTE,
    late_after=120 * _MINUTE,
    third_reading_mmhg_e13=25 * 10**13,
)
OTHER = replace(
    _WUZHOU,
    followup=_FOLLOWUP,
    bp_screening=_SCREENING,
    glucose_screening=replace(_WUZHOU.glucose_screening, age_min=30, due_days=4),
    glucose_screening_random=replace(_RANDOM, age_min=40, severity=Severity.WARN),
    timing=_TIMING,
)


def say(
    events: list[dict[str, Any]],
    resident: dict[str, Any] = HYPERTENSIVE,
    *,
    as_of: str,
    profile: Profile = OTHER,
) -> Said:
    member = read_member(a_case(events, resident, as_of=as_of, profile="wuzhou"))
    now = datetime.fromisoformat(at(as_of))
    crowd, limits = gather([member], now), tabulate([[profile]])
    found = judge(crowd.readings, crowd.records, crowd.residents, limits, as_of=instant(now))
    (said,) = engine_says(crowd, found)
    late = {
        int(code): bool(each)
        for code, each in zip(found.alerts.code, found.alerts.late, strict=True)
    }
    return said | {"late": late, "next": found.next_tick[0]}


def born(year: int) -> dict[str, Any]:
    return HEALTHY | {"birth_date": f"{year}-01-01"}


@pytest.mark.parametrize(
    ("events", "resident", "expected"),
    [
        pytest.param(
            [bad(2)], HYPERTENSIVE, ("second_followup_open", 1, "2026-03-07"), id="second"
        ),
        pytest.param(
            [bad(2), bad(5)],
            HYPERTENSIVE,
            ("second_followup_open", 2, "2026-03-10"),
            id="two-are-not-three",
        ),
        pytest.param(
            [bad(2), bad(5), bad(8)],
            HYPERTENSIVE,
            ("referral_recommended", 3, "2026-03-14"),
            id="three-in-a-row",
        ),
        pytest.param(
            [home(2)], HYPERTENSIVE, ("emergency_referral", 0, "2026-03-08"), id="referral"
        ),
        pytest.param(
            [seen(2, REACTION), seen(5, REACTION)],
            HYPERTENSIVE,
            ("second_followup_open", 0, "2026-03-10"),
            id="two-reactions-are-not-three",
        ),
        pytest.param(
            [seen(2, REACTION), seen(5, REACTION), seen(8, REACTION)],
            HYPERTENSIVE,
            ("referral_recommended", 0, "2026-03-14"),
            id="three-reactions",
        ),
        pytest.param([bad(2)], HEALTHY, ("screening", 0, "2026-03-05"), id="screening"),
        pytest.param([bad(2)], born(2007), ("none", 0, None), id="too-young-to-be-screened"),
        pytest.param(
            [bad(2), bad(4), bad(12)],
            HEALTHY,
            ("screening_referral", 0, "2026-03-21"),
            id="suspected-within-ten-days",
        ),
        pytest.param(
            [bad(2), bad(4), bad(13)],
            HEALTHY,
            ("screening", 0, "2026-03-16"),
            id="eleven-days-are-too-many",
        ),
    ],
)
def test_days_and_counts_of_pressure(
    events: list[dict[str, Any]], resident: dict[str, Any], expected: tuple[object, ...]
) -> None:
    last = max(event.get("at") or event["measured_at"] for event in events)

    assert brief(say(events, resident, as_of=f"{last[5:10]} 20:00")) == expected


@pytest.mark.parametrize(
    ("event", "resident", "expected"),
    [
        pytest.param(sugar(2, 8), HEALTHY, ("screening", 0, "2026-03-06"), id="fasting"),
        pytest.param(sugar(2, 8), born(2000), ("none", 0, None), id="fasting-too-young"),
        pytest.param(sugar(2, 12, "random"), HEALTHY, ("screening", 0, None), id="random"),
        pytest.param(sugar(2, 12, "random"), born(1990), ("none", 0, None), id="random-too-young"),
        pytest.param(sugar(2, 8), DIABETIC, ("second_followup_open", 1, "2026-03-07"), id="second"),
        pytest.param(
            sugar(2, 20), DIABETIC, ("emergency_referral", 1, "2026-03-08"), id="referral"
        ),
    ],
)
def test_days_and_ages_of_glucose(
    event: dict[str, Any], resident: dict[str, Any], expected: tuple[object, ...]
) -> None:
    assert brief(say([event], resident, as_of="03-02 20:00"), "diabetes_t2") == expected


def test_severities_of_screening() -> None:
    def loud(event: dict[str, Any]) -> list[str]:
        found = say([event], HEALTHY, as_of="03-02 20:00")["alerts"]
        return [alert["severity"] for alert in found.values()]

    assert (loud(bad(2)), loud(sugar(2, 8)), loud(sugar(2, 12, "random"))) == (
        ["high"],
        ["warn"],
        ["warn"],
    )
    quiet = replace(
        OTHER, glucose_screening=replace(OTHER.glucose_screening, severity=Severity.INFO)
    )
    found = say([sugar(2, 8)], HEALTHY, as_of="03-02 20:00", profile=quiet)["alerts"]
    assert [alert["severity"] for alert in found.values()] == ["info"]


def test_routine_days_are_those_of_the_profile() -> None:
    def routine(*events: dict[str, Any]) -> object:
        found = say(list(events), as_of="03-09 20:00")
        return found["cases"]["hypertension"]["next_routine_due"]

    assert routine(good(2)) == "2026-03-09"
    assert routine(home(2), result(4)) == "2026-03-11"
    assert routine(seen(2, REACTION), seen(4)) == "2026-03-11"
    visited = [visit("v1", "03-02 09:00")]
    assert alerts(say(visited, as_of="03-10 23:59")) == []
    assert alerts(say(visited, as_of="03-11 00:00")) == ["ROUTINE_OVERDUE v1 active"]


@pytest.mark.parametrize(
    ("day", "step"), [("03-08", 0), ("03-09", 1), ("03-10", 1), ("03-11", 2), ("03-13", 3)]
)
def test_escalation_steps_are_those_of_the_profile(day: str, step: int) -> None:
    overdue = say([bad(2)], as_of=f"{day} 00:00")["alerts"][
        "hypertension", "FOLLOWUP_OVERDUE", "e2"
    ]

    assert overdue["escalation"] == step


def test_moments_to_look_again_are_those_of_the_profile() -> None:
    def tick(as_of: str) -> object:
        return say([bad(2)], as_of=as_of)["next"].item()

    def moment(text: str) -> object:
        return instant(datetime.fromisoformat(at(text))).item()

    assert tick("03-02 09:05") == moment("03-02 09:30")
    assert tick("03-02 20:00") == moment("03-08 00:00")
    assert tick("03-08 00:00") == moment("03-09 00:00")
    assert tick("03-11 00:00") == moment("03-13 00:00")
    assert tick("03-13 00:00") is None


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param("09:20", "controlled", id="gap-of-twenty"),
        pytest.param("09:21", "second_followup_open", id="longer-gap"),
    ],
)
def test_session_gap(second: str, expected: str) -> None:
    readings = [bp("e1", "03-02 09:00", 130, 80), bp("e2", f"03-02 {second}", 150, 80)]

    assert brief(say(readings, as_of="03-02 20:00"))[0] == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("09:40", "second_followup_open", id="span-of-forty"),
        pytest.param("09:41", "controlled", id="longer-span"),
    ],
)
def test_session_span(last: str, expected: str) -> None:
    readings = [bp("e1", "03-02 09:00", 160, 80), bp("e2", "03-02 09:20", 137, 80)]
    readings.append(bp("e3", f"03-02 {last}", 137, 80))

    assert brief(say(readings, as_of="03-02 20:00"))[0] == expected


@pytest.mark.parametrize(("as_of", "expected"), [("09:29:59", "none"), ("09:30", "controlled")])
def test_session_wait(as_of: str, expected: str) -> None:
    assert brief(say([good(2)], as_of=f"03-02 {as_of}"))[0] == expected


@pytest.mark.parametrize(("second", "count"), [("20:59", 1), ("21:00", 2)])
def test_assessment_span(second: str, count: int) -> None:
    readings = [bad(2), bp("e3", f"03-02 {second}", 152, 94)]

    assert brief(say(readings, as_of="03-03 09:00"))[1] == count


@pytest.mark.parametrize(("second", "raised"), [("10:00", 1), ("10:01", 2)])
def test_emergency_repeat(second: str, raised: int) -> None:
    readings = [home(2), bp("e3", f"03-02 {second}", 190, 100, setting="home")]

    assert len(say(readings, as_of="03-02 20:00")["alerts"]) == raised


@pytest.mark.parametrize(("received", "late"), [("11:00", False), ("11:01", True)])
def test_lateness(received: str, *, late: bool) -> None:
    reading = bp("e2", "03-02 09:00", 190, 100, setting="home", received=f"03-02 {received}")

    assert list(say([reading], as_of="03-02 20:00")["late"].values()) == [late]


@pytest.mark.parametrize(("second", "asked"), [(145, []), (146, ["e1"])])
def test_third_reading(second: int, asked: list[str]) -> None:
    readings = [bp("e1", "03-02 09:00", 120, 70), bp("e2", "03-02 09:01", second, 70)]

    assert say(readings, as_of="03-02 20:00")["third"] == asked


def test_limits_of_every_rule_are_its_own() -> None:
    """Each limit moved alone changes what its own rule says, and no other."""
    step = 10**13
    pressure = {
        "bp_office": (HYPERTENSIVE, bp("e1", "03-02 09:00", 141, 70)),
        "bp_screening_limit": (HEALTHY, bp("e1", "03-02 09:00", 141, 70)),
        "bp_home": (HYPERTENSIVE, bp("e1", "03-02 09:00", 135, 70, setting="home")),
        "bp_emergency": (HEALTHY, bp("e1", "03-02 09:00", 180, 70, setting="home")),
        "bp_pregnancy": (
            HEALTHY | {"pregnant": True},
            bp("e1", "03-02 09:00", 140, 70, setting="home"),
        ),
    }
    sugars = {
        "glucose_fasting": (DIABETIC, glu("e1", "03-02 09:00", 8)),
        "glucose_screening_limit": (HEALTHY, glu("e1", "03-02 09:00", 8)),
        "glucose_screening_random_limit": (HEALTHY, glu("e1", "03-02 09:00", 12, "random")),
        "glucose_postprandial_2h": (DIABETIC, glu("e1", "03-02 09:00", 12, "postprandial_2h")),
        "glucose_emergency_high": (HEALTHY, glu("e1", "03-02 09:00", 20, "unknown")),
        "glucose_emergency_low": (HEALTHY, glu("e1", "03-02 09:00", 3, "unknown")),
    }

    def moved(rule: str) -> Profile:
        limit: Any = getattr(OTHER, rule)
        if rule in sugars:
            higher = 0 if rule == "glucose_emergency_low" else 500_000
            return replace(OTHER, **{rule: replace(limit, glucose_mmol_l_e4=higher)})
        if hasattr(limit, "base"):
            base = replace(limit.base, systolic_mmhg_e13=250 * step)
            return replace(OTHER, **{rule: replace(limit, base=base)})
        return replace(OTHER, **{rule: replace(limit, systolic_mmhg_e13=250 * step)})

    for rule, (resident, event) in {**pressure, **sugars}.items():
        raised = [
            bool(say([event], resident, as_of="03-02 20:00", profile=moved(other))["alerts"])
            for other in (*pressure, *sugars)
        ]
        assert raised == [other != rule for other in (*pressure, *sugars)], rule
