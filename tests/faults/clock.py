"""A clock of the harness: the machine's, moved by what a small file says at this moment.

Every process of a run has a file of its own, so one of them can be made to jump while it runs,
and every run begins at the same instant, so that no due day depends on when the test runs.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

RUN_BEGINS_AT: Final = datetime(2026, 3, 16, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai.


class MovedClock:
    """Callable as a ``Clock``: UTC, aware."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> datetime:
        """The instant that this process believes in."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text("ascii")))


def move_clock(file: Path, shift_s: float) -> None:
    """Say how far a clock is ahead of the machine's; whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{shift_s:.6f}", "ascii")
    fresh.replace(file)


def shift_to_begin_now() -> float:
    """The shift with which a run begins now at ``RUN_BEGINS_AT``."""
    return (RUN_BEGINS_AT - datetime.now(UTC)).total_seconds()
