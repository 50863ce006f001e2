"""Assessments: what one visit, or one day's visits, say about a condition.

A *finding* is one office session or one fasting glucose with its verdict. Findings less than
24 hours after the first of their group are one assessment: the latest decides, the first
anchors alert and due date. Home values and other meal contexts never get here as findings of a
case; ``advisories`` groups them by the same function.

Source: clinical decision table 2.2 step 8 and 2.3 B1, B3, B4, G1, G4.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt

from rules.codes import NO_ALERT, AlertCode, Condition
from rules.columns import (
    KIND_GLUCOSE,
    MEAL_FASTING,
    MEAL_POSTPRANDIAL_2H,
    MEAL_RANDOM,
    MISSING,
    RANGE_HIGH,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
)
from rules.comparison import Sums, crosses_bands, crosses_pressure, reaches_glucose
from rules.limits import pick, rows_at
from rules.local_time import has_reached
from rules.runs import RowArray, begins_where, last_rows, number_runs, split_long_runs
from rules.scene import Scene
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Which assessment each finding belongs to, shape (f,) each. Rows of the sorted readings."""

    first: RowArray
    anchor: RowArray


def is_diagnosed(since: DateArray, day: DateArray) -> BoolArray:
    """Diagnosed on that day; NaT (never) is False."""
    diagnosed: BoolArray = since <= day
    return diagnosed


def judge_sessions(sessions: Sessions, scene: Scene) -> tuple[Findings, BoolArray]:
    """Verdict of each office session: B1 if diagnosed on its day, else B3 from an age on.

    Args:
        sessions: Office sessions that count; a session's day is its first reading's.
        scene: Birth dates, diagnoses and limits.

    Returns:
        The findings, and by session whether it is high-normal (B4) without a diagnosis.
    """
    limits, residents = scene.limits, scene.residents
    on, mine = scene.day[sessions.first], rows_at(scene.row, sessions.first)
    reached = partial(has_reached, residents.birth_date, sessions.resident, on)
    diagnosed = is_diagnosed(residents.hypertension_since[sessions.resident], on)
    sums = Sums(sessions.systolic_sum, sessions.diastolic_sum, sessions.count)
    unsatisfied = crosses_bands(sums, reached, limits.bp_office, mine)
    high = crosses_pressure(sums, limits.bp_screening, mine)
    screened = ~reached(0) | reached(pick(limits.bp_screened.age_min, mine))
    high_normal = screened & ~diagnosed & ~high
    high_normal &= crosses_pressure(sums, limits.bp_high_normal, mine)
    findings = Findings(
        resident=sessions.resident,
        condition=np.full(len(on), Condition.HYPERTENSION, dtype=np.int8),
        first=sessions.first,
        last=sessions.last,
        verdict=_verdict(diagnosed, unsatisfied, high),
        emergency=sessions.emergency,
    )
    return findings.take(diagnosed | screened), high_normal


def judge_fasting(scene: Scene) -> Findings:
    """Verdict of each fasting glucose: G1 if diagnosed on its day, else G4 from an age on.

    HI instead of a number is above every limit. A value at or below the low emergency limit is
    an emergency and no finding: it must never close a case as satisfied.
    """
    ordered, limits = scene.ordered, scene.limits
    fasting = scene.phases.judged & (ordered.kind == KIND_GLUCOSE)
    fasting &= ordered.meal_context == MEAL_FASTING
    fasting &= scene.emergency != AlertCode.GLU_EMERGENCY_LOW
    number = ordered.glucose_mmol_l_e4
    fasting &= (number != MISSING) | (ordered.range_status == RANGE_HIGH)
    rows = np.flatnonzero(fasting)
    resident, on, value = ordered.resident[rows], scene.day[rows], number[rows]
    mine = rows_at(scene.row, rows)
    reached = partial(has_reached, scene.residents.birth_date, resident, on)
    diagnosed = is_diagnosed(scene.residents.diabetes_since[resident], on)
    beyond = value == MISSING
    unsatisfied = beyond | reaches_glucose(value, limits.glucose_fasting, mine)
    high = beyond | reaches_glucose(value, limits.glucose_screening, mine)
    findings = Findings(
        resident=resident,
        condition=np.full(len(rows), Condition.DIABETES, dtype=np.int8),
        first=rows,
        last=rows,
        verdict=_verdict(diagnosed, unsatisfied, high),
        emergency=scene.emergency[rows] != NO_ALERT,
    )
    screened = ~reached(0) | reached(pick(limits.glucose_screened.age_min, mine))
    return findings.take(diagnosed | screened)


