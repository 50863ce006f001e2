"""How long an alert may be put aside. Pure.

Source: product.md asks for quiet hours "for non-critical alerts; critical always at once", so a
critical alert is never put aside, only acknowledged. The other bounds are this product's own
decision (ADR 0028), for a clinician to confirm: nothing sleeps beyond the day on which it is due
(decision table 2.4), and what pages is back within a day.
"""

from datetime import date, datetime, time, timedelta
from typing import Final

from api.local_days import LOCAL

PAGING_MAX: Final = timedelta(hours=24)  # High: judged to need somebody now (decision table 2.5).
QUIET_MAX: Final = timedelta(days=14)  # Info and warn: the interval of a second follow-up (2.4).


def latest_return(severity: str, due: date | None, at: datetime) -> datetime | None:
    """Until when an alert may be put aside at most; None: not at all.

    >>> latest_return("critical", None, datetime(2026, 3, 2, tzinfo=LOCAL)) is None
    True
    """
    if severity == "critical":
        return None
    if severity == "high":
        return at + PAGING_MAX
    if due is None:
        return at + QUIET_MAX
    back_on_the_day = datetime.combine(due, time(0), tzinfo=LOCAL)
    return max(at + PAGING_MAX, min(at + QUIET_MAX, back_on_the_day))
