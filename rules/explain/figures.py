"""Measured values as text. Exact integers in, never a float.

Numbers are shown so that they never seem to touch a limit they did not reach: a converted value
or a mean is cut, not rounded (18.66 kPa is 139.96 mmHg, not 140). Nor is it ever cut to a whole
number, which could be the limit that it crossed (140.0003 mmHg stays 140.0003).
"""

from typing import Final

from rules.columns import MISSING, RANGE_HIGH, RANGE_LOW
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

_EXACT_E13: Final = 10**9  # A whole number of 1e-4 mmHg was reported in mmHg: shown as it is.
_CUT_E13: Final = 10**11  # Anything else is cut to 1e-2 mmHg.


def observed_text(
    *,
    systolic_mmhg_e13: int = MISSING,
    diastolic_mmhg_e13: int = MISSING,
    glucose_mmol_l_e4: int = MISSING,
    range_status: int = 0,
    count: int = 1,
) -> str:
    """What was measured, as text: ``146/92 mmHg``, ``7.4 mmol/L``, ``HI``, ``LO``.

    Pressures are sums over ``count`` readings of one session; their mean is shown, and said.

    >>> observed_text(systolic_mmhg_e13=146 * 10**13, diastolic_mmhg_e13=92 * 10**13)
    '146/92 mmHg'
    >>> observed_text(glucose_mmol_l_e4=70_000)
    '7.0 mmol/L'
    """
    if systolic_mmhg_e13 != MISSING:
        mean = f", mean of {count}" if count > 1 else ""
        pair = pair_text(systolic_mmhg_e13 // count, diastolic_mmhg_e13 // count)
        return f"{pair} mmHg{mean}"
    if glucose_mmol_l_e4 != MISSING:
        return f"{mmol_l_text(glucose_mmol_l_e4)} mmol/L"
    return {RANGE_HIGH: "HI", RANGE_LOW: "LO"}.get(range_status, "no value")


def pair_text(systolic_mmhg_e13: int, diastolic_mmhg_e13: int) -> str:
    """Both sides of a pressure or of a limit, without the unit."""
    return f"{mmhg_text(systolic_mmhg_e13)}/{mmhg_text(diastolic_mmhg_e13)}"


def mmhg_text(value_e13: int) -> str:
    """A pressure, or a difference of pressures, without the unit.

    >>> mmhg_text(140 * 10**13 + 1_234_567_890)
    '140.0001'
    """
    whole, rest = divmod(value_e13, MMHG_E13_PER_MMHG)
    if rest % _EXACT_E13:
        step = _CUT_E13
        while rest < step:
            step //= 10
        rest -= rest % step
    return f"{whole}.{rest:013d}".rstrip("0").rstrip(".")


def mmol_l_text(value_e4: int) -> str:
    """A glucose value or limit, exact, with at least one decimal, without the unit."""
    whole, rest = divmod(value_e4, MMOL_L_E4_PER_MMOL_L)
    text = f"{whole}.{rest:04d}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
