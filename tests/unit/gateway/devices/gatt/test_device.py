"""What a device says of itself: battery, texts, ids and its own clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.gatt import device
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError, Malformed

_EAST_8 = timedelta(hours=8)


def _rejected(decode: object, value: bytes) -> tuple[Malformed, str, int]:
    assert callable(decode)
    with pytest.raises(DecodeError) as caught:
        decode(value)
    return caught.value.code, caught.value.field, caught.value.offset


@pytest.mark.parametrize("percent", [0, 1, 100])
def test_a_battery_has_up_to_a_hundred_percent(percent: int) -> None:
    assert device.decode_battery(bytes([percent])).percent == percent


def test_more_than_full_is_no_charge() -> None:
    assert _rejected(device.decode_battery, b"\x65") == (Malformed.OUT_OF_RANGE, "percent", 0)
    assert _rejected(device.decode_battery, b"") == (Malformed.TRUNCATED, "percent", 0)


@given(st.binary(max_size=24))
def test_a_text_ends_at_its_first_nul_and_is_utf_8_or_none(value: bytes) -> None:
    until_nul = value.split(b"\x00")[0]
    try:
        text = until_nul.decode()
    except UnicodeDecodeError:
        assert _rejected(device.decode_text, value)[0] is Malformed.NOT_TEXT
        return

    found = device.decode_text(value)

    assert found.text == text
    assert found.leftover == value[len(until_nul) :]


def test_a_system_id_is_written_as_an_eui_64() -> None:
    found = device.decode_system_id(bytes.fromhex("010080FEFF1F0900"))

    assert str(found) == "00-09-1F-FF-FE-80-00-01"


def test_a_pnp_id_is_four_numbers() -> None:
    found = device.decode_pnp_id(bytes.fromhex("01420017001001"))

    assert (found.vendor_source, found.vendor, found.product, found.version) == (1, 66, 23, 272)


def test_the_device_s_clock_has_fractions_of_a_second() -> None:
    found = device.decode_current_time(bytes.fromhex("EA07030209000001" + "8000"))

    assert found.at(_EAST_8) == datetime(2026, 3, 2, 1, 0, 0, 500_000, tzinfo=UTC)
    assert found.weekday == 1


def test_an_unknown_clock_is_no_instant() -> None:
    found = device.decode_current_time(bytes(10))

    assert found.at(_EAST_8) is None


def test_there_is_no_eighth_day_of_the_week() -> None:
    value = DateTime(2026, 3, 2, 9, 0, 0).to_bytes() + b"\x08\x00\x00"

    assert _rejected(device.decode_current_time, value) == (Malformed.OUT_OF_RANGE, "weekday", 7)


@pytest.mark.parametrize(
    ("value", "minutes"),
    [("2000", 480), ("0404", 120), ("E808", -240), ("8000", None), ("20FF", None), ("1602", 360)],
)
def test_the_device_s_offset_is_zone_and_daylight_saving(value: str, minutes: int | None) -> None:
    found = device.decode_local_time(bytes.fromhex(value))

    assert found.utc_offset == (None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("value", "field"), [("3900", "time_zone"), ("CF00", "time_zone"), ("2001", "daylight_saving")]
)
def test_a_zone_that_is_none_is_rejected(value: str, field: str) -> None:
    assert _rejected(device.decode_local_time, bytes.fromhex(value))[:2] == (
        Malformed.OUT_OF_RANGE,
        field,
    )
