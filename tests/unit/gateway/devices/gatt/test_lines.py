"""What an instrument said reaches ingest: exact, in its own unit, and never as something else.

Each line goes the whole way: frozen by the gateway, then through ingest's only door.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.gatt.blood_pressure import decode_blood_pressure, decode_cuff_pressure
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.glucose import decode_glucose
from gateway.devices.gatt.lines import (
    Origin,
    blood_pressure_line,
    glucose_line,
    meal_context_of,
    undecodable_line,
)
from gateway.devices.gatt.sfloat import NotANumber
from gateway.wire.errors import Reason, WireError
from gateway.wire.readings import BloodPressure, Glucose, parse_json
from tests.unit.gateway.devices.gatt.gatt_builders import (
    EAST_8,
    NINE,
    ORIGIN,
    a_context,
    a_glucose_record,
    a_pressure,
    arrive,
    glucose,
    glucose_refusal,
    pressure,
    pressure_refusal,
    refusal,
)

ONE_UTC = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def test_a_cuff_measurement_arrives_whole() -> None:
    reading = pressure(systolic=Decimal("128.0"), user_id=2, flags=0b11110, status=0b000100)

    assert str(reading.systolic) == "128.0"
    assert (str(reading.diastolic), str(reading.pulse), reading.unit) == ("78", "72", "mmHg")
    assert reading.measured_at == ONE_UTC
    assert reading.status == ["irregular_pulse"]
    assert reading.resident_id == "r-1"
    assert reading.model_extra == {"mean_arterial": 95, "device_user": 2}


def test_kilopascals_stay_kilopascals() -> None:
    reading = arrive(
        blood_pressure_line(decode_blood_pressure(bytes.fromhex("01A0F06BF07FF0")), ORIGIN)
    )

    assert isinstance(reading, BloodPressure)
    assert (str(reading.systolic), str(reading.diastolic), reading.unit) == ("16.0", "10.7", "kPa")


@pytest.mark.parametrize(("flags", "unit"), [(0b01010, "kg/L"), (0b01110, "mol/L")])
def test_a_glucose_value_keeps_its_unit_and_digits(flags: int, unit: str) -> None:
    reading = glucose(flags=flags, concentration=Decimal("0.00100"))

    assert (str(reading.glucose), reading.unit) == ("0.00100", unit)
    assert (reading.device_sequence, reading.sample) == (7, "capillary_whole_blood")


@pytest.mark.parametrize("special", NotANumber)
@pytest.mark.parametrize("field", ["systolic", "diastolic"])
def test_a_pressure_that_is_no_number_is_quarantined_as_such(
    field: str, special: NotANumber
) -> None:
    error = pressure_refusal(**{field: special})

    assert (error.reason, error.field) == (Reason.NOT_A_NUMBER, field)
    assert special.value in error.detail


def test_a_pulse_that_is_no_number_does_not_cost_the_pressure() -> None:
    reading = pressure(pulse=NotANumber.NAN, mean_arterial=NotANumber.NRES)

    assert reading.pulse is None
    assert reading.model_extra == {"mean_arterial": "NRes", "pulse_said": "NaN"}


@pytest.mark.parametrize("special", NotANumber)
def test_a_glucose_that_is_no_number_is_quarantined_as_such(special: NotANumber) -> None:
    error = glucose_refusal(concentration=special)

    assert (error.reason, error.field) == (Reason.NOT_A_NUMBER, "glucose")


@pytest.mark.parametrize(
    ("bit", "special", "taken"),
    [
        (5, NotANumber.ABOVE, True),
        (5, NotANumber.NAN, True),
        (5, NotANumber.NRES, True),
        (5, NotANumber.BELOW, False),
        (5, NotANumber.RFU, False),
        (6, NotANumber.BELOW, True),
        (6, NotANumber.NAN, True),
        (6, NotANumber.ABOVE, False),
    ],
)
def test_hi_and_lo_stand_for_a_number_that_is_none_unless_it_contradicts(
    bit: int, special: NotANumber, *, taken: bool
) -> None:
    if not taken:
        error = glucose_refusal(status=1 << bit, concentration=special)
        assert error.reason is Reason.NOT_A_NUMBER
        return

    reading = glucose(status=1 << bit, concentration=special)

    assert reading.glucose is None
    assert reading.status == ["result_too_high" if bit == 5 else "result_too_low"]
    assert reading.model_extra is not None
    assert reading.model_extra["glucose_said"] == special


def test_a_number_beside_hi_is_kept() -> None:
    assert str(glucose(status=1 << 5).glucose) == "0.00560"


def test_hi_without_any_concentration_is_hi() -> None:
    fields = {"concentration": None, "sample_code": None, "location_code": None}

    reading = glucose(status=1 << 5, flags=0b01000, **fields)

    assert (reading.glucose, reading.unit) == (None, None)


def test_a_record_without_a_value_does_not_vanish() -> None:
    fields = {"concentration": None, "sample_code": None, "location_code": None}

    error = glucose_refusal(status=0, flags=0b01000, **fields)

    assert error.reason is Reason.MISSING_VALUE


@pytest.mark.parametrize("bit", [0, 1, 5])
def test_a_disturbed_cuff_measurement_is_quarantined(bit: int) -> None:
    assert pressure_refusal(status=1 << bit).reason is Reason.DEVICE_STATUS


@pytest.mark.parametrize("bit", [1, 2, 3, 4, 7, 8, 9, 10])
def test_a_test_that_failed_by_the_meters_own_word_is_quarantined(bit: int) -> None:
    assert glucose_refusal(status=1 << bit).reason is Reason.DEVICE_STATUS


def test_a_low_battery_costs_no_value() -> None:
    reading = glucose(status=1)

    assert reading.status == []
    assert reading.model_extra is not None
    assert reading.model_extra["annunciations"] == ["battery_low"]


@pytest.mark.parametrize(
    ("bits", "said"), [(0b01000, "above_range"), (0b10000, "below_range"), (0b11000, None)]
)
def test_a_pulse_out_of_the_devices_range_is_told(bits: int, said: str | None) -> None:
    reading = pressure(status=bits)

    assert reading.status == ["pulse_out_of_range"]
    assert reading.model_extra is not None
    assert reading.model_extra["pulse_range"] == (said or "range_reserved")


@pytest.mark.parametrize(("sample", "location"), [(10, 1), (1, 4), (10, 4), (0, 4)])
def test_a_control_solution_is_told_as_such_and_is_nobodys(sample: int, location: int) -> None:
    owners = ({"resident_id": "r-1"}, {"card_number": "99000019490101001X"})
    for owner in owners:
        origin = Origin(device_id="d", utc_offset=EAST_8, owner=owner)
        record = a_glucose_record(sample_code=sample, location_code=location)

        reading = arrive(glucose_line(record, origin))

        assert isinstance(reading, Glucose)
        assert reading.sample == "control_solution"
        assert reading.resident_id is None


@pytest.mark.parametrize(
    ("code", "wire"),
    [
        (1, "preprandial"),
        (2, "random"),
        (3, "fasting"),
        (4, "random"),
        (5, "bedtime"),
        (6, "unknown"),
        (0, "unknown"),
    ],
)
def test_a_meal_is_never_guessed(code: int, wire: str) -> None:
    assert glucose(code).meal_context == wire
    assert meal_context_of(a_context(code)) == wire


def test_a_context_of_another_record_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        glucose_line(a_glucose_record(), ORIGIN, a_context(3, sequence=8))


@given(st.integers(-0x7FFF, 0x7FFE))
def test_the_time_is_base_and_offset_of_any_minute(minutes: int) -> None:
    reading = glucose(time_offset_minutes=minutes, flags=0b01111)

    assert reading.measured_at == ONE_UTC + timedelta(minutes=minutes)
    assert reading.status == []


_NO_INSTANTS = [
    pytest.param(DateTime(0, 6, 1, 8, 30, 0), 0, id="year-unknown"),
    pytest.param(DateTime(2026, 0, 0, 0, 0, 0), 0, id="day-unknown"),
    pytest.param(DateTime(2026, 2, 31, 0, 0, 0), 0, id="no-such-day"),
    pytest.param(DateTime(2026, 13, 1, 0, 0, 0), 0, id="month-13"),
    pytest.param(DateTime(2026, 1, 1, 24, 0, 0), 0, id="hour-24"),
    pytest.param(DateTime(65535, 255, 255, 255, 255, 255), 0, id="all-ones"),
    pytest.param(DateTime(1284, 6, 7, 8, 9, 10), 0, id="before-the-calendar"),
    pytest.param(DateTime(9999, 12, 31, 23, 59, 0), 600, id="after-the-calendar"),
    pytest.param(NINE, 0x7FFF, id="offset-beyond"),
    pytest.param(NINE, -0x8000, id="offset-below"),
]


@pytest.mark.parametrize(("said", "minutes"), _NO_INSTANTS)
def test_a_broken_clock_costs_no_measurement(said: DateTime, minutes: int) -> None:
    reading = glucose(base_time=said, time_offset_minutes=minutes, flags=0b01111)

    assert reading.measured_at is None
    assert reading.status == ["time_fault"]
    assert reading.model_extra is not None
    assert reading.model_extra["device_time"] == str(said)
    assert reading.model_extra["device_time_problem"]


def test_a_meter_that_doubts_its_clock_keeps_its_time_and_its_doubt() -> None:
    reading = glucose(status=1 << 11)

    assert reading.measured_at == ONE_UTC
    assert reading.status == ["time_fault"]


@pytest.mark.parametrize("stored", [True, False])
def test_without_a_clock_only_a_live_measurement_has_a_time(*, stored: bool) -> None:
    line = blood_pressure_line(
        a_pressure(timestamp=None, flags=0b10100), ORIGIN, stored_record=stored
    )

    reading = arrive(line)

    assert reading.status == (["time_fault"] if stored else [])
    assert reading.stored_record is stored


def test_the_devices_own_clock_goes_along() -> None:
    now = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
    origin = Origin(device_id="d", utc_offset=EAST_8, device_now=now, boot_id="b", setting="home")

    reading = arrive(glucose_line(a_glucose_record(), origin, stored_record=True))

    assert (reading.device_now, reading.boot_id, reading.setting) == (now, "b", "home")
    assert reading.stored_record


@pytest.mark.parametrize(
    ("offset", "now"),
    [(timedelta(seconds=28_801), None), (EAST_8, datetime(2026, 3, 2, 9, 5))],  # noqa: DTZ001
)
def test_an_origin_without_a_true_offset_is_refused(
    offset: timedelta, now: datetime | None
) -> None:
    with pytest.raises(ValueError, match="offset"):
        Origin(device_id="d", utc_offset=offset, device_now=now)


def test_a_pressure_of_the_cuff_under_way_cannot_become_a_line() -> None:
    under_way = decode_cuff_pressure(bytes.fromhex("02510000000000E40705150A1E2D"))

    assert not hasattr(under_way, "systolic")
    with pytest.raises(AttributeError):
        blood_pressure_line(under_way, ORIGIN)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        glucose_line(under_way, ORIGIN)  # type: ignore[arg-type]


def test_bytes_that_no_decoder_takes_are_kept_and_quarantined() -> None:
    value = bytes.fromhex("0F0300E40705150A1E2D0500CDCC")
    with pytest.raises(DecodeError) as caught:
        decode_glucose(value)

    line = undecodable_line("2A18", value, caught.value, ORIGIN)

    error = refusal(line)
    assert error.reason is Reason.UNDECODABLE
    assert "2A18" in error.detail
    assert "truncated" in error.detail
    assert bytes.fromhex(parse_json(line)["bytes"]) == value


def test_bytes_that_read_like_a_national_number_are_kept_all_the_same() -> None:
    """The freezer refuses such numbers anywhere; these are a meter's bytes."""
    value = bytes.fromhex("050001050001050001")
    with pytest.raises(DecodeError) as caught:
        decode_glucose(value)

    error = refusal(undecodable_line("2A18", value, caught.value, ORIGIN))

    assert error.reason is Reason.UNDECODABLE
    assert pressure(leftover=value).model_extra is not None


