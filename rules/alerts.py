"""The grounds of alerts: what raised each one, and what answered it.

They come from events, from missed due days that an event answered, from those still open
today, from routine visits that nobody made, and from advisories. Nothing is decided here that
the fold has not decided.
``alert_columns`` turns grounds into what people get.

Source: clinical decision table 2.4, 2.5; routine: architecture section 8, item 12.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from rules import machine
from rules.advisories import Advised, Advisories
from rules.carried import Carried
from rules.codes import NO_ALERT, AlertCode, CaseState, Condition
from rules.columns import BoolArray, Int8Array, Int64Array, Residents
from rules.events import NO_ROW, Events, Turned
from rules.fold import Outcome
from rules.lanes import LONG_AGO, NEVER, Lanes
from rules.limits import ProfileTable
from rules.machine import IS_EMERGENCY, IS_REFERRAL, OWN_CODE, Action
from rules.moments import Moments
from rules.runs import RowArray, stack_tables
from rules.scene import Scene

_BITS: Final = np.array([0, *(1 << code for code in AlertCode)], dtype=np.int64)
"""By alert code, its bit in ``machine.RESOLVES``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A folded block: what happened, what it did, and where it left every case."""

    events: Events  # By lane and time.
    turned: Turned
    outcome: Outcome  # Aligned with ``turned``.
    action: Int8Array  # What each event was, and
    raised: Int8Array  # which alert code it raised, aligned with ``events``.
    lanes: Lanes  # By the lane numbers of ``events``.
    moments: Moments  # What anchors point at; last, what was carried over.
    carried: Carried


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Why there is an alert, shape (g,) each. Anchors are moments, days int64 since 1970."""

    resident: Int64Array
    condition: Int8Array
    code: Int8Array
    anchor: RowArray
    decided: RowArray  # First reading of the session or value that crossed the limit.
    due: Int64Array  # NEVER: none.
    until: Int64Array  # Day to which overdue days are counted: of the answer, or today.
    resolved_by: RowArray  # Moment, -1.
    by_random: BoolArray  # A random glucose asked for confirmation.
    urgent: BoolArray  # An emergency gave the due day: judged by the deployment's profile.
    carried: RowArray  # Row of a checkpoint's open alerts, -1.


def collect_grounds(told: Told, advised: Advised, scene: Scene, today: int) -> Grounds:
    """All grounds in one table, in no particular order.

    Args:
        told: What was folded.
        advised: Beside the cases.
        scene: Since when residents are diagnosed (who is not owes no routine visit), limits.
        today: The local day of the clock, since 1970.
    """
    lanes, limits = told.lanes, scene.limits
    diagnosed = diagnosed_on(lanes, scene.residents)
    day = told.moments.day.astype(np.int64)
    return stack_tables(
        [
            _of_events(told),
            _of_answered(told, day),
            _of_overdue(lanes, today),
            _of_answered_routine(told, diagnosed, limits),
            _of_routine(told, diagnosed, limits, today),
            _of_advisories(advised.advisories),
            _of_carried(told, advised),
        ]
    )


def _grounds(lanes: Lanes, lane: RowArray, code: Any, anchor: RowArray, **others: Any) -> Grounds:  # noqa: ANN401 - columns
    many = len(lane)
    columns = {
        "decided": anchor,
        "due": np.full(many, NEVER, np.int64),
        "until": np.full(many, NEVER, np.int64),
        "resolved_by": np.full(many, NO_ROW, np.intp),
        "by_random": np.zeros(many, np.bool_),
        "urgent": np.zeros(many, np.bool_),
        "carried": np.full(many, NO_ROW, np.intp),
        **others,
    }
    return Grounds(
        resident=lanes.resident[lane],
        condition=lanes.condition[lane],
        code=np.broadcast_to(np.asarray(code, np.int8), many),
        anchor=anchor,
        **columns,
    )


