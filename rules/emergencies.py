"""Emergencies: judged on each reading alone, at once, before any session or history.

Ingest calls this on the hot path and the case machine calls it on the same rows, so live and
re-judged history cannot disagree. Stateless: repeats within four hours are the fold's matter.
"""

import numpy as np

from rules.codes import NO_ALERT, AlertCode
from rules.columns import (
    KIND_GLUCOSE,
    MISSING,
    RANGE_HIGH,
    RANGE_LOW,
    BoolArray,
    Int8Array,
    Readings,
)
from rules.comparison import Sums, crosses_pressure, falls_to_glucose, reaches_glucose
from rules.errors import ShapeError
from rules.limits import ProfileTable, RowOrRows, rows_at


def flag_emergencies(
    readings: Readings, pregnant: BoolArray, limits: ProfileTable, row: RowOrRows = 0
) -> Int8Array:
    """Emergency of each reading: an ``AlertCode``, or 0.

    A severe pressure of a pregnant or lactating resident is BP_EMERGENCY, the graver of the
    two. A meter that says HI or LO instead of a number counts as beyond the limit. Readings
    that are not countable never flag.

    Args:
        readings: n rows, any setting, any meal context.
        pregnant: Shape (n,), the row's resident is pregnant or lactating on that day.
        limits: Limits E1 to E4.
        row: The deployment's profile row of each reading's local day.

    Raises:
        ShapeError: ``pregnant`` is not aligned with ``readings``.

    Source: clinical decision table 2.3, E1 to E4. Cost: O(n), a few passes.
    """
    if pregnant.shape != readings.kind.shape or pregnant.dtype != np.bool_:
        msg = f"pregnant is {pregnant.dtype} {pregnant.shape} beside {len(readings)} readings"
        raise ShapeError(msg)
    flags = np.full(len(readings), NO_ALERT, dtype=np.int8)
    _flag_pressure(flags, readings, pregnant, limits, row)
    _flag_glucose(flags, readings, limits, row)
    flags[~readings.countable] = NO_ALERT
    return flags


def _flag_pressure(
    flags: Int8Array, readings: Readings, pregnant: BoolArray, limits: ProfileTable, row: RowOrRows
) -> None:
    """E1, E2. MISSING sides of a glucose reading lie below every limit."""
    alone = Sums(readings.systolic_mmhg_e13, readings.diastolic_mmhg_e13, 1)
    if pregnant.any():
        high = crosses_pressure(alone, limits.bp_pregnancy, row)
        flags[pregnant & high] = AlertCode.BP_PREG_HIGH
    flags[crosses_pressure(alone, limits.bp_emergency, row)] = AlertCode.BP_EMERGENCY


def _flag_glucose(
    flags: Int8Array, readings: Readings, limits: ProfileTable, row: RowOrRows
) -> None:
    """E3, E4 on glucose readings only: a MISSING number would look low."""
    rows = np.flatnonzero(readings.kind == KIND_GLUCOSE)
    if not len(rows):
        return
    number, beyond = readings.glucose_mmol_l_e4[rows], readings.range_status[rows]
    mine = rows_at(row, rows)
    unsaid = number == MISSING
    high = reaches_glucose(number, limits.glucose_emergency_high, mine)
    low = ~unsaid & falls_to_glucose(number, limits.glucose_emergency_low, mine)
    flags[rows[high | (unsaid & (beyond == RANGE_HIGH))]] = AlertCode.GLU_EMERGENCY_HIGH
    flags[rows[low | (unsaid & (beyond == RANGE_LOW))]] = AlertCode.GLU_EMERGENCY_LOW
