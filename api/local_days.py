"""The calendar day of the residents: a due day ends when the day ends there."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

LOCAL: Final = ZoneInfo("Asia/Shanghai")


def local_day(at: datetime) -> date:
    """The local day of an aware time."""
    return at.astimezone(LOCAL).date()
