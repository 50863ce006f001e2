"""Blood pressure sessions: readings of one setting taken in one sitting, and their mean.

Means stay sums with a count. A reading counts in its session once its *arrival cluster* has
closed: some minutes after the last reading that arrived with it. So 146/88 followed by 132/84
raises nothing in between, and a reading that comes hours late leaves the session as it was
judged until it has waited its own minutes.

Source: clinical decision table 2.2 step 7; at most 60 minutes: architecture section 8, item 10.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from rules.codes import NO_ALERT
from rules.columns import (
    ARM_LEFT,
    ARM_RIGHT,
    BoolArray,
    InstantArray,
    Int64Array,
    Readings,
)
from rules.limits import pick, rows_at
from rules.runs import RowArray, begins_where, last_rows, number_runs, split_long_runs
from rules.scene import Scene

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
    taken: Int64Array  # All its readings.
    arm_difference: Int64Array  # Of mean systolic between the arms, 1e-13 mmHg; -1: one arm.
    emergency: BoolArray  # Any of its readings is an emergency.

    def take(self, rows: BoolArray) -> Self:
        """Only these sessions."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Arrival clusters that have not closed yet, shape (w,)."""

    resident: Int64Array
    closes_at: InstantArray


def begin_sessions(scene: Scene, rows: RowArray) -> BoolArray:
    """Where a session begins, over ``rows``: a longer gap, too far from its first, a closure.

    Args:
        scene: Longest gap and longest span, both inclusive, are its profiles'.
        rows: Ascending sorted rows: pressures of one setting that count.
    """
    at = scene.ordered.effective_at[rows].view(np.int64)
    mine = rows_at(scene.row, rows)
    begins = begins_where(scene.ordered.resident[rows], scene.phases.number[rows])
    longest = pick(scene.limits.session_gap_us, rows_at(mine, slice(1, None)))
    begins[1:] |= at[1:] - at[:-1] > longest
    return split_long_runs(
        begins,
        at,
        span=pick(scene.limits.session_span_us, mine),
        reaches=True,
        rows_max=READINGS_PER_SESSION_MAX,
    )


def hold_back(
    scene: Scene, rows: RowArray, begins: BoolArray, as_of: np.datetime64
) -> tuple[BoolArray, Waiting]:
    """Which of ``rows`` still wait for their arrival cluster to close, and until when.

    Args:
        scene: How long a cluster waits is its profiles'.
        rows: As for ``begin_sessions``.
        begins: Its result.
        as_of: The clock.
    """
    ordered = scene.ordered
    wait_us = pick(scene.limits.session_wait_us, rows_at(scene.row, rows))
    arrived = ordered.arrived_at[rows].view(np.int64)
    now = as_of.astype("datetime64[us]").view(np.int64)
    young = arrived + wait_us > now
    held = np.zeros(len(rows), dtype=np.bool_)
    if not young.any():
        return held, Waiting(resident=ordered.resident[:0], closes_at=ordered.arrived_at[:0])
    first, session = number_runs(begins)
    fresh = np.zeros(len(first), dtype=np.bool_)
    fresh[session[young]] = True
    here = np.flatnonzero(fresh[session])
    here = here[np.lexsort((arrived[here], session[here]))]
    since = arrived[here[1:]] - arrived[here[:-1]]
    starts = begins_where(session[here])
    starts[1:] |= since > np.broadcast_to(wait_us, len(rows))[here[1:]]
    first, cluster = number_runs(starts)
    closes = np.maximum.reduceat((arrived + wait_us)[here], first)
    open_ = closes > now
    held[here[open_[cluster]]] = True
    return held, Waiting(
        resident=ordered.resident[rows[here[first[open_]]]],
        closes_at=closes[open_].view("datetime64[us]"),
    )


def sum_sessions(scene: Scene, rows: RowArray, begins: BoolArray) -> Sessions:
    """The sessions that ``begins`` cuts ``rows`` into, with the sums that decide.

    Args:
        scene: The sorted readings.
        rows: Rows that count, ascending.
        begins: Where a session begins among them.
    """
    ordered = scene.ordered
    first, session = number_runs(begins)
    last = last_rows(first, len(rows))
    count = last - first + 1
    emergency = np.zeros(len(first), dtype=np.bool_)
    emergency[session[scene.emergency[rows] != NO_ALERT]] = True
    found = Sessions(
        resident=ordered.resident[rows[first]],
        first=rows[first],
        last=rows[last],
        systolic_sum=_sum_up_to(last, ordered.systolic_mmhg_e13[rows]),
        diastolic_sum=_sum_up_to(last, ordered.diastolic_mmhg_e13[rows]),
        count=count,
        taken=count.copy(),
        arm_difference=np.full(len(first), -1, dtype=np.int64),
        emergency=emergency,
    )
    _let_one_arm_decide(found, ordered, rows, session)
    return found


