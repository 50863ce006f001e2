"""A profile as a table for people: every number with its rule, its words and its source."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np

from rules.profile import GlucoseLimit, PressureBands, PressureLimit, Profile, Screening

Row: TypeAlias = tuple[str, str, str]
"""Rule, limit, source."""

_MINUTE: Final = np.timedelta64(1, "m")
_HOUR: Final = np.timedelta64(1, "h")


def describe_profile(profile: Profile) -> list[Row]:
    """Every number of a profile as (rule, limit, source), in the order of its file.

    >>> from rules.profiles import load_profile
    >>> describe_profile(load_profile("wuzhou"))[0][:2]
    ('bp_emergency', '>= 180/110 mmHg')
    """
    return [
        *_pressures(profile),
        *_glucoses(profile),
        *_followup(profile),
        *_timing(profile),
    ]


def _number(scaled: int, exponent: int) -> str:
    return f"{Decimal(scaled).scaleb(exponent).normalize():f}"


def _mmhg(scaled: int) -> str:
    return _number(scaled, -13)


def _mmol_l(scaled: int) -> str:
    text = _number(scaled, -4)
    return text if "." in text else f"{text}.0"


def _pressure(rule: str, limit: PressureLimit) -> Row:
    sides = f"{_mmhg(limit.systolic_mmhg_e13)}/{_mmhg(limit.diastolic_mmhg_e13)}"
    return rule, f"{limit.comparator.symbol} {sides} mmHg", limit.source


def _bands(rule: str, bands: PressureBands) -> Iterator[Row]:
    yield _pressure(rule, bands.base)
    for tier in bands.tiers:
        yield _pressure(f"{rule}, from {tier.age_min} years", tier)


def _glucose(rule: str, limit: GlucoseLimit) -> Row:
    number = _mmol_l(limit.glucose_mmol_l_e4)
    return rule, f"{limit.comparator.symbol} {number} mmol/L", limit.source


def _screened(row: Row, screening: Screening) -> Iterator[Row]:
    rule, limit, source = row
    ages = f", from {screening.age_min} years" if screening.age_min else ", at every age"
    due = f", recheck within {screening.due_days} days" if screening.due_days else ""
    yield rule, f"{limit}{ages}, {screening.severity.name.lower()}{due}", source
    suspected = screening.suspected
    if suspected is not None:
        days = f"high on {suspected.days_high} local days within {suspected.within_days} days"
        result = f"confirmed within {suspected.due_days} days"
        yield f"{rule}.suspected", f"{days}, {result}", suspected.source


def _pressures(profile: Profile) -> Iterator[Row]:
    yield _pressure("bp_emergency", profile.bp_emergency)
    yield _pressure("bp_pregnancy", profile.bp_pregnancy)
    yield from _bands("bp_office", profile.bp_office)
    yield from _bands("bp_home", profile.bp_home)
    screening = _pressure("bp_screening", profile.bp_screening_limit)
    yield from _screened(screening, profile.bp_screening)
    yield _pressure("bp_high_normal", profile.bp_high_normal)
    arms = profile.bp_interarm
    limit = f"{arms.comparator.symbol} {_mmhg(arms.systolic_mmhg_e13)} mmHg systolic between arms"
    yield "bp_interarm", limit, arms.source


def _glucoses(profile: Profile) -> Iterator[Row]:
    yield _glucose("glucose_emergency_high", profile.glucose_emergency_high)
    yield _glucose("glucose_emergency_low", profile.glucose_emergency_low)
    yield _glucose("glucose_fasting", profile.glucose_fasting)
    yield _glucose("glucose_postprandial_2h", profile.glucose_postprandial_2h)
    fasting = _glucose("glucose_screening_fasting", profile.glucose_screening_limit)
    yield from _screened(fasting, profile.glucose_screening)
    limit, rule = profile.glucose_screening_random_limit, profile.glucose_screening_random
    if limit is not None and rule is not None:
        yield from _screened(_glucose("glucose_screening_random", limit), rule)


def _followup(profile: Profile) -> Iterator[Row]:
    numbers = profile.followup
    steps = ", ".join(str(day) for day in numbers.escalation_days)
    for name, text in (
        ("second_days", f"within {numbers.second_days} days"),
        ("referral_days", f"within {numbers.referral_days} days"),
        ("routine_days", f"within {numbers.routine_days} days"),
        ("routine_overdue_days", f"more than {numbers.routine_overdue_days} days"),
        ("face_to_face_per_year", f"at least {numbers.face_to_face_per_year} visits"),
        ("unsatisfied_for_referral", f"{numbers.unsatisfied_for_referral} in a row"),
        ("adverse_reactions_for_referral", f"{numbers.adverse_reactions_for_referral} in a row"),
        ("escalation_days", f"from {steps} overdue days on" if steps else "none"),
    ):
        yield f"followup.{name}", text, numbers.source


def _timing(profile: Profile) -> Iterator[Row]:
    timing = profile.timing

    def minutes(span: np.timedelta64) -> str:
        return f"{span // _MINUTE} minutes"

    def hours(span: np.timedelta64) -> str:
        return f"{span // _HOUR} hours"

    yield "session.gap_minutes", f"at most {minutes(timing.session_gap)}", timing.session_source
    yield "session.span_minutes", f"at most {minutes(timing.session_span)}", timing.session_source
    yield "session.wait_minutes", minutes(timing.session_wait), timing.session_source
    third = f"more than {_mmhg(timing.third_reading_mmhg_e13)} mmHg"
    yield "session.third_reading_mmhg", third, timing.session_source
    span = f"less than {hours(timing.assessment_span)}"
    yield "assessment.span_hours", span, timing.assessment_source
    repeat = f"not again within {hours(timing.emergency_repeat)}"
    yield "alerting.emergency_repeat_hours", repeat, timing.alerting_source
    late = f"more than {hours(timing.late_after)}"
    yield "alerting.late_hours", late, timing.alerting_source
