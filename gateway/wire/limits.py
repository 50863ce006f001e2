"""Physical and size limits of the wire. Clinical numbers live in ``rules/profiles``.

Outside a physical limit no living person was measured: such a value is quarantined as
``implausible``, never judged, never converted.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

READINGS_PER_BATCH_MAX: Final = 500
READING_BYTES_MAX: Final = 4_096
BATCH_BYTES_MAX: Final = 250_000  # The broker refuses packets above 262,144 (mosquitto.conf).
QUARANTINE_BYTES_MAX: Final = 262_144  # As the broker's packet limit: nothing is cut.
TEXT_CHARACTERS_MAX: Final = 64

# A literal with more digits than this is no instrument's, and would leave exact arithmetic.
BLOOD_PRESSURE_DECIMALS_MAX: Final = {"mmHg": 4, "kPa": 2}
GLUCOSE_DECIMALS_MAX: Final = {"mmol/L": 4, "mg/dL": 4, "mol/L": 7, "kg/L": 7}

MMHG_PER_KPA: Final = Decimal("7.50061575846")
MG_DL_PER_MMOL_L: Final = Decimal("18.0156")  # Glucose 180.156 g/mol (LOINC LG7967-5).

# Source: clinical decision table 2.2 step 4.
SYSTOLIC_MMHG: Final = (Decimal(50), Decimal(300))
DIASTOLIC_MMHG: Final = (Decimal(20), Decimal(200))
PULSE_PER_MINUTE: Final = (Decimal(20), Decimal(300))
GLUCOSE_MMOL_L: Final = (Decimal("0.6"), Decimal(55))

_PER_MMHG: Final = {"mmHg": Decimal(1), "kPa": MMHG_PER_KPA}
_PER_MMOL_L: Final = {
    "mmol/L": Decimal(1),
    "mol/L": Decimal("0.001"),
    "mg/dL": MG_DL_PER_MMOL_L,
    "kg/L": MG_DL_PER_MMOL_L / 100_000,
}
_BIAS: Final = 8  # Half the range of an SFLOAT's exponent.


def to_mmhg(value: Decimal, unit: str) -> Decimal:
    """Convert a pressure exactly, unrounded. ``KeyError`` on a unit that is not a pressure."""
    return value * _PER_MMHG[unit]


def pressure_mistake(value: Decimal, unit: str, bounds_mmhg: tuple[Decimal, Decimal]) -> str:
    """What probably happened to a pressure that is no person's; empty when nothing fits."""
    low, high = bounds_mmhg

    def fitting(number: Decimal) -> list[str]:
        return [name for name in _PER_MMHG if low <= to_mmhg(number, name) <= high]

    return _mistake(value, unit, fitting)


def glucose_mistake(value: Decimal, unit: str) -> str:
    """What probably happened to a glucose value that is no person's; empty when nothing fits."""

    def fitting(number: Decimal) -> list[str]:
        bounds = {name: glucose_bounds(name) for name in _PER_MMOL_L}
        return [name for name, (low, high) in bounds.items() if low <= number <= high]

    return _mistake(value, unit, fitting)


def _mistake(value: Decimal, unit: str, fitting: Callable[[Decimal], list[str]]) -> str:
    """A hint for the operator; the value itself is never converted.

    Source: clinical decision table 3.2, scale guard and traps.
    """
    units = fitting(value)
    if unit in units:
        return ""
    if units:
        return f"; as {' or '.join(units)} it would be plausible: is the unit wrong?"
    if fitting(value.scaleb(_BIAS)):
        return "; times 10^8 it would be plausible: an SFLOAT exponent with a bias of 8?"
    return ""


def glucose_bounds(unit: str) -> tuple[Decimal, Decimal]:
    """Plausible glucose in the reported unit, inclusive; exact. ``KeyError`` on other units."""
    low, high = GLUCOSE_MMOL_L
    factor = _PER_MMOL_L[unit]
    return low * factor, high * factor
