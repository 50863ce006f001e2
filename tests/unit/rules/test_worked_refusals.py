"""The promise: what cannot be read of a worked case is refused, naming case, event and field."""

from decimal import Decimal
from typing import Any

import pytest

from rules.worked.errors import CaseFileError
from rules.worked.evaluate import evaluate_case
from tests.unit.rules.oracle.told import bp, glu, later, recorded, visit
from tests.unit.rules.rules_questions import a_case

READING = bp("e1", "03-02 09:00", 152, 94)


def read(told: list[Any], **changes: object) -> dict[str, Any]:
    resident = {"id": "R1", "conditions": ["hypertension"]}
    case = a_case(told, resident, as_of="03-05 09:00", profile="wuzhou")
    return evaluate_case(case | {"id": "C9"} | changes)


def correction(**said: object) -> dict[str, Any]:
    return later("correction", "c1", "03-03 09:00", target="e1", set=said)


VISIT = visit("v1", "03-02 09:00")
OVERRIDE = recorded("override", "o1", "03-02 09:00", state="screening")
CLOSURE = recorded("closure", "x1", "03-02 09:00", reason="moved")
CONTEXT = later("context", "c1", "03-03 09:00", device="G", seq=1, context="fasting")
RETRACTION = later("retraction", "r1", "03-03 09:00", target="e1")
BAD: list[tuple[dict[str, Any], str, list[Any]]] = [
    (READING, "kind", ["pulse", None, []]),
    (READING, "type", ["rumour", None, []]),
    (READING, "sbp", [True, 152.5, [152]]),
    (READING, "arm", ["foot", ["left"]]),
    (READING, "setting", ["car", 1, {}]),
    (READING, "status", ["ok", True, 1 << 62]),
    (READING, "seq", ["7", 7.0, True]),
    (READING, "device", [5, ""]),
    (READING, "stored_record", ["yes", 1]),
    (READING, "measured_at", ["today", 5]),
    (READING, "received_at", [None, "2026-13-01"]),
    (glu("g1", "03-02 09:00", 7), "context", ["hungry", ["fasting"]]),
    (VISIT, "condition", ["asthma", []]),
    (VISIT, "findings", [["cough"], "adverse_drug_reaction", 5, [["worse"]], {"new": 1}]),
    (VISIT, "mode", ["letter", []]),
    (VISIT, "at", [None, "noon"]),
    (OVERRIDE, "state", [None, "better", []]),
    (OVERRIDE, "due", ["soon"]),
    (CLOSURE, "reason", [None, "ill"]),
    (RETRACTION, "target", [None, ""]),
    (correction(sbp=150), "target", [None, 7]),
    (correction(sbp=150), "set", [None, {}, [1]]),
    (CONTEXT, "context", ["hungry"]),
    (CONTEXT, "device", [None]),
]


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        pytest.param(event, field, value, id=f"{event['type']}-{field}-{value}")
        for event, field, values in BAD
        for value in values
    ],
)
def test_an_event_is_refused_with_its_place(
    event: dict[str, Any], field: str, value: object
) -> None:
    with pytest.raises(CaseFileError) as refusal:
        read([event | {field: value}])

    place = f"{event['event_id']}.{field}"
    assert (refusal.value.case, refusal.value.where) == ("C9", place)
    assert str(refusal.value).startswith(f"case C9: {place}: is ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("name", "place"), [(None, "events[0]"), ("", "events[0]"), (7, "7")])
def test_an_event_without_a_usable_id_is_refused(name: object, place: str) -> None:
    with pytest.raises(CaseFileError, match="write a text") as refusal:
        read([READING | {"event_id": name}])

    assert refusal.value.where == f"{place}.event_id"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sbp", True),
        ("arm", "foot"),
        ("setting", "car"),
        ("status", "ok"),
        ("measured_at", None),
        ("resident", None),
        ("pulse", 70),
    ],
)
def test_a_correction_is_refused_with_its_place(field: str, value: object) -> None:
    with pytest.raises(CaseFileError) as refusal:
        read([READING, correction(**{field: value})])

    assert refusal.value.where == f"c1.set.{field}"


@pytest.mark.parametrize("event", [1, None, "reading", [READING]])
def test_an_event_that_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(CaseFileError, match=r"events\[1\]"):
        read([READING, event])


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("case.profile", {"profile": "nobody"}),
        ("case.profile", {"profile": None}),
        ("case.profile", {"profile": ["wuzhou"]}),
        ("case.as_of", {"as_of": None}),
        ("case.as_of", {"as_of": "tomorrow"}),
        ("case.resident", {"resident": None}),
        ("case.resident", {"events": {}}),
        ("resident.birth_date", {"resident": {"id": "R1", "birth_date": "1968"}}),
        ("resident.enrolled_on", {"resident": {"id": "R1", "enrolled_on": 2020}}),
        ("resident.conditions", {"resident": {"id": "R1", "conditions": "hypertension"}}),
        ("resident.conditions[0].condition", {"resident": {"id": "R1", "conditions": [5]}}),
        (
            "resident.conditions[0].since",
            {"resident": {"id": "R1", "conditions": [{"condition": "x", "since": "2020"}]}},
        ),
        ("resident.pregnant", {"resident": {"id": "R1", "pregnant": "yes"}}),
        (
            "resident.lactating[0].until",
            {"resident": {"id": "R1", "lactating": {"since": "2026-01-01", "until": "June"}}},
        ),
    ],
)
def test_a_case_is_refused_with_its_place(place: str, changes: dict[str, Any]) -> None:
    with pytest.raises(CaseFileError) as refusal:
        read([READING], **changes)

    assert (refusal.value.case, refusal.value.where) == ("C9", place)


def test_an_unknown_profile_says_which_there_are() -> None:
    with pytest.raises(CaseFileError, match="there are cn_nbphs_2017, who_hearts, wuzhou"):
        read([READING], profile="nobody")


@pytest.mark.parametrize(
    ("value", "disposition"),
    [
        pytest.param("NaN", "quarantined:not_a_number", id="what-the-device-said"),
        pytest.param("0Hi", "quarantined:not_a_number", id="text"),
        pytest.param(None, "quarantined:not_a_number", id="null"),
        pytest.param(Decimal("1e400"), "quarantined:implausible", id="absurd"),
        pytest.param(Decimal("1e-400"), "quarantined:implausible", id="no-instrument-has-them"),
        pytest.param(Decimal("152.00001"), "quarantined:implausible", id="five-decimals"),
        pytest.param(10**400, "quarantined:implausible", id="huge"),
        pytest.param(-152, "quarantined:implausible", id="negative"),
        pytest.param(Decimal("Infinity"), "quarantined:not_a_number", id="infinite"),
    ],
)
def test_a_bad_value_is_quarantined_and_never_refused(value: object, disposition: str) -> None:
    found = read([READING | {"sbp": value}])

    assert found["dispositions"] == {"e1": disposition}
    assert (found["alerts"], found["cases"]) == ([], {})


@pytest.mark.parametrize("unit", [None, "", "bar", "mmol/L", 3, [], {}])
def test_a_unit_that_is_none_of_pressure_is_never_guessed(unit: object) -> None:
    found = read([READING | {"unit": unit}])

    assert found["dispositions"] == {"e1": "quarantined:missing_unit"}


def test_a_case_without_an_id_is_named_so() -> None:
    with pytest.raises(CaseFileError, match=r"case without id: case\.as_of"):
        evaluate_case({"resident": {}, "events": [], "profile": "wuzhou"})
