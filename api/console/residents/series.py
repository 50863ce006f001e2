"""Stored readings as the points of a chart: in mmHg and mmol/L, converted by the rules' own code.

Points are for the eye and go to the browser as floats; nothing is judged by them. A reading
without a value (the meter said HI or LO) is no point: it is counted, and the table shows it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from api.timeline.schemas import SessionItem

_E4: Final = 10**4
_E7: Final = 10**7


def in_mmhg(values: Sequence[Decimal], units: Sequence[str]) -> list[float]:
    """Pressures in mmHg, from mmHg or kPa."""
    import numpy as np  # noqa: PLC0415 - with the first chart, not with the process

    from rules.units import (  # noqa: PLC0415 - likewise
        MMHG_E13_PER_MMHG,
        PRESSURE_UNIT_CODES,
        to_mmhg_e13,
    )

    given = np.array([int(value * _E4) for value in values], dtype=np.int64)
    codes = np.array([PRESSURE_UNIT_CODES[unit] for unit in units], dtype=np.int8)
    return [round(each / MMHG_E13_PER_MMHG, 2) for each in to_mmhg_e13(given, codes).tolist()]


def in_mmol_l(values: Sequence[Decimal], units: Sequence[str]) -> list[float]:
    """Glucose in mmol/L, from any unit of the wire; by mass rounded as the rules do."""
    import numpy as np  # noqa: PLC0415 - likewise

    from rules.units import (  # noqa: PLC0415 - likewise
        GLUCOSE_UNIT_CODES,
        MMOL_L_E4_PER_MMOL_L,
        to_mmol_l_e4,
    )

    given = np.array([int(value * _E7) for value in values], dtype=np.int64)
    codes = np.array([GLUCOSE_UNIT_CODES[unit] for unit in units], dtype=np.int8)
    return [each / MMOL_L_E4_PER_MMOL_L for each in to_mmol_l_e4(given, codes).tolist()]


def pressure_points(readings: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """``[milliseconds, systolic, diastolic, id]`` in order of time."""
    rows = [
        each
        for each in reversed(readings)
        if each["systolic"] is not None and each["diastolic"] is not None
    ]
    units = [each["unit"] for each in rows]
    systolic = in_mmhg([each["systolic"] for each in rows], units)
    diastolic = in_mmhg([each["diastolic"] for each in rows], units)
    return [
        [_ms(each["at"]), high, low, str(each["id"])]
        for each, high, low in zip(rows, systolic, diastolic, strict=True)
    ]


def glucose_points(readings: Sequence[Mapping[str, Any]]) -> dict[str, list[list[Any]]]:
    """By meal context: ``[milliseconds, mmol/L, id]`` in order of time."""
    rows = [each for each in reversed(readings) if each["glucose"] is not None]
    values = in_mmol_l([each["glucose"] for each in rows], [each["unit"] for each in rows])
    found: dict[str, list[list[Any]]] = {}
    for each, value in zip(rows, values, strict=True):
        point = [_ms(each["at"]), value, str(each["id"])]
        found.setdefault(each["meal_context"], []).append(point)
    return found


def session_points(sessions: Sequence[SessionItem]) -> list[list[Any]]:
    """Sittings of several readings: ``[milliseconds, systolic, diastolic, how many]``, the mean."""
    return [
        [_ms(each.at), float(each.systolic_mmhg), float(each.diastolic_mmhg), each.counted]
        for each in reversed(sessions)
        if each.counted > 1
    ]


def tell_medication(form: Mapping[str, Any]) -> str:
    """What a visit says of medication, in one line; empty: nothing."""
    lines = [
        " ".join(
            [
                line["name"],
                *([line["dose_each"]] if line.get("dose_each") else []),
                *([f"×{line['times_per_day']}"] if line.get("times_per_day") else []),
            ]
        )
        for line in form.get("medications") or ()
    ]
    lines += [f"{line['kind']} {line.get('usage') or ''}" for line in form.get("insulin") or ()]
    lines += [form["medication_text"]] if form.get("medication_text") else []
    return "; ".join(line.strip() for line in lines)


def count_without_value(readings: Sequence[Mapping[str, Any]]) -> int:
    """Readings that are no point: out of the instrument's range."""
    return sum(
        each["glucose"] is None and (each["systolic"] is None or each["diastolic"] is None)
        for each in readings
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
