"""Events and cases as a test writes them: defaults, and only what matters. Local times."""

from typing import Any

from simulators.oracle.evaluate import evaluate_case

HYPERTENSIVE: dict[str, Any] = {"conditions": ["hypertension"]}
DIABETIC: dict[str, Any] = {"conditions": ["diabetes_t2"]}
HEALTHY: dict[str, Any] = {"conditions": []}
PREGNANT: dict[str, Any] = {"conditions": [], "birth_date": "1994-05-05", "pregnant": True}


def at(day_and_time: str) -> str:
    """``"03-02 09:00"`` in the cases' year and zone; a year and seconds may be given."""
    day, time = day_and_time.split(" ")
    day = day if day.count("-") == 2 else f"2026-{day}"
    return f"{day}T{time}{':00' if time.count(':') == 1 else ''}+08:00"


def bp(name: str, when: str, high: object, low: object, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """A blood pressure, received when it was measured unless told otherwise."""
    values = {"sbp": high, "dbp": low, "unit": "mm[Hg]", "setting": "office"}
    return _reading(name, when, kind="bp", device="BP-A", **(values | fields))


def glu(
    name: str,
    when: str,
    value: object,
    context: str = "fasting",
    **fields: Any,  # noqa: ANN401 - passed on
) -> dict[str, Any]:
    """A glucose value, likewise."""
    values = {"value": value, "unit": "mmol/L", "context": context}
    return _reading(name, when, kind="glucose", device="GL-A", **(values | fields))


def _reading(name: str, when: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    received = at(fields.pop("received", when))
    measured = {"measured_at": at(when), "received_at": received, "seq": None}
    return {"type": "reading", "event_id": name, "resident": "R1"} | measured | fields


def visit(
    name: str,
    when: str,
    *findings: str,
    condition: str = "hypertension",
    **fields: Any,  # noqa: ANN401 - passed on
) -> dict[str, Any]:
    """A recorded visit with its findings."""
    told = {"type": "visit", "event_id": name, "condition": condition, "at": at(when)}
    return told | {"findings": list(findings)} | fields


def recorded(kind: str, name: str, when: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """A referral follow-up or an override (of hypertension), a closure, a return."""
    told: dict[str, Any] = {"type": kind, "event_id": name, "at": at(when)}
    if kind in {"referral_followup", "override", "reschedule"}:
        told["condition"] = "hypertension"
    return told | fields


def later(kind: str, name: str, when: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """A context, a correction or a retraction."""
    return {"type": kind, "event_id": name, "received_at": at(when)} | fields


def judge(
    events: list[dict[str, Any]],
    resident: dict[str, Any] = HYPERTENSIVE,
    *,
    as_of: str,
    profile: str = "cn_nbphs_2017",
) -> dict[str, Any]:
    """What the plain evaluator says."""
    person = {"id": "R1", "birth_date": "1968-02-11"} | resident
    return evaluate_case(
        {"profile": profile, "resident": person, "events": events, "as_of": at(as_of)}
    )


def alerts(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Code, anchor and status of each alert, by code and anchor."""
    return sorted((each["code"], each["anchor"], each["status"]) for each in result["alerts"])


def alert(result: dict[str, Any], code: str) -> dict[str, Any]:
    """The one alert of that code."""
    (found,) = [each for each in result["alerts"] if each["code"] == code]
    return dict(found)


def state(result: dict[str, Any], condition: str = "hypertension") -> str:
    """The state of a case."""
    return str(result["cases"].get(condition, {"state": "none"})["state"])


def brief(result: dict[str, Any], condition: str = "hypertension") -> tuple[object, ...]:
    """State, count, and the one day that is due."""
    case = result["cases"][condition]
    due = case["second_followup_due"] or case["referral_followup_due"]
    return case["state"], case["consecutive_unsatisfied"], due
