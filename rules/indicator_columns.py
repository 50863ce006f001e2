"""What indicators are counted from, as columns. Rows in any order; nothing is decided here.

All days are local calendar days (``local_time.local_date``): a visit at 2026-12-31T17:00Z is
one of 2027. ``person`` is the row number of a resident. A table that exists fits together:
aligned columns, known codes, no NaT where a day must be known.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rules.codes import Condition
from rules.columns import (
    BOTH_CONDITIONS,
    MISSING,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
)
from rules.comparison import Sums, crosses_bands, falls_to_glucose, reaches_glucose
from rules.errors import ShapeError, UnknownCodeError
from rules.indicator_catalogue import FollowUpKind
from rules.limits import ProfileTable, RowOrRows

PERSONS_MAX: Final = 1 << 32  # (person, day of the period) fits one 64-bit key.
_DAY: Final = np.dtype("datetime64[D]")
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "person": np.dtype(np.int64),
    "condition": np.dtype(np.int8),
    "kind": np.dtype(np.int8),
    **dict.fromkeys(("day", "since", "until", "due", "answered"), _DAY),
    **dict.fromkeys(("face_to_face", "controlled", "lost"), np.dtype(np.bool_)),
}
_LEAST_CONDITION: Final = {"Visits": BOTH_CONDITIONS, "Outcomes": BOTH_CONDITIONS}
_MAY_BE_OPEN: Final = {"until", "answered"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Aligned columns. Raises ``ShapeError`` or ``UnknownCodeError`` when they are not."""

    person: Int64Array

    def __post_init__(self) -> None:
        for field in fields(self):
            self._require_column(field.name, getattr(self, field.name))

    def _require_column(self, name: str, column: npt.NDArray[Any]) -> None:
        where = f"{type(self).__name__}.{name}"
        if column.dtype != _TYPES[name] or column.shape != (len(self.person),):
            msg = f"{where} is {column.dtype} {column.shape}; expected {_TYPES[name]}, shape (n,)"
            raise ShapeError(msg)
        if column.dtype == _DAY and name not in _MAY_BE_OPEN and np.isnat(column).any():
            msg = f"{where} holds NaT; nothing is counted on an unknown day"
            raise ShapeError(msg)
        if name == "person":
            _require_within(where, column, 0, PERSONS_MAX - 1)
        elif name == "condition":
            least = _LEAST_CONDITION.get(type(self).__name__, min(Condition))
            _require_within(where, column, least, max(Condition))
        elif name == "kind":
            _require_within(where, column, min(FollowUpKind), max(FollowUpKind))

    def __len__(self) -> int:
        return len(self.person)

    @classmethod
    def none(cls) -> Self:
        """No row at all."""
        return cls(**{field.name: np.zeros(0, _TYPES[field.name]) for field in fields(cls)})


def _require_within(where: str, column: npt.NDArray[Any], least: int, most: int) -> None:
    if len(column) and (column.min() < least or column.max() > most):
        msg = f"{where} holds a number outside {least} to {most}"
        raise UnknownCodeError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed(_Table):
    """Who is managed for what and when; several rows for somebody who was enrolled again."""

    condition: Int8Array  # ``Condition``.
    since: DateArray
    until: DateArray  # Inclusive; NaT: still managed.

    def __post_init__(self) -> None:
        _Table.__post_init__(self)
        if (self.until < self.since).any():
            msg = "Managed.until lies before since; a period cannot end before it begins"
            raise ShapeError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits(_Table):
    """Recorded follow-up visits."""

    condition: Int8Array  # ``Condition``, or BOTH_CONDITIONS.
    day: DateArray
    face_to_face: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Examinations(_Table):
    """Yearly health checks; one serves both conditions."""

    day: DateArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes(_Table):
    """What each follow-up found: a value under control or not, or nobody to be found."""

    condition: Int8Array  # ``Condition``, or BOTH_CONDITIONS (lost).
    day: DateArray
    controlled: BoolArray  # Of ``pressure_controlled`` or ``glucose_controlled``.
    lost: BoolArray  # Lost to follow-up: not controlled, whatever the value.


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligations(_Table):
    """Follow-ups that were owed, one row each.

    One that lost its ground (cancelled alert, closed case) before its due day is no obligation.
    """

    condition: Int8Array  # ``Condition``.
    kind: Int8Array  # ``FollowUpKind``.
    due: DateArray  # The last day on which an answer is on time.
    answered: DateArray  # NaT: not yet.


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that indicators are counted from."""

    managed: Managed
    visits: Visits
    examinations: Examinations
    outcomes: Outcomes
    obligations: Obligations


def pressure_controlled(
    sums: Sums, age_years: Int64Array, table: ProfileTable, row: RowOrRows
) -> BoolArray:
    """Whether each follow-up's mean office pressure is under control at that day's age.

    Args:
        sums: Shape (n,); a sum that is MISSING was not measured.
        age_years: Shape (n,), on the local day; UNKNOWN_AGE falls under the base limit.
        table: The profiles in use.
        row: Which of its rows judges each follow-up.

    Returns:
        Shape (n,). A value that was not measured is not under control.
    """
    measured = (sums.systolic != MISSING) & (sums.diastolic != MISSING)

    def has_reached(years: Int64Array | int) -> BoolArray:
        reached: BoolArray = age_years >= years
        return reached

    controlled: BoolArray = measured & ~crosses_bands(sums, has_reached, table.bp_office, row)
    return controlled


def glucose_controlled(
    fasting_mmol_l_e4: Int64Array, table: ProfileTable, row: RowOrRows
) -> BoolArray:
    """Whether each follow-up's fasting glucose is under control; a low emergency never is.

    Args:
        fasting_mmol_l_e4: Shape (n,), 1e-4 mmol/L; MISSING: no fasting value, not under control.
        table: The profiles in use.
        row: Which of its rows judges each follow-up.
    """
    high = reaches_glucose(fasting_mmol_l_e4, table.glucose_fasting, row)
    low = falls_to_glucose(fasting_mmol_l_e4, table.glucose_emergency_low, row)
    controlled: BoolArray = (fasting_mmol_l_e4 != MISSING) & ~high & ~low
    return controlled
