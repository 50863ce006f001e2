"""From the unit a device reported to the unit of the limits, exactly. No float ever.

Blood pressure becomes whole 1e-13 mmHg and is not rounded (18.6 kPa = 139.51… mmHg stays below
140; where a kPa has more than two decimals what lies below that is cut, and no limit lies there).
Glucose becomes whole 1e-4 mmol/L, and what was reported by mass is rounded half up to 0.1 mmol/L
as the published pairs are (126 mg/dL = 7.0, 300 = 16.7, 70 = 3.9).

Source: clinical decision table 2.2 step 6; glucose 180.156 g/mol (LOINC LG7967-5).
"""

from typing import Final

import numpy as np

from rules.columns import MISSING, BoolArray, Int8Array, Int64Array
from rules.errors import PrecisionError, ShapeError, UnknownCodeError

UNIT_MMHG: Final = 1
UNIT_KPA: Final = 2
UNIT_MMOL_L: Final = 1
UNIT_MG_DL: Final = 2
UNIT_MOL_L: Final = 3
UNIT_KG_L: Final = 4

# Wire names to codes.
PRESSURE_UNIT_CODES: Final = {"mmHg": UNIT_MMHG, "kPa": UNIT_KPA}
GLUCOSE_UNIT_CODES: Final = {
    "mmol/L": UNIT_MMOL_L,
    "mg/dL": UNIT_MG_DL,
    "mol/L": UNIT_MOL_L,
    "kg/L": UNIT_KG_L,
}

MMHG_E13_PER_MMHG: Final = 10**13
MMOL_L_E4_PER_MMOL_L: Final = 10**4
_MMHG_E11_PER_KPA: Final = 750_061_575_846  # 7.50061575846
_MG_DL_E7_PER_MMOL_L: Final = 180_156_000  # 18.0156
_MG_DL_PER_KG_L: Final = 100_000
_REPORTED_MAX: Final = 10**9 - 1  # In 1e-4 or 1e-7: far above any plausible value, far below 2**63.
_GLUCOSE_REPORTED_MAX: Final = 10**13 - 1
_KPA_REPORTED_MAX: Final = 10**7  # In 1e-4: 1,000 kPa; times the factor it fits 64 bits.
_CUT: Final = 100  # 1e-15 mmHg in 1e-13.
_MMOL_STEP: Final = 1_000  # In 1e-7: four decimals of a mmol/L.


def find_exact_pressure(value_e4: Int64Array, unit: Int8Array) -> BoolArray:
    """Which values ``to_mmhg_e13`` can convert: not negative, not absurd, exact in 64 bits."""
    fits = (value_e4 >= 0) & (value_e4 <= _REPORTED_MAX)
    exact: BoolArray = fits & (unit == UNIT_MMHG)
    exact |= fits & (unit == UNIT_KPA) & (value_e4 <= _KPA_REPORTED_MAX)
    return exact


def find_exact_glucose(value_e7: Int64Array, unit: Int8Array) -> BoolArray:
    """Which values ``to_mmol_l_e4`` can convert: not negative, not absurd, exact in 64 bits."""
    fits = (value_e7 >= 0) & (value_e7 <= _GLUCOSE_REPORTED_MAX)
    exact: BoolArray = fits & ((unit == UNIT_MOL_L) | (unit == UNIT_MG_DL))
    exact |= fits & (unit == UNIT_MMOL_L) & (value_e7 % _MMOL_STEP == 0)
    exact |= fits & (unit == UNIT_KG_L) & (value_e7 <= _REPORTED_MAX)
    return exact


def _require_exact(value: Int64Array, given: BoolArray, step: int, unit: str, most: int) -> None:
    if (value[given] < 0).any() or (value[given] > most).any():
        msg = f"a value in {unit} is negative or absurdly large; quarantine it as implausible"
        raise PrecisionError(msg)
    if step > 1 and (value[given] % step).any():
        msg = f"a value in {unit} has more decimals than the wire allows; quarantine it"
        raise PrecisionError(msg)


