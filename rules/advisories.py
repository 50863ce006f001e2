"""Advisories: worth telling the team, never moving a case and never counting.

Home pressures and 2 h postprandial glucose of diagnosed residents. One is active per resident
and code: a further high value does not repeat it, the next value below the limit (24 hours
apart, as everywhere) resolves it. A value that is an emergency is left to the emergency.

Source: clinical decision table 2.3 B2, G2; repeats: 2.5.
"""

from dataclasses import dataclass

import numpy as np

from rules.assessments import Assessments, Findings, Verdict, group_findings, is_diagnosed, join
from rules.codes import NO_ALERT, AlertCode, AlertStatus, Condition
from rules.columns import (
    KIND_GLUCOSE,
    MEAL_POSTPRANDIAL_2H,
    MISSING,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
    Readings,
    Residents,
)
from rules.comparison import crosses_bands, crosses_glucose
from rules.local_time import age_on
from rules.profile import Profile
from rules.runs import RowArray, begins_where, last_rows, number_runs
from rules.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisories:
    """Shape (v,) each. Anchors are rows of the sorted readings."""

    resident: Int64Array
    condition: Int8Array
    code: Int8Array
    status: Int8Array
    anchor: RowArray
    decided: RowArray  # First reading of the session or value that decided.


def advise(
    home: Sessions,
    ordered: Readings,
    *,
    emergency: Int8Array,
    day: DateArray,
    residents: Residents,
    profile: Profile,
) -> Advisories:
    """Advisories from closed home sessions and postprandial values.

    Args:
        home: Closed home sessions.
        ordered: Readings in the order of ``order_in_time``.
        emergency: Shape (n,), from ``flag_emergencies`` on ``ordered``.
        day: Shape (n,), local day of each reading.
        residents: Birth dates and diagnoses.
        profile: Limits B2 and G2.
    """
    findings = join(
        [
            _judge_home(home, day, residents, profile),
            _judge_postprandial(ordered, emergency, day, residents, profile),
        ]
    )
    return _raise(group_findings(findings, ordered, profile.timing.assessment_span))


def _raise(groups: Assessments) -> Advisories:
    high = groups.verdict == Verdict.UNSATISFIED
    begins = begins_where(groups.condition, groups.resident)
    first, lane = number_runs(begins)
    raises = high.copy()
    raises[1:] &= begins[1:] | ~high[:-1]
    rows = np.arange(len(high))
    next_low = np.minimum.accumulate(np.where(high, len(high), rows)[::-1])[::-1]
    resolved = next_low <= last_rows(first, len(high))[lane]
    pressure = groups.condition == Condition.HYPERTENSION
    code = np.where(pressure, AlertCode.BP_HOME_HIGH, AlertCode.GLU_POSTPRANDIAL_HIGH)
    status = np.where(resolved, AlertStatus.RESOLVED, AlertStatus.ACTIVE)
    return Advisories(
        resident=groups.resident[raises],
        condition=groups.condition[raises],
        code=code[raises].astype(np.int8),
        status=status[raises].astype(np.int8),
        anchor=groups.anchor[raises],
        decided=groups.decided[raises],
    )


def _judge_home(home: Sessions, day: DateArray, residents: Residents, profile: Profile) -> Findings:
    on = day[home.first]
    age = age_on(residents.birth_date[home.resident], on)
    high = crosses_bands(home.systolic_sum, home.diastolic_sum, home.count, age, profile.bp_home)
    findings = Findings(
        resident=home.resident,
        condition=np.full(len(high), Condition.HYPERTENSION, dtype=np.int8),
        first=home.first,
        last=home.last,
        verdict=_verdict(high),
        emergency=home.emergency,
    )
    diagnosed = is_diagnosed(residents.hypertension_since[home.resident], on)
    return findings.take(diagnosed & ~home.emergency)


def _judge_postprandial(
    ordered: Readings,
    emergency: Int8Array,
    day: DateArray,
    residents: Residents,
    profile: Profile,
) -> Findings:
    mine = ordered.countable & (ordered.kind == KIND_GLUCOSE) & (emergency == NO_ALERT)
    mine &= ordered.meal_context == MEAL_POSTPRANDIAL_2H
    mine &= ordered.glucose_mmol_l_e4 != MISSING
    mine &= is_diagnosed(residents.diabetes_since[ordered.resident], day)
    rows = np.flatnonzero(mine)
    high = crosses_glucose(ordered.glucose_mmol_l_e4[rows], profile.glucose_postprandial_2h)
    return Findings(
        resident=ordered.resident[rows],
        condition=np.full(len(rows), Condition.DIABETES, dtype=np.int8),
        first=rows,
        last=rows,
        verdict=_verdict(high),
        emergency=np.zeros(len(rows), dtype=np.bool_),
    )


def _verdict(high: BoolArray) -> Int8Array:
    return np.where(high, Verdict.UNSATISFIED, Verdict.SATISFIED).astype(np.int8)
