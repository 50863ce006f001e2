"""The only place where a value meets a limit. Integers on both sides, always.

A mean is never divided out: its sum is compared with count times limit. The comparator is
already part of the limit (``limits.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rules.columns import BoolArray, Int64Array
from rules.limits import GlucoseColumns, PressureColumns, RowOrRows, pick


@dataclass(frozen=True, slots=True)
class Sums:
    """What a mean is made of, shape (n,) each."""

    systolic: Int64Array  # Over ``count`` readings, 1e-13 mmHg.
    diastolic: Int64Array
    count: Int64Array | int  # At least 1.


def crosses_pressure(sums: Sums, limit: PressureColumns, row: RowOrRows) -> BoolArray:
    """Whether mean systolic *or* mean diastolic crosses its side of the limit; shape (n,).

    Args:
        sums: Row-aligned sums and counts.
        limit: Both sides, by profile row.
        row: Which profile row judges each value.
    """
    strict = pick(limit.strict, row)
    crossed: BoolArray = sums.systolic >= sums.count * pick(limit.systolic, row) + strict
    crossed |= sums.diastolic >= sums.count * pick(limit.diastolic, row) + strict
    return crossed


def crosses_bands(
    sums: Sums,
    has_reached: Callable[[Any], BoolArray],
    bands: tuple[PressureColumns, ...],
    row: RowOrRows,
) -> BoolArray:
    """As ``crosses_pressure``, under the limit of each row's age; unknown age: the base limit.

    Args:
        sums: Row-aligned sums and counts.
        has_reached: Completed years (scalar or shape (n,)) to whether each row has reached them.
        bands: Base limit, then the tiers that replace it from an age on, youngest first.
        row: Which profile row judges each value.
    """
    crossed = crosses_pressure(sums, bands[0], row)
    for tier in bands[1:]:
        in_tier = crosses_pressure(sums, tier, row)
        crossed = np.where(has_reached(pick(tier.age_min, row)), in_tier, crossed)
    return crossed


def reaches_glucose(
    glucose_mmol_l_e4: Int64Array, limit: GlucoseColumns, row: RowOrRows
) -> BoolArray:
    """Whether each value crosses an upper limit. MISSING never does."""
    crossed: BoolArray = glucose_mmol_l_e4 >= pick(limit.limit, row)
    return crossed


def falls_to_glucose(
    glucose_mmol_l_e4: Int64Array, limit: GlucoseColumns, row: RowOrRows
) -> BoolArray:
    """Whether each value is at or below a lower limit. MISSING is a number here: mask it."""
    crossed: BoolArray = glucose_mmol_l_e4 <= pick(limit.limit, row)
    return crossed
