"""What a profile file may hold: every table and key, what fits, and what to write instead.

A new number of the rules begins here. One key at a time is judged; whether two keys contradict
each other is the business of ``findings``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any, Final, TypeAlias

from rules.local_time import fixed_offset
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

ID: Final = re.compile(r"[a-z][a-z0-9_]*")
VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._]*")
_DAYS_MAX: Final = 3_650
_AGE_MAX: Final = 120
_TIMES_MAX: Final = 100
# Values outside are quarantined as implausible, never judged (decision table 2.2 step 4).
_SYSTOLIC: Final = (50, 300)
_DIASTOLIC: Final = (20, 200)
_GLUCOSE: Final = (Decimal("0.6"), 55)
_DIFFERENCE: Final = (1, 250)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One value."""

    expected: str  # Completes "is 3, not …".
    remedy: str
    fits: Callable[[Any], bool]
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named values and tables."""

    parts: "Mapping[str, Part]"
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An array of tables of one shape; may be absent."""

    row: Table
    required: bool = False


Part: TypeAlias = Key | Table | Rows
Values: TypeAlias = Mapping[str, Any]
"""What was read, by dotted key: what fits, and for a table True or its number of rows."""


def _is_whole(value: object, least: int, most: int) -> bool:
    """A whole number within bounds, both included. ``true`` is no number."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_ascending(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(_is_whole(day, 1, _DAYS_MAX) for day in value)
        and all(earlier < later for earlier, later in pairwise(value))
    )


@cache
def _has_one_offset(zone: str) -> bool:
    try:
        fixed_offset(zone)
    except (ValueError, OSError):  # OSError: the name of a folder of the zone database.
        return False
    return True


def _text(expected: str, remedy: str, rule: re.Pattern[str]) -> Key:
    def fits(value: object) -> bool:
        return isinstance(value, str) and rule.fullmatch(value) is not None

    return Key(expected=expected, remedy=remedy, fits=fits)


def _word(name: str, *allowed: str) -> Key:
    quoted = [f'"{word}"' for word in allowed]
    return Key(
        expected=" or ".join(quoted),
        remedy="write " + " or ".join(f"{name} = {word}" for word in quoted),
        fits=lambda value: isinstance(value, str) and value in allowed,
    )


def _whole(what: str, *, least: int = 1, most: int = _DAYS_MAX, required: bool = True) -> Key:
    return Key(
        expected=f"a whole number from {least} to {most}",
        remedy=f"state the number of {what}",
        fits=lambda value: _is_whole(value, least, most),
        required=required,
    )


def _limit(unit: str, bounds: tuple[Decimal | int, int], factor: int) -> Key:
    least, most = bounds
    decimals = len(str(factor)) - 1

    def fits(value: object) -> bool:
        """Rational arithmetic rounds nothing, however many digits there are."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return False
        if not Decimal(value).is_finite() or not least <= value <= most:
            return False
        return (Fraction(value) * factor).denominator == 1

    return Key(
        expected=f"a number from {least} to {most} with at most {decimals} decimals",
        remedy=f"state the limit in {unit} as its source gives it",
        fits=fits,
    )


_SOURCE: Final = _text(
    "the name of a document",
    'write source = "…", the document and section',
    re.compile(r".*\S.*", re.DOTALL),
)
_UPWARD: Final = _word("comparator", "above", "at_or_above")
_DOWNWARD: Final = _word("comparator", "at_or_below")
_MMHG: Final = _word("unit", "mmHg")
_MMOL_L: Final = _word("unit", "mmol/L")
_SIDES: Final = {
    "systolic": _limit("mmHg", _SYSTOLIC, MMHG_E13_PER_MMHG),
    "diastolic": _limit("mmHg", _DIASTOLIC, MMHG_E13_PER_MMHG),
}
_PRESSURE: Final = {"unit": _MMHG, "comparator": _UPWARD, **_SIDES, "source": _SOURCE}
_TIER: Final = Table(
    parts={"age_min": _whole("completed years", most=_AGE_MAX), **_SIDES, "source": _SOURCE}
)
_BANDS: Final = Table(parts={**_PRESSURE, "tier": Rows(row=_TIER)})
_GLUCOSE_LIMIT: Final = {
    "unit": _MMOL_L,
    "comparator": _UPWARD,
    "limit": _limit("mmol/L", _GLUCOSE, MMOL_L_E4_PER_MMOL_L),
    "source": _SOURCE,
}
_SCREENED: Final = {
    "age_min": _whole("completed years", most=_AGE_MAX, required=False),
    "severity": _word("severity", "info", "warn"),
    "due_days": _whole("days", required=False),
}
_SUSPECTED: Final = Table(
    parts={
        "days_high": _whole("days", least=3, most=3),  # What a case remembers.
        "within_days": _whole("days"),
        "due_days": _whole("days"),
        "source": _SOURCE,
    },
    required=False,
)

