"""The promise: nothing is judged on a guess, and the reason given is the first of the table's."""

from typing import Any

import pytest

from rules.columns import KIND_BLOOD_PRESSURE, KIND_GLUCOSE, MISSING
from rules.quality import Disposition, assay
from rules.reported import (
    NO_UNIT,
    NOT_A_NUMBER,
    STATUS_BODY_MOVEMENT,
    STATUS_CUFF_LOOSE,
    STATUS_FAILED_TEST,
    STATUS_IMPROPER_POSITION,
    STATUS_IRREGULAR_PULSE,
    STATUS_RESULT_TOO_HIGH,
    STATUS_RESULT_TOO_LOW,
    STATUS_TIME_FAULT,
)
from rules.units import (
    UNIT_KG_L,
    UNIT_KPA,
    UNIT_MG_DL,
    UNIT_MMHG,
    UNIT_MMOL_L,
    UNIT_MOL_L,
)
from tests.unit.rules.rules_builders import MMHG, reported

D = Disposition
BOTH = STATUS_RESULT_TOO_HIGH | STATUS_RESULT_TOO_LOW
SUGAR: dict[str, Any] = {
    "kind": KIND_GLUCOSE,
    "systolic_e4": MISSING,
    "diastolic_e4": MISSING,
    "unit": UNIT_MMOL_L,
    "glucose_e7": 56_000_000,
}


def dispose(**columns: Any) -> Disposition:  # noqa: ANN401 - columns by name
    (found,) = assay(reported(**columns)).disposition
    return Disposition(found)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({}, D.ACCEPTED, id="plain"),
        pytest.param({"unit": NO_UNIT}, D.QUARANTINED_MISSING_UNIT, id="no-unit"),
        pytest.param({"systolic_e4": MISSING}, D.QUARANTINED_NOT_A_NUMBER, id="no-systolic"),
        pytest.param({"diastolic_e4": MISSING}, D.QUARANTINED_NOT_A_NUMBER, id="no-diastolic"),
        pytest.param({"systolic_e4": NOT_A_NUMBER}, D.QUARANTINED_NOT_A_NUMBER, id="systolic-nan"),
        pytest.param({"diastolic_e4": NOT_A_NUMBER}, D.QUARANTINED_NOT_A_NUMBER, id="nan"),
        pytest.param({"systolic_e4": 780_000}, D.QUARANTINED_IMPLAUSIBLE, id="equal-sides"),
        pytest.param({"systolic_e4": -5}, D.QUARANTINED_IMPLAUSIBLE, id="negative"),
        pytest.param({"systolic_e4": 1 << 60}, D.QUARANTINED_IMPLAUSIBLE, id="absurd"),
        pytest.param({"status": STATUS_BODY_MOVEMENT}, D.QUARANTINED_DEVICE_STATUS, id="moved"),
        pytest.param({"status": STATUS_CUFF_LOOSE}, D.QUARANTINED_DEVICE_STATUS, id="loose"),
        pytest.param(
            {"status": STATUS_IMPROPER_POSITION}, D.QUARANTINED_DEVICE_STATUS, id="position"
        ),
        pytest.param({"status": STATUS_IRREGULAR_PULSE}, D.ACCEPTED, id="irregular-pulse"),
        pytest.param({"status": STATUS_TIME_FAULT}, D.ACCEPTED, id="time-fault"),
        pytest.param({"status": STATUS_RESULT_TOO_HIGH}, D.ACCEPTED, id="no-bit-of-a-cuff"),
        pytest.param({"status": STATUS_FAILED_TEST}, D.ACCEPTED, id="no-failed-test-of-a-cuff"),
        pytest.param(
            {"unit": NO_UNIT, "systolic_e4": NOT_A_NUMBER, "status": STATUS_CUFF_LOOSE},
            D.QUARANTINED_MISSING_UNIT,
            id="the-unit-comes-first",
        ),
        pytest.param(
            {"systolic_e4": NOT_A_NUMBER, "status": STATUS_CUFF_LOOSE},
            D.QUARANTINED_NOT_A_NUMBER,
            id="then-the-number",
        ),
        pytest.param(
            {"systolic_e4": 10, "status": STATUS_CUFF_LOOSE},
            D.QUARANTINED_IMPLAUSIBLE,
            id="then-plausibility",
        ),
        pytest.param(
            {"systolic_e4": 186_651, "diastolic_e4": 110_050, "unit": UNIT_KPA},
            D.ACCEPTED,
            id="four-decimals-of-a-kilopascal",
        ),
    ],
)
def test_disposition_of_a_pressure(columns: dict[str, Any], expected: Disposition) -> None:
    assert dispose(**columns) is expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({}, D.ACCEPTED, id="plain"),
        pytest.param({"unit": NO_UNIT}, D.QUARANTINED_MISSING_UNIT, id="no-unit"),
        pytest.param({"unit": 9}, D.QUARANTINED_IMPLAUSIBLE, id="no-unit-of-ours"),
        pytest.param({"glucose_e7": MISSING}, D.QUARANTINED_NOT_A_NUMBER, id="no-number"),
        pytest.param({"glucose_e7": NOT_A_NUMBER}, D.QUARANTINED_NOT_A_NUMBER, id="nan"),
        pytest.param({"glucose_e7": 0}, D.QUARANTINED_IMPLAUSIBLE, id="zero"),
        pytest.param({"glucose_e7": 70_000_100}, D.QUARANTINED_IMPLAUSIBLE, id="five-decimals"),
        pytest.param({"status": STATUS_BODY_MOVEMENT}, D.ACCEPTED, id="no-bit-of-a-meter"),
        *(
            pytest.param({"status": 1 << bit}, D.QUARANTINED_DEVICE_STATUS, id=f"failed-test-{bit}")
            for bit in range(16)
            if STATUS_FAILED_TEST >> bit & 1
        ),
        pytest.param({"status": STATUS_RESULT_TOO_HIGH}, D.ACCEPTED, id="a-number-beats-hi"),
        pytest.param({"status": BOTH}, D.ACCEPTED, id="a-number-beats-both"),
        pytest.param(
            {"glucose_e7": MISSING, "status": STATUS_RESULT_TOO_HIGH}, D.ACCEPTED, id="hi"
        ),
        pytest.param(
            {"glucose_e7": NOT_A_NUMBER, "unit": NO_UNIT, "status": STATUS_RESULT_TOO_LOW},
            D.ACCEPTED,
            id="lo-needs-no-unit",
        ),
        pytest.param(
            {"glucose_e7": MISSING, "unit": NO_UNIT, "status": BOTH},
            D.QUARANTINED_DEVICE_STATUS,
            id="hi-and-lo-at-once",
        ),
        pytest.param({"control_solution": True}, D.EXCLUDED_CONTROL_SOLUTION, id="control"),
        pytest.param(
            {"control_solution": True, "unit": NO_UNIT},
            D.QUARANTINED_MISSING_UNIT,
            id="the-unit-comes-first",
        ),
        pytest.param(
            {"control_solution": True, "glucose_e7": 0},
            D.QUARANTINED_IMPLAUSIBLE,
            id="then-plausibility",
        ),
        pytest.param(
            {"control_solution": True, "glucose_e7": MISSING, "status": STATUS_RESULT_TOO_HIGH},
            D.EXCLUDED_CONTROL_SOLUTION,
            id="hi-of-a-control-solution",
        ),
    ],
)
def test_disposition_of_glucose(columns: dict[str, Any], expected: Disposition) -> None:
    assert dispose(**SUGAR | columns) is expected


