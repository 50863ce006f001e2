"""Short questions about one person, which engine and plain evaluator have to answer alike."""

from datetime import datetime
from typing import Any

from rules.codes import AlertCode
from rules.engine import judge
from rules.judgement import Judgement
from rules.worked.evaluate import evaluate_case
from simulators.oracle.evaluate import evaluate_case as evaluate_plainly
from tests.unit.rules.oracle.told import HYPERTENSIVE, at
from tests.unit.rules.rules_crowd import (
    LIMITS,
    CaseFile,
    Crowd,
    Said,
    engine_says,
    gather,
    instant,
    oracle_disposes,
    oracle_says,
    read_member,
)

NONE, CONTROLLED, OPEN, OVERDUE = (
    "none",
    "controlled",
    "second_followup_open",
    "second_followup_overdue",
)
REFERRED, EMERGENCY, SCREENING = "referral_recommended", "emergency_referral", "screening"
BOTH = {"conditions": ["hypertension", "diabetes_t2"]}


def a_case(
    events: list[dict[str, Any]], resident: dict[str, Any], *, as_of: str, profile: str
) -> CaseFile:
    """A case in the worked form; born 1968 unless told otherwise."""
    person = {"id": "R1", "birth_date": "1968-02-11"} | resident
    return {
        "id": "asked",
        "profile": profile,
        "resident": person,
        "events": events,
        "as_of": at(as_of),
    }


def ask(
    events: list[dict[str, Any]],
    resident: dict[str, Any] = HYPERTENSIVE,
    *,
    as_of: str,
    profile: str = "wuzhou",
) -> Said:
    """What is said on everything known at that moment; times local, as in ``oracle.told``."""
    case = a_case(events, resident, as_of=as_of, profile=profile)
    crowd, judgement = _judge(case)
    now = datetime.fromisoformat(case["as_of"])
    (said,) = engine_says(crowd, judgement)
    assert said == oracle_says(case, now)
    assert crowd.dispositions == [oracle_disposes(case, now)]
    return said | {"dispositions": crowd.dispositions[0]}


def lateness(
    events: list[dict[str, Any]],
    resident: dict[str, Any] = HYPERTENSIVE,
    *,
    as_of: str,
    profile: str = "wuzhou",
) -> dict[str, tuple[bool, bool]]:
    """By code whether an alert is late, and whether it pages; the engine's own answer."""
    _, judgement = _judge(a_case(events, resident, as_of=as_of, profile=profile))
    table = judgement.alerts
    return {
        AlertCode(code).name: (bool(late), bool(page))
        for code, late, page in zip(table.code, table.late, table.page, strict=True)
    }


def _judge(case: CaseFile) -> tuple[Crowd, Judgement]:
    now = datetime.fromisoformat(case["as_of"])
    crowd = gather([read_member(case)], now)
    return crowd, judge(crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=instant(now))


def follow(
    events: list[dict[str, Any]],
    resident: dict[str, Any] = HYPERTENSIVE,
    *,
    as_of: str,
    profile: str = "wuzhou",
) -> dict[str, Any]:
    """What is said in the end when somebody looked at every step: lateness, what was cancelled."""
    found = evaluate_case(a_case(events, resident, as_of=as_of, profile=profile))
    require_every_field(a_case(events, resident, as_of=as_of, profile=profile), found)
    return found


def require_every_field(case: CaseFile, found: dict[str, Any] | None = None) -> None:
    """That engine and plain evaluator, looking step by step, agree in every field of a result."""
    found = evaluate_case(case) if found is None else found
    expected = evaluate_plainly(case)

    def key(alert: dict[str, Any]) -> tuple[str, ...]:
        return alert["condition"], alert["code"], alert["anchor"]

    assert sorted(found["alerts"], key=key) == sorted(expected["alerts"], key=key)
    for name in ("cases", "dispositions", "high_normal_on"):
        assert found[name] == expected[name]
    assert sorted(found["needs_third_reading"]) == sorted(expected["needs_third_reading"])


def state(said: Said, condition: str = "hypertension") -> str:
    """The state of a case."""
    return str(said["cases"].get(condition, {"state": NONE})["state"])


def brief(said: Said, condition: str = "hypertension") -> tuple[object, ...]:
    """State, count, and the one day that is due."""
    case = said["cases"].get(condition)
    if case is None:
        return NONE, 0, None
    due = case["second_followup_due"] or case["referral_followup_due"]
    return case["state"], case["consecutive_unsatisfied"], due


def alerts(said: Said) -> list[str]:
    """``CODE anchor status`` of each alert, in order of these words."""
    return sorted(
        f"{code} {anchor} {alert['status']}" for (_, code, anchor), alert in said["alerts"].items()
    )


def codes(said: Said) -> set[str]:
    """Codes of the active alerts."""
    return {code for (_, code, _), alert in said["alerts"].items() if alert["status"] == "active"}
