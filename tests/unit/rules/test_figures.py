"""The promise: what is shown never seems to touch a limit that it did not reach."""

import doctest

import pytest

from rules.columns import MISSING, RANGE_HIGH, RANGE_LOW
from rules.explain import figures
from rules.explain.figures import mmhg_text, observed_text

MMHG = 10**13
KPA = 75_006_157_584_600  # 1e-13 mmHg.


@pytest.mark.parametrize(
    ("pressure", "count", "text"),
    [
        pytest.param((146 * MMHG, 92 * MMHG), 1, "146/92 mmHg", id="whole"),
        pytest.param((MMHG * 1_400_001 // 10_000, 92 * MMHG), 1, "140.0001/92 mmHg", id="reported"),
        pytest.param((1866 * KPA // 100, 12 * KPA), 1, "139.96/90.007 mmHg", id="converted-is-cut"),
        pytest.param((421 * MMHG, 269 * MMHG), 3, "140.33/89.66 mmHg, mean of 3", id="mean-is-cut"),
        pytest.param((140 * MMHG + 10**8, 1), 1, "140.00001/0.0000000000001 mmHg", id="not-whole"),
    ],
)
def test_a_pressure_is_cut_and_never_to_a_whole_number(
    pressure: tuple[int, int], count: int, text: str
) -> None:
    systolic, diastolic = pressure

    assert text == observed_text(
        systolic_mmhg_e13=systolic, diastolic_mmhg_e13=diastolic, count=count
    )


@pytest.mark.parametrize(
    ("glucose_e4", "range_status", "text"),
    [
        (74_000, 0, "7.4 mmol/L"),
        (70_000, 0, "7.0 mmol/L"),
        (69_999, 0, "6.9999 mmol/L"),
        (MISSING, RANGE_HIGH, "HI"),
        (MISSING, RANGE_LOW, "LO"),
        (MISSING, 0, "no value"),
    ],
)
def test_a_glucose_value_is_shown_exactly(glucose_e4: int, range_status: int, text: str) -> None:
    assert text == observed_text(glucose_mmol_l_e4=glucose_e4, range_status=range_status)


def test_differences_are_cut_like_values() -> None:
    assert mmhg_text(33 * MMHG // 100) == "0.33"


def test_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(figures).failed == 0
