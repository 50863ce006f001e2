"""What comes again and again in readings, worked out once: numbers, and words in combination.

There are a few hundred literals such as ``132`` or ``7.2`` and a few dozen combinations of kind,
unit, setting, arm and the like, so each is read once and remembered, with the bytes COPY takes for
it. Memories are bounded: nonsense on the wire must not fill them. Invariant: what is refused here
(None) is not wrong, only not plain; ``gateway.wire.readings`` says what it is.
"""

import re
import struct
from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np

from gateway.wire import limits
from gateway.wire.readings import UNUSABLE_STATUS
from ingest.db.plain import NULL_CELL, as_cell
from ingest.db.words import (
    ARM_CODES,
    CONTROL_SOLUTION,
    KIND_CODES,
    MEAL_CODES,
    SETTING_CODES,
    STATUS_BITS,
    UNIT_CODES,
)
from ingest.duplicate_keys import status_code, unit_arm_code
from rules.columns import KIND_BLOOD_PRESSURE, BoolArray, Int64Array

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_REMEMBERED_MAX: Final = 20_000
_DECIMALS: Final = 7  # Values are whole numbers of 1e-7 here.
_TEXT_OID: Final = 25


class Memory(dict[Key, Value], Generic[Key, Value]):
    """Remembers what a pure function said; forgets everything when it is full."""

    def __init__(self, work_out: Callable[[Key], Value]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, key: Key) -> Value:
        value = self._work_out(key)
        if len(self) >= _REMEMBERED_MAX:
            self.clear()
        self[key] = value
        return value


class Number(NamedTuple):
    """One literal: as a field ``numeric`` with its scale, and as a whole number of 1e-7."""

    cell: bytes
    value_and_decimals: int  # The value in 1e-7 times 8, and how many decimals it was given with.


_LITERAL: Final = re.compile(rb"[0-9]{1,4}(?:\.[0-9]{1,7})?")
ABSENT: Final = Number(NULL_CELL, -1 << 3)


def read_number(literal: bytes) -> Number | None:
    """Read a plain literal; nothing at all is ``ABSENT``; None: not plain."""
    if not literal:
        return ABSENT
    if not _LITERAL.fullmatch(literal):
        return None
    whole, _, fraction = literal.decode().partition(".")
    value_e7 = int(whole) * 10**_DECIMALS + int(fraction.ljust(_DECIMALS, "0"))
    return Number(as_cell(_numeric(whole, fraction)), (value_e7 << 3) + len(fraction))


def _numeric(whole: str, fraction: str) -> bytes:
    """PostgreSQL's own form: digits to the base 10,000, the weight of the first, the scale."""
    padded = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    digits = [int(whole)] + [int(padded[at : at + 4]) for at in range(0, len(padded), 4)]
    weight = 0
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits.pop()
    weight = weight if digits else 0
    head = struct.pack(">hhHh", len(digits), weight, 0, len(fraction))
    return head + struct.pack(f">{len(digits)}h", *digits)


class Shape(NamedTuple):
    """All words of one reading: as fields of ``reading``, and as the codes of the rules."""

    cells: bytes
    kind: int
    unit: int
    setting: int
    arm: int
    meal_context: int
    status: int
    control_solution: bool
    stored_record: bool
    clock_synchronised: bool
    time_fault: bool
    arm_text: str | None
    value_code: int  # What it adds to ``duplicate_keys``: unit and arm, or unit and status.
    bounds: int  # Row of BOUNDS.


_UNITS: Final = {
    "blood_pressure": tuple(limits.BLOOD_PRESSURE_DECIMALS_MAX),
    "glucose": tuple(limits.GLUCOSE_DECIMALS_MAX),
}
NO_SHAPE: Final = Shape(
    *(b"", 0, 0, 0, 0, 0, 0),
    control_solution=False,
    stored_record=False,
    clock_synchronised=False,
    time_fault=False,
    arm_text=None,
    value_code=0,
    bounds=0,
)
"""Stands in the row of a reading that is not plain."""
_NAMES: Final = [unit for units in _UNITS.values() for unit in units]