def find_random_highs(scene: Scene) -> RowArray:
    """Rows of random or 2 h glucose that ask for confirmation without a diagnosis (G4)."""
    ordered, limits = scene.ordered, scene.limits
    mine = scene.phases.judged & (ordered.kind == KIND_GLUCOSE)
    mine &= (ordered.meal_context == MEAL_RANDOM) | (ordered.meal_context == MEAL_POSTPRANDIAL_2H)
    rows = np.flatnonzero(mine)
    value = ordered.glucose_mmol_l_e4[rows]
    high = reaches_glucose(value, limits.glucose_random, rows_at(scene.row, rows))
    high |= (value == MISSING) & (ordered.range_status[rows] == RANGE_HIGH)
    rows = rows[high]
    resident, on = ordered.resident[rows], scene.day[rows]
    reached = partial(has_reached, scene.residents.birth_date, resident, on)
    youngest = pick(limits.glucose_random_screened.age_min, rows_at(scene.row, rows))
    asked = ~is_diagnosed(scene.residents.diabetes_since[resident], on)
    found: RowArray = rows[asked & (~reached(0) | reached(youngest))]
    return found


def _verdict(diagnosed: BoolArray, unsatisfied: BoolArray, high: BoolArray) -> Int8Array:
    own = np.where(unsatisfied, np.int8(Verdict.UNSATISFIED), np.int8(Verdict.SATISFIED))
    screened = np.where(high, np.int8(Verdict.HIGH), np.int8(Verdict.NORMAL))
    return np.where(diagnosed, own, screened)


def group_findings(findings: Findings, scene: Scene) -> tuple[Assessments, Membership]:
    """Group findings less than 24 h after the first of their group; the latest decides.

    A closure ends a group, and so does a person's word that settles the case: what is measured
    after it is another assessment.
    """
    at = scene.ordered.effective_at[findings.first].view(np.int64)
    span = pick(scene.limits.assessment_span_us, rows_at(scene.row, findings.first))
    begins = begins_where(
        findings.condition, findings.resident, scene.phases.number[findings.first]
    )
    begins[1:] |= at[1:] - at[:-1] >= np.broadcast_to(span, len(at))[1:]
    for condition, settled in scene.phases.settled.items():
        word = settled[findings.first]
        begins[1:] |= (word[1:] != word[:-1]) & (findings.condition[1:] == condition)
    begins = split_long_runs(begins, at, span=span, reaches=False, rows_max=len(at))
    first, group = number_runs(begins)
    last = last_rows(first, len(at))
    agrees = findings.verdict == findings.verdict[last][group]
    rows = np.arange(len(at))
    first_agreeing = _reduce_min(np.where(agrees, rows, len(at)), first)
    emergency = np.zeros(len(first), dtype=np.bool_)
    emergency[group[findings.emergency]] = True
    assessments = Assessments(
        resident=findings.resident[first],
        condition=findings.condition[first],
        anchor=findings.first[first],
        decided=findings.first[last],
        placed=findings.last[first_agreeing],
        verdict=findings.verdict[last],
        emergency=emergency,
    )
    return assessments, Membership(first=findings.first, anchor=assessments.anchor[group])


def _reduce_min(column: npt.NDArray[np.intp], first: RowArray) -> RowArray:
    least: RowArray = np.minimum.reduceat(column, first) if len(first) else column[:0]
    return least
