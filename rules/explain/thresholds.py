"""Which limit of which document stands behind an alert, in numbers and as text.

Says only what a profile says; ``comparison`` alone lets a value meet a limit.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from rules.codes import AlertCode
from rules.explain.figures import mmhg_text, mmol_l_text, pair_text
from rules.profile import (
    Comparator,
    GlucoseLimit,
    PressureBands,
    PressureDifference,
    PressureLimit,
    Profile,
)


class Quantity(StrEnum):
    """What a limit is about."""

    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    GLUCOSE = "glucose"
    ARMS = "difference_between_arms"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitText:
    """Shown with every alert. A rule that compares no value has no comparator and no number."""

    threshold: str  # '> 140/90 mmHg', 'more than 90 days since the last face-to-face visit'
    source: str  # Document and section.
    rule: str | None = None  # Dotted key in the profile; None: people decided.
    comparator: Comparator | None = None
    number: str | None = None  # '140/90 mmHg'
    sides: tuple[tuple[Quantity, int], ...] = ()  # 1e-13 mmHg, or 1e-4 mmol/L.
    age_min: int = 0  # Completed years from which it applies, of a tier.
    times: int | None = None  # So often in a row, or on so many days.
    days: int | None = None  # Within so many days, or more than so many.


def limit_of(
    profile: Profile, code: AlertCode, *, age: int | None = None, by_random: bool = False
) -> LimitText:
    """The limit behind an alert code, with its source.

    Args:
        profile: The version that judged.
        code: Of the alert.
        age: Completed years, negative where unknown: the text names the tier that applies to
            it. None: the text names all tiers.
        by_random: A random or 2 h glucose asks for confirmation, not a fasting one.

    Raises:
        KeyError: The profile has no such rule.
    """
    if code in _CODES_OF_RECORDS:
        return _of_record(profile, code)
    suspected = profile.bp_screening.suspected
    if code is AlertCode.SCREEN_HTN_SUSPECTED and suspected is not None:
        limit = _of_pressure(profile.bp_screening_limit, "bp_screening.suspected")
        days = f"on {suspected.days_high} local days within {suspected.within_days}"
        return replace(
            limit,
            threshold=f"{limit.threshold} {days}",
            source=suspected.source,
            times=suspected.days_high,
            days=suspected.within_days,
        )
    if code in (AlertCode.BP_UNSATISFIED_1, AlertCode.BP_UNSATISFIED_2, AlertCode.BP_HOME_HIGH):
        home = code is AlertCode.BP_HOME_HIGH
        bands, rule = (profile.bp_home, "bp_home") if home else (profile.bp_office, "bp_office")
        limit = _of_bands(bands, rule) if age is None else _of_age(bands, rule, age)
    elif code is AlertCode.BP_INTERARM_DIFF:
        limit = _of_difference(profile.bp_interarm)
    else:
        limit = _of_value(profile, code, by_random=by_random)
    twice = code in (AlertCode.BP_UNSATISFIED_2, AlertCode.GLU_UNSATISFIED_2)
    return replace(limit, times=profile.followup.unsatisfied_for_referral) if twice else limit


def limits_by_age(bands: PressureBands, rule: str) -> dict[int, LimitText]:
    """By the age from which it applies, every limit of a rule; 0 is the base."""
    base = _of_pressure(bands.base, rule)
    tiers = (_of_pressure(tier, f"{rule}.tier") for tier in bands.tiers)
    return {0: base} | {tier.age_min: tier for tier in tiers}


_CODES_OF_RECORDS = frozenset(
    {
        AlertCode.FOLLOWUP_OVERDUE,
        AlertCode.REFERRAL_FOLLOWUP_OVERDUE,
        AlertCode.ROUTINE_OVERDUE,
        AlertCode.ADR_1,
        AlertCode.ADR_2,
        AlertCode.COMPLICATION,
    }
)


def _of_record(profile: Profile, code: AlertCode) -> LimitText:
    followup = profile.followup
    again = followup.adverse_reactions_for_referral
    overdue = followup.routine_overdue_days
    reactions = "followup.adverse_reactions_for_referral"
    found = {
        AlertCode.FOLLOWUP_OVERDUE: LimitText(
            threshold=f"within {followup.second_days} days",
            source=followup.source,
            rule="followup.second_days",
            days=followup.second_days,
        ),
        AlertCode.REFERRAL_FOLLOWUP_OVERDUE: LimitText(
            threshold=f"within {followup.referral_days} days",
            source=followup.source,
            rule="followup.referral_days",
            days=followup.referral_days,
        ),
        AlertCode.ROUTINE_OVERDUE: LimitText(
            threshold=f"more than {overdue} days since the last face-to-face visit",
            source=followup.source,
            rule="followup.routine_overdue_days",
            days=overdue,
        ),
        AlertCode.ADR_1: LimitText(
            threshold="adverse reaction at a visit", source=followup.source, rule=reactions, times=1
        ),
        AlertCode.ADR_2: LimitText(
            threshold=f"adverse reaction at {again} visits in a row",
            source=followup.source,
            rule=reactions,
            times=again,
        ),
        AlertCode.COMPLICATION: LimitText(
            threshold="new or worse complication at a visit",
            source=followup.source,
            rule="followup",
        ),
    }
    return found[code]


def _of_value(profile: Profile, code: AlertCode, *, by_random: bool) -> LimitText:
    if code is AlertCode.SCREEN_GLU_HIGH and by_random:
        limit = profile.glucose_screening_random_limit
        if limit is None:
            raise KeyError(code)
        found = _of_glucose(limit, "glucose_screening_random")
        return replace(found, threshold=f"{found.threshold} random or 2 h after a meal")
    pressures = {
        AlertCode.BP_EMERGENCY: (profile.bp_emergency, "bp_emergency"),
        AlertCode.BP_PREG_HIGH: (profile.bp_pregnancy, "bp_pregnancy"),
        AlertCode.SCREEN_BP_HIGH: (profile.bp_screening_limit, "bp_screening"),
    }
    if code in pressures:
        return _of_pressure(*pressures[code])
    fasting = (profile.glucose_fasting, "glucose_fasting")
    glucoses = {
        AlertCode.GLU_EMERGENCY_HIGH: (profile.glucose_emergency_high, "glucose_emergency_high"),
        AlertCode.GLU_EMERGENCY_LOW: (profile.glucose_emergency_low, "glucose_emergency_low"),
        AlertCode.GLU_UNSATISFIED_1: fasting,
        AlertCode.GLU_UNSATISFIED_2: fasting,
        AlertCode.SCREEN_GLU_HIGH: (profile.glucose_screening_limit, "glucose_screening_fasting"),
        AlertCode.GLU_POSTPRANDIAL_HIGH: (
            profile.glucose_postprandial_2h,
            "glucose_postprandial_2h",
        ),
    }
    return _of_glucose(*glucoses[code])


def _of_pressure(limit: PressureLimit, rule: str) -> LimitText:
    number = f"{pair_text(limit.systolic_mmhg_e13, limit.diastolic_mmhg_e13)} mmHg"
    return LimitText(
        threshold=f"{limit.comparator.symbol} {number}",
        source=limit.source,
        rule=rule,
        comparator=limit.comparator,
        number=number,
        sides=(
            (Quantity.SYSTOLIC, limit.systolic_mmhg_e13),
            (Quantity.DIASTOLIC, limit.diastolic_mmhg_e13),
        ),
        age_min=limit.age_min,
    )


def _of_age(bands: PressureBands, rule: str, age: int) -> LimitText:
    """The limit of somebody's age. An unknown age has the base limit."""
    by_age = limits_by_age(bands, rule)
    return by_age[max(age_min for age_min in by_age if age_min <= max(age, 0))]


