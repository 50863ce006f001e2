"""What a reading says after all that was said of it, and whether a correction fits it. Pure.

As the judge does it (``rules.reported.amend``): of each field the last word counts that was not
taken back. Nothing is converted here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from api.corrections.schemas import (
    GLUCOSE_FIELDS,
    PRESSURE_FIELDS,
    PRESSURE_UNITS,
    CorrectionIn,
    StandingOut,
)
from api.errors import RefusedContentError
from gateway.wire import limits

_VALUES: Final = ("systolic", "diastolic", "glucose")
_BOUNDS: Final = {"systolic": limits.SYSTOLIC_MMHG, "diastolic": limits.DIASTOLIC_MMHG}


def work_out(reading: Mapping[str, Any], amendments: Sequence[Mapping[str, Any]]) -> StandingOut:
    """What a reading says now.

    Args:
        reading: As it came, with ``reported_for`` and ``resident_id`` (whose it is now).
        amendments: Of it, in the order in which they came.
    """
    said: dict[str, Any] = {
        name: reading[name] for name in StandingOut.model_fields if name in reading
    }
    retracted = False
    for each in amendments:
        if each["undone"] or each["kind"] == "undo":
            continue
        retracted = retracted or each["kind"] == "retraction"
        for name, value in each["changes"].items():
            said[name] = _read(name, value)
    return StandingOut(**{**said, "resident_id": reading["resident_id"], "retracted": retracted})


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if name in _VALUES:
        return Decimal(value)
    return datetime.fromisoformat(value) if name == "measured_at" else value


def require_fit(kind: str, stands: StandingOut, correction: CorrectionIn) -> None:
    """Raise ``RefusedContentError`` where a correction says what no such reading could say."""
    strange = GLUCOSE_FIELDS if kind == "blood_pressure" else PRESSURE_FIELDS
    given = correction.changes().as_json()
    for name in sorted(strange & given.keys()):
        raise _refusal(name, given[name], f"a reading of {kind} has no such field")
    if correction.unit is None:
        return
    if (correction.unit in PRESSURE_UNITS) != (kind == "blood_pressure"):
        remedy = f"no unit of {kind}"
        raise RefusedContentError(field="unit", value=correction.unit, remedy=remedy)
    for name in ("systolic", "diastolic") if kind == "blood_pressure" else ("glucose",):
        value = getattr(correction, name)
        value = getattr(stands, name) if value is None else value
        if value is not None:
            _require_plausible(name, value, correction.unit)


def _require_plausible(name: str, value: Decimal, unit: str) -> None:
    """As a gateway's reading is checked: outside of these limits no living person was measured."""
    decimals_max = {**limits.BLOOD_PRESSURE_DECIMALS_MAX, **limits.GLUCOSE_DECIMALS_MAX}[unit]
    if value.scaleb(decimals_max) % 1:
        raise _refusal(name, value, f"has more than {decimals_max} decimals in {unit}")
    if name == "glucose":
        low, high = limits.glucose_bounds(unit)
        if not low <= value <= high:
            hint = limits.glucose_mistake(value, unit)
            raise _refusal(name, value, f"not within {low} to {high} {unit}{hint}")
        return
    low, high = _BOUNDS[name]
    if not low <= limits.to_mmhg(value, unit) <= high:
        hint = limits.pressure_mistake(value, unit, _BOUNDS[name])
        raise _refusal(name, value, f"not within {low} to {high} mmHg{hint}")


def _refusal(name: str, value: object, remedy: str) -> RefusedContentError:
    return RefusedContentError(field=name, value=str(value), remedy=remedy)
