"""A profile: every clinical number the rules use, as dated data with unit and source.

Profiles are TOML files in ``rules/profiles``, read by ``rules.profiles.load_profile``. Limits
are scaled integers; no number here ever was a float.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from rules.codes import SEVERITY_OF, AlertCode, Severity


class Comparator(StrEnum):
    """What crossing a limit means. In law and in the brief 高于 is ``above``, 以上 is not."""

    ABOVE = "above"
    AT_OR_ABOVE = "at_or_above"
    AT_OR_BELOW = "at_or_below"

    @property
    def symbol(self) -> str:
        """As shown with every alert."""
        return {"above": ">", "at_or_above": ">=", "at_or_below": "<="}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureLimit:
    """Crossed when systolic *or* diastolic crosses its side."""

    systolic_mmhg_e13: int
    diastolic_mmhg_e13: int
    comparator: Comparator
    age_min: int  # Completed years from which it applies; 0 for the base limit.
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureBands:
    """A base limit and the tiers that replace it from an age on, youngest first."""

    base: PressureLimit
    tiers: tuple[PressureLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureDifference:
    """Crossed by the difference of the mean systolic values of two arms."""

    systolic_mmhg_e13: int
    comparator: Comparator
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseLimit:
    """One glucose limit."""

    glucose_mmol_l_e4: int
    comparator: Comparator
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """Highs on so many local days, the last within so many days of the first."""

    days_high: int
    within_days: int
    due_days: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """How a high value of somebody without the diagnosis is treated."""

    age_min: int  # 0: every age. An unknown age counts as adult and is screened.
    severity: Severity
    due_days: int | None  # None: no recheck date.
    suspected: Suspected | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Due dates in local calendar days, the last day included."""

    second_days: int
    referral_days: int
    routine_days: int
    routine_overdue_days: int  # Overdue when more days have passed since the last visit.
    unsatisfied_for_referral: int  # In a row.
    adverse_reactions_for_referral: int  # Visits in a row.
    face_to_face_per_year: int  # At least; local calendar year.
    escalation_days: tuple[int, ...]  # Step k+1 from this many overdue days on; ascending.
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How readings are grouped, and when alerts repeat or come late. Microseconds."""

    session_gap: np.timedelta64  # At most, between two readings of one session.
    session_span: np.timedelta64  # At most, from its first to its last reading.
    session_wait: np.timedelta64  # After the last arrival, before it is judged.
    third_reading_mmhg_e13: int  # Two readings that differ by more ask for a third.
    assessment_span: np.timedelta64  # Less than, from the group's first.
    emergency_repeat: np.timedelta64
    late_after: np.timedelta64
    session_source: str
    assessment_source: str
    alerting_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One version of the rules' numbers."""

    id: str
    version: str
    valid_from: date
    time_zone: str
    utc_offset: np.timedelta64  # Of ``time_zone``; microseconds.
    bp_emergency: PressureLimit
    bp_pregnancy: PressureLimit
    bp_office: PressureBands
    bp_home: PressureBands
    bp_screening_limit: PressureLimit
    bp_screening: Screening
    bp_high_normal: PressureLimit  # A date on the resident, never an alert.
    bp_interarm: PressureDifference
    glucose_emergency_high: GlucoseLimit
    glucose_emergency_low: GlucoseLimit
    glucose_fasting: GlucoseLimit
    glucose_postprandial_2h: GlucoseLimit
    glucose_screening_limit: GlucoseLimit
    glucose_screening: Screening
    glucose_screening_random_limit: GlucoseLimit | None  # Random or 2 h; None: no such rule.
    glucose_screening_random: Screening | None
    followup: FollowUp
    timing: Timing

    def severity(self, code: AlertCode) -> Severity:
        """How loud an alert of this code is under this profile."""
        if code is AlertCode.SCREEN_BP_HIGH:
            return self.bp_screening.severity
        if code is AlertCode.SCREEN_GLU_HIGH:
            return self.glucose_screening.severity
        return SEVERITY_OF[code]
