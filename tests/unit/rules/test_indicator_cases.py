"""The promise: a worked indicator case comes out as written, or is refused naming the field."""

import copy
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rules.columns import MISSING
from rules.comparison import Sums
from rules.errors import ProfileError
from rules.indicator_cases import IndicatorCaseError, evaluate_indicator_case
from rules.indicator_columns import glucose_controlled, pressure_controlled
from rules.limits import tabulate
from rules.local_time import UNKNOWN_AGE
from rules.profiles import load_profile
from rules.units import MMHG_E13_PER_MMHG

_FILE = Path(__file__).parent / "data" / "clinical_cases.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"), parse_float=Decimal)["indicator_cases"]
_GONE = object()


def a_person(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "id": name,
        "age": 60,
        "condition": "diabetes_t2",
        "face_to_face_dates": ["2026-01-08", "2026-04-02", "2026-07-06", "2026-10-12"],
        "annual_exam": True,
        "last_followup": {"date": "2026-10-12", "fpg": Decimal("6.9")},
        **changes,
    }


def a_case(*managed: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"year": 2026, "estimated_patients": 8, "managed": list(managed), **changes}


def controlled(**last_followup: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether somebody with this last follow-up counts as under control."""
    pressure = "sbp" in last_followup
    person = a_person(
        "P",
        condition="hypertension" if pressure else "diabetes_t2",
        last_followup={"date": "2026-10-12", **last_followup},
    )
    names: list[str] = evaluate_indicator_case(a_case(person))["controlled"]
    return names == ["P"]


@pytest.mark.parametrize("case", _CASES, ids=[case["id"] for case in _CASES])
def test_a_worked_case_comes_out_as_written(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case)

    assert evaluate_indicator_case(case) == case["expected"]
    assert case == before


def test_the_same_form_serves_diabetes() -> None:
    case = a_case(
        a_person("P1"),
        a_person("P2", last_followup={"date": "2026-10-12", "fpg": Decimal("7.0")}),
        a_person("P3", face_to_face_dates=["2026-10-12"] * 4, annual_exam=True),
        a_person("P4", last_followup={"date": "2026-12-01", "lost": True}),
        a_person("P5", annual_exam=False, last_followup=None),
        a_person("P1"),
    )
    assert evaluate_indicator_case(case) == {
        "managed": 5,
        "managed_rate": "5/8 = 62.5%",
        "standard_managed": ["P1", "P2", "P4"],
        "standard_rate": "3/5 = 60%",
        "controlled": ["P1", "P3"],
        "control_rate": "2/5 = 40%",
    }


@pytest.mark.parametrize(
    ("value", "unit", "is_controlled"),
    [
        pytest.param("6.9", "mmol/L", True, id="below"),
        pytest.param("7.0", "mmol/L", False, id="at-the-limit"),
        pytest.param("125", "mg/dL", True, id="6.9-by-mass"),
        pytest.param("126", "mg/dL", False, id="7.0-by-mass"),
        pytest.param("4.0", "mmol/L", True, id="above-the-low-emergency"),
        pytest.param("3.9", "mmol/L", False, id="a-low-emergency"),
    ],
)
def test_fasting_glucose_is_under_control_between_its_limits(
    value: str, unit: str, *, is_controlled: bool
) -> None:
    assert controlled(value=Decimal(value), unit=unit) is is_controlled
    assert controlled(fpg=Decimal(value), unit=unit, context="fasting") is is_controlled
    assert controlled(value=Decimal(value), unit=unit, context="random") is False


@pytest.mark.parametrize(
    ("unit", "systolic", "diastolic", "is_controlled"),
    [
        pytest.param("mmHg", "139", "89", True, id="below"),
        pytest.param("mmHg", "140", "80", False, id="systolic-at-the-limit"),
        pytest.param("mmHg", "120", "90", False, id="diastolic-at-the-limit"),
        pytest.param("kPa", "18.6", "11.9", True, id="kilopascal-are-not-rounded-up"),
        pytest.param("kPa", "18.7", "11.9", False, id="kilopascal-above"),
    ],
)
def test_pressure_is_under_control_below_both_limits(
    unit: str, systolic: str, diastolic: str, *, is_controlled: bool
) -> None:
    assert controlled(sbp=Decimal(systolic), dbp=Decimal(diastolic), unit=unit) is is_controlled


@pytest.mark.parametrize(
    ("person", "is_controlled"),
    [
        pytest.param({"age": 64}, False, id="stated-64"),
        pytest.param({"age": 65}, True, id="stated-65"),
        pytest.param({"age": None}, False, id="unknown"),
        pytest.param({"birth_date": "1961-10-12"}, True, id="on-the-65th-birthday"),
        pytest.param({"birth_date": "1961-10-13", "age": 70}, False, id="the-day-before"),
    ],
)
def test_the_age_on_the_day_of_the_follow_up_picks_the_limit(
    person: dict[str, Any], *, is_controlled: bool
) -> None:
    last = {"date": "2026-10-12", "sbp": 148, "dbp": 84}
    case = a_case(a_person("P", condition="hypertension", last_followup=last, **person))

    assert evaluate_indicator_case(case)["controlled"] == ["P"] * is_controlled


def test_a_case_may_name_another_profile() -> None:
    last = {"date": "2026-10-12", "sbp": 140, "dbp": 90}
    case = a_case(a_person("P", condition="hypertension", last_followup=last), profile="wuzhou")

    assert evaluate_indicator_case(case)["controlled"] == ["P"]
    with pytest.raises(ProfileError):
        evaluate_indicator_case({**case, "profile": "nowhere"})


def test_only_what_falls_in_the_local_year_counts() -> None:
    dates = ["2025-12-31T16:00:00Z", "2026-04-02", "2026-07-06", "2026-12-31T23:59:59+08:00"]
    case = a_case(
        a_person("first-to-last-hour", face_to_face_dates=dates),
        a_person("an-hour-late", face_to_face_dates=[*dates[:3], "2026-12-31T16:00:00Z"]),
        a_person("left-before", managed_from="2024-02-29", managed_until="2025-12-31"),
        a_person("came-after", managed_from="2027-01-01"),
        a_person(
            "value-of-last-year",
            managed_from="2026-06-01",
            managed_until="2026-06-01",
            last_followup={"date": "2025-12-31", "fpg": 6},
        ),
    )
    found = evaluate_indicator_case(case)

    assert found["managed"] == 3
    assert found["standard_managed"] == ["first-to-last-hour", "value-of-last-year"]
    assert found["controlled"] == ["first-to-last-hour", "an-hour-late"]


def test_a_year_without_anybody_has_no_rate() -> None:
    assert evaluate_indicator_case(a_case(estimated_patients=0)) == {
        "managed": 0,
        "managed_rate": "0/0",
        "standard_managed": [],
        "standard_rate": "0/0",
        "controlled": [],
        "control_rate": "0/0",
    }


_LAST = ("managed", 0, "last_followup")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("year",), _GONE, "year"),
        (("year",), "2026", "year"),
        (("year",), 1899, "year"),
        (("estimated_patients",), -1, "estimated_patients"),
        (("estimated_patients",), True, "estimated_patients"),
        (("managed",), {}, "managed"),
        (("managed", 0), "P1", "managed[0]"),
        (("managed", 1, "condition"), "hypertension", "managed[1].condition"),
        (("managed", 0, "condition"), "gout", "managed[0].condition"),
        (("managed", 0, "id"), "", "managed[0].id"),
        (("managed", 0, "age"), 151, "managed[0].age"),
        (("managed", 0, "age"), Decimal("60.5"), "managed[0].age"),
        (("managed", 0, "birth_date"), "2026-02-29", "managed[0].birth_date"),
        (("managed", 0, "annual_exam"), "yes", "managed[0].annual_exam"),
        (("managed", 0, "face_to_face_dates"), _GONE, "managed[0].face_to_face_dates"),
        (("managed", 0, "face_to_face_dates", 1), 7, "managed[0].face_to_face_dates[1]"),
        (("managed", 0, "managed_until"), "2025-12-31", "managed[0].managed_until"),
        ((*_LAST,), [], "managed[0].last_followup"),
        ((*_LAST, "date"), "soon", "managed[0].last_followup.date"),
        ((*_LAST, "date"), "2026-10-12T08:00:00", "managed[0].last_followup.date"),
        ((*_LAST, "date"), "0001-01-01T00:00:00+08:00", "managed[0].last_followup.date"),
        ((*_LAST, "lost"), 1, "managed[0].last_followup.lost"),
        ((*_LAST, "unit"), "mmHg", "managed[0].last_followup.unit"),
        ((*_LAST, "fpg"), _GONE, "managed[0].last_followup.value"),
        ((*_LAST, "fpg"), 6.9, "managed[0].last_followup.fpg"),
        ((*_LAST, "fpg"), 0, "managed[0].last_followup.fpg"),
        ((*_LAST, "fpg"), Decimal("NaN"), "managed[0].last_followup.fpg"),
        ((*_LAST, "fpg"), Decimal("6.99999"), "managed[0].last_followup.fpg"),
        ((*_LAST, "fpg"), Decimal("6." + "9" * 40), "managed[0].last_followup.fpg"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_field(
    path: Sequence[str | int], value: object, field: str
) -> None:
    case: Any = a_case(a_person("P1", managed_from="2026-01-01"), a_person("P2"))
    inside = case
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    if value is _GONE:
        del inside[path[-1]]

    with pytest.raises(IndicatorCaseError) as refused:
        evaluate_indicator_case(case)
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


def test_a_visit_needs_its_offset_from_utc() -> None:
    with pytest.raises(IndicatorCaseError, match="visit_at"):
        evaluate_indicator_case({"visit_at": "2026-12-31T17:00:00"})
    with pytest.raises(IndicatorCaseError, match="case"):
        evaluate_indicator_case([])  # type: ignore[arg-type]


def test_a_mean_is_judged_as_its_sum_and_what_was_not_measured_is_not_under_control() -> None:
    table = tabulate([[load_profile("cn_nbphs_2017")]])
    whole = MMHG_E13_PER_MMHG

    sums = Sums(
        np.array([279 * whole, 280 * whole, MISSING, 120 * whole]),
        np.array([160 * whole, 160 * whole, MISSING, MISSING]),
        count=np.array([2, 2, 1, 1]),
    )

    found = pressure_controlled(sums, np.full(4, UNKNOWN_AGE), table, 0)

    assert found.tolist() == [True, False, False, False]
    assert glucose_controlled(np.array([69_999, MISSING]), table, 0).tolist() == [True, False]