def _of_events(told: Told) -> Grounds:
    events, code = told.events, told.raised
    rows = np.flatnonzero(code != NO_ALERT)
    return _grounds(
        told.lanes,
        events.lane[rows],
        code[rows],
        events.anchor[rows],
        decided=events.decided[rows],
        due=told.outcome.due[told.turned.place[rows]],
        resolved_by=_find_answers(told, rows),
        urgent=IS_EMERGENCY[code[rows]],
        by_random=told.action[rows] == Action.SCREENING_BEGUN_BY_RANDOM,
    )


def _find_answers(told: Told, rows: RowArray) -> RowArray:
    """Moment of the first later event of the lane that resolves each raised alert, -1."""
    events, code = told.events, told.raised[rows]
    resolves = _resolved_codes(told)
    found = np.full(len(rows), NO_ROW, np.intp)
    for each in np.unique(code):
        mine = np.flatnonzero(code == each)
        answers = np.flatnonzero(resolves >> np.int64(each) & 1)
        here = rows[mine]
        found[mine] = _first_after(events, here, answers, events.lane[here])
    return found


def _resolved_codes(told: Told) -> Int64Array:
    """By event, a bit for every code it resolves; what it raises resolves an older one."""
    resolves: Int64Array = machine.RESOLVES[told.action] | _BITS[told.raised]
    return resolves


def find_raised(events: Events, action: Int8Array) -> Int8Array:
    """Alert code that each event raised, 0 for none; shape (e,), aligned with ``events``."""
    code = machine.RAISES[events.condition[events.lane], action]
    return np.where(code == OWN_CODE, events.code, code)


def _first_after(events: Events, rows: RowArray, answers: RowArray, lane: RowArray) -> RowArray:
    """Moment of the first of ``answers`` (ascending events) after each row in its lane, -1."""
    if not len(answers):
        return np.full(len(rows), NO_ROW, np.intp)
    at = np.searchsorted(answers, rows, side="right")
    answer = answers[np.minimum(at, len(answers) - 1)]
    same = (at < len(answers)) & (events.lane[answer] == lane)
    return np.where(same, events.anchor[answer], NO_ROW)


def _overdue_code(state: Int8Array) -> Int8Array:
    """Which overdue alert a missed due day means in each state."""
    code = np.where(
        IS_REFERRAL[state], AlertCode.REFERRAL_FOLLOWUP_OVERDUE, AlertCode.FOLLOWUP_OVERDUE
    )
    return code.astype(np.int8)


def _of_answered(told: Told, day: Int64Array) -> Grounds:
    places = np.flatnonzero(told.outcome.missed_state != CaseState.NONE)
    outcome, rows = told.outcome.take(places), told.turned.event[places]
    answer = told.events.anchor[rows]
    return _grounds(
        told.lanes,
        told.events.lane[rows],
        _overdue_code(outcome.missed_state),
        outcome.missed_anchor,
        decided=outcome.missed_decided,
        urgent=outcome.missed_cause == Action.EMERGENCY,
        due=outcome.missed_due,
        until=day[answer],
        resolved_by=answer,
    )


def _of_overdue(lanes: Lanes, today: int) -> Grounds:
    rows = np.flatnonzero(lanes.due < today)
    return _grounds(
        lanes,
        rows,
        _overdue_code(lanes.state[rows]),
        lanes.anchor[rows],
        decided=lanes.decided[rows],
        urgent=lanes.cause[rows] == Action.EMERGENCY,
        due=lanes.due[rows],
        until=np.full(len(rows), today, np.int64),
    )


def diagnosed_on(lanes: Lanes, residents: Residents) -> Int64Array:
    """Day of the lane's diagnosis, NEVER without one."""
    pressure = lanes.condition == Condition.HYPERTENSION
    since = np.where(
        pressure,
        residents.hypertension_since[lanes.resident],
        residents.diabetes_since[lanes.resident],
    )
    return np.where(np.isnat(since), NEVER, since.astype(np.int64))


def routine_due_days(
    last_visit: Int64Array,
    diagnosed: Int64Array,
    anchor: RowArray,
    table: tuple[Moments, ProfileTable],
) -> Int64Array:
    """Last day on which the routine visit is in time; NEVER where nobody owes one."""
    moments, limits = table
    row = moments.row[anchor] if len(moments) else anchor
    due = np.maximum(last_visit, diagnosed) + limits.routine_overdue_days[row]
    return np.where((last_visit == LONG_AGO) | (diagnosed == NEVER), NEVER, due)


