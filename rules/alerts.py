"""The grounds of alerts: what raised each one, and what answered it.

They come from events, from missed due days that an event answered, from those still open
today, from routine visits that nobody made, and from advisories. Nothing is decided here that
the fold has not decided.
``alert_columns`` turns grounds into what people get.

Source: clinical decision table 2.4, 2.5; routine: architecture section 8, item 12.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rules import machine
from rules.advisories import Advisories
from rules.codes import AlertCode, Condition
from rules.columns import BoolArray, Int8Array, Int64Array, Residents
from rules.events import NO_ROW, Events
from rules.fold import Outcome
from rules.lanes import LONG_AGO, NEVER, Lanes
from rules.limits import ProfileTable
from rules.machine import IS_REFERRAL, OWN_CODE, Action
from rules.moments import Moments
from rules.runs import RowArray, stack_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A folded block: what happened, what it did, and where it left every case."""

    events: Events  # By lane and time.
    outcome: Outcome  # Aligned with ``events``.
    lanes: Lanes  # By the lane numbers of ``events``.
    moments: Moments  # What anchors point at.


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


def collect_grounds(
    told: Told, advisories: Advisories, residents: Residents, limits: ProfileTable, today: int
) -> Grounds:
    """All grounds in one table, in no particular order.

    Args:
        told: What was folded.
        advisories: Beside the cases.
        residents: Since when they are diagnosed: who is not owes no routine visit.
        limits: Days until a routine visit is overdue.
        today: The local day of the clock, since 1970.
    """
    events, outcome, lanes, moments = told.events, told.outcome, told.lanes, told.moments
    diagnosed = diagnosed_on(lanes, residents)
    day = moments.day.astype(np.int64)
    return stack_tables(
        [
            _of_events(events, outcome, lanes),
            _of_answered(events, outcome, lanes, day),
            _of_overdue(lanes, today),
            _of_answered_routine(told, diagnosed, limits),
            _of_routine(told, diagnosed, limits, today),
            _of_advisories(advisories),
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
        **others,
    }
    return Grounds(
        resident=lanes.resident[lane],
        condition=lanes.condition[lane],
        code=np.broadcast_to(np.asarray(code, np.int8), many),
        anchor=anchor,
        **columns,
    )


def raised_codes(events: Events, outcome: Outcome, condition: Int8Array) -> Int8Array:
    """Alert code that each event raised, 0 for none; ``condition`` is that of each lane."""
    code = machine.RAISES[condition[events.lane] - 1, outcome.action]
    return np.where(code == OWN_CODE, events.code, code)


def _of_events(events: Events, outcome: Outcome, lanes: Lanes) -> Grounds:
    code = raised_codes(events, outcome, lanes.condition)
    rows = np.flatnonzero(code)
    return _grounds(
        lanes,
        events.lane[rows],
        code[rows],
        events.anchor[rows],
        decided=events.decided[rows],
        due=outcome.due[rows],
        resolved_by=_find_answers(events, outcome, rows, code),
        by_random=outcome.action[rows] == Action.SCREENING_BEGUN_BY_RANDOM,
    )


def _find_answers(events: Events, outcome: Outcome, rows: RowArray, code: Int8Array) -> RowArray:
    """Moment of the first later event of the lane that resolves each raised alert, -1."""
    resolves = machine.RESOLVES[outcome.action]
    own = machine.RAISES[0, outcome.action] == OWN_CODE
    resolves |= np.where(own, np.int64(1) << code.astype(np.int64), 0)
    found = np.full(len(rows), NO_ROW, np.intp)
    for each in np.unique(code[rows]):
        mine = np.flatnonzero(code[rows] == each)
        answers = np.flatnonzero(resolves >> np.int64(each) & 1)
        found[mine] = _first_after(events, rows[mine], answers)
    return found


def _first_after(events: Events, rows: RowArray, answers: RowArray) -> RowArray:
    if not len(answers):
        return np.full(len(rows), NO_ROW, np.intp)
    at = np.searchsorted(answers, rows, side="right")
    answer = answers[np.minimum(at, len(answers) - 1)]
    same = (at < len(answers)) & (events.lane[answer] == events.lane[rows])
    return np.where(same, events.anchor[answer], NO_ROW)


def _overdue_code(state: Int8Array) -> Int8Array:
    """Which overdue alert a missed due day means in each state."""
    code = np.where(
        IS_REFERRAL[state], AlertCode.REFERRAL_FOLLOWUP_OVERDUE, AlertCode.FOLLOWUP_OVERDUE
    )
    return code.astype(np.int8)


def _of_answered(events: Events, outcome: Outcome, lanes: Lanes, day: Int64Array) -> Grounds:
    rows = np.flatnonzero(outcome.missed_state)
    return _grounds(
        lanes,
        events.lane[rows],
        _overdue_code(outcome.missed_state[rows]),
        outcome.missed_anchor[rows],
        due=outcome.missed_due[rows],
        until=day[events.anchor[rows]],
        resolved_by=events.anchor[rows],
    )


def _of_overdue(lanes: Lanes, today: int) -> Grounds:
    rows = np.flatnonzero(lanes.due < today)
    return _grounds(
        lanes,
        rows,
        _overdue_code(lanes.state[rows]),
        lanes.anchor[rows],
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
    events, outcome = told.events, told.outcome
    table = (told.moments, limits)
    rows = np.flatnonzero((outcome.visited_before != NEVER) & (outcome.visited_before != LONG_AGO))
    lane, anchor = events.lane[rows], outcome.visit_anchor[rows]
    due = routine_due_days(outcome.visited_before[rows], diagnosed[lane], anchor, table)
    day = table[0].day.astype(np.int64)[events.anchor[rows]]
    late = due < day
    return _grounds(
        told.lanes,
        lane[late],
        AlertCode.ROUTINE_OVERDUE,
        anchor[late],
        due=due[late],
        until=day[late],
        resolved_by=events.anchor[rows][late],
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
    )