def _sum_up_to(last: RowArray, column: Int64Array) -> Int64Array:
    """The sum of each session. The running sum may wrap around; its differences are exact."""
    return np.diff(np.cumsum(column)[last], prepend=0)


def _let_one_arm_decide(
    found: Sessions, ordered: Readings, rows: RowArray, session: RowArray
) -> None:
    """Where both arms were measured, put the deciding arm's sums in place of all.

    The deciding arm has the higher mean systolic; on a tie the higher mean diastolic. Readings
    of an unknown arm then do not count.
    """
    arm = ordered.arm[rows]
    many = len(found.first)
    on = {side: arm == side for side in (ARM_LEFT, ARM_RIGHT)}
    if not (on[ARM_LEFT].any() and on[ARM_RIGHT].any()):
        return
    count = {side: np.bincount(session[on[side]], minlength=many) for side in on}
    both = np.flatnonzero((count[ARM_LEFT] > 0) & (count[ARM_RIGHT] > 0))
    number = np.full(many, -1, dtype=np.intp)
    number[both] = np.arange(len(both))
    sums: dict[int, tuple[Int64Array, Int64Array, Int64Array]] = {}
    for side, held in on.items():
        mine = np.flatnonzero(held & (number[session] >= 0))
        systolic, diastolic = np.zeros((2, len(both)), dtype=np.int64)
        np.add.at(systolic, number[session[mine]], ordered.systolic_mmhg_e13[rows[mine]])
        np.add.at(diastolic, number[session[mine]], ordered.diastolic_mmhg_e13[rows[mine]])
        sums[side] = systolic, diastolic, count[side][both].astype(np.int64)
    left, right = sums[ARM_LEFT], sums[ARM_RIGHT]
    right_decides = _mean_is_higher(right[0], right[2], left[0], left[2])
    tied = ~right_decides & ~_mean_is_higher(left[0], left[2], right[0], right[2])
    right_decides |= tied & _mean_is_higher(right[1], right[2], left[1], left[2])
    columns = (found.systolic_sum, found.diastolic_sum, found.count)
    for column, on_left, on_right in zip(columns, left, right, strict=True):
        column[both] = np.where(right_decides, on_right, on_left)
    found.arm_difference[both] = _difference_of_means(left, right)


def _difference_of_means(left: tuple[Int64Array, ...], right: tuple[Int64Array, ...]) -> Int64Array:
    """|left - right| of mean systolic in 1e-13 mmHg, cut; exact enough: whole units never differ.

    A difference of exactly the limit comes out as the limit, since both means of its sides are
    cut from the same exact rational difference.
    """
    left_whole, left_rest = np.divmod(left[0], left[2])
    right_whole, right_rest = np.divmod(right[0], right[2])
    rest = left_rest * right[2] - right_rest * left[2]
    higher = (left_whole > right_whole) | ((left_whole == right_whole) & (rest >= 0))
    whole = np.where(higher, left_whole - right_whole, right_whole - left_whole)
    return whole - (np.where(higher, rest, -rest) < 0)


def _mean_is_higher(
    total: Int64Array, count: Int64Array, other_total: Int64Array, other_count: Int64Array
) -> BoolArray:
    """total/count > other_total/other_count, exactly: wholes first, then cross-wise remainders.

    Multiplying the sums themselves would leave 64 bits.
    """
    whole, rest = np.divmod(total, count)
    other_whole, other_rest = np.divmod(other_total, other_count)
    higher: BoolArray = whole > other_whole
    higher |= (whole == other_whole) & (rest * other_count > other_rest * count)
    return higher


def ask_third(sessions: Sessions, scene: Scene) -> RowArray:
    """First rows of sessions with exactly two readings that differ too much on either side.

    Source: China 2024 guideline (clinical decision table 1.4); architecture section 8, item 10.
    """
    two = np.flatnonzero(sessions.taken == 2)  # noqa: PLR2004 - two readings ask for a third
    first, last = sessions.first[two], sessions.last[two]
    limit = pick(scene.limits.third_reading, rows_at(scene.row, first))
    ordered = scene.ordered
    systolic, diastolic = ordered.systolic_mmhg_e13, ordered.diastolic_mmhg_e13
    apart = np.abs(systolic[first] - systolic[last]) > limit
    apart |= np.abs(diastolic[first] - diastolic[last]) > limit
    asked: RowArray = first[apart]
    return asked
