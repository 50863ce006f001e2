"""The promise: what is shown never seems to touch a limit that it did not reach."""

import doctest

import pytest

from rules import explain
from rules.codes import AlertCode
from rules.explain import limit_of, observed_text
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import Row, a_blood_pressure, a_glucose, readings_of


@pytest.mark.parametrize(
    ("row", "text"),
    [
        pytest.param(a_blood_pressure(146, 92), "146/92 mmHg", id="whole"),
        pytest.param(a_blood_pressure("140.0001", 92), "140.0001/92 mmHg", id="as-reported"),
        pytest.param(
            a_blood_pressure("18.66", 12, unit="kPa"), "139.96/90 mmHg", id="converted-is-cut"
        ),
        pytest.param(a_glucose("7.4"), "7.4 mmol/L", id="glucose"),
        pytest.param(a_glucose(126, unit="mg/dL"), "7.0 mmol/L", id="one-decimal-at-least"),
        pytest.param(a_glucose("6.9999"), "6.9999 mmol/L", id="not-rounded-to-the-limit"),
        pytest.param(a_glucose(None, unit=None, range_status=1), "HI", id="hi"),
        pytest.param(a_glucose(None, unit=None, range_status=-1), "LO", id="lo"),
    ],
)
def test_observed_text(row: Row, text: str) -> None:
    columns = readings_of([row])

    assert text == observed_text(
        systolic_mmhg_e13=int(columns.systolic_mmhg_e13[0]),
        diastolic_mmhg_e13=int(columns.diastolic_mmhg_e13[0]),
        glucose_mmol_l_e4=int(columns.glucose_mmol_l_e4[0]),
        range_status=int(columns.range_status[0]),
    )


@pytest.mark.parametrize(
    ("profile", "code", "threshold"),
    [
        ("wuzhou", AlertCode.BP_UNSATISFIED_1, "> 140/90 mmHg"),
        ("cn_nbphs_2017", AlertCode.BP_UNSATISFIED_2, ">= 140/90 mmHg; from 65 years 150/90"),
        ("wuzhou", AlertCode.BP_EMERGENCY, ">= 180/110 mmHg"),
        ("wuzhou", AlertCode.GLU_UNSATISFIED_1, "> 7.0 mmol/L"),
        ("wuzhou", AlertCode.GLU_EMERGENCY_LOW, "<= 3.9 mmol/L"),
        ("wuzhou", AlertCode.SCREEN_HTN_SUSPECTED, "> 140/90 mmHg on 3 local days within 90"),
        ("wuzhou", AlertCode.FOLLOWUP_OVERDUE, "within 14 days"),
    ],
)
def test_limit_text(profile: str, code: AlertCode, threshold: str) -> None:
    limit = limit_of(load_profile(profile), code)

    assert limit.threshold == threshold
    assert limit.source


def test_every_alert_of_the_engine_has_a_limit_and_a_source() -> None:
    later = {"BP_INTERARM_DIFF", "ADR_1", "ADR_2", "COMPLICATION", "ROUTINE_OVERDUE"}

    for code in AlertCode:
        if code.name not in later:
            assert limit_of(load_profile("wuzhou"), code).source


def test_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(explain).failed == 0
