"""Virtual time: a clock that stands still until somebody moves it, and only forward."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(slots=True)
class VirtualClock:
    """Callable as a ``Clock``; aware. Every component of a rehearsal has this one."""

    now: datetime

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def move_to(self, at: datetime) -> None:
        """Let time pass until then; an earlier moment changes nothing."""
        self.now = max(self.now, at)


@dataclass(frozen=True, slots=True)
class SkewedClock:
    """Somebody's clock that is wrong by so much."""

    clock: VirtualClock
    ahead: timedelta

    def __call__(self) -> datetime:
        """What it shows."""
        return self.clock() + self.ahead
