"""Readings and residents as columns: the shape in which data enters the rules.

All times are UTC ``datetime64[us]``, all dates local calendar days ``datetime64[D]``. Values
are scaled integers (``units.py``); ``MISSING`` stands where a kind has no such value. Rows may
come in any order: nothing in ``rules`` depends on it.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from rules.errors import ShapeError, UnknownCodeError

Int64Array: TypeAlias = npt.NDArray[np.int64]
Int8Array: TypeAlias = npt.NDArray[np.int8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
InstantArray: TypeAlias = npt.NDArray[np.datetime64]
"""Shape (n,), ``datetime64[us]``, UTC."""
DateArray: TypeAlias = npt.NDArray[np.datetime64]
"""Shape (n,), ``datetime64[D]``, local calendar days."""
IdArray: TypeAlias = npt.NDArray[np.bytes_]
"""Shape (n,), ``S16``: the raw bytes of a UUID."""

MISSING: Final = -1

KIND_BLOOD_PRESSURE: Final = 1
KIND_GLUCOSE: Final = 2
SETTING_OFFICE: Final = 1
SETTING_HOME: Final = 2
SETTING_AMBULATORY: Final = 3
ARM_UNKNOWN: Final = 0
ARM_LEFT: Final = 1
ARM_RIGHT: Final = 2
MEAL_UNKNOWN: Final = 0
MEAL_FASTING: Final = 1
MEAL_PREPRANDIAL: Final = 2
MEAL_POSTPRANDIAL_2H: Final = 3
MEAL_RANDOM: Final = 4
MEAL_BEDTIME: Final = 5
RANGE_HIGH: Final = 1  # The meter says HI.
RANGE_LOW: Final = -1  # The meter says LO.

# Wire names (gateway.wire.readings) to codes; None is the absent field.
KIND_CODES: Final = {"blood_pressure": KIND_BLOOD_PRESSURE, "glucose": KIND_GLUCOSE}
SETTING_CODES: Final = {
    "office": SETTING_OFFICE,
    "home": SETTING_HOME,
    "ambulatory": SETTING_AMBULATORY,
}
ARM_CODES: Final[dict[str | None, int]] = {None: ARM_UNKNOWN, "left": ARM_LEFT, "right": ARM_RIGHT}
MEAL_CODES: Final[dict[str | None, int]] = {
    None: MEAL_UNKNOWN,
    "unknown": MEAL_UNKNOWN,
    "fasting": MEAL_FASTING,
    "preprandial": MEAL_PREPRANDIAL,
    "postprandial_2h": MEAL_POSTPRANDIAL_2H,
    "random": MEAL_RANDOM,
    "bedtime": MEAL_BEDTIME,
}

_INSTANT: Final = np.dtype("datetime64[us]")
_DATE: Final = np.dtype("datetime64[D]")
_INT64: Final = np.dtype(np.int64)
_INT8: Final = np.dtype(np.int8)


def _require_aligned(columns: Any, types: dict[str, np.dtype[Any]]) -> None:  # noqa: ANN401 - any column class
    length = None
    for name, dtype in types.items():
        column = getattr(columns, name)
        if column.dtype != dtype or column.ndim != 1:
            msg = f"{name} is {column.dtype} with {column.ndim} dimensions; expected {dtype} with 1"
            raise ShapeError(msg)
        length = len(column) if length is None else length
        if len(column) != length:
            msg = f"{name} has {len(column)} rows where the other columns have {length}"
            raise ShapeError(msg)


def _require_within(name: str, column: Int8Array, low: int, high: int) -> None:
    if len(column) and (column.min() < low or column.max() > high):
        msg = f"{name} holds a code outside {low} to {high}; see rules/columns.py"
        raise UnknownCodeError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Usable readings, one per row, shape (n,) each: unique, plausible, in any order.

    Raises ``ShapeError`` or ``UnknownCodeError`` when the columns do not fit together.
    """

    resident: Int64Array  # Row number in ``Residents``.
    ids: IdArray  # Last tie-break after effective_at and captured_at.
    kind: Int8Array
    systolic_mmhg_e13: Int64Array  # 1e-13 mmHg; MISSING unless a blood pressure.
    diastolic_mmhg_e13: Int64Array
    glucose_mmol_l_e4: Int64Array  # 1e-4 mmol/L; MISSING when absent (HI, LO, blood pressure).
    range_status: Int8Array  # RANGE_HIGH, RANGE_LOW or 0; read only where glucose is MISSING.
    setting: Int8Array
    arm: Int8Array
    meal_context: Int8Array
    countable: (
        BoolArray  # False: control solution, stored record with a faulty clock. Never judged.
    )
    effective_at: InstantArray  # What the rules call the time of the reading.
    captured_at: InstantArray
    arrived_at: InstantArray  # Closes sessions: captured_at if that clock was synchronised.
    received_at: InstantArray  # Ingest's clock; only says whether an alert is late.

    def __post_init__(self) -> None:
        _require_aligned(
            self,
            {
                "resident": _INT64,
                "ids": np.dtype("S16"),
                "systolic_mmhg_e13": _INT64,
                "diastolic_mmhg_e13": _INT64,
                "glucose_mmol_l_e4": _INT64,
                **dict.fromkeys(("kind", "range_status", "setting", "arm", "meal_context"), _INT8),
                "countable": np.dtype(np.bool_),
                **dict.fromkeys(
                    ("effective_at", "captured_at", "arrived_at", "received_at"), _INSTANT
                ),
            },
        )
        _require_within("kind", self.kind, KIND_BLOOD_PRESSURE, KIND_GLUCOSE)
        _require_within("range_status", self.range_status, RANGE_LOW, RANGE_HIGH)
        _require_within("setting", self.setting, SETTING_OFFICE, SETTING_AMBULATORY)
        _require_within("arm", self.arm, ARM_UNKNOWN, ARM_RIGHT)
        _require_within("meal_context", self.meal_context, MEAL_UNKNOWN, MEAL_BEDTIME)
        for name in ("effective_at", "captured_at", "arrived_at", "received_at"):
            if np.isnat(getattr(self, name)).any():
                msg = f"{name} holds NaT; a reading without that time cannot be judged"
                raise ShapeError(msg)

    def __len__(self) -> int:
        return len(self.resident)

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """These rows, in this order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Residents:
    """What the rules must know of people, shape (m,) each; NaT means not known or not so."""

    birth_date: DateArray  # NaT: unknown, counts as adult.
    hypertension_since: DateArray  # NaT: not diagnosed.
    diabetes_since: DateArray  # Type 2.
    pregnant_since: DateArray  # Pregnant or lactating from this day on.
    pregnant_until: DateArray  # Inclusive; NaT: open end.

    def __post_init__(self) -> None:
        _require_aligned(self, {field.name: _DATE for field in fields(self)})

    def __len__(self) -> int:
        return len(self.birth_date)


def order_in_time(readings: Readings) -> npt.NDArray[np.intp]:
    """Rows sorted by (resident, effective_at, captured_at, id): the one order of the rules.

    Cost: O(n log n) on two integer keys; only rows of one instant are sorted by the rest.
    """
    order = np.lexsort((readings.effective_at, readings.resident))
    resident, at = readings.resident[order], readings.effective_at[order]
    same = (resident[1:] == resident[:-1]) & (at[1:] == at[:-1])
    if not same.any():
        return order
    tied = np.zeros(len(order), dtype=np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    halves = np.ascontiguousarray(readings.ids[rows]).view(">u8").reshape(-1, 2)
    keys = (halves[:, 1], halves[:, 0], readings.captured_at[rows])
    order[tied] = rows[np.lexsort((*keys, readings.effective_at[rows], readings.resident[rows]))]
    return order
