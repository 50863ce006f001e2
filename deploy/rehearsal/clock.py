"""Virtual time: a clock that stands still until somebody moves it, and only forward.

It tells UTC, as every process's clock does, whatever zone it is moved by: the rules take a moment's
digits for UTC, and a local hour would let them judge eight hours ahead.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(slots=True)
class VirtualClock:
    """Callable as a ``Clock``; aware UTC. Every component of a rehearsal has this one."""

    now: datetime

    def __post_init__(self) -> None:
        self.now = self.now.astimezone(UTC)

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def move_to(self, at: datetime) -> None:
        """Let time pass until then; an earlier moment changes nothing."""
        self.now = max(self.now, at.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class SkewedClock:
    """Somebody's clock that is wrong by so much."""

    clock: VirtualClock
    ahead: timedelta

    def __call__(self) -> datetime:
        """What it shows."""
        return self.clock() + self.ahead