def _of_answered_routine(told: Told, diagnosed: Int64Array, limits: ProfileTable) -> Grounds:
    outcome, table = told.outcome, (told.moments, limits)
    before = outcome.visited_before
    places = np.flatnonzero((before != NEVER) & (before != LONG_AGO))
    rows = told.turned.event[places]
    lane, anchor = told.events.lane[rows], outcome.visit_anchor[places]
    due = routine_due_days(before[places], diagnosed[lane], anchor, table)
    answer = told.events.anchor[rows]
    day = told.moments.day[answer].astype(np.int64)
    late = due < day
    return _grounds(
        told.lanes,
        lane[late],
        AlertCode.ROUTINE_OVERDUE,
        anchor[late],
        due=due[late],
        until=day[late],
        resolved_by=answer[late],
    )


def _of_routine(told: Told, diagnosed: Int64Array, limits: ProfileTable, today: int) -> Grounds:
    lanes = told.lanes
    table = (told.moments, limits)
    due = routine_due_days(lanes.last_visit, diagnosed, lanes.visit_anchor, table)
    rows = np.flatnonzero((due < today) & (lanes.closed == 0))
    return _grounds(
        lanes,
        rows,
        AlertCode.ROUTINE_OVERDUE,
        lanes.visit_anchor[rows],
        due=due[rows],
        until=np.full(len(rows), today, np.int64),
    )


def _of_advisories(advisories: Advisories) -> Grounds:
    many = len(advisories.code)
    return Grounds(
        resident=advisories.resident,
        condition=advisories.condition,
        code=advisories.code,
        anchor=advisories.anchor,
        decided=advisories.decided,
        due=np.full(many, NEVER, np.int64),
        until=np.full(many, NEVER, np.int64),
        resolved_by=advisories.resolved_by,
        by_random=np.zeros(many, np.bool_),
        urgent=np.zeros(many, np.bool_),
        carried=np.full(many, NO_ROW, np.intp),
    )


def open_grounds(told: Told, advised: Advised) -> Grounds:
    """Grounds that nothing has answered, time apart: what a checkpoint carries on."""
    advisories = _of_advisories(advised.advisories)
    grounds = stack_tables([_of_events(told), advisories, _of_carried(told, advised)])
    rows = grounds.resolved_by == NO_ROW
    return Grounds(**{f.name: getattr(grounds, f.name)[rows] for f in fields(Grounds)})


def _of_carried(told: Told, advised: Advised) -> Grounds:
    """Alerts that were open at the checkpoint, with what has answered them since."""
    events, before = told.events, told.carried.alerts
    resolves = _resolved_codes(told) if len(before.code) else told.action
    answer = np.full(len(before.code), NO_ROW, np.intp)
    lane = lane_of(events, before.resident, before.condition)
    starts = np.searchsorted(events.lane, lane, side="left") - 1  # One before its first event.
    for code in np.unique(before.code):
        mine = np.flatnonzero(before.code == code)
        if int(code) in advised.answers:
            answer[mine] = advised.answers[AlertCode(int(code))]
            continue
        answers = np.flatnonzero(resolves >> np.int64(code) & 1)
        answer[mine] = _first_after(events, starts[mine], answers, lane[mine])
    offset = len(told.moments) - len(told.carried.moments)
    return Grounds(
        resident=before.resident,
        condition=before.condition,
        code=before.code,
        anchor=before.anchor + offset,
        decided=before.decided + offset,
        due=before.due,
        until=before.due,
        resolved_by=answer,
        by_random=before.by_random,
        urgent=IS_EMERGENCY[before.code],
        carried=np.arange(len(before.code)),
    )


def lane_of(events: Events, resident: Int64Array, condition: Int8Array) -> RowArray:
    """Lane number of each (resident, condition); all of them have a lane."""
    span = int(events.resident.max(initial=0)) + 1
    keys = events.condition * np.int64(span) + events.resident
    lane: RowArray = np.searchsorted(keys, condition * np.int64(span) + resident)
    return lane