def to_mmhg_e13(value_e4: Int64Array, unit: Int8Array) -> Int64Array:
    """Blood pressure in 1e-13 mmHg, unrounded: cut where a kPa has more than two decimals.

    Args:
        value_e4: Shape (n,), the reported value times 10**4; MISSING stays MISSING.
        unit: Shape (n,), codes of ``PRESSURE_UNIT_CODES``; any where the value is MISSING.

    Raises:
        PrecisionError: A negative or absurd value.
        UnknownCodeError: Not a unit of pressure.
    """
    _require_same_length(value_e4, unit)
    given = value_e4 != MISSING
    mmhg, kpa = given & (unit == UNIT_MMHG), given & (unit == UNIT_KPA)
    _require_known(given, mmhg | kpa)
    _require_exact(value_e4, mmhg, 1, "mmHg", _REPORTED_MAX)
    _require_exact(value_e4, kpa, 1, "kPa", _KPA_REPORTED_MAX)
    result = np.full(value_e4.shape, MISSING, dtype=np.int64)
    result[mmhg] = value_e4[mmhg] * 10**9
    result[kpa] = value_e4[kpa] * _MMHG_E11_PER_KPA // _CUT
    return result


def to_mmol_l_e4(value_e7: Int64Array, unit: Int8Array) -> Int64Array:
    """Glucose in 1e-4 mmol/L; mass units are rounded half up to 0.1 mmol/L first.

    Args:
        value_e7: Shape (n,), the reported value times 10**7; MISSING stays MISSING.
        unit: Shape (n,), codes of ``GLUCOSE_UNIT_CODES``; any where the value is MISSING.

    Raises:
        PrecisionError: More than 4 decimals of mmol/L, or an absurd value.
        UnknownCodeError: Not a unit of glucose.
    """
    _require_same_length(value_e7, unit)
    given = value_e7 != MISSING
    mmol, mol = given & (unit == UNIT_MMOL_L), given & (unit == UNIT_MOL_L)
    mass, kilogram = given & (unit == UNIT_MG_DL), given & (unit == UNIT_KG_L)
    _require_known(given, mmol | mol | mass | kilogram)
    _require_exact(value_e7, mmol, _MMOL_STEP, "mmol/L", _GLUCOSE_REPORTED_MAX)
    _require_exact(value_e7, mol, 1, "mol/L", _GLUCOSE_REPORTED_MAX)
    _require_exact(value_e7, mass, 1, "mg/dL", _GLUCOSE_REPORTED_MAX)
    _require_exact(value_e7, kilogram, 1, "kg/L", _REPORTED_MAX)
    result = np.full(value_e7.shape, MISSING, dtype=np.int64)
    result[mmol] = value_e7[mmol] // _MMOL_STEP
    result[mol] = value_e7[mol]  # 1e-7 mol/L is 1e-4 mmol/L.
    result[mass] = _round_mass(value_e7[mass])
    result[kilogram] = _round_mass(value_e7[kilogram] * _MG_DL_PER_KG_L)
    return result


def _round_mass(mg_dl_e7: Int64Array) -> Int64Array:
    """1e-7 mg/dL to 1e-4 mmol/L, rounded half up to tenths of a mmol/L."""
    tenths: Int64Array = (20 * mg_dl_e7 + _MG_DL_E7_PER_MMOL_L) // (2 * _MG_DL_E7_PER_MMOL_L)
    return tenths * (MMOL_L_E4_PER_MMOL_L // 10)


def _require_same_length(value: Int64Array, unit: Int8Array) -> None:
    if value.shape != unit.shape or value.ndim != 1:
        msg = f"values {value.shape} and units {unit.shape} are not row-aligned"
        raise ShapeError(msg)


def _require_known(given: BoolArray, known: BoolArray) -> None:
    if (given & ~known).any():
        msg = "a value has an unknown unit; quarantine it, a unit is never guessed"
        raise UnknownCodeError(msg)
