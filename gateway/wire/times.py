"""Instants on the wire: RFC 3339 with an offset, and the clock as an argument.

A time without an offset is refused: guessing a zone would move a reading to another day.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the present instant, aware, UTC. Passed down; nothing else reads the time."""

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def utc_now() -> datetime:
    """The machine's clock. Only commands hand this in; everything else takes a ``Clock``."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Parse RFC 3339 with an offset into UTC; digits beyond microseconds are cut.

    Raises:
        ValueError: Not such a time, or one outside the years 1 to 9999 in UTC.
    """
    if not _RFC_3339.fullmatch(text):
        msg = f"{text!r} is not RFC 3339 with an offset, such as 2026-03-02T09:00:00+08:00"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        msg = f"{text!r} lies outside the years 1 to 9999 in UTC"
        raise ValueError(msg) from error


def format_instant(at: datetime) -> str:
    """Write an aware instant in UTC with milliseconds: ``2026-03-02T01:00:00.000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
