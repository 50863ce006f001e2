"""One block of residents: everything that happened is folded, then told as of a moment.

``fold_history`` is what a checkpoint keeps; ``tell`` asks the clock. Anchors here are moments of
the block (``moments.py``); ``engine`` translates them to the caller's rows.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.advisories import Advised, advise
from rules.alert_columns import as_dates, list_alerts, observe
from rules.alerts import (
    Told,
    collect_grounds,
    diagnosed_on,
    find_raised,
    lane_of,
    routine_due_days,
)
from rules.assessments import (
    Assessments,
    Membership,
    Verdict,
    find_random_highs,
    group_findings,
    is_diagnosed,
    judge_fasting,
    judge_sessions,
)
from rules.carried import Carried, nothing_carried, resume_lanes
from rules.codes import AlertCode, CaseState, Condition
from rules.columns import (
    KIND_BLOOD_PRESSURE,
    MEAL_FASTING,
    SETTING_HOME,
    SETTING_OFFICE,
    BoolArray,
    DateArray,
    InstantArray,
    Int64Array,
    Readings,
    Records,
    Residents,
)
from rules.events import Events, order_events, turn_events
from rules.fold import fold
from rules.judgement import Assessed, Cases, Judgement, Trace
from rules.lanes import NEVER, Lanes, fresh_lanes
from rules.limits import ProfileTable
from rules.local_time import local_date, local_midnight
from rules.machine import IS_REFERRAL, Action
from rules.moments import list_moments
from rules.runs import RowArray, number_runs, stack_tables
from rules.scene import Scene, set_scene
from rules.sessions import (
    Sessions,
    Waiting,
    ask_third,
    begin_sessions,
    hold_back,
    sum_sessions,
)

_NEVER_TICK: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Sittings:
    """The sessions of one setting."""

    sessions: Sessions  # Of readings whose arrival has settled; the only ones judged.
    known: Sessions  # Of all of them.
    waiting: Waiting
    rows: RowArray  # Sorted rows that count in a session,
    number: RowArray  # and in which one.
    held: RowArray  # Sorted rows that wait for their arrival cluster.


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """All that happened to the residents of a block, before the clock is asked."""

    scene: Scene
    told: Told
    advised: Advised
    assessed: Assessments
    memberships: dict[AlertCode | None, Membership]  # None: the assessments that count.
    office: Sittings
    home: Sittings
    high_normal_on: DateArray
    third_reading: RowArray


def judge_block(
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
    *,
    as_of: np.datetime64,
    start: Carried | None = None,
) -> tuple[Judgement, RowArray]:
    """Judge the residents of one block.

    Returns:
        The judgement, whose anchors are moments of the sorted block, and the sorting order.
    """
    closed = None if start is None else start.closed_residents()
    scene = set_scene(readings, records, residents, limits, closed)
    folded = fold_history(scene, records, as_of=as_of, start=start)
    return tell(folded, as_of=as_of), scene.order


def fold_history(
    scene: Scene, records: Records, *, as_of: np.datetime64, start: Carried | None = None
) -> Folded:
    """Everything up to the cases; ``as_of`` only says which sessions have closed."""
    start = nothing_carried(len(scene.residents)) if start is None else start
    office, home = (_sit(scene, setting, as_of) for setting in (SETTING_OFFICE, SETTING_HOME))
    pressures, high_normal = judge_sessions(office.sessions, scene)
    findings = stack_tables([pressures, judge_fasting(scene)])
    assessed, membership = group_findings(findings, scene)
    advised = advise(office.sessions, home.sessions, scene, start.active_advisories())
    begun = start.lanes.resident, start.lanes.condition
    events = order_events(assessed, find_random_highs(scene), records, scene, begun)
    turned = turn_events(events)
    moments = list_moments(scene.ordered, scene.day, records, scene.residents, scene.limits)
    first_resident = len(scene.ordered) + len(records)
    lanes = _first_lanes(events, scene.residents, first_resident)
    resume_lanes(lanes, start.lanes, lane_of(events, *begun), offset=len(moments))
    moments = moments.followed_by(start.moments)
    turning = lanes.take(turned.lanes)
    outcome = fold(events, turned, turning, moments, scene.limits)
    back = np.empty(len(turned.lanes), dtype=np.intp)
    back[turned.lanes] = np.arange(len(turned.lanes))
    action = outcome.action[turned.place]
    latest = _latest_day(office.sessions, high_normal, scene)
    return Folded(
        scene=scene,
        told=Told(
            events=events,
            turned=turned,
            outcome=outcome,
            action=action,
            raised=find_raised(events, action),
            lanes=turning.take(back),
            moments=moments,
            carried=start,
        ),
        advised=advised,
        assessed=assessed,
        memberships={None: membership, **advised.memberships},
        office=office,
        home=home,
        high_normal_on=np.where(np.isnat(latest), start.high_normal_on, latest),
        third_reading=ask_third(office.known, scene),
    )


def _sit(scene: Scene, setting: int, as_of: np.datetime64) -> Sittings:
    """Sessions of one setting from the readings whose arrival has settled."""
    ordered = scene.ordered
    mine = scene.phases.judged & (ordered.kind == KIND_BLOOD_PRESSURE)
    rows = np.flatnonzero(mine & (ordered.setting == setting))
    begins = begin_sessions(scene, rows)
    held, waiting = hold_back(scene, rows, begins, as_of)
    late = rows[held]
    known = settled = sum_sessions(scene, rows, begins)
    if len(late):
        rows = rows[~held]
        begins = begin_sessions(scene, rows)
        settled = sum_sessions(scene, rows, begins)
    return Sittings(
        sessions=settled,
        known=known,
        waiting=waiting,
        rows=rows,
        number=number_runs(begins)[1],
        held=late,
    )


def _first_lanes(events: Events, residents: Residents, first_resident: int) -> Lanes:
    """Fresh lanes; a routine visit counts from the enrolment."""
    lanes = fresh_lanes(events.resident, events.condition)
    enrolled = residents.enrolled_on[lanes.resident]
    known = ~np.isnat(enrolled)
    lanes.last_visit[known] = enrolled[known].astype(np.int64)
    lanes.visit_anchor[known] = first_resident + lanes.resident[known]
    return lanes


def _latest_day(sessions: Sessions, chosen: BoolArray, scene: Scene) -> DateArray:
    """Local day of each resident's last chosen session, NaT for none; shape (m,)."""
    latest = np.full(len(scene.residents), np.datetime64("NaT", "D"))
    # In order of time: the last one wins.
    latest[sessions.resident[chosen]] = scene.day[sessions.first[chosen]]
    return latest


