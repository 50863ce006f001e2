"""Builds a ``Profile`` from values that were all found to fit. Scales them; judges nothing."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

import numpy as np

from rules.codes import Severity
from rules.local_time import fixed_offset
from rules.profile import (
    Comparator,
    FollowUp,
    GlucoseLimit,
    PressureBands,
    PressureDifference,
    PressureLimit,
    Profile,
    Screening,
    Suspected,
    Timing,
)
from rules.profiles.shapes import Values
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

_NO_AGE: Final = 0
_MINUTE: Final = np.timedelta64(60_000_000, "us")
_HOUR: Final = 60 * _MINUTE


def build_profile(values: Values) -> Profile:
    """The profile that a file without errors states."""
    random = "glucose_screening_random"
    return Profile(
        id=values["id"],
        version=values["version"],
        valid_from=values["valid_from"],
        time_zone=values["time_zone"],
        utc_offset=fixed_offset(values["time_zone"]),
        bp_emergency=_pressure(values, "bp_emergency"),
        bp_pregnancy=_pressure(values, "bp_pregnancy"),
        bp_office=_bands(values, "bp_office"),
        bp_home=_bands(values, "bp_home"),
        bp_screening_limit=_pressure(values, "bp_screening"),
        bp_screening=_screening(values, "bp_screening"),
        bp_high_normal=_pressure(values, "bp_high_normal"),
        bp_interarm=PressureDifference(
            systolic_mmhg_e13=_mmhg_e13(values["bp_interarm.limit"]),
            comparator=Comparator(values["bp_interarm.comparator"]),
            source=values["bp_interarm.source"],
        ),
        glucose_emergency_high=_glucose(values, "glucose_emergency_high"),
        glucose_emergency_low=_glucose(values, "glucose_emergency_low"),
        glucose_fasting=_glucose(values, "glucose_fasting"),
        glucose_postprandial_2h=_glucose(values, "glucose_postprandial_2h"),
        glucose_screening_limit=_glucose(values, "glucose_screening_fasting"),
        glucose_screening=_screening(values, "glucose_screening_fasting"),
        glucose_screening_random_limit=_glucose(values, random) if random in values else None,
        glucose_screening_random=_screening(values, random) if random in values else None,
        followup=_followup(values),
        timing=_timing(values),
    )


def _mmhg_e13(limit: int | Decimal) -> int:
    return int(Fraction(limit) * MMHG_E13_PER_MMHG)


def _pressure(values: Values, key: str) -> PressureLimit:
    return _sides(values, key, Comparator(values[f"{key}.comparator"]), age_min=_NO_AGE)


def _sides(values: Values, key: str, comparator: Comparator, *, age_min: int) -> PressureLimit:
    return PressureLimit(
        systolic_mmhg_e13=_mmhg_e13(values[f"{key}.systolic"]),
        diastolic_mmhg_e13=_mmhg_e13(values[f"{key}.diastolic"]),
        comparator=comparator,
        age_min=age_min,
        source=values[f"{key}.source"],
    )


def _bands(values: Values, key: str) -> PressureBands:
    base = _pressure(values, key)
    tiers = (f"{key}.tier[{number}]" for number in range(values.get(f"{key}.tier", 0)))
    return PressureBands(
        base=base,
        tiers=tuple(
            _sides(values, tier, base.comparator, age_min=values[f"{tier}.age_min"])
            for tier in tiers
        ),
    )


def _glucose(values: Values, key: str) -> GlucoseLimit:
    return GlucoseLimit(
        glucose_mmol_l_e4=int(Fraction(values[f"{key}.limit"]) * MMOL_L_E4_PER_MMOL_L),
        comparator=Comparator(values[f"{key}.comparator"]),
        source=values[f"{key}.source"],
    )


def _screening(values: Values, key: str) -> Screening:
    inner = f"{key}.suspected"
    return Screening(
        age_min=values.get(f"{key}.age_min", _NO_AGE),
        severity=Severity[values[f"{key}.severity"].upper()],
        due_days=values.get(f"{key}.due_days"),
        suspected=Suspected(
            days_high=values[f"{inner}.days_high"],
            within_days=values[f"{inner}.within_days"],
            due_days=values[f"{inner}.due_days"],
            source=values[f"{inner}.source"],
        )
        if inner in values
        else None,
    )


def _followup(values: Values) -> FollowUp:
    return FollowUp(
        second_days=values["followup.second_days"],
        referral_days=values["followup.referral_days"],
        routine_days=values["followup.routine_days"],
        routine_overdue_days=values["followup.routine_overdue_days"],
        unsatisfied_for_referral=values["followup.unsatisfied_for_referral"],
        adverse_reactions_for_referral=values["followup.adverse_reactions_for_referral"],
        face_to_face_per_year=values["followup.face_to_face_per_year"],
        escalation_days=tuple(values["followup.escalation_days"]),
        source=values["followup.source"],
    )


def _timing(values: Values) -> Timing:
    return Timing(
        session_gap=values["session.gap_minutes"] * _MINUTE,
        session_span=values["session.span_minutes"] * _MINUTE,
        session_wait=values["session.wait_minutes"] * _MINUTE,
        third_reading_mmhg_e13=_mmhg_e13(values["session.third_reading_mmhg"]),
        assessment_span=values["assessment.span_hours"] * _HOUR,
        emergency_repeat=values["alerting.emergency_repeat_hours"] * _HOUR,
        late_after=values["alerting.late_hours"] * _HOUR,
        session_source=values["session.source"],
        assessment_source=values["assessment.source"],
        alerting_source=values["alerting.source"],
    )