def test_what_is_left_over_or_reserved_goes_along() -> None:
    reading = pressure(leftover=b"\xaa\x01", flags=0b11110110, status=1 << 15)

    assert reading.model_extra == {
        "mean_arterial": 95,
        "leftover": "AA 01",
        "flags_reserved": 0b11100000,
        "status_reserved": 1 << 15,
    }


@given(st.binary(min_size=7, max_size=24))
def test_whatever_decodes_as_a_pressure_is_frozen_and_then_taken_or_refused(value: bytes) -> None:
    _require_outcome(value, "2A35")


@given(st.binary(min_size=10, max_size=24))
def test_whatever_decodes_as_glucose_is_frozen_and_then_taken_or_refused(value: bytes) -> None:
    _require_outcome(value, "2A18")


def _require_outcome(value: bytes, code: str) -> None:
    """No byte string makes the mapping, the freezer or the contract fail in another way."""
    try:
        line = (
            blood_pressure_line(decode_blood_pressure(value), ORIGIN)
            if code == "2A35"
            else glucose_line(decode_glucose(value), ORIGIN)
        )
    except DecodeError as error:
        line = undecodable_line(code, value, error, ORIGIN)
    try:
        reading = arrive(line)
    except WireError:
        return
    assert reading.device_id == "dev-1"