NAMES: Final[Mapping[str, Key]] = {
    "id": _text(
        "lower-case letters, digits and _", 'write id = "my_centre", as the file is named', ID
    ),
    "version": _text("letters, digits, . and _", 'write version = "1", or a higher one', VERSION),
    "valid_from": Key(
        expected="a date",
        remedy="write valid_from = 2026-01-31, the first local day on which it applies",
        fits=_is_day,
    ),
}
"""What every file states for itself."""

BASE: Final[Mapping[str, Key]] = {
    "extends": _text("the id of a profile", 'write extends = "cn_nbphs_2017"', ID),
    "extends_version": _text(
        "the version of a profile",
        'write extends_version = "1", the version that is meant',
        VERSION,
    ),
}
"""What a file states that takes its other tables from another profile."""

CONTENT: Final[Mapping[str, Part]] = {
    "time_zone": Key(
        expected="a zone of the tz database that keeps one offset",
        remedy='write time_zone = "Asia/Shanghai"',
        fits=lambda value: isinstance(value, str) and _has_one_offset(value),
    ),
    "bp_emergency": Table(parts=_PRESSURE),
    "bp_pregnancy": Table(parts=_PRESSURE),
    "bp_office": _BANDS,
    "bp_home": _BANDS,
    "bp_screening": Table(parts={**_PRESSURE, **_SCREENED, "suspected": _SUSPECTED}),
    "bp_high_normal": Table(parts=_PRESSURE),
    "bp_interarm": Table(
        parts={
            "unit": _MMHG,
            "comparator": _UPWARD,
            "limit": _limit("mmHg", _DIFFERENCE, MMHG_E13_PER_MMHG),
            "source": _SOURCE,
        }
    ),
    "glucose_emergency_high": Table(parts=_GLUCOSE_LIMIT),
    "glucose_emergency_low": Table(parts={**_GLUCOSE_LIMIT, "comparator": _DOWNWARD}),
    "glucose_fasting": Table(parts=_GLUCOSE_LIMIT),
    "glucose_postprandial_2h": Table(parts=_GLUCOSE_LIMIT),
    "glucose_screening_fasting": Table(parts={**_GLUCOSE_LIMIT, **_SCREENED}),
    "glucose_screening_random": Table(parts={**_GLUCOSE_LIMIT, **_SCREENED}, required=False),
    "followup": Table(
        parts={
            "second_days": _whole("days"),
            "referral_days": _whole("days"),
            "routine_days": _whole("days"),
            "routine_overdue_days": _whole("days"),
            "face_to_face_per_year": _whole("visits", most=_TIMES_MAX),
            "unsatisfied_for_referral": _whole("assessments", least=2, most=_TIMES_MAX),
            "adverse_reactions_for_referral": _whole("visits", least=2, most=_TIMES_MAX),
            "escalation_days": Key(
                expected="a list of whole days above 0 that ascend",
                remedy="write escalation_days = [7, 14] or other days, the earliest first",
                fits=_is_ascending,
            ),
            "source": _SOURCE,
        }
    ),
    "session": Table(
        parts={
            "gap_minutes": _whole("minutes"),
            "span_minutes": _whole("minutes"),
            "wait_minutes": _whole("minutes", least=0),
            "third_reading_mmhg": _limit("mmHg", _DIFFERENCE, MMHG_E13_PER_MMHG),
            "source": _SOURCE,
        }
    ),
    "assessment": Table(parts={"span_hours": _whole("hours"), "source": _SOURCE}),
    "alerting": Table(
        parts={
            "emergency_repeat_hours": _whole("hours", least=0),
            "late_hours": _whole("hours"),
            "source": _SOURCE,
        }
    ),
}
"""What a complete profile holds, whichever file states it."""
