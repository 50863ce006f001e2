"""Worked examples of indicators: a case as decoded JSON in, the values it is to give out.

Two forms: the year of a centre (``year``, ``estimated_patients``, ``managed``), and one visit
(``visit_at``). Numbers are exact: decode with ``parse_float=Decimal``. Nothing is guessed: what
is missing or malformed is an ``IndicatorCaseError`` that names the field. Where a case names
no unit its numbers are mmHg and mmol/L, as they are in the profile.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NoReturn

import numpy as np

from rules.codes import Condition
from rules.columns import MISSING, BoolArray, DateArray, Int8Array, Int64Array
from rules.comparison import Sums
from rules.errors import PrecisionError, RulesError
from rules.indicator_columns import (
    Examinations,
    Facts,
    Managed,
    Obligations,
    Outcomes,
    Visits,
    glucose_controlled,
    pressure_controlled,
)
from rules.indicators import Parameters, Period, measure
from rules.limits import ProfileTable, tabulate
from rules.local_time import UNKNOWN_AGE, age_on, local_date
from rules.profiles import load_profile
from rules.units import GLUCOSE_UNIT_CODES, PRESSURE_UNIT_CODES, to_mmhg_e13, to_mmol_l_e4

_PROFILE: Final = "cn_nbphs_2017"  # Unless the case names another.
_CONDITIONS: Final = {
    "hypertension": (Condition.HYPERTENSION, "htn"),
    "diabetes_t2": (Condition.DIABETES, "t2dm"),
}
_PRESSURE_DIGITS: Final = 4  # What ``to_mmhg_e13`` takes; the next likewise.
_GLUCOSE_DIGITS: Final = 7
_VALUE_MAX: Final = 10_000
_YEARS: Final = range(2015, 2101)  # Those for which ``local_time`` proves one offset.
_YEARS_TEXT: Final = f"{_YEARS[0]} to {_YEARS[-1]}"
_PERSONS_MAX: Final = 2_000_000_000
_AGE_MAX: Final = 150


class IndicatorCaseError(RulesError):
    """A case cannot be evaluated.

    Attributes:
        field: Path of what is wrong, such as ``managed[2].last_followup.date``.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"{field}: {problem}")


