"""Periods as people name them: a local calendar year, half year, quarter or month.

All of them lie in one calendar year, because what is counted is stored by year.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from api.errors import BadParameterError

DAYS: Final = 366
_PATTERN: Final = re.compile(r"(20[0-9]{2})(?:-(?:H([12])|Q([1-4])|(0[1-9]|1[0-2])))?")


@dataclass(frozen=True, slots=True)
class Span:
    """Local days ``first`` to ``last``, inclusive."""

    name: str
    first: date
    last: date

    @property
    def year(self) -> int:
        """The calendar year that it lies in."""
        return self.first.year

    def known_until(self, today: date) -> date:
        """The last day of it of which anything is known."""
        return min(self.last, today)

    def days(self, until: date) -> str:
        """Its days up to one, as ``indicator_year`` has them: 366 bits, 1 January rightmost."""
        found = 0
        if until >= self.first:
            low, high = (day.timetuple().tm_yday for day in (self.first, min(self.last, until)))
            found = (1 << high) - (1 << (low - 1))
        return f"{found:0{DAYS}b}"


def parse(name: str) -> Span:
    """The days of a period. Raises ``ValueError``."""
    found = _PATTERN.fullmatch(name)
    if found is None:
        msg = "must be a year, half year, quarter or month: 2026, 2026-H1, 2026-Q3 or 2026-11"
        raise ValueError(msg)
    year, half, quarter, month = (int(part) if part else 0 for part in found.groups())
    if half:
        first, last = 6 * half - 5, 6 * half
    elif quarter:
        first, last = 3 * quarter - 2, 3 * quarter
    else:
        first, last = (month, month) if month else (1, 12)
    return Span(name, date(year, first, 1), date(year, last, monthrange(year, last)[1]))


def _require_period(name: str) -> str:
    parse(name)
    return name


PeriodName = Annotated[
    str,
    Field(
        description="Local calendar year, half year, quarter or month",
        examples=["2026", "2026-H1", "2026-Q3", "2026-11"],
        pattern=r"^20[0-9]{2}(-(H[12]|Q[1-4]|0[1-9]|1[0-2]))?$",
    ),
    AfterValidator(_require_period),
]


def begun(name: str, today: date) -> Span:
    """A period of which something is known. Raises ``BadParameterError``."""
    span = parse(name)
    if span.first > today:
        raise BadParameterError(
            field="period", value=name, remedy=f"begins on {span.first}; nothing is known of it yet"
        )
    return span


def over(name: str, today: date) -> Span:
    """A period that has ended. Raises ``BadParameterError``."""
    span = parse(name)
    if span.last >= today:
        after = span.last + timedelta(days=1)
        raise BadParameterError(
            field="period", value=name, remedy=f"is not over; close it on {after} or later"
        )
    return span
