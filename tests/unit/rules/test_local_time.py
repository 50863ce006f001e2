"""The promise: days, midnights and birthdays are those of the calendar where the residents live."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.local_time import (
    UNKNOWN_AGE,
    age_on,
    day_of_age,
    fixed_offset,
    has_reached,
    local_date,
    local_midnight,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFSET = fixed_offset("Asia/Shanghai")
_DAYS = st.dates(date(1900, 1, 1), date(2099, 12, 31))


def days(*each: date | str | None) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return np.array([str(one or "NaT") for one in each], "datetime64[D]")


def completed_years(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


@given(st.datetimes(datetime(2015, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - UTC is given
def test_a_day_and_its_midnight_are_those_of_shanghai(at: datetime) -> None:
    local = at.replace(tzinfo=UTC).astimezone(SHANGHAI)

    (day,) = local_date(np.array([at], "datetime64[us]"), OFFSET)
    (midnight,) = local_midnight(np.array([day]), OFFSET)

    assert day == np.datetime64(local.date())
    begins = datetime.combine(local.date(), datetime.min.time(), tzinfo=SHANGHAI)
    assert midnight == np.datetime64(begins.astimezone(UTC).replace(tzinfo=None), "us")


def test_no_day_has_no_midnight() -> None:
    assert np.isnat(local_midnight(days(None), OFFSET)).tolist() == [True]


@given(born=_DAYS, on=_DAYS)
def test_ages_are_completed_years(born: date, on: date) -> None:
    expected = completed_years(born, on)

    assert age_on(days(born), days(on)).tolist() == [expected]


@given(born=_DAYS, on=_DAYS, years=st.integers(0, 120))
def test_an_age_is_reached_from_the_birthday_on(born: date, on: date, years: int) -> None:
    people, owner, asked = days(born, None), np.array([0, 1]), days(on, on)
    expected = [completed_years(born, on) >= years, False]

    assert has_reached(people, owner, asked, np.int64(years)).tolist() == expected
    each = np.array([years, years])
    assert has_reached(people, owner, asked, each).tolist() == expected


def test_each_row_has_its_own_age_to_reach() -> None:
    people = days("1961-03-02", "1991-03-02")
    owner, on = np.array([0, 0, 1, 1]), days(*["2026-03-02"] * 4)

    reached = has_reached(people, owner, on, np.array([65, 66, 35, 36]))

    assert reached.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("born", "years", "expected"),
    [
        ("1960-02-29", 65, "2025-03-01"),
        ("1960-02-29", 68, "2028-02-29"),
        ("1961-02-28", 67, "2028-02-28"),
        ("1961-12-31", 1, "1962-12-31"),
        ("1961-01-01", 0, "1961-01-01"),
    ],
)
def test_the_day_of_an_age(born: str, years: int, expected: str) -> None:
    assert day_of_age(days(born), years).astype(str).tolist() == [expected]


def test_an_unknown_birth_date_is_no_age() -> None:
    assert age_on(days(None), days("2026-03-02")).tolist() == [UNKNOWN_AGE]
    assert np.isnat(day_of_age(days(None), 65)).tolist() == [True]


def test_a_zone_has_one_offset_or_is_refused() -> None:
    assert fixed_offset("Asia/Shanghai") == np.timedelta64(timedelta(hours=8))
    assert fixed_offset("UTC") == np.timedelta64(0, "us")
    with pytest.raises(ValueError, match="time zone Europe/Berlin changes its offset"):
        fixed_offset("Europe/Berlin")
    for name in ("Asia/Wuzhou", "../etc/passwd", ""):
        with pytest.raises(ValueError, match=r"unknown time zone .*; use a name"):
            fixed_offset(name)
