"""The device's date and time: seven bytes that may be unknown, or no date at all.

Year, month and day are 0 where the device does not know them; there is no time zone. A broken
clock never costs a measurement: ``DateTime`` holds the bytes' own numbers whatever they are, and
``problem`` says why they are no instant. Nothing is repaired: the 31st of February stays one.

Source: Bluetooth GATT specification supplement, Date Time (0x2A08): year 1582 to 9999, or 0.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_YEAR_MIN: Final = 1582  # Source: as above; the first year of the Gregorian calendar.
_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_OFFSET_MAX: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, order=True)
class DateTime:
    """What a device says the time is, by its own clock, in no named zone."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    @classmethod
    def from_bytes(cls, value: bytes) -> "DateTime":
        """Read exactly seven bytes. Raises ``ValueError`` on any other number."""
        year_low, year_high, *others = value
        return cls(year_high << 8 | year_low, *others)

    @classmethod
    def of(cls, moment: datetime) -> "DateTime":
        """The wall clock of a moment, to the second; its zone is not kept."""
        return cls(*moment.timetuple()[:6])

    def to_bytes(self) -> bytes:
        """The seven bytes."""
        others = (self.month, self.day, self.hour, self.minute, self.second)
        return self.year.to_bytes(2, "little") + bytes(others)

    def __str__(self) -> str:
        """As ISO 8601 would write it, also where it is no date."""
        return (
            f"{self.year:04}-{self.month:02}-{self.day:02}"
            f"T{self.hour:02}:{self.minute:02}:{self.second:02}"
        )

    @property
    def problem(self) -> str | None:
        """Why this is no instant; None when it is one."""
        unknown = [name for name in _PARTS[:3] if getattr(self, name) == 0]
        if unknown:
            return f"{', '.join(unknown)} unknown"
        if self.year < _YEAR_MIN:
            return f"year {self.year} is before {_YEAR_MIN}"
        try:
            self._naive()
        except ValueError as error:
            return str(error)
        return None

    def at(self, utc_offset: timedelta, *, minutes: int = 0) -> datetime | None:
        """The instant, given how far the device's clock is ahead of UTC.

        Args:
            utc_offset: Of the device's wall clock; less than a day either way.
            minutes: Added to it first (the time offset of a glucose measurement).

        Returns:
            Aware; None where ``problem`` tells why, or outside the years 1 to 9999 in UTC.

        Raises:
            ValueError: The offset is a day or more.
        """
        if abs(utc_offset) >= _OFFSET_MAX:
            msg = f"a clock is less than a day off UTC, not {utc_offset}"
            raise ValueError(msg)
        if self.problem is not None:
            return None
        zone = timezone(utc_offset)
        try:
            moment = (self._naive() + timedelta(minutes=minutes)).replace(tzinfo=zone)
            moment.astimezone(UTC)
        except OverflowError:
            return None
        return moment

    def _naive(self) -> datetime:
        parts = (self.year, self.month, self.day, self.hour, self.minute, self.second)
        return datetime(*parts)  # noqa: DTZ001 - the device has no zone; ``at`` adds it
