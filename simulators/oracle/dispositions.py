"""Which measurements must be put aside, and why: said apart from the contract that decides it.

From the decision table alone (2.2 step 4: units, plausible values) and what the wire's reasons mean
(docs/gateway.md). Whatever else is wrong with a reading, a clock, a card, its copies, is no ground
to put it aside. Knows neither gateway nor ingest, so that a fault of theirs is seen.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

_DECIMALS_MAX: Final = 4
_NAMES: Final = {"blood_pressure": ("systolic", "diastolic"), "glucose": ("glucose",)}
_UNITS: Final = {
    "blood_pressure": ("mmHg", "kPa"),
    "glucose": ("mmol/L", "mol/L", "mg/dL", "kg/L"),
}
_SCENARIOS: Final = ("mmHg", "mmol/L")


def why_put_aside(kind: str, values: Mapping[str, Any]) -> str | None:
    """The reason for quarantine; None: it must be stored.

    Args:
        kind: ``blood_pressure`` or ``glucose``.
        values: By their names on the wire; numbers as ``int`` or ``Decimal``.
    """
    unit = values.get("unit")
    if unit is None:
        return "missing_unit"
    if unit not in _UNITS[kind]:
        return "unknown_unit"
    if unit not in _SCENARIOS:
        msg = f"no scenario measures in {unit}; say here what is plausible in it"
        raise ValueError(msg)
    found = [values.get(name) for name in _NAMES[kind]]
    if None in found:
        return "missing_value"
    numbers = [Decimal(str(value)) for value in found if type(value) in {int, Decimal}]
    if len(numbers) < len(found):
        return "not_a_number"
    if any(number != round(number, _DECIMALS_MAX) for number in numbers):
        return "too_precise"
    return None if _is_plausible(*numbers) else "implausible"


def _is_plausible(value: Decimal, diastolic: Decimal | None = None) -> bool:
    if diastolic is None:
        return Decimal("0.6") <= value <= 55
    return 50 <= value <= 300 and 20 <= diastolic <= 200 and value > diastolic
