"""Readings as devices reported them, and what was later said about them.

The raw side of ``columns.Readings``: values in the reported unit, status bits, both clocks.
``normalise`` turns one into the other. A correction never touches a row: it is an amendment
beside it, and the latest one received wins, field by field.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rules.columns import (
    BoolArray,
    IdArray,
    InstantArray,
    Int8Array,
    Int64Array,
    require_aligned,
)
from rules.errors import UnknownCodeError

NO_UNIT: Final = 0
NO_SEQUENCE: Final = -1
NOT_A_NUMBER: Final = -2
"""A value the device gave as NaN, NRes or RFU; MISSING (-1) is one that it did not give."""

# Bits of ``status``, the same for both kinds where they mean the same.
STATUS_BODY_MOVEMENT: Final = 1 << 0
STATUS_CUFF_LOOSE: Final = 1 << 1
STATUS_IRREGULAR_PULSE: Final = 1 << 2
STATUS_IMPROPER_POSITION: Final = 1 << 3
STATUS_RESULT_TOO_HIGH: Final = 1 << 4
STATUS_RESULT_TOO_LOW: Final = 1 << 5
STATUS_TIME_FAULT: Final = 1 << 6
# The meter says that the test was none; on glucose only.
STATUS_SENSOR_MALFUNCTION: Final = 1 << 7
STATUS_SAMPLE_INSUFFICIENT: Final = 1 << 8
STATUS_STRIP_INSERTION_ERROR: Final = 1 << 9
STATUS_STRIP_TYPE_ERROR: Final = 1 << 10
STATUS_TEMPERATURE_TOO_HIGH: Final = 1 << 11
STATUS_TEMPERATURE_TOO_LOW: Final = 1 << 12
STATUS_READ_INTERRUPTED: Final = 1 << 13
STATUS_GENERAL_FAULT: Final = 1 << 14
STATUS_FAILED_TEST: Final = (1 << 15) - (1 << 7)
"""Any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Readings as they came, one per row, shape (n,) each, in any order."""

    resident: Int64Array  # Row number in ``Residents``.
    ids: IdArray
    kind: Int8Array  # As ``columns.KIND_CODES``.
    systolic_e4: Int64Array  # Reported value x 10^4; MISSING, NOT_A_NUMBER.
    diastolic_e4: Int64Array
    glucose_e7: Int64Array  # Reported value x 10^7; MISSING, NOT_A_NUMBER.
    unit: Int8Array  # Of ``units.PRESSURE_UNIT_CODES`` or ``GLUCOSE_UNIT_CODES``; NO_UNIT.
    status: Int64Array  # STATUS bits.
    setting: Int8Array
    arm: Int8Array
    meal_context: Int8Array
    control_solution: BoolArray
    stored_record: BoolArray  # Fetched from the device's memory, not taken live.
    device: Int64Array  # Any numbering of (device, boot).
    sequence: Int64Array  # NO_SEQUENCE where the device has none.
    measured_at: InstantArray  # Device clock; NaT.
    device_now: InstantArray  # Device clock at ``captured_at``, where it can be corrected; NaT.
    captured_at: InstantArray
    arrived_at: InstantArray  # captured_at if that clock was synchronised, else ingest's.
    received_at: InstantArray

    def __post_init__(self) -> None:
        instants = ("measured_at", "device_now", "captured_at", "arrived_at", "received_at")
        small = ("kind", "unit", "setting", "arm", "meal_context")
        whole = ("resident", "systolic_e4", "diastolic_e4", "glucose_e7", "status")
        require_aligned(
            self,
            {
                "ids": np.dtype("S16"),
                **dict.fromkeys((*whole, "device", "sequence"), np.dtype(np.int64)),
                **dict.fromkeys(small, np.dtype(np.int8)),
                **dict.fromkeys(("control_solution", "stored_record"), np.dtype(np.bool_)),
                **dict.fromkeys(instants, np.dtype("datetime64[us]")),
            },
        )

    def __len__(self) -> int:
        return len(self.resident)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """These rows, in this order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


