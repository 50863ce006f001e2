"""Readings, records and residents as columns: the shape in which data enters the rules.

All times are UTC ``datetime64[us]``, all dates local calendar days ``datetime64[D]``. Values
are scaled integers (``units.py``); ``MISSING`` stands where a kind has no such value. Rows may
come in any order: nothing in ``rules`` depends on it.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from rules.codes import CaseState, ClosureReason, Condition, RecordKind
from rules.errors import ShapeError, UnknownCodeError

Int64Array: TypeAlias = npt.NDArray[np.int64]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Int8Array: TypeAlias = npt.NDArray[np.int8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
InstantArray: TypeAlias = npt.NDArray[np.datetime64]
"""Shape (n,), ``datetime64[us]``, UTC."""
DateArray: TypeAlias = npt.NDArray[np.datetime64]
"""Shape (n,), ``datetime64[D]``, local calendar days."""
IdArray: TypeAlias = npt.NDArray[np.bytes_]
"""Shape (n,), ``S16``: the raw bytes of a UUID."""

MISSING: Final = -1
BOTH_CONDITIONS: Final = 0

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


def require_aligned(columns: Any, types: dict[str, np.dtype[Any]]) -> None:  # noqa: ANN401 - any column class
    """Raise ``ShapeError`` unless all columns have their type and one length."""
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


def require_within(name: str, column: Int8Array, low: int, high: int) -> None:
    """Raise ``UnknownCodeError`` where a code lies outside its enumeration."""
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
        require_aligned(
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
        require_within("kind", self.kind, KIND_BLOOD_PRESSURE, KIND_GLUCOSE)
        require_within("range_status", self.range_status, RANGE_LOW, RANGE_HIGH)
        require_within("setting", self.setting, SETTING_OFFICE, SETTING_AMBULATORY)
        require_within("arm", self.arm, ARM_UNKNOWN, ARM_RIGHT)
        require_within("meal_context", self.meal_context, MEAL_UNKNOWN, MEAL_BEDTIME)
        for name in ("effective_at", "captured_at", "arrived_at", "received_at"):
            if np.isnat(getattr(self, name)).any():
                msg = f"{name} holds NaT; a reading without that time cannot be judged"
                raise ShapeError(msg)

    def __len__(self) -> int:
        return len(self.resident)

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """These rows, in this order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What people recorded, one per row, shape (e,) each, in any order.

    Visits, referral follow-ups, overrides, closures and returns. A column that a kind does not
    use holds 0, False or NaT. Raises ``ShapeError`` or ``UnknownCodeError``.
    """

    resident: Int64Array  # Row number in ``Residents``.
    ids: IdArray
    kind: Int8Array  # ``RecordKind``.
    condition: Int8Array  # ``Condition``, or BOTH_CONDITIONS.
    at: InstantArray  # When it happened.
    received_at: InstantArray
    adverse_reaction: BoolArray  # Of a visit; the next two likewise.
    complication: BoolArray
    face_to_face: BoolArray
    state: Int8Array  # ``CaseState`` of an override.
    due: DateArray  # Of an override; NaT: none.
    reason: Int8Array  # ``ClosureReason`` of a closure.

    def __post_init__(self) -> None:
        require_aligned(
            self,
            {
                "resident": _INT64,
                "ids": np.dtype("S16"),
                **dict.fromkeys(("kind", "condition", "state", "reason"), _INT8),
                **dict.fromkeys(("at", "received_at"), _INSTANT),
                **dict.fromkeys(
                    ("adverse_reaction", "complication", "face_to_face"), np.dtype(np.bool_)
                ),
                "due": _DATE,
            },
        )
        require_within("kind", self.kind, min(RecordKind), max(RecordKind))
        require_within("condition", self.condition, BOTH_CONDITIONS, max(Condition))
        require_within("state", self.state, min(CaseState), max(CaseState))
        require_within("reason", self.reason, 0, max(ClosureReason))
        if ((self.kind == RecordKind.CLOSURE) & (self.reason == 0)).any():
            msg = "a closure without a reason; give one of rules.codes.ClosureReason"
            raise UnknownCodeError(msg)
        if np.isnat(self.at).any() or np.isnat(self.received_at).any():
            msg = "at or received_at holds NaT; a record without its time cannot be placed"
            raise ShapeError(msg)

    def __len__(self) -> int:
        return len(self.resident)

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """These rows, in this order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def none(cls) -> Self:
        """No record at all."""
        return cls(
            resident=np.zeros(0, np.int64),
            ids=np.zeros(0, "S16"),
            kind=np.zeros(0, np.int8),
            condition=np.zeros(0, np.int8),
            at=np.zeros(0, _INSTANT),
            received_at=np.zeros(0, _INSTANT),
            adverse_reaction=np.zeros(0, np.bool_),
            complication=np.zeros(0, np.bool_),
            face_to_face=np.zeros(0, np.bool_),
            state=np.zeros(0, np.int8),
            due=np.zeros(0, _DATE),
            reason=np.zeros(0, np.int8),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Dated states of residents, shape (p,) each, in any order: pregnancies, chosen profiles."""

    resident: Int64Array  # Row number in ``Residents``.
    since: DateArray
    until: DateArray  # Inclusive; NaT: open end.
    value: Int8Array  # What holds; 1 for a plain yes.

    def __post_init__(self) -> None:
        require_aligned(self, {"resident": _INT64, "since": _DATE, "until": _DATE, "value": _INT8})

    @classmethod
    def none(cls) -> Self:
        """No period at all."""
        return cls(
            resident=np.zeros(0, np.int64),
            since=np.zeros(0, _DATE),
            until=np.zeros(0, _DATE),
            value=np.zeros(0, np.int8),
        )

    def value_on(self, resident: Int64Array, day: DateArray) -> Int8Array:
        """Value in force for each (resident, local day), 0 where none; the latest begun wins.

        Shape (n,). Cost: O(n) for each period of the resident who has the most.
        """
        found = np.zeros(len(resident), dtype=np.int8)
        if not len(self.resident):
            return found
        order = np.lexsort((self.value, self.since, self.resident))
        owner = self.resident[order]
        mine = np.flatnonzero(np.isin(resident, owner))
        low = np.searchsorted(owner, resident[mine], side="left")
        high = np.searchsorted(owner, resident[mine], side="right")
        for step in range(int((high - low).max(initial=0))):
            row = order[np.minimum(low + step, high - 1)]
            since, until = self.since[row], self.until[row]
            holds = (since <= day[mine]) & ~(until < day[mine])
            found[mine] = np.where(holds, self.value[row], found[mine])
        return found

    def of(self, low: int, high: int) -> Self:
        """The periods of residents ``low`` to ``high`` (exclusive), counted from ``low``."""
        rows = (self.resident >= low) & (self.resident < high)
        return type(self)(
            resident=self.resident[rows] - low,
            since=self.since[rows],
            until=self.until[rows],
            value=self.value[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Residents:
    """What the rules must know of people, shape (m,) each; NaT means not known or not so."""

    birth_date: DateArray  # NaT: unknown, counts as adult.
    hypertension_since: DateArray  # NaT: not diagnosed.
    diabetes_since: DateArray  # Type 2.
    enrolled_on: DateArray  # Managed from that day; NaT: nobody owes a routine visit.
    pregnancies: Periods  # Or lactation.
    profiles: Periods  # Value: choice of ``ProfileTable``; 0 and no period: the deployment's.

    def __post_init__(self) -> None:
        names = ("birth_date", "hypertension_since", "diabetes_since", "enrolled_on")
        require_aligned(self, dict.fromkeys(names, _DATE))

    def __len__(self) -> int:
        return len(self.birth_date)

    def of(self, low: int, high: int) -> Self:
        """Residents ``low`` to ``high`` (exclusive)."""
        return type(self)(
            birth_date=self.birth_date[low:high],
            hypertension_since=self.hypertension_since[low:high],
            diabetes_since=self.diabetes_since[low:high],
            enrolled_on=self.enrolled_on[low:high],
            pregnancies=self.pregnancies.of(low, high),
            profiles=self.profiles.of(low, high),
        )


def sort_in_time(readings: Readings) -> tuple[Readings, npt.NDArray[np.intp]]:
    """Readings by (resident, effective_at, captured_at, id), the one order of the rules.

    Returns:
        The sorted readings, and for each of them its row among the given ones.

    Cost: O(n) when they already are, as the database gives them; else O(n log n) on one key.
    """
    order = _order_by_instant(readings.resident, readings.effective_at.view(np.int64))
    if order is None:
        order = np.arange(len(readings))
        ties = _find_ties(readings.resident, readings.effective_at)
        if not ties.any():
            return readings, order
    else:
        ties = _find_ties(readings.resident[order], readings.effective_at[order])
    if ties.any():
        _break_ties(readings, order, ties)
    return readings.take(order), order


def _find_ties(resident: Int64Array, at: InstantArray) -> BoolArray:
    """Where a row has the resident and instant of the row before."""
    same: BoolArray = at[1:] == at[:-1]
    if same.any():
        same &= resident[1:] == resident[:-1]
    return same


def _break_ties(readings: Readings, order: npt.NDArray[np.intp], same: BoolArray) -> None:
    """Order rows of one instant by (captured_at, id), in place."""
    tied = np.zeros(len(order), dtype=np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    halves = np.ascontiguousarray(readings.ids[rows]).view(">u8").reshape(-1, 2)
    keys = (halves[:, 1], halves[:, 0], readings.captured_at[rows])
    order[tied] = rows[np.lexsort((*keys, readings.effective_at[rows], readings.resident[rows]))]


def _order_by_instant(resident: Int64Array, instant: Int64Array) -> npt.NDArray[np.intp] | None:
    """Rows by (resident, instant), None where they already are."""
    back = instant[1:] < instant[:-1]
    back &= resident[1:] == resident[:-1]
    if not back.any() and not (resident[1:] < resident[:-1]).any():
        return None
    first, last = int(instant.min()), int(instant.max())
    stride = last - first + 1
    if (int(resident.max()) + 1) * stride > np.iinfo(np.int64).max:
        return np.lexsort((instant, resident))
    return np.argsort(resident * stride + (instant - first))
