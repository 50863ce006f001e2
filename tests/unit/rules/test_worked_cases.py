"""The promise: every worked case comes out as written; a file that cannot be read says where."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rules.indicator_cases import evaluate_indicator_case
from rules.worked.compare import differences
from rules.worked.evaluate import evaluate_case
from tests.unit.rules.oracle.told import at, bp, glu
from tests.unit.rules.rules_questions import a_case

FILE = Path(__file__).parent / "data" / "clinical_cases.json"
CONTENT = json.loads(FILE.read_text(encoding="utf-8"), parse_float=Decimal)
CASES, INDICATORS = CONTENT["cases"], CONTENT["indicator_cases"]
READING = bp("e1", "03-02 09:00", 152, 94)


def test_there_are_forty_cases_and_two_of_indicators() -> None:
    assert (len(CASES), len(INDICATORS)) == (40, 2)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_a_case_comes_out_as_written(case: dict[str, Any]) -> None:
    asked = {"needs_third_reading": case.get("needs_third_reading", [])}

    assert differences(case["expected"] | asked, evaluate_case(case)) == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in INDICATORS])
def test_an_indicator_case_comes_out_as_written(case: dict[str, Any]) -> None:
    found = evaluate_indicator_case(case)

    assert {name: found[name] for name in case["expected"]} == case["expected"]


def asked(**changes: object) -> dict[str, Any]:
    """A case with one unsatisfied reading, changed."""
    case = a_case(
        [READING], {"conditions": ["hypertension"]}, as_of="03-05 09:00", profile="wuzhou"
    )
    return case | changes


def expected_of(found: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({name: found[name] for name in ("alerts", "cases", "dispositions")})


def test_a_result_does_not_differ_from_itself() -> None:
    found = evaluate_case(asked())

    assert differences(expected_of(found) | {"normalized": found["normalized"]}, found) == []


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        pytest.param("alerts", [], "alert not expected: ", id="one-too-many"),
        pytest.param("alerts", [{"code": "ADR_1"}], "alert missing: code ADR_1", id="missing"),
        pytest.param(
            "alerts",
            [{"code": "BP_UNSATISFIED_1", "late": True}],
            "alert missing: code BP_UNSATISFIED_1, late True",
            id="other-field",
        ),
        pytest.param(
            "cases",
            {},
            "case hypertension: state is second_followup_open, expected none",
            id="not-named-is-none",
        ),
        pytest.param(
            "cases",
            {"hypertension": {"consecutive_unsatisfied": 2}},
            "case hypertension: consecutive_unsatisfied is 1, expected 2",
            id="count",
        ),
        pytest.param(
            "cases",
            {"diabetes_t2": {"state": "controlled"}},
            "case diabetes_t2: state is none, expected controlled",
            id="other-condition",
        ),
        pytest.param(
            "dispositions",
            {"e1": "duplicate"},
            "disposition of e1 is accepted, expected duplicate",
            id="disposition",
        ),
        pytest.param(
            "normalized",
            {"e1": {"sbp": Decimal("152.1")}},
            "normalised e1.sbp is 152, expected 152.1",
            id="number",
        ),
        pytest.param(
            "normalized",
            {"e9": {"sbp": 152}},
            "normalised e9.sbp is None, expected 152",
            id="no-such-reading",
        ),
        pytest.param(
            "needs_third_reading",
            ["e1"],
            "third readings asked for [], expected ['e1']",
            id="third",
        ),
    ],
)
def test_a_difference_is_named(part: str, change: object, told: str) -> None:
    found = evaluate_case(asked())

    lines = differences(expected_of(found) | {part: change}, found)

    assert any(line.startswith(told) for line in lines), lines


def test_a_disposition_that_nobody_expects_is_named() -> None:
    found = evaluate_case(asked(events=[READING | {"unit": None}, READING]))

    assert differences({"cases": found["cases"]}, found) == []  # The first was delivered again.
    found = evaluate_case(asked(events=[READING | {"unit": None}]))
    assert differences({}, found) == [
        "disposition of e1 is quarantined:missing_unit, expected accepted"
    ]


@pytest.mark.parametrize(
    ("value", "unit", "field", "shown"),
    [
        pytest.param(("18.6", "11"), "kPa", "sbp", Decimal("139.5"), id="to-the-digits-given"),
        pytest.param(("18.6", "11"), "kPa", "sbp", Decimal("139.511453107356"), id="exactly"),
        pytest.param(("18.6", "11"), "kPa", "unit", "mmHg", id="either-name-of-the-unit"),
    ],
)
def test_normalised_numbers_agree_to_the_digits_given(
    value: tuple[str, str], unit: str, field: str, shown: object
) -> None:
    reading = bp("e1", "03-02 09:00", Decimal(value[0]), Decimal(value[1]), unit=unit)
    found = evaluate_case(asked(events=[reading]))

    lines = differences({"normalized": {"e1": {field: shown}}}, found)

    assert not [line for line in lines if line.startswith("normalised")]


def test_what_is_normalised_is_shown_with_its_time() -> None:
    odd = [
        glu("g1", "03-02 09:00", 126, unit="mg/dL"),
        glu("g2", "03-03 09:00", None, unit=None, status=1 << 5),
        bp(
            "e1", "03-04 09:00", 120, 70, received="03-04 09:00", measured_at=at("2014-01-01 09:00")
        ),
        bp("e2", "03-04 10:00", 120, 70, unit="bar"),
    ]

    found = evaluate_case(asked(events=odd))["normalized"]

    assert found == {
        "g1": {
            "value": Decimal(7),
            "unit": "mmol/L",
            "effective_at": "2026-03-02T09:00:00+08:00",
            "time_suspect": False,
        },
        "g2": {
            "unit": "mmol/L",
            "effective_at": "2026-03-03T09:00:00+08:00",
            "time_suspect": False,
        },
        "e1": {
            "sbp": Decimal(120),
            "dbp": Decimal(70),
            "unit": "mm[Hg]",
            "effective_at": "2026-03-04T09:00:00+08:00",
            "time_suspect": True,
        },
        "e2": {
            "unit": "mm[Hg]",
            "effective_at": "2026-03-04T10:00:00+08:00",
            "time_suspect": False,
        },
    }
