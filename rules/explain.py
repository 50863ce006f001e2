"""Words for people: what was observed, and which limit of which document it crossed.

Numbers are shown so that they never seem to touch a limit they did not reach: a converted
value is cut, not rounded (18.66 kPa is 139.96 mmHg, not 140).
"""

from dataclasses import dataclass
from typing import Final

from rules.codes import AlertCode
from rules.columns import MISSING, RANGE_HIGH, RANGE_LOW
from rules.profile import GlucoseLimit, PressureBands, PressureLimit, Profile
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

_EXACT_E13: Final = 10**9  # A whole number of 1e-4 mmHg was reported in mmHg: shown as it is.
_CUT_E13: Final = 10**11  # A converted one is cut to 1e-2 mmHg.


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitText:
    """Shown with every alert."""

    threshold: str  # '> 140/90 mmHg'
    source: str  # Document and section.


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
        sides = (systolic_mmhg_e13 // count, diastolic_mmhg_e13 // count)
        return f"{_mmhg(sides[0])}/{_mmhg(sides[1])} mmHg{mean}"
    if glucose_mmol_l_e4 != MISSING:
        return f"{_mmol_l(glucose_mmol_l_e4)} mmol/L"
    return {RANGE_HIGH: "HI", RANGE_LOW: "LO"}.get(range_status, "no value")


def limit_of(profile: Profile, code: AlertCode) -> LimitText:
    """The limit behind an alert code, with its source.

    Raises:
        KeyError: The code belongs to an event that is not judged by a limit.
    """
    suspected = profile.bp_screening.suspected
    limits: dict[AlertCode, PressureLimit | PressureBands | GlucoseLimit] = {
        AlertCode.BP_EMERGENCY: profile.bp_emergency,
        AlertCode.BP_PREG_HIGH: profile.bp_pregnancy,
        AlertCode.GLU_EMERGENCY_HIGH: profile.glucose_emergency_high,
        AlertCode.GLU_EMERGENCY_LOW: profile.glucose_emergency_low,
        AlertCode.BP_UNSATISFIED_1: profile.bp_office,
        AlertCode.BP_UNSATISFIED_2: profile.bp_office,
        AlertCode.GLU_UNSATISFIED_1: profile.glucose_fasting,
        AlertCode.GLU_UNSATISFIED_2: profile.glucose_fasting,
        AlertCode.SCREEN_BP_HIGH: profile.bp_screening_limit,
        AlertCode.SCREEN_GLU_HIGH: profile.glucose_screening_limit,
        AlertCode.BP_HOME_HIGH: profile.bp_home,
        AlertCode.GLU_POSTPRANDIAL_HIGH: profile.glucose_postprandial_2h,
    }
    if code is AlertCode.SCREEN_HTN_SUSPECTED and suspected is not None:
        limit = _limit_text(profile.bp_screening_limit).threshold
        days = f"on {suspected.days_high} local days within {suspected.within_days}"
        return LimitText(threshold=f"{limit} {days}", source=suspected.source)
    followup = profile.followup
    if code is AlertCode.FOLLOWUP_OVERDUE:
        return LimitText(threshold=f"within {followup.second_days} days", source=followup.source)
    if code is AlertCode.REFERRAL_FOLLOWUP_OVERDUE:
        return LimitText(threshold=f"within {followup.referral_days} days", source=followup.source)
    return _limit_text(limits[code])


def _limit_text(limit: PressureLimit | PressureBands | GlucoseLimit) -> LimitText:
    if isinstance(limit, GlucoseLimit):
        number = _mmol_l(limit.glucose_mmol_l_e4)
        return LimitText(
            threshold=f"{limit.comparator.symbol} {number} mmol/L", source=limit.source
        )
    if isinstance(limit, PressureLimit):
        sides = _sides(limit)
        return LimitText(threshold=f"{limit.comparator.symbol} {sides} mmHg", source=limit.source)
    base = _limit_text(limit.base)
    tiers = [f"; from {tier.age_min} years {_sides(tier)}" for tier in limit.tiers]
    sources = dict.fromkeys([base.source, *(tier.source for tier in limit.tiers)])
    return LimitText(threshold=base.threshold + "".join(tiers), source="; ".join(sources))


def _sides(limit: PressureLimit) -> str:
    return f"{_mmhg(limit.systolic_mmhg_e13)}/{_mmhg(limit.diastolic_mmhg_e13)}"


def _mmhg(value_e13: int) -> str:
    if value_e13 % _EXACT_E13:
        value_e13 -= value_e13 % _CUT_E13
    whole, rest = divmod(value_e13, MMHG_E13_PER_MMHG)
    return f"{whole}.{rest:013d}".rstrip("0").rstrip(".")


def _mmol_l(value_e4: int) -> str:
    whole, rest = divmod(value_e4, MMOL_L_E4_PER_MMOL_L)
    text = f"{whole}.{rest:04d}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
