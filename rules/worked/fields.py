"""One field of a worked case at a time: strict, and every refusal names case, event and field.

Numbers are exact: files are parsed with ``parse_float=Decimal``, and a float is refused.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

from rules.columns import MISSING
from rules.reported import NOT_A_NUMBER
from rules.worked.errors import CaseFileError

ZONE: Final = ZoneInfo("Asia/Shanghai")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ABSURD: Final = 10**17
_DIGITS_MAX: Final = 12  # No instrument's number is longer.
_NO_YEAR: Final = re.compile(r"0000-")
LONG_BEFORE: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""Stands for a device time that no clock could show; it is not believed."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one event or resident, and how to say where one is wrong."""

    case: str
    name: str
    content: dict[str, Any]

    def refuse(self, field: str, problem: str) -> NoReturn:
        """Raise with the place."""
        raise CaseFileError(self.case, f"{self.name}.{field}", problem)

    def text(self, field: str, default: str | None = None) -> str:
        """A text that is not empty; ``default`` where the field is absent or null."""
        value = self.content.get(field)
        if value is None:
            value = default
        if not isinstance(value, str) or not value:
            self.refuse(field, f"is {value!r}; write a text")
        return value

    def one_of(self, field: str, codes: dict[Any, int], default: Any = None) -> int:  # noqa: ANN401 - any key
        """The code of a word."""
        value = self.content.get(field)
        if value is None:
            value = default
        if not isinstance(value, str | None) or value not in codes:
            known = ", ".join(str(code) for code in codes if code is not None)
            self.refuse(field, f"is {value!r}; expected one of {known}")
        return codes[value]

    def scaled(self, field: str, digits: int) -> int:
        """A measured number times 10**digits; NOT_A_NUMBER for a text, MISSING where absent."""
        value = self.content.get(field)
        if value is None:
            return MISSING
        if isinstance(value, str):
            return NOT_A_NUMBER  # What a device said instead of a number: NaN, 0Hi.
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.refuse(field, f"is {value!r}; write a number (floats lose digits)")
        if not Decimal(value).is_finite():
            return NOT_A_NUMBER
        if Decimal(value).adjusted() > _DIGITS_MAX:
            return _ABSURD
        scaled = Decimal(value).scaleb(digits)
        if scaled != scaled.to_integral_value() or abs(scaled) > _ABSURD:
            return _ABSURD  # More digits than an instrument has: implausible, never rounded.
        return int(scaled) if scaled >= 0 else _ABSURD

    def whole(self, field: str, default: int) -> int:
        """A whole number; ``default`` where it is absent or null."""
        value = self.content.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 62:
            self.refuse(field, f"is {value!r}; write a whole number")
        return value

    def flag(self, field: str) -> bool:
        """True or false; absent is false."""
        value = self.content.get(field)
        if value is not None and not isinstance(value, bool):
            self.refuse(field, f"is {value!r}; write true or false")
        return bool(value)

    def instant(self, field: str) -> int:
        """Microseconds since 1970; a time without offset is local in Asia/Shanghai."""
        found = self.clock(field)
        if found is None:
            self.refuse(field, "is missing; write a time such as 2026-03-02T09:00:00+08:00")
        return found

    def clock(self, field: str) -> int | None:
        """As ``instant``; None where the device has no clock."""
        value = self.content.get(field)
        if value is None:
            return None
        if isinstance(value, str) and _NO_YEAR.match(value):
            return int((LONG_BEFORE - _EPOCH).total_seconds()) * 1_000_000
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            self.refuse(field, f"is {value!r}; write a time such as 2026-03-02T09:00:00+08:00")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZONE)
        span = moment - _EPOCH
        return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds

    def day(self, field: str) -> date | None:
        """A calendar day, None where absent."""
        value = self.content.get(field)
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            self.refuse(field, f"is {value!r}; write a day such as 2026-03-02")
