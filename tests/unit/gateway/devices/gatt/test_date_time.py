"""A device's date is what it said; what is no instant says why, and never becomes one."""

import calendar
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.devices.gatt.date_time import DateTime

_EAST_8 = timedelta(hours=8)


@given(st.binary(min_size=7, max_size=7))
@example(bytes(7))
@example(b"\xff" * 7)
@example(bytes.fromhex("0F27021F000000"))
@example(bytes.fromhex("E807021D000000"))
def test_all_seven_bytes_are_kept_and_dates_are_those_of_the_calendar(value: bytes) -> None:
    year = value[0] + 256 * value[1]
    month, day, *clock = value[2:]

    found = DateTime.from_bytes(value)

    assert found.to_bytes() == value
    assert (found.year, found.month, found.day) == (year, month, day)
    exists = (
        1582 <= year <= 9999
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and clock[0] < 24
        and max(clock[1:]) < 60
    )
    assert (found.problem is None) == exists


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("00000000000000", "0000-00-00T00:00:00", "year, month, day unknown"),
        ("00000411142941", "0000-04-17T20:41:65", "year unknown"),
        ("EA070009000000", "2026-00-09T00:00:00", "month unknown"),
        ("0F27021F000000", "9999-02-31T00:00:00", "day"),
        ("2D060101000000", "1581-01-01T00:00:00", "1582"),
        ("EA070D01000000", "2026-13-01T00:00:00", "month"),
        ("EA070101180000", "2026-01-01T24:00:00", "hour"),
        ("FFFFFFFFFFFFFF", "65535-255-255T255:255:255", "year"),
    ],
)
def test_what_is_no_date_is_told_and_repaired_by_nobody(value: str, text: str, said: str) -> None:
    found = DateTime.from_bytes(bytes.fromhex(value))

    assert str(found) == text
    assert said in (found.problem or "")
    assert found.at(_EAST_8) is None


@given(
    st.datetimes(datetime(1600, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001 - naive by nature
    st.integers(-14 * 60, 14 * 60),
    st.integers(-0x7FFF, 0x7FFF),
)
def test_an_instant_is_the_wall_clock_less_its_offset(
    wall: datetime, zone_minutes: int, minutes: int
) -> None:
    said = DateTime.of(wall)

    found = said.at(timedelta(minutes=zone_minutes), minutes=minutes)

    truth = wall.replace(microsecond=0) + timedelta(minutes=minutes - zone_minutes)
    assert found == truth.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "offset"),
    [
        (DateTime(9999, 12, 31, 23, 59, 59), timedelta(hours=-8)),
        (DateTime(9999, 12, 31, 23, 59, 59), timedelta()),
    ],
)
def test_past_the_end_of_the_calendar_there_is_no_instant(
    said: DateTime, offset: timedelta
) -> None:
    assert said.problem is None
    assert said.at(offset, minutes=1) is None


def test_a_whole_day_is_no_offset() -> None:
    with pytest.raises(ValueError, match="less than a day"):
        DateTime(2026, 1, 1, 0, 0, 0).at(timedelta(days=1))
