"""Moving a recorded series so that it ends yesterday. Pure; only times move, never values.

Invariants: order is kept; an interval of up to 90 days is kept to the second, a longer one
becomes exactly 90 days; the last reading falls on the given day at its own time of day.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from simulators.settings import GAP_MAX

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local_text(at: datetime) -> str:
    """A moment for people: local, and in which zone."""
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} {SHANGHAI.key}"


def yesterday(now: datetime) -> date:
    """The local day before ``now`` (aware)."""
    return now.astimezone(SHANGHAI).date() - timedelta(days=1)


def move_series(times: Sequence[datetime | None], last_day: date) -> list[datetime]:
    """Move one resident's wall-clock times; the answer aligns with ``times``.

    Args:
        times: Wall-clock times without an offset, in any order. None: not known, put 90 days
            before the first known one (or on the last day, when none is known).
        last_day: The local day on which the last one shall fall.

    Returns:
        Aware local times. Asia/Shanghai has had one offset since 1991, so intervals between
        wall-clock times are intervals.
    """
    known = [time for time in times if time is not None]
    first = min(known, default=datetime.combine(last_day, datetime.min.time()) + GAP_MAX)
    filled = [time if time is not None else first - GAP_MAX for time in times]
    order = sorted(range(len(filled)), key=filled.__getitem__)
    moved = list(filled)
    for before, after in pairwise(order):
        moved[after] = moved[before] + min(filled[after] - filled[before], GAP_MAX)
    shift = timedelta(days=(last_day - moved[order[-1]].date()).days) if order else timedelta()
    return [(time + shift).replace(tzinfo=SHANGHAI) for time in moved]