def evaluate_indicator_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the case's ``expected`` names, in the same form.

    Raises:
        IndicatorCaseError: A field is missing or malformed.
        ProfileError: The profile that the case names cannot be used.
    """
    root = _Object("", case)
    profile = load_profile(root.text("profile") if "profile" in root else _PROFILE)
    table = tabulate([[profile]])
    if "visit_at" in root:
        day = root.day("visit_at", table.utc_offset)
        return {"local_date": day.isoformat(), "counts_for_year": day.year}
    return _evaluate_year(root, table, profile.followup.face_to_face_per_year)


def _evaluate_year(root: "_Object", table: ProfileTable, face_to_face: int) -> dict[str, Any]:
    year = root.whole("year", _YEARS[0], _YEARS[-1])
    estimated = root.whole("estimated_patients", 0, _PERSONS_MAX)
    rows = _Rows(year=year, offset=table.utc_offset)
    for person in root.objects("managed"):
        rows.add(person)
    condition, prefix = _CONDITIONS[rows.condition]
    found = measure(
        rows.facts(condition, table),
        Period.of_year(year, as_of=date(year, 12, 31)),
        Parameters(estimated_patients={condition: estimated}, face_to_face_per_year=face_to_face),
    )
    managed, standard, controlled = (
        found[f"{prefix}.{name}"]
        for name in ("management_rate", "standard_management_rate", "control_rate")
    )
    ids = list(rows.person_of)
    return {
        "managed": managed.counted.numerator,
        "managed_rate": managed.text,
        "standard_managed": [ids[row] for row in standard.counted.numerator_persons],
        "standard_rate": standard.text,
        "controlled": [ids[row] for row in controlled.counted.numerator_persons],
        "control_rate": controlled.text,
    }


@dataclass(slots=True, kw_only=True)
class _Rows:
    """What a case says of its persons, row by row; the same id is the same person."""

    year: int
    offset: np.timedelta64
    condition: str = "hypertension"
    person_of: dict[str, int] = field(default_factory=dict)
    managed: list[tuple[int, date, date | None]] = field(default_factory=list)
    visits: list[tuple[int, date]] = field(default_factory=list)
    examinations: list[tuple[int, date]] = field(default_factory=list)
    outcomes: list["_Outcome"] = field(default_factory=list)

    def add(self, entry: "_Object") -> None:
        """Read one entry of ``managed``: of the whole year unless it says otherwise."""
        condition = entry.choice("condition", tuple(_CONDITIONS))
        if self.managed and condition != self.condition:
            entry.refuse("condition", "differs from the others; a case is about one condition")
        self.condition = condition
        person = self.person_of.setdefault(entry.text("id"), len(self.person_of))
        first = date(self.year, 1, 1)
        since = entry.day("managed_from", self.offset) if "managed_from" in entry else first
        until = entry.day("managed_until", self.offset) if "managed_until" in entry else None
        if until is not None and until < since:
            entry.refuse("managed_until", "lies before managed_from")
        self.managed.append((person, since, until))
        self.visits += [(person, day) for day in entry.days("face_to_face_dates", self.offset)]
        if entry.truth("annual_exam"):
            self.examinations.append((person, first))
        if "last_followup" in entry:
            self.outcomes.append(_Outcome.read(entry, person, condition, self.offset))

    def facts(self, condition: Condition, table: ProfileTable) -> Facts:
        """Everything as columns."""
        return Facts(
            managed=Managed(
                person=_numbers(row[0] for row in self.managed),
                condition=_codes(condition, len(self.managed)),
                since=_days(row[1] for row in self.managed),
                until=_days(row[2] for row in self.managed),
            ),
            visits=Visits(
                person=_numbers(row[0] for row in self.visits),
                condition=_codes(condition, len(self.visits)),
                day=_days(row[1] for row in self.visits),
                face_to_face=np.ones(len(self.visits), np.bool_),
            ),
            examinations=Examinations(
                person=_numbers(row[0] for row in self.examinations),
                day=_days(row[1] for row in self.examinations),
            ),
            outcomes=Outcomes(
                person=_numbers(each.person for each in self.outcomes),
                condition=_codes(condition, len(self.outcomes)),
                day=_days(each.day for each in self.outcomes),
                controlled=_controlled(self.outcomes, condition, table),
                lost=np.array([each.lost for each in self.outcomes], np.bool_),
            ),
            obligations=Obligations.none(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The last follow-up of one person. MISSING where a value does not apply."""

    person: int
    day: date
    age_years: int
    lost: bool
    systolic_mmhg_e13: int = MISSING
    diastolic_mmhg_e13: int = MISSING
    fasting_mmol_l_e4: int = MISSING

    @classmethod
    def read(
        cls, entry: "_Object", person: int, condition: str, offset: np.timedelta64
    ) -> "_Outcome":
        """Read ``last_followup``, and the age of its person on that day."""
        asked = entry.object("last_followup")
        day = asked.day("date", offset)
        age = entry.whole("age", 0, _AGE_MAX) if "age" in entry else UNKNOWN_AGE
        if "birth_date" in entry:
            born = entry.day("birth_date", offset)
            age = int(age_on(_days([born]), _days([day]))[0])
        lost = "lost" in asked and asked.truth("lost")
        values: dict[str, int] = {}
        if not lost:
            values = _pressure(asked) if condition == "hypertension" else _glucose(asked)
        return cls(person=person, day=day, age_years=age, lost=lost, **values)


def _pressure(asked: "_Object") -> dict[str, int]:
    unit = asked.choice("unit", tuple(PRESSURE_UNIT_CODES)) if "unit" in asked else "mmHg"

    def read(key: str) -> int:
        return asked.scaled(key, _PRESSURE_DIGITS, to_mmhg_e13, PRESSURE_UNIT_CODES[unit])

    return {"systolic_mmhg_e13": read("sbp"), "diastolic_mmhg_e13": read("dbp")}


def _glucose(asked: "_Object") -> dict[str, int]:
    """A value of another meal context is no fasting value, so none at all."""
    unit = asked.choice("unit", tuple(GLUCOSE_UNIT_CODES)) if "unit" in asked else "mmol/L"
    key = "fpg" if "fpg" in asked else "value"
    value = asked.scaled(key, _GLUCOSE_DIGITS, to_mmol_l_e4, GLUCOSE_UNIT_CODES[unit])
    if "context" in asked and asked.text("context") != "fasting":
        return {}
    return {"fasting_mmol_l_e4": value}


