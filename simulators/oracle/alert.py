"""The plain evaluator's alert: what is raised once and perhaps dealt with, and what it shows."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from simulators.oracle.person import SHANGHAI
from simulators.oracle.shown import Limit


def midnight_after(day: date) -> datetime:
    """00:00 local of the next day."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=SHANGHAI)


@dataclass
class Alert:
    """Raised once, perhaps dealt with.

    Attributes:
        anchor: The event (for a routine alert without a visit: the resident) it stands on.
        since: When it became true.
        seen: What it may show as observed.
        limit: What it shows beside that.
    """

    condition: str
    code: str
    severity: str
    anchor: str
    due: date | None
    since: datetime
    seen: frozenset[str]
    limit: Limit
    status: str = "active"
    overdue_days: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it this alert and no other."""
        return self.condition, self.code, self.anchor