def tell(folded: Folded, *, as_of: np.datetime64) -> Judgement:
    """What the folded history means at a moment: cases, alerts, and when to ask again."""
    scene, told = folded.scene, folded.told
    today = int(local_date(np.array([as_of]), scene.limits.utc_offset)[0].astype(np.int64))
    grounds = collect_grounds(told, folded.advised, scene, today)
    observed = observe(scene.ordered, (folded.office.sessions, folded.home.sessions))
    return Judgement(
        cases=_cases(told, today),
        alerts=list_alerts(grounds, told, scene.ordered, observed, scene.limits),
        next_tick=_next_tick(folded, as_of),
        high_normal_on=folded.high_normal_on,
        assessed=_assessed(folded),
        third_reading=folded.third_reading,
        trace=_trace(folded),
    )


def _cases(told: Told, today: int) -> Cases:
    lanes = told.lanes
    rows = np.flatnonzero(lanes.state != CaseState.NONE)
    rows = rows[np.lexsort((lanes.condition[rows], lanes.resident[rows]))]
    state, due, decided = lanes.state[rows], lanes.due[rows], lanes.decided[rows]
    referred = IS_REFERRAL[state]
    late_state = np.where(
        referred, CaseState.REFERRAL_FOLLOWUP_OVERDUE, CaseState.SECOND_FOLLOWUP_OVERDUE
    )
    return Cases(
        resident=lanes.resident[rows],
        condition=lanes.condition[rows],
        state=np.where(due < today, late_state, state).astype(np.int8),
        consecutive_unsatisfied=lanes.count[rows],
        second_followup_due=as_dates(np.where(referred, NEVER, due)),
        referral_followup_due=as_dates(np.where(referred, due, NEVER)),
        next_routine_due=as_dates(lanes.routine[rows]),
        anchor=lanes.anchor[rows].astype(np.int64),
        decided=decided.astype(np.int64),
        cause=lanes.cause[rows],
        row=np.where(
            lanes.cause[rows] == Action.EMERGENCY,
            told.moments.urgent_row[decided],
            told.moments.row[decided],
        ),
    )