def _controlled(outcomes: list[_Outcome], condition: Condition, table: ProfileTable) -> BoolArray:
    if condition is Condition.DIABETES:
        return glucose_controlled(_numbers(each.fasting_mmol_l_e4 for each in outcomes), table, 0)
    sums = Sums(
        _numbers(each.systolic_mmhg_e13 for each in outcomes),
        _numbers(each.diastolic_mmhg_e13 for each in outcomes),
        count=1,
    )
    return pressure_controlled(sums, _numbers(each.age_years for each in outcomes), table, 0)


def _numbers(values: Iterable[int]) -> Int64Array:
    return np.fromiter(values, np.int64)


def _codes(condition: Condition, rows: int) -> Int8Array:
    return np.full(rows, condition, np.int8)


def _days(values: Iterable[date | None]) -> DateArray:
    return np.array(list(values), "datetime64[D]")


class _Object:
    """One JSON object and the path to it, read field by field."""

    def __init__(self, path: str, content: object) -> None:
        self.path = path
        if not isinstance(content, Mapping):
            raise IndicatorCaseError(path or "case", "expected an object")
        self.content: Mapping[str, Any] = content

    def __contains__(self, key: str) -> bool:
        """Whether the field is there; null is absent."""
        return self.content.get(key) is not None

    def refuse(self, key: str, problem: str) -> NoReturn:
        raise IndicatorCaseError(f"{self.path}.{key}".removeprefix("."), problem)

    def take(self, key: str) -> Any:  # noqa: ANN401 - JSON is any shape until it is checked
        if key not in self:
            self.refuse(key, "is missing")
        return self.content[key]

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value:
            self.refuse(key, f"is {value!r}; expected a text that is not empty")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            self.refuse(key, f"is {value!r}; expected {' or '.join(allowed)}")
        return value

    def truth(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            self.refuse(key, f"is {value!r}; expected true or false")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.refuse(key, f"is {value!r}; expected a whole number, {least} to {most}")
        return value

    def scaled(
        self,
        key: str,
        digits: int,
        normalise: Callable[[Int64Array, Int8Array], Int64Array],
        unit: int,
    ) -> int:
        """A reported value in the exact unit of the limits."""
        value = self.take(key)
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            self.refuse(key, f"is {value!r}; expected a number, decoded as a decimal")
        if not Decimal(value).is_finite() or not 0 < value < _VALUE_MAX:
            self.refuse(key, f"is {value}; expected a number above 0, below {_VALUE_MAX}")
        reported = Fraction(value) * 10**digits
        if reported.denominator != 1:
            self.refuse(key, f"is {value}; more than {digits} decimals are not exact")
        try:
            exact = normalise(np.array([int(reported)], np.int64), np.array([unit], np.int8))
        except PrecisionError as error:
            self.refuse(key, f"is {value}; {error}")
        return int(exact[0])

    def day(self, key: str, offset: np.timedelta64) -> date:
        """A local day, or the local day of an instant that names its offset from UTC."""
        return self._parse_day(key, self.text(key), offset)

    def days(self, key: str, offset: np.timedelta64) -> list[date]:
        values = self._list(key)
        return [self._parse_day(f"{key}[{n}]", value, offset) for n, value in enumerate(values)]

    def _parse_day(self, key: str, value: object, offset: np.timedelta64) -> date:
        if not isinstance(value, str):
            self.refuse(key, f"is {value!r}; expected a text such as 2026-12-31")
        try:
            if len(value) == len("2026-12-31"):
                return date.fromisoformat(value)
            at = datetime.fromisoformat(value)
        except ValueError:
            self.refuse(key, f"is {value!r}; expected a date, or a time with its offset from UTC")
        if at.tzinfo is None or at.year not in _YEARS:
            self.refuse(key, f"is {value!r}; expected an offset from UTC and a year {_YEARS_TEXT}")
        utc = np.array([at.astimezone(UTC).replace(tzinfo=None)], "datetime64[us]")
        day: date = local_date(utc, offset)[0].item()
        return day

    def object(self, key: str) -> "_Object":
        return _Object(f"{self.path}.{key}".removeprefix("."), self.take(key))

    def objects(self, key: str) -> "list[_Object]":
        path = f"{self.path}.{key}".removeprefix(".")
        return [_Object(f"{path}[{n}]", each) for n, each in enumerate(self._list(key))]

    def _list(self, key: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            self.refuse(key, f"is {value!r}; expected a list")
        return value