def _of_bands(bands: PressureBands, rule: str) -> LimitText:
    """All tiers in one text."""
    base, *tiers = limits_by_age(bands, rule).values()
    texts = [
        f"; from {tier.age_min} years {(tier.number or '').removesuffix(' mmHg')}" for tier in tiers
    ]
    sources = dict.fromkeys([base.source, *(tier.source for tier in tiers)])
    return replace(base, threshold=base.threshold + "".join(texts), source="; ".join(sources))


def _of_difference(limit: PressureDifference) -> LimitText:
    number = f"{mmhg_text(limit.systolic_mmhg_e13)} mmHg"
    return LimitText(
        threshold=f"{limit.comparator.symbol} {number} systolic between the arms",
        source=limit.source,
        rule="bp_interarm",
        comparator=limit.comparator,
        number=number,
        sides=((Quantity.ARMS, limit.systolic_mmhg_e13),),
    )


def _of_glucose(limit: GlucoseLimit, rule: str) -> LimitText:
    number = f"{mmol_l_text(limit.glucose_mmol_l_e4)} mmol/L"
    return LimitText(
        threshold=f"{limit.comparator.symbol} {number}",
        source=limit.source,
        rule=rule,
        comparator=limit.comparator,
        number=number,
        sides=((Quantity.GLUCOSE, limit.glucose_mmol_l_e4),),
    )
