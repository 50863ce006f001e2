"""Operations that are to go: said in the document and in every answer, as docs/api.md promises.

A route is declared with ``**deprecated(...)``; what it says is put on every answer of that route,
errors included, by the front door. It must never be the only announcement: the changelog names it.

Source: RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 8288 (Link).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

NOTICE_MIN: Final = timedelta(days=90)
"""Of a fault that harms somebody; of anything else twelve months."""
_EXTRA: Final = "x-suifang-headers"
Header = tuple[bytes, bytes]


def deprecated(*, since: date, sunset: date, instead: str) -> dict[str, Any]:
    """Arguments of a route that is to go.

    Args:
        since: The day of the first answer that says so, UTC.
        sunset: The day from which it may be gone, UTC.
        instead: The address of what replaces it.

    Raises:
        ValueError: That is no time to change a program in.
    """
    if sunset - since < NOTICE_MIN:
        msg = f"{sunset} is less than {NOTICE_MIN.days} days after {since}: nobody could follow"
        raise ValueError(msg)
    said = {
        "Deprecation": f"@{_midnight(since).timestamp():.0f}",
        "Sunset": format_datetime(_midnight(sunset), usegmt=True),
        "Link": f'<{instead}>; rel="deprecation"',
    }
    return {"deprecated": True, "openapi_extra": {_EXTRA: said}}


def headers_of(route: object) -> Sequence[Header]:
    """What answers of this route carry; of most none."""
    extra = getattr(route, "openapi_extra", None)
    said = extra.get(_EXTRA, {}) if extra else {}
    return [(name.lower().encode(), value.encode()) for name, value in said.items()]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
