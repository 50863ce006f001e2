"""The promise: an emergency is seen on one reading alone, in any setting, at its exact limit."""

import numpy as np
import pytest

from rules.codes import AlertCode
from rules.emergencies import flag_emergencies
from rules.errors import ShapeError
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import Row, a_blood_pressure, a_glucose, readings_of

HIGH, LOW = "GLU_EMERGENCY_HIGH", "GLU_EMERGENCY_LOW"


@pytest.mark.parametrize("profile", ["wuzhou", "cn_nbphs_2017"])
@pytest.mark.parametrize(
    ("row", "pregnant", "code"),
    [
        pytest.param(a_blood_pressure("179.9", "109.9"), False, None, id="both-just-below"),
        pytest.param(a_blood_pressure(180, 60), False, "BP_EMERGENCY", id="systolic-at-limit"),
        pytest.param(a_blood_pressure(158, 110), False, "BP_EMERGENCY", id="diastolic-at-limit"),
        pytest.param(
            a_blood_pressure(24, 12, unit="kPa"), False, "BP_EMERGENCY", id="24.0-kilopascal"
        ),
        pytest.param(a_blood_pressure("23.99", 12, unit="kPa"), False, None, id="23.99-kilopascal"),
        pytest.param(
            a_blood_pressure(182, 90, setting="home"), False, "BP_EMERGENCY", id="at-home"
        ),
        pytest.param(
            a_blood_pressure(182, 90, setting="ambulatory"), False, "BP_EMERGENCY", id="ambulatory"
        ),
        pytest.param(a_blood_pressure(182, 90, countable=False), False, None, id="not-countable"),
        pytest.param(a_blood_pressure(140, 60), True, "BP_PREG_HIGH", id="pregnant-140"),
        pytest.param(a_blood_pressure(120, 90), True, "BP_PREG_HIGH", id="pregnant-90"),
        pytest.param(a_blood_pressure("139.9", "89.9"), True, None, id="pregnant-just-below"),
        pytest.param(a_blood_pressure(140, 90), False, None, id="not-pregnant-140"),
        pytest.param(a_blood_pressure(180, 90), True, "BP_EMERGENCY", id="the-graver-of-two"),
        pytest.param(a_glucose("16.7", meal_context="random"), False, HIGH, id="16.7"),
        pytest.param(a_glucose("16.6999"), False, None, id="just-below-16.7"),
        pytest.param(a_glucose(300, unit="mg/dL"), False, HIGH, id="300-mg-dl"),
        pytest.param(a_glucose("3.9"), False, LOW, id="3.9"),
        pytest.param(a_glucose("3.9001"), False, None, id="just-above-3.9"),
        pytest.param(a_glucose(70, unit="mg/dL"), False, LOW, id="70-mg-dl"),
        pytest.param(a_glucose(None, unit=None, range_status=1), False, HIGH, id="meter-says-hi"),
        pytest.param(a_glucose(None, unit=None, range_status=-1), False, LOW, id="meter-says-lo"),
        pytest.param(a_glucose("8.0", range_status=1), False, None, id="a-number-beats-the-status"),
        pytest.param(a_glucose("2.0", countable=False), False, None, id="control-solution"),
    ],
)
def test_emergency_at_its_limit(
    profile: str, row: Row, code: str | None, *, pregnant: bool
) -> None:
    flags = flag_emergencies(readings_of([row]), np.array([pregnant]), load_profile(profile))

    assert [AlertCode(flag).name if flag else None for flag in flags] == [code]


def test_no_readings_no_flags() -> None:
    flags = flag_emergencies(readings_of([]), np.zeros(0, dtype=np.bool_), load_profile("wuzhou"))

    assert flags.shape == (0,)


def test_unaligned_pregnancy_column_is_refused() -> None:
    with pytest.raises(ShapeError, match="pregnant"):
        flag_emergencies(
            readings_of([a_glucose()]), np.zeros(2, dtype=np.bool_), load_profile("wuzhou")
        )
