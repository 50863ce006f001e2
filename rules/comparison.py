"""The only place where a value meets a limit. Integers on both sides, always.

A mean is never divided out: its sum is compared with count times limit.
"""

import numpy as np

from rules.columns import BoolArray, Int64Array
from rules.profile import Comparator, GlucoseLimit, PressureBands, PressureLimit


def _crosses(
    total: Int64Array, count: Int64Array | int, limit: Int64Array | int, comparator: Comparator
) -> BoolArray:
    bound = np.asarray(count, dtype=np.int64) * limit
    crossed: BoolArray
    match comparator:
        case Comparator.ABOVE:
            crossed = total > bound
        case Comparator.AT_OR_ABOVE:
            crossed = total >= bound
        case Comparator.AT_OR_BELOW:
            crossed = total <= bound
    return crossed


def crosses_pressure(
    systolic_sum: Int64Array,
    diastolic_sum: Int64Array,
    count: Int64Array | int,
    limit: PressureLimit,
) -> BoolArray:
    """Whether mean systolic *or* mean diastolic crosses its side of the limit.

    Args:
        systolic_sum: Shape (n,), sum over ``count`` readings, 1e-13 mmHg.
        diastolic_sum: Shape (n,), same rows.
        count: Readings in each sum, at least 1.
        limit: Both sides and the comparator.
    """
    systolic = _crosses(systolic_sum, count, limit.systolic_mmhg_e13, limit.comparator)
    return systolic | _crosses(diastolic_sum, count, limit.diastolic_mmhg_e13, limit.comparator)


def crosses_bands(
    systolic_sum: Int64Array,
    diastolic_sum: Int64Array,
    count: Int64Array,
    age_years: Int64Array,
    bands: PressureBands,
) -> BoolArray:
    """As ``crosses_pressure``, under the limit of each row's age; unknown age: the base limit."""
    crossed = crosses_pressure(systolic_sum, diastolic_sum, count, bands.base)
    for tier in bands.tiers:
        in_tier = crosses_pressure(systolic_sum, diastolic_sum, count, tier)
        crossed = np.where(age_years >= tier.age_min, in_tier, crossed)
    return crossed


def crosses_glucose(glucose_mmol_l_e4: Int64Array, limit: GlucoseLimit) -> BoolArray:
    """Whether each value crosses the limit. MISSING is a number here: mask it outside."""
    return _crosses(glucose_mmol_l_e4, 1, limit.glucose_mmol_l_e4, limit.comparator)