def _assessed(folded: Folded) -> Assessed:
    scene, found = folded.scene, folded.assessed
    own = np.isin(found.verdict, (Verdict.SATISFIED, Verdict.UNSATISFIED))
    low = scene.phases.judged & (scene.emergency == AlertCode.GLU_EMERGENCY_LOW)
    rows = np.flatnonzero(low & (scene.ordered.meal_context == MEAL_FASTING))
    since = scene.residents.diabetes_since[scene.ordered.resident[rows]]
    rows = rows[is_diagnosed(since, scene.day[rows])]
    satisfied = found.verdict[own] == Verdict.SATISFIED
    return Assessed(
        resident=np.concatenate((found.resident[own], scene.ordered.resident[rows])),
        condition=np.concatenate(
            (found.condition[own], np.full(len(rows), Condition.DIABETES, np.int8))
        ),
        day=np.concatenate((scene.day[found.decided[own]], scene.day[rows])),
        controlled=np.concatenate((satisfied, np.zeros(len(rows), np.bool_))),
    )


def _next_tick(folded: Folded, as_of: np.datetime64) -> InstantArray:
    """Next session close, overdue day, escalation step or routine day of each resident."""
    scene, lanes = folded.scene, folded.told.lanes
    limits = scene.limits
    tick = np.full(len(scene.residents), _NEVER_TICK, dtype=np.int64)

    def consider(resident: Int64Array, at: InstantArray) -> None:
        ahead = at > as_of  # NaT is never ahead.
        np.minimum.at(tick, resident[ahead], at[ahead].astype(np.int64))

    def consider_days(resident: Int64Array, days: Int64Array) -> None:
        known = days < NEVER
        consider(resident[known], local_midnight(as_dates(days[known]), limits.utc_offset))

    for each in (folded.office, folded.home):
        consider(each.waiting.resident, each.waiting.closes_at)
    steps = {step for profile in limits.profiles for step in profile.followup.escalation_days}
    for days in sorted({1, *steps}):
        consider_days(lanes.resident, lanes.due + days)
    diagnosed = diagnosed_on(lanes, scene.residents)
    table = (folded.told.moments, limits)
    routine = routine_due_days(lanes.last_visit, diagnosed, lanes.visit_anchor, table)
    consider_days(lanes.resident, np.where(lanes.closed == 0, routine + 1, NEVER))
    none = tick == _NEVER_TICK
    tick[none] = 0
    return np.where(none, np.datetime64("NaT", "us"), tick.view("datetime64[us]"))


def _trace(folded: Folded) -> Trace:
    """By sorted row: first row of its session, anchor of its assessment."""
    rows = np.arange(len(folded.scene.ordered))
    session = np.where(folded.scene.ordered.kind == KIND_BLOOD_PRESSURE, -1, rows)
    for each in (folded.office, folded.home):
        session[each.rows] = each.sessions.first[each.number]
    anchor = np.full(len(rows), -1, dtype=np.intp)
    for code in (AlertCode.BP_HOME_HIGH, AlertCode.GLU_POSTPRANDIAL_HIGH, None):
        member = folded.memberships[code]
        anchor[member.first] = member.anchor
    group = np.where(session >= 0, anchor[session], -1) if len(rows) else session
    return Trace(session=session.astype(np.int32), group=group.astype(np.int32))
