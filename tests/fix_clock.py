"""A clock that stands still until a test moves it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.builders import AT


@dataclass(slots=True)
class TestClock:
    """Call it for the time; assign or ``pass_by`` to change it."""

    __test__ = False  # A fixture's class, not a test.
    now: datetime = AT

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def pass_by(self, **span: float) -> None:
        """Let time pass, in the units of ``timedelta``."""
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> TestClock:
    """09:00 in Shanghai on 2 March 2026."""
    return TestClock()