def read_shape(words: tuple[Any, ...]) -> Shape | None:
    """Read a combination of words; None: not plain.

    Args:
        words: Kind, unit, setting, arm, posture, meal context, sample, status, stored record,
            clock synchronised; UNSET for a field that is not there.
    """
    kind, unit, setting, arm, posture, meal_context, sample, status, stored, synchronised = words
    is_pressure = kind == "blood_pressure"
    of_others = (meal_context, sample) if is_pressure else (arm, posture)
    if unit not in _UNITS[kind] or any(word is not msgspec.UNSET for word in of_others):
        return None
    if UNUSABLE_STATUS.intersection(status) or {"result_too_high", "result_too_low"} <= {*status}:
        return None
    arm, posture, sample = (None if w is msgspec.UNSET else w for w in (arm, posture, sample))
    if not is_pressure and meal_context is msgspec.UNSET:
        meal_context = "unknown"
    meal_context = None if meal_context is msgspec.UNSET else meal_context
    in_code = status_code(status)
    return Shape(
        cells=b"".join(
            (
                *map(_text_cell, (kind, setting)),
                as_cell(_text_array(status)),
                *map(_text_cell, (unit, arm, posture, meal_context, sample)),
                *(as_cell(bytes([flag])) for flag in (stored, synchronised)),
                NULL_CELL,  # extra: a reading with fields we do not know is not plain.
            )
        ),
        kind=KIND_CODES[kind],
        unit=UNIT_CODES[unit],
        setting=SETTING_CODES[setting],
        arm=ARM_CODES[arm],
        meal_context=MEAL_CODES[meal_context],
        status=sum(STATUS_BITS.get(word, 0) for word in {*status}),
        control_solution=sample == CONTROL_SOLUTION,
        stored_record=stored,
        clock_synchronised=synchronised,
        time_fault="time_fault" in status,
        arm_text=arm,
        value_code=unit_arm_code(UNIT_CODES[unit], ARM_CODES[arm]) if is_pressure else in_code,
        bounds=_NAMES.index(unit),
    )


def _text_cell(word: str | None) -> bytes:
    return NULL_CELL if word is None else as_cell(word.encode())


def _text_array(words: Sequence[str]) -> bytes:
    if not words:
        return struct.pack(">iii", 0, 0, _TEXT_OID)
    head = struct.pack(">iiiii", 1, 0, _TEXT_OID, len(words), 1)
    return head + b"".join(_text_cell(word) for word in words)


def _whole_bounds(low: Fraction, high: Fraction) -> tuple[int, int]:
    """The least and the greatest whole number of 1e-7 within exact bounds."""
    return ceil(low * 10**_DECIMALS), floor(high * 10**_DECIMALS)


def _pressure_bounds(bounds: tuple[Decimal, Decimal], unit: str) -> tuple[int, int]:
    low, high = (Fraction(edge) / Fraction(limits.to_mmhg(Decimal(1), unit)) for edge in bounds)
    return _whole_bounds(low, high)


def _bounds_of(unit: str) -> tuple[int, ...]:
    if unit in limits.BLOOD_PRESSURE_DECIMALS_MAX:
        systolic = _pressure_bounds(limits.SYSTOLIC_MMHG, unit)
        diastolic = _pressure_bounds(limits.DIASTOLIC_MMHG, unit)
        return (*systolic, *diastolic, limits.BLOOD_PRESSURE_DECIMALS_MAX[unit])
    low, high = (Fraction(edge) for edge in limits.glucose_bounds(unit))
    bounds = _whole_bounds(low, high)
    return (*bounds, *bounds, limits.GLUCOSE_DECIMALS_MAX[unit])


_BOUNDS: Final = np.array([_bounds_of(unit) for unit in _NAMES], np.int64)
_PULSE_E7: Final = _whole_bounds(*(Fraction(edge) for edge in limits.PULSE_PER_MINUTE))
_PULSE_DECIMALS_MAX: Final = 2


def find_plausible(
    kind: Int64Array,
    bounds: Int64Array,
    values_e7: Int64Array,
    decimals: Int64Array,
) -> BoolArray:
    """Which readings have the values of their kind, none of the other's, all a living person's.

    Args:
        kind: Of ``columns.KIND_CODES``, shape (n,).
        bounds: ``Shape.bounds``, shape (n,).
        values_e7: Systolic, diastolic, pulse, glucose; -1 where absent, shape (4, n).
        decimals: Of the literals, shape (4, n).

    Source: clinical decision table 2.2 step 4; the numbers are ``gateway.wire.limits``.
    """
    systolic, diastolic, pulse, glucose = values_e7
    low, high, low_second, high_second, decimals_max = _BOUNDS[bounds].T
    is_pressure = kind == KIND_BLOOD_PRESSURE
    first = np.where(is_pressure, systolic, glucose)
    second = np.where(is_pressure, diastolic, glucose)
    plausible: BoolArray = (first >= low) & (first <= high)
    plausible &= (second >= low_second) & (second <= high_second)
    plausible &= np.where(is_pressure, systolic > diastolic, True)  # noqa: FBT003 - a column
    absent = (systolic < 0) & (diastolic < 0) & (pulse < 0)
    plausible &= np.where(is_pressure, glucose < 0, absent)
    plausible &= (decimals[[0, 1, 3]] <= decimals_max).all(axis=0)
    plausible &= decimals[2] <= _PULSE_DECIMALS_MAX
    plausible &= (pulse < 0) | ((pulse >= _PULSE_E7[0]) & (pulse <= _PULSE_E7[1]))
    return plausible
