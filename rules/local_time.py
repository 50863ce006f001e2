"""Calendar days and ages where the residents live.

China has kept one offset without daylight saving since 1991, so a day is a shift and a floor.
``fixed_offset`` proves that for the profile's zone instead of trusting it.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from rules.columns import BoolArray, DateArray, InstantArray, Int64Array

UNKNOWN_AGE: Final = -1
_YEARS: Final = range(2015, 2101)  # Effective times lie after 2015 (``effective_time``).


def fixed_offset(zone: str) -> np.timedelta64:
    """The zone's one offset from UTC over the years in use.

    Raises:
        ValueError: The zone is unknown, or changes its offset in those years.
    """
    try:
        info = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = f"unknown time zone {zone!r}; use a name of the tz database, as Asia/Shanghai"
        raise ValueError(msg) from error
    months = (datetime(year, month, 1, tzinfo=UTC) for year in _YEARS for month in range(1, 13))
    offsets = {at.astimezone(info).utcoffset() for at in months}
    if len(offsets) != 1:
        msg = f"time zone {zone} changes its offset; local days here need one fixed offset"
        raise ValueError(msg)
    return np.timedelta64(offsets.pop() or timedelta(0), "us")


def local_date(at: InstantArray, offset: np.timedelta64) -> DateArray:
    """The calendar day on which each instant falls; shape (n,)."""
    day: DateArray = (at + offset).astype("datetime64[D]")
    return day


def local_midnight(day: DateArray, offset: np.timedelta64) -> InstantArray:
    """The UTC instant at which each local day begins; NaT stays NaT."""
    midnight: InstantArray = np.subtract(day.astype("datetime64[us]"), offset)
    return midnight


def age_on(birth_date: DateArray, day: DateArray) -> Int64Array:
    """Completed years on a day, ``UNKNOWN_AGE`` without a birth date; shape (n,).

    Someone born on 29 February completes a year on 1 March of a common year.
    """
    birth_month, month = birth_date.astype("datetime64[M]"), day.astype("datetime64[M]")
    birth_day, day_of_month = birth_date - birth_month, day - month
    months = (month - birth_month).astype(np.int64) - (day_of_month < birth_day)
    return np.where(np.isnat(birth_date), UNKNOWN_AGE, months // 12)


def day_of_age(birth_date: DateArray, years: int) -> DateArray:
    """The local day on which each person completes so many years, NaT unknown; shape (m,).

    Someone born on 29 February completes a year on 1 March of a common year.
    """
    month = birth_date.astype("datetime64[M]")
    day: DateArray = (month + np.timedelta64(12 * years, "M")).astype("datetime64[D]") + (
        birth_date - month.astype("datetime64[D]")
    )
    return day


def has_reached(
    birth_date: DateArray, resident: Int64Array, day: DateArray, years: Int64Array | np.int64 | int
) -> BoolArray:
    """Whether each row's resident is so many years old on its day; unknown age: no.

    Args:
        birth_date: Shape (m,), of every resident.
        resident: Shape (n,), rows of ``birth_date``.
        day: Shape (n,), local days.
        years: Scalar or shape (n,), completed years.

    Cost: one look-up a row for each distinct number of years; ages themselves are not needed.
    """
    reached: BoolArray
    if not isinstance(years, np.ndarray):
        reached = day_of_age(birth_date, int(years))[resident] <= day
        return reached
    reached = np.zeros(len(resident), dtype=np.bool_)
    for each in np.unique(years):
        mine = years == each
        reached[mine] = day_of_age(birth_date, int(each))[resident[mine]] <= day[mine]
    return reached
