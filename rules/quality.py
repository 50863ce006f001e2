"""What may be judged: every reading's disposition, and its values in the unit of the limits.

Nothing is guessed: a value without unit, number or plausibility is quarantined, a disturbed
measurement too, and a control solution is excluded. All of them are stored and shown.

Source: clinical decision table 2.2 step 4, 3.2 (scale guard).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from rules.columns import (
    KIND_BLOOD_PRESSURE,
    MISSING,
    RANGE_HIGH,
    RANGE_LOW,
    BoolArray,
    Int8Array,
    Int64Array,
)
from rules.reported import (
    NO_UNIT,
    NOT_A_NUMBER,
    STATUS_BODY_MOVEMENT,
    STATUS_CUFF_LOOSE,
    STATUS_FAILED_TEST,
    STATUS_IMPROPER_POSITION,
    STATUS_RESULT_TOO_HIGH,
    STATUS_RESULT_TOO_LOW,
    Reported,
)
from rules.units import (
    MMHG_E13_PER_MMHG,
    MMOL_L_E4_PER_MMOL_L,
    find_exact_glucose,
    find_exact_pressure,
    to_mmhg_e13,
    to_mmol_l_e4,
)

# Physical limits, inclusive: outside them no living person was measured.
SYSTOLIC_MMHG: Final = (50, 300)
DIASTOLIC_MMHG: Final = (20, 200)
_GLUCOSE_MMOL_L_E4: Final = (6_000, 55 * MMOL_L_E4_PER_MMOL_L)  # 0.6 to 55.
_DISTURBED: Final = STATUS_BODY_MOVEMENT | STATUS_CUFF_LOOSE | STATUS_IMPROPER_POSITION


class Disposition(IntEnum):
    """What became of a reading. Numbers are stored: append, never renumber."""

    ACCEPTED = 0
    QUARANTINED_IMPLAUSIBLE = 1
    QUARANTINED_DEVICE_STATUS = 2
    QUARANTINED_MISSING_UNIT = 3
    QUARANTINED_NOT_A_NUMBER = 4
    EXCLUDED_CONTROL_SOLUTION = 5
    CONFLICT = 6
    DUPLICATE = 7
    RETRACTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Assayed:
    """Values in the limits' units, shape (n,) each; MISSING where there is none to compare."""

    disposition: Int8Array
    systolic_mmhg_e13: Int64Array
    diastolic_mmhg_e13: Int64Array
    glucose_mmol_l_e4: Int64Array
    range_status: Int8Array


def assay(reported: Reported) -> Assayed:
    """Normalise every value and say which readings may be judged.

    Args:
        reported: After amendments.

    Cost: O(n), a few passes.
    """
    pressure = reported.kind == KIND_BLOOD_PRESSURE
    disposition = np.zeros(len(reported), dtype=np.int8)
    systolic, diastolic = (
        _pressure(column, reported.unit, pressure)
        for column in (reported.systolic_e4, reported.diastolic_e4)
    )
    glucose = _glucose(reported, ~pressure)
    beyond = _range_status(reported, pressure)
    unsaid = np.where(
        pressure,
        _is_unsaid(reported.systolic_e4) | _is_unsaid(reported.diastolic_e4),
        _is_unsaid(reported.glucose_e7) & (beyond == 0),
    )
    low, high = _GLUCOSE_MMOL_L_E4
    plausible = np.where(
        pressure,
        _plausible_pressure(systolic, diastolic),
        (beyond != 0) | ((glucose >= low) & (glucose <= high)),
    )
    disturbed = (reported.status & np.where(pressure, _DISTURBED, STATUS_FAILED_TEST)) != 0
    # What the table names first is said last: it wins.
    disposition[reported.control_solution] = Disposition.EXCLUDED_CONTROL_SOLUTION
    disposition[disturbed] = Disposition.QUARANTINED_DEVICE_STATUS
    disposition[~plausible] = Disposition.QUARANTINED_IMPLAUSIBLE
    disposition[unsaid] = Disposition.QUARANTINED_NOT_A_NUMBER
    disposition[(reported.unit == NO_UNIT) & (beyond == 0)] = Disposition.QUARANTINED_MISSING_UNIT
    disposition[_says_both(reported, pressure)] = Disposition.QUARANTINED_DEVICE_STATUS
    return Assayed(
        disposition=disposition,
        systolic_mmhg_e13=systolic,
        diastolic_mmhg_e13=diastolic,
        glucose_mmol_l_e4=glucose,
        range_status=beyond,
    )


def _is_unsaid(value: Int64Array) -> BoolArray:
    unsaid: BoolArray = (value == MISSING) | (value == NOT_A_NUMBER)
    return unsaid


def _pressure(value_e4: Int64Array, unit: Int8Array, mine: BoolArray) -> Int64Array:
    """1e-13 mmHg; MISSING where the value cannot be converted exactly."""
    exact = mine & find_exact_pressure(value_e4, unit)
    return to_mmhg_e13(np.where(exact, value_e4, MISSING), np.where(exact, unit, np.int8(NO_UNIT)))


def _glucose(reported: Reported, mine: BoolArray) -> Int64Array:
    """1e-4 mmol/L; MISSING where the value cannot be converted exactly."""
    exact = mine & find_exact_glucose(reported.glucose_e7, reported.unit)
    value = np.where(exact, reported.glucose_e7, MISSING)
    return to_mmol_l_e4(value, np.where(exact, reported.unit, np.int8(NO_UNIT)))


def _plausible_pressure(systolic: Int64Array, diastolic: Int64Array) -> BoolArray:
    plausible: BoolArray = systolic > diastolic
    for value, (low, high) in ((systolic, SYSTOLIC_MMHG), (diastolic, DIASTOLIC_MMHG)):
        plausible &= (value >= low * MMHG_E13_PER_MMHG) & (value <= high * MMHG_E13_PER_MMHG)
    return plausible


def _says_both(reported: Reported, pressure: BoolArray) -> BoolArray:
    """HI and LO at once, without a number: nothing that anybody could judge."""
    both = STATUS_RESULT_TOO_HIGH | STATUS_RESULT_TOO_LOW
    said: BoolArray = ~pressure & _is_unsaid(reported.glucose_e7)
    said &= (reported.status & both) == both
    return said


def _range_status(reported: Reported, pressure: BoolArray) -> Int8Array:
    """HI or LO where the meter says so instead of a number."""
    silent = ~pressure & _is_unsaid(reported.glucose_e7) & ~_says_both(reported, pressure)
    high = silent & ((reported.status & STATUS_RESULT_TOO_HIGH) != 0)
    low = silent & ((reported.status & STATUS_RESULT_TOO_LOW) != 0)
    said = np.zeros(len(reported), dtype=np.int8)
    said[high] = RANGE_HIGH
    said[low] = RANGE_LOW
    return said
