"""Assessments: what one visit, or one day's visits, say about a condition.

A *finding* is one closed office session or one fasting glucose with its verdict. Findings less
than 24 hours after the first of their group are one assessment: the latest decides, the first
anchors alert and due date. Home values and other meal contexts never get here as findings of a
case; ``advisories`` groups them by the same function.

Source: clinical decision table 2.2 step 8 and 2.3 B1, B3, G1, G4.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from rules.codes import NO_ALERT, AlertCode, Condition
from rules.columns import (
    KIND_GLUCOSE,
    MEAL_FASTING,
    MISSING,
    RANGE_HIGH,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
    Readings,
    Residents,
)
from rules.comparison import crosses_bands, crosses_glucose, crosses_pressure
from rules.local_time import UNKNOWN_AGE, age_on
from rules.profile import Profile
from rules.runs import (
    RowArray,
    begins_where,
    last_rows,
    number_runs,
    split_long_runs,
    stack_tables,
)
from rules.sessions import Sessions


class Verdict(IntEnum):
    """Of a diagnosed resident, SATISFIED or UNSATISFIED; of another, NORMAL or HIGH."""

    SATISFIED = 1
    UNSATISFIED = 2
    NORMAL = 3
    HIGH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Shape (f,) each, ordered by (condition, resident, time). Rows of the sorted readings."""

    resident: Int64Array
    condition: Int8Array
    first: RowArray
    last: RowArray
    verdict: Int8Array
    emergency: BoolArray

    def take(self, rows: BoolArray) -> Self:
        """Only these findings."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessments:
    """Shape (a,) each, ordered by (condition, resident, time). Rows of the sorted readings."""

    resident: Int64Array
    condition: Int8Array
    anchor: RowArray  # First reading of the group: gives alert and due date.
    decided: RowArray  # First reading of the finding that decides.
    placed: RowArray  # Last reading of the first finding that agrees: its place among emergencies.
    verdict: Int8Array
    emergency: BoolArray  # Any reading of the group is an emergency.


def is_diagnosed(since: DateArray, day: DateArray) -> BoolArray:
    """Diagnosed on that day; NaT (never) is False."""
    diagnosed: BoolArray = since <= day
    return diagnosed


def judge_sessions(
    sessions: Sessions, day: DateArray, residents: Residents, profile: Profile
) -> Findings:
    """Verdict of each closed office session: B1 if diagnosed on its day, else B3 from an age on.

    Args:
        sessions: Closed office sessions.
        day: Shape (n,), local day of every sorted reading; a session's is its first reading's.
        residents: Birth dates and diagnoses.
        profile: Limits and the youngest age screened.
    """
    on = day[sessions.first]
    age = age_on(residents.birth_date[sessions.resident], on)
    diagnosed = is_diagnosed(residents.hypertension_since[sessions.resident], on)
    sums = sessions.systolic_sum, sessions.diastolic_sum, sessions.count
    unsatisfied = crosses_bands(*sums, age, profile.bp_office)
    high = crosses_pressure(*sums, profile.bp_screening_limit)
    findings = Findings(
        resident=sessions.resident,
        condition=np.full(len(age), Condition.HYPERTENSION, dtype=np.int8),
        first=sessions.first,
        last=sessions.last,
        verdict=_verdict(diagnosed, unsatisfied, high),
        emergency=sessions.emergency,
    )
    return findings.take(diagnosed | _is_screened(age, profile.bp_screening.age_min))


def judge_fasting(
    ordered: Readings,
    emergency: Int8Array,
    day: DateArray,
    residents: Residents,
    profile: Profile,
) -> Findings:
    """Verdict of each fasting glucose: G1 if diagnosed on its day, else G4 from an age on.

    HI instead of a number is above every limit. A value at or below the low emergency limit is
    an emergency and no finding: it must never close a case as satisfied.
    """
    fasting = ordered.countable & (ordered.kind == KIND_GLUCOSE)
    fasting &= (ordered.meal_context == MEAL_FASTING) & (emergency != AlertCode.GLU_EMERGENCY_LOW)
    number = ordered.glucose_mmol_l_e4
    fasting &= (number != MISSING) | (ordered.range_status == RANGE_HIGH)
    rows = np.flatnonzero(fasting)
    resident, on, value = ordered.resident[rows], day[rows], number[rows]
    age = age_on(residents.birth_date[resident], on)
    diagnosed = is_diagnosed(residents.diabetes_since[resident], on)
    beyond = value == MISSING
    unsatisfied = beyond | crosses_glucose(value, profile.glucose_fasting)
    high = beyond | crosses_glucose(value, profile.glucose_screening_limit)
    findings = Findings(
        resident=resident,
        condition=np.full(len(rows), Condition.DIABETES, dtype=np.int8),
        first=rows,
        last=rows,
        verdict=_verdict(diagnosed, unsatisfied, high),
        emergency=emergency[rows] != NO_ALERT,
    )
    return findings.take(diagnosed | _is_screened(age, profile.glucose_screening.age_min))


def _verdict(diagnosed: BoolArray, unsatisfied: BoolArray, high: BoolArray) -> Int8Array:
    own = np.where(unsatisfied, Verdict.UNSATISFIED, Verdict.SATISFIED)
    screened = np.where(high, Verdict.HIGH, Verdict.NORMAL)
    return np.where(diagnosed, own, screened).astype(np.int8)


def _is_screened(age: Int64Array, age_min: int) -> BoolArray:
    screened: BoolArray = (age >= age_min) | (age == UNKNOWN_AGE)
    return screened


def join(parts: list[Findings]) -> Findings:
    """Findings of ascending conditions as one table."""
    return stack_tables(parts)


def group_findings(findings: Findings, ordered: Readings, span: np.timedelta64) -> Assessments:
    """Group findings less than ``span`` after the first of their group; the latest decides."""
    at = ordered.effective_at[findings.first]
    begins = begins_where(findings.condition, findings.resident)
    begins[1:] |= at[1:] - at[:-1] >= span
    begins = split_long_runs(begins, at, span=span, reaches=False, rows_max=len(at))
    first, group = number_runs(begins)
    last = last_rows(first, len(at))
    agrees = findings.verdict == findings.verdict[last][group]
    rows = np.arange(len(at))
    first_agreeing = _reduce_min(np.where(agrees, rows, len(at)), first)
    emergency = np.zeros(len(first), dtype=np.bool_)
    emergency[group[findings.emergency]] = True
    return Assessments(
        resident=findings.resident[first],
        condition=findings.condition[first],
        anchor=findings.first[first],
        decided=findings.first[last],
        placed=findings.last[first_agreeing],
        verdict=findings.verdict[last],
        emergency=emergency,
    )


def _reduce_min(column: npt.NDArray[np.intp], first: RowArray) -> RowArray:
    least: RowArray = np.minimum.reduceat(column, first) if len(first) else column[:0]
    return least
