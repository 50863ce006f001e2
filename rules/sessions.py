"""Blood pressure sessions: readings of one setting taken in one sitting, and their mean.

Means stay sums with a count. A session is judged only after it closed: some minutes after its
last reading *arrived*, so that 146/88 followed by 132/84 does not raise an alert in between.

Source: clinical decision table 2.2 step 7; at most 60 minutes: architecture section 8, item 10.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rules.codes import NO_ALERT
from rules.columns import (
    ARM_LEFT,
    ARM_RIGHT,
    BoolArray,
    InstantArray,
    Int8Array,
    Int64Array,
    Readings,
)
from rules.profile import Timing
from rules.runs import RowArray, begins_where, last_rows, number_runs, split_long_runs

READINGS_PER_SESSION_MAX: Final = 1_000  # A sum of so many 1e-13 mmHg stays far below 2**63.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Shape (s,) each, ordered by resident, then time. Rows are those of the sorted readings."""

    resident: Int64Array
    first: RowArray
    last: RowArray
    systolic_sum: Int64Array  # 1e-13 mmHg, over ``count`` readings.
    diastolic_sum: Int64Array
    count: Int64Array  # Of the arm that counts, when both were measured.
    closes_at: InstantArray
    emergency: BoolArray  # Any of its readings is an emergency.

    def take(self, rows: BoolArray) -> Self:
        """Only these sessions."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def build_sessions(
    ordered: Readings,
    rows: RowArray,
    emergency: Int8Array,
    *,
    timing: Timing,
    wait: np.timedelta64,
) -> Sessions:
    """Group blood pressures of one setting into sessions.

    Args:
        ordered: Readings in the order of ``order_in_time``.
        rows: Ascending rows of ``ordered``: countable pressures of one setting.
        emergency: Shape (n,), from ``flag_emergencies`` on ``ordered``.
        timing: Longest gap and longest span, both inclusive.
        wait: From the last arrival to the close.
    """
    resident, at = ordered.resident[rows], ordered.effective_at[rows]
    begins = begins_where(resident)
    begins[1:] |= at[1:] - at[:-1] > timing.session_gap
    begins = split_long_runs(
        begins, at, span=timing.session_span, reaches=True, rows_max=READINGS_PER_SESSION_MAX
    )
    first, _ = number_runs(begins)
    systolic, diastolic, count = _sum_of_deciding_arm(ordered, rows, first)
    return Sessions(
        resident=resident[first],
        first=rows[first],
        last=rows[last_rows(first, len(rows))],
        systolic_sum=systolic,
        diastolic_sum=diastolic,
        count=count,
        closes_at=np.add(_reduce(np.maximum, ordered.arrived_at[rows], first), wait),
        emergency=_reduce(np.logical_or, emergency[rows] != NO_ALERT, first),
    )


def _reduce(ufunc: np.ufunc, column: npt.NDArray[Any], first: RowArray) -> npt.NDArray[Any]:
    return ufunc.reduceat(column, first) if len(first) else column[:0]


def _sum_of_deciding_arm(
    ordered: Readings, rows: RowArray, first: RowArray
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Sums over all readings, or over the higher arm's where both arms were measured.

    The higher arm has the higher mean systolic; on a tie the higher mean diastolic. Readings
    of an unknown arm count only while not both arms are known.
    """
    systolic, diastolic = ordered.systolic_mmhg_e13[rows], ordered.diastolic_mmhg_e13[rows]
    arm = ordered.arm[rows]

    def total(these: BoolArray) -> tuple[Int64Array, Int64Array, Int64Array]:
        return (
            _reduce(np.add, np.where(these, systolic, 0), first),
            _reduce(np.add, np.where(these, diastolic, 0), first),
            _reduce(np.add, these.astype(np.int64), first),
        )

    every = total(np.ones(len(rows), dtype=np.bool_))
    left, right = total(arm == ARM_LEFT), total(arm == ARM_RIGHT)
    both = (left[2] > 0) & (right[2] > 0)
    if not both.any():
        return every
    right_decides = _mean_is_higher(right[0], right[2], left[0], left[2])
    tied = both & ~right_decides & ~_mean_is_higher(left[0], left[2], right[0], right[2])
    right_decides |= tied & _mean_is_higher(right[1], right[2], left[1], left[2])
    systolic_sum, diastolic_sum, count = (
        np.where(both, np.where(right_decides, on_right, on_left), on_any)
        for on_any, on_left, on_right in zip(every, left, right, strict=True)
    )
    return systolic_sum, diastolic_sum, count


def _mean_is_higher(
    total: Int64Array, count: Int64Array, other_total: Int64Array, other_count: Int64Array
) -> BoolArray:
    """total/count > other_total/other_count, exactly: wholes first, then cross-wise remainders.

    Multiplying the sums themselves would leave 64 bits. Rows with a zero count come out False
    or True at will: mask them.
    """
    count, other_count = np.maximum(count, 1), np.maximum(other_count, 1)
    whole, rest = np.divmod(total, count)
    other_whole, other_rest = np.divmod(other_total, other_count)
    higher: BoolArray = whole > other_whole
    higher |= (whole == other_whole) & (rest * other_count > other_rest * count)
    return higher
