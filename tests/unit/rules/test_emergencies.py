"""The promise: an emergency is seen on one reading alone, in any setting, at its exact limit."""

from typing import Any

import numpy as np
import pytest

from rules.codes import AlertCode
from rules.columns import KIND_GLUCOSE, MISSING, RANGE_HIGH, RANGE_LOW
from rules.emergencies import flag_emergencies
from rules.errors import ShapeError
from tests.unit.rules.rules_builders import readings
from tests.unit.rules.rules_crowd import LIMITS

HIGH, LOW = "GLU_EMERGENCY_HIGH", "GLU_EMERGENCY_LOW"


def sugar(mmol_l_e4: int, range_status: int = 0, **columns: Any) -> dict[str, Any]:  # noqa: ANN401
    sides = dict.fromkeys(("systolic_mmhg_e13", "diastolic_mmhg_e13"), MISSING)
    return {
        **sides,
        "kind": KIND_GLUCOSE,
        "glucose_mmol_l_e4": mmol_l_e4,
        "range_status": range_status,
        **columns,
    }


def flag(columns: dict[str, Any], *, pregnant: bool = False, row: int = 0) -> str | None:
    (found,) = flag_emergencies(readings(**columns), np.array([pregnant]), LIMITS, row)
    return AlertCode(found).name if found else None


@pytest.mark.parametrize("row", range(len(LIMITS.profiles)))
@pytest.mark.parametrize("setting", [1, 2, 3])
@pytest.mark.parametrize(
    ("systolic", "diastolic", "pregnant", "code"),
    [
        pytest.param(179, 109, False, None, id="both-just-below"),
        pytest.param(180, 60, False, "BP_EMERGENCY", id="systolic-at-limit"),
        pytest.param(158, 110, False, "BP_EMERGENCY", id="diastolic-at-limit"),
        pytest.param(140, 60, True, "BP_PREG_HIGH", id="pregnant-140"),
        pytest.param(120, 90, True, "BP_PREG_HIGH", id="pregnant-90"),
        pytest.param(139, 89, True, None, id="pregnant-just-below"),
        pytest.param(140, 90, False, None, id="not-pregnant-140"),
        pytest.param(180, 90, True, "BP_EMERGENCY", id="the-graver-of-two"),
    ],
)
def test_pressure_at_its_limit(
    systolic: int, diastolic: int, code: str | None, setting: int, row: int, *, pregnant: bool
) -> None:
    columns = {"systolic": systolic, "diastolic": diastolic, "setting": setting}

    assert flag(columns, pregnant=pregnant, row=row) == code


@pytest.mark.parametrize("row", range(len(LIMITS.profiles)))
@pytest.mark.parametrize(
    ("columns", "code"),
    [
        pytest.param(sugar(166_999), None, id="just-below-16.7"),
        pytest.param(sugar(167_000), HIGH, id="16.7"),
        pytest.param(sugar(39_001), None, id="just-above-3.9"),
        pytest.param(sugar(39_000), LOW, id="3.9"),
        pytest.param(sugar(MISSING, RANGE_HIGH), HIGH, id="meter-says-hi"),
        pytest.param(sugar(MISSING, RANGE_LOW), LOW, id="meter-says-lo"),
        pytest.param(sugar(MISSING), None, id="meter-says-nothing"),
        pytest.param(sugar(80_000, RANGE_HIGH), None, id="a-number-beats-hi"),
        pytest.param(sugar(80_000, RANGE_LOW), None, id="a-number-beats-lo"),
        pytest.param(sugar(20_000, countable=False), None, id="low-and-not-countable"),
        pytest.param(sugar(200_000, countable=False), None, id="high-and-not-countable"),
        pytest.param({"systolic": 190, "countable": False}, None, id="pressure-not-countable"),
        pytest.param({"range_status": RANGE_LOW}, None, id="a-cuff-never-says-lo"),
    ],
)
def test_glucose_at_its_limit(columns: dict[str, Any], code: str | None, row: int) -> None:
    assert flag(columns, row=row) == code


def test_each_row_is_flagged_for_itself() -> None:
    columns = {
        "kind": [1, 2, 1, 2, 1],
        "systolic": [190, 0, 120, 0, 145],
        "diastolic": [80, 0, 80, 0, 80],
        "glucose_mmol_l_e4": [MISSING, 20_000, MISSING, 200_000, MISSING],
    }

    flags = flag_emergencies(
        readings(**columns), np.array([False, False, False, False, True]), LIMITS
    )

    names = [AlertCode(each).name if each else None for each in flags]
    assert names == ["BP_EMERGENCY", LOW, None, HIGH, "BP_PREG_HIGH"]


def test_no_readings_no_flags() -> None:
    nothing = readings().take(np.zeros(0, np.intp))

    assert flag_emergencies(nothing, np.zeros(0, dtype=np.bool_), LIMITS).shape == (0,)


@pytest.mark.parametrize("pregnant", [np.zeros(2, np.bool_), np.zeros(1, np.int8)])
def test_an_unfitting_column_of_pregnancies_is_refused(pregnant: Any) -> None:  # noqa: ANN401
    with pytest.raises(ShapeError, match=r"pregnant is .* beside 1 readings"):
        flag_emergencies(readings(), pregnant, LIMITS)
