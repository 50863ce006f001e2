"""Physical and size limits of the wire. Clinical numbers live in ``rules/profiles``.

Outside a physical limit no living person was measured: such a value is quarantined as
``implausible``, never judged, never converted.
"""

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


def to_mmhg(value: Decimal, unit: str) -> Decimal:
    """Convert a pressure exactly, unrounded. ``KeyError`` on a unit that is not a pressure."""
    return value * _PER_MMHG[unit]


def glucose_bounds(unit: str) -> tuple[Decimal, Decimal]:
    """Plausible glucose in the reported unit, inclusive; exact. ``KeyError`` on other units."""
    low, high = GLUCOSE_MMOL_L
    factor = {
        "mmol/L": Decimal(1),
        "mol/L": Decimal("0.001"),
        "mg/dL": MG_DL_PER_MMOL_L,
        "kg/L": MG_DL_PER_MMOL_L / 100_000,
    }[unit]
    return low * factor, high * factor
