"""Quiet hours and shifts of a place, by the residents' clock. Pure.

Source of the default: product.md, practices ("call centre 9:00-18:00, message box after hours":
quiet hours for what is not critical, critical always at once). Two shifts a day are a choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from api.local_days import LOCAL

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyHours:
    """When nothing but critical alerts is told, and when shifts begin; local times.

    ``quiet_from`` equal to ``quiet_until`` means no quiet hours.
    """

    quiet_from: time = time(18)
    quiet_until: time = time(9)
    shifts: Sequence[time] = (time(9), time(14))

    def quiet_end(self, at: datetime) -> datetime | None:
        """When the quiet hours end in which this instant lies; None: it lies in none.

        >>> DutyHours().quiet_end(datetime(2026, 3, 2, 20, tzinfo=LOCAL)).isoformat()
        '2026-03-03T09:00:00+08:00'
        """
        local = at.astimezone(LOCAL)
        now = local.time()
        if self.quiet_from <= self.quiet_until:
            quiet = self.quiet_from <= now < self.quiet_until
        else:
            quiet = now >= self.quiet_from or now < self.quiet_until
        if not quiet:
            return None
        end = datetime.combine(local.date(), self.quiet_until, tzinfo=LOCAL)
        return end if end > local else end + _DAY

    def last_shift(self, at: datetime) -> datetime | None:
        """When the present shift began; None: there are no shifts."""
        day = at.astimezone(LOCAL).date()
        begun = [
            start
            for date in (day - _DAY, day)
            for each in self.shifts
            if (start := datetime.combine(date, each, tzinfo=LOCAL)) <= at
        ]
        return max(begun, default=None)


USUAL: Final = DutyHours()
"""Of places and deployments that set none."""
