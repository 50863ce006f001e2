"""Emergencies: judged on each reading alone, at once, before any session or history.

Ingest calls this on the hot path and the case machine calls it on the same rows, so live and
re-judged history cannot disagree. Stateless: repeats within four hours are the fold's matter.
"""

import numpy as np

from rules.codes import NO_ALERT, AlertCode
from rules.columns import (
    KIND_BLOOD_PRESSURE,
    KIND_GLUCOSE,
    MISSING,
    RANGE_HIGH,
    RANGE_LOW,
    BoolArray,
    Int8Array,
    Readings,
)
from rules.comparison import crosses_glucose, crosses_pressure
from rules.errors import ShapeError
from rules.profile import Profile


def flag_emergencies(readings: Readings, pregnant: BoolArray, profile: Profile) -> Int8Array:
    """Emergency of each reading: an ``AlertCode``, or 0.

    A severe pressure of a pregnant or lactating resident is BP_EMERGENCY, the graver of the
    two. A meter that says HI or LO instead of a number counts as beyond the limit. Readings
    that are not countable never flag.

    Args:
        readings: n rows, any setting, any meal context.
        pregnant: Shape (n,), the row's resident is pregnant or lactating on that day.
        profile: Limits E1 to E4.

    Raises:
        ShapeError: ``pregnant`` is not aligned with ``readings``.

    Source: clinical decision table 2.3, E1 to E4. Cost: O(n), a few passes.
    """
    if pregnant.shape != readings.kind.shape or pregnant.dtype != np.bool_:
        msg = f"pregnant is {pregnant.dtype} {pregnant.shape} beside {len(readings)} readings"
        raise ShapeError(msg)
    flags = np.full(len(readings), NO_ALERT, dtype=np.int8)
    systolic, diastolic = readings.systolic_mmhg_e13, readings.diastolic_mmhg_e13
    pressure = readings.countable & (readings.kind == KIND_BLOOD_PRESSURE)
    pregnancy = crosses_pressure(systolic, diastolic, 1, profile.bp_pregnancy)
    flags[pressure & pregnant & pregnancy] = AlertCode.BP_PREG_HIGH
    severe = crosses_pressure(systolic, diastolic, 1, profile.bp_emergency)
    flags[pressure & severe] = AlertCode.BP_EMERGENCY

    glucose = readings.countable & (readings.kind == KIND_GLUCOSE)
    number = readings.glucose_mmol_l_e4
    beyond = number == MISSING
    high = crosses_glucose(number, profile.glucose_emergency_high)
    high = np.where(beyond, readings.range_status == RANGE_HIGH, high)
    low = crosses_glucose(number, profile.glucose_emergency_low)
    low = np.where(beyond, readings.range_status == RANGE_LOW, low)
    flags[glucose & high] = AlertCode.GLU_EMERGENCY_HIGH
    flags[glucose & low] = AlertCode.GLU_EMERGENCY_LOW
    return flags