def test_values_are_in_the_units_of_the_limits() -> None:
    pressures = assay(
        reported(
            systolic_e4=[1_400_000, 187_000],
            diastolic_e4=[900_000, 120_000],
            unit=[UNIT_MMHG, UNIT_KPA],
        )
    )
    sugars = assay(
        reported(
            **SUGAR
            | {
                "glucose_e7": [70_000_000, 1_260_000_000, 70_000, 12_600],
                "unit": [UNIT_MMOL_L, UNIT_MG_DL, UNIT_MOL_L, UNIT_KG_L],
            }
        )
    )

    assert pressures.systolic_mmhg_e13.tolist() == [140 * MMHG, 1_870 * 750_061_575_846]
    assert pressures.diastolic_mmhg_e13.tolist() == [90 * MMHG, 1_200 * 750_061_575_846]
    assert pressures.glucose_mmol_l_e4.tolist() == [MISSING] * 2
    assert sugars.glucose_mmol_l_e4.tolist() == [70_000] * 4
    assert sugars.systolic_mmhg_e13.tolist() == [MISSING] * 4
    assert sugars.disposition.tolist() == [D.ACCEPTED] * 4


@pytest.mark.parametrize(
    ("status", "number", "kind", "expected"),
    [
        pytest.param(STATUS_RESULT_TOO_HIGH, MISSING, KIND_GLUCOSE, 1, id="hi"),
        pytest.param(STATUS_RESULT_TOO_LOW, NOT_A_NUMBER, KIND_GLUCOSE, -1, id="lo"),
        pytest.param(BOTH, MISSING, KIND_GLUCOSE, 0, id="both-say-nothing"),
        pytest.param(STATUS_RESULT_TOO_HIGH, 56_000_000, KIND_GLUCOSE, 0, id="a-number"),
        pytest.param(0, MISSING, KIND_GLUCOSE, 0, id="no-bit"),
        pytest.param(BOTH, MISSING, KIND_BLOOD_PRESSURE, 0, id="a-cuff-never-says-it"),
    ],
)
def test_range_status_stands_where_there_is_no_number(
    status: int, number: int, kind: int, expected: int
) -> None:
    found = assay(reported(**SUGAR | {"kind": kind, "glucose_e7": number, "status": status}))

    assert found.range_status.tolist() == [expected]
