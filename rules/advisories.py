"""Advisories: worth telling the team, never moving a case and never counting.

Home pressures and 2 h postprandial glucose of diagnosed residents, and a difference between
the arms. One is active per resident and code: a further high value does not repeat it, the
next assessment below the limit resolves it. A value that is an emergency is left to the
emergency.

Source: clinical decision table 2.3 B2, B5, G2; repeats: 2.5.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from rules.assessments import (
    Assessments,
    Findings,
    Membership,
    Verdict,
    group_findings,
    is_diagnosed,
)
from rules.codes import NO_ALERT, AlertCode, Condition
from rules.columns import (
    KIND_GLUCOSE,
    MEAL_POSTPRANDIAL_2H,
    MISSING,
    BoolArray,
    Int8Array,
    Int64Array,
)
from rules.comparison import Sums, crosses_bands, reaches_glucose
from rules.limits import pick, rows_at
from rules.local_time import has_reached
from rules.phases import Phases
from rules.runs import RowArray, begins_where, last_rows, number_runs, stack_tables
from rules.scene import Scene
from rules.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisories:
    """Shape (v,) each. Anchors are rows of the sorted readings."""

    resident: Int64Array
    condition: Int8Array
    code: Int8Array
    anchor: RowArray
    decided: RowArray  # First reading of the session or value that decided.
    resolved_by: RowArray  # First reading of the assessment, or closure, that resolved it; -1.


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """Everything that came of the advisories."""

    advisories: Advisories
    memberships: dict[AlertCode | None, Membership]  # Which findings were told together.
    answers: dict[AlertCode, RowArray]  # What resolved those a checkpoint left active; -1.


def advise(
    office: Sessions, home: Sessions, scene: Scene, active: dict[AlertCode, Int64Array]
) -> Advised:
    """Advisories from sessions and postprandial values.

    Args:
        office: Office sessions that count.
        home: Home sessions that count.
        scene: The readings, limits B2, B5 and G2.
        active: By code, residents whose advisory a checkpoint left active.
    """
    found = {
        AlertCode.BP_HOME_HIGH: _judge_home(home, scene),
        AlertCode.GLU_POSTPRANDIAL_HIGH: _judge_postprandial(scene),
        AlertCode.BP_INTERARM_DIFF: _judge_arms(office, scene),
    }
    groups = {code: group_findings(each, scene) for code, each in found.items()}
    nobody = np.zeros(0, dtype=np.int64)
    raised = [
        _raise(each, code, active.get(code, nobody), scene.phases)
        for code, (each, _) in groups.items()
    ]
    return Advised(
        advisories=stack_tables(raised),
        memberships={code: member for code, (_, member) in groups.items()},
        answers={
            code: _answer_carried(groups[code][0], residents, scene.phases)
            for code, residents in active.items()
        },
    )


def _answer_carried(groups: Assessments, resident: Int64Array, phases: Phases) -> RowArray:
    """First assessment below the limit, or closure, of each resident's first phase, -1."""
    closure = phases.closure_after(resident, np.zeros(len(resident), dtype=np.int16))
    low = np.flatnonzero(
        (groups.verdict != Verdict.UNSATISFIED) & (phases.number[groups.anchor] == 0)
    )
    if not len(low):
        return closure
    at = np.searchsorted(groups.resident[low], resident)
    row = low[np.minimum(at, len(low) - 1)]
    return np.where(groups.resident[row] == resident, groups.anchor[row], closure)


def _raise(groups: Assessments, code: AlertCode, active: Int64Array, phases: Phases) -> Advisories:
    high = groups.verdict == Verdict.UNSATISFIED
    phase = phases.number[groups.anchor]
    first, lane = number_runs(begins_where(groups.resident, phase))
    raises = high.copy()
    raises[1:] &= ~high[:-1] | (lane[1:] != lane[:-1])
    raises[first] &= ~(np.isin(groups.resident[first], active) & (phase[first] == 0))
    rows = np.arange(len(high))
    next_low = np.minimum.accumulate(np.where(high, len(high), rows)[::-1])[::-1]
    resolved = next_low <= last_rows(first, len(high))[lane]
    answer = groups.anchor[np.minimum(next_low, max(len(high) - 1, 0))]
    closure = phases.closure_after(groups.resident[raises], phase[raises])
    return Advisories(
        resident=groups.resident[raises],
        condition=groups.condition[raises],
        code=np.full(int(raises.sum()), code, dtype=np.int8),
        anchor=groups.anchor[raises],
        decided=groups.decided[raises],
        resolved_by=np.where(resolved[raises], answer[raises], closure),
    )


def _findings(sessions: Sessions, high: BoolArray) -> Findings:
    return Findings(
        resident=sessions.resident,
        condition=np.full(len(high), Condition.HYPERTENSION, dtype=np.int8),
        first=sessions.first,
        last=sessions.last,
        verdict=_verdict(high),
        emergency=sessions.emergency,
    )


def _judge_home(home: Sessions, scene: Scene) -> Findings:
    on = scene.day[home.first]
    reached = partial(has_reached, scene.residents.birth_date, home.resident, on)
    sums = Sums(home.systolic_sum, home.diastolic_sum, home.count)
    high = crosses_bands(sums, reached, scene.limits.bp_home, rows_at(scene.row, home.first))
    diagnosed = is_diagnosed(scene.residents.hypertension_since[home.resident], on)
    return _findings(home, high).take(diagnosed & ~home.emergency)


def _judge_arms(office: Sessions, scene: Scene) -> Findings:
    limit = pick(scene.limits.bp_interarm, rows_at(scene.row, office.first))
    high = office.arm_difference >= limit
    return _findings(office, high).take((office.arm_difference >= 0) & ~office.emergency)


def _judge_postprandial(scene: Scene) -> Findings:
    ordered = scene.ordered
    mine = scene.phases.judged & (ordered.kind == KIND_GLUCOSE) & (scene.emergency == NO_ALERT)
    mine &= ordered.meal_context == MEAL_POSTPRANDIAL_2H
    mine &= ordered.glucose_mmol_l_e4 != MISSING
    rows = np.flatnonzero(mine)
    since = scene.residents.diabetes_since[ordered.resident[rows]]
    rows = rows[is_diagnosed(since, scene.day[rows])]
    value = ordered.glucose_mmol_l_e4[rows]
    high = reaches_glucose(value, scene.limits.glucose_postprandial, rows_at(scene.row, rows))
    return Findings(
        resident=ordered.resident[rows],
        condition=np.full(len(rows), Condition.DIABETES, dtype=np.int8),
        first=rows,
        last=rows,
        verdict=_verdict(high),
        emergency=np.zeros(len(rows), dtype=np.bool_),
    )


def _verdict(high: BoolArray) -> Int8Array:
    return np.where(high, np.int8(Verdict.UNSATISFIED), np.int8(Verdict.SATISFIED))