class Field(IntEnum):
    """What an amendment changes."""

    RETRACTED = 0  # The whole reading; final.
    SYSTOLIC = 1
    DIASTOLIC = 2
    GLUCOSE = 3
    UNIT = 4
    MEAL_CONTEXT = 5
    ARM = 6
    SETTING = 7
    STATUS = 8
    MEASURED_AT = 9  # Microseconds since 1970, UTC.
    RESIDENT = 10  # Claimed, or moved to the right person.
    CONTROL_SOLUTION = 11
    LATE_CONTEXT = 12  # Meal context that came after its reading; a correction wins over it.


_COLUMN: Final = {
    Field.LATE_CONTEXT: "meal_context",
    Field.SYSTOLIC: "systolic_e4",
    Field.DIASTOLIC: "diastolic_e4",
    Field.GLUCOSE: "glucose_e7",
    Field.UNIT: "unit",
    Field.MEAL_CONTEXT: "meal_context",
    Field.ARM: "arm",
    Field.SETTING: "setting",
    Field.STATUS: "status",
    Field.MEASURED_AT: "measured_at",
    Field.RESIDENT: "resident",
    Field.CONTROL_SOLUTION: "control_solution",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendments:
    """Corrections, late contexts and retractions, one field a row, shape (k,), in any order."""

    target: Int64Array  # Row of ``Reported``.
    field: Int8Array  # ``Field``.
    value: Int64Array  # In the column's own scale or code.
    received_at: InstantArray
    ids: IdArray  # Of the amendment: breaks ties of ``received_at``.

    def __post_init__(self) -> None:
        require_aligned(
            self,
            {
                "target": np.dtype(np.int64),
                "field": np.dtype(np.int8),
                "value": np.dtype(np.int64),
                "received_at": np.dtype("datetime64[us]"),
                "ids": np.dtype("S16"),
            },
        )
        if len(self.field) and not 0 <= self.field.min() <= self.field.max() <= max(Field):
            msg = "field holds a code that no amendment has; see rules/reported.py"
            raise UnknownCodeError(msg)

    def __len__(self) -> int:
        return len(self.target)

    @classmethod
    def none(cls) -> Self:
        """Nothing was said."""
        return cls(
            target=np.zeros(0, np.int64),
            field=np.zeros(0, np.int8),
            value=np.zeros(0, np.int64),
            received_at=np.zeros(0, "datetime64[us]"),
            ids=np.zeros(0, "S16"),
        )


def amend(reported: Reported, amendments: Amendments) -> tuple[Reported, BoolArray]:
    """Readings as they stand after what was said of them, and which are retracted.

    Of each field the latest received amendment wins, on a tie the one with the larger id.

    Raises:
        UnknownCodeError: An amendment targets a row that is not there.

    Source: clinical decision table 2.2 step 3. Cost: O(k log k).
    """
    retracted = np.zeros(len(reported), dtype=np.bool_)
    if not len(amendments):
        return reported, retracted
    target = amendments.target
    if not 0 <= target.min() <= target.max() < len(reported):
        msg = f"amendments.target must be rows of the {len(reported)} reported readings"
        raise UnknownCodeError(msg)
    halves = np.ascontiguousarray(amendments.ids).view(">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0], amendments.received_at))
    said = amendments.field[order]
    changed: dict[str, npt.NDArray[Any]] = {}
    for which, name in _COLUMN.items():
        rows = order[said == which]
        if len(rows):
            column = changed.get(name, getattr(reported, name)).copy()
            column[target[rows]] = amendments.value[rows].astype(column.dtype)  # The last wins.
            changed[name] = column
    timed = target[amendments.field == Field.MEASURED_AT]
    if len(timed):  # A person's word about the time is not the device's clock: no shift.
        changed["device_now"] = reported.device_now.copy()
        changed["device_now"][timed] = np.datetime64("NaT")
    retracted[target[amendments.field == Field.RETRACTED]] = True
    return replace(reported, **changed), retracted
