"""A value in the band of another unit is quarantined, and the detail says what it looks like."""

from decimal import Decimal

import pytest

from gateway.wire.errors import Reason
from tests.unit.gateway.devices.gatt.gatt_builders import glucose_refusal, pressure_refusal

_WRONG_SCALES = [
    pytest.param("120", 0b01110, "mg/dL", id="mg-dl-as-mol-l"),
    pytest.param("5.6", 0b01110, "mmol/L", id="mmol-l-as-mol-l"),
    pytest.param("100", 0b01010, "mg/dL", id="mg-dl-as-kg-l"),
    pytest.param("5.6", 0b01010, "mmol/L", id="mmol-l-as-kg-l"),
    pytest.param("0.00000030", 0b01010, "bias", id="biased-exponent"),
    pytest.param("2040E+2", 0b01010, "outside", id="nothing-fits"),
]


@pytest.mark.parametrize(("value", "flags", "hint"), _WRONG_SCALES)
def test_a_glucose_value_in_the_wrong_band_is_quarantined_with_the_likely_reason(
    value: str, flags: int, hint: str
) -> None:
    error = glucose_refusal(concentration=Decimal(value), flags=flags)

    assert error.reason is (Reason.TOO_PRECISE if hint == "bias" else Reason.IMPLAUSIBLE)
    assert hint in error.detail


@pytest.mark.parametrize(
    ("systolic", "diastolic", "flags", "hint"),
    [
        ("18.9", "11", 0b10110, "as kPa it would be plausible"),
        ("121", "81", 0b10111, "as mmHg it would be plausible"),
        ("0.00000120", "8.0E-7", 0b10110, "bias"),
        ("72", "81", 0b10110, "not above diastolic"),
        ("2E+3", "80", 0b10110, "outside 50 to 300 mmHg"),
    ],
)
def test_a_pressure_in_the_wrong_band_is_quarantined_with_the_likely_reason(
    systolic: str, diastolic: str, flags: int, hint: str
) -> None:
    error = pressure_refusal(systolic=Decimal(systolic), diastolic=Decimal(diastolic), flags=flags)

    assert error.reason is (Reason.TOO_PRECISE if hint == "bias" else Reason.IMPLAUSIBLE)
    assert hint in error.detail
