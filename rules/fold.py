"""The case machine, folded over time for all residents at once.

Step k applies the k-th event of every lane that has one: ``decide`` says which action each
event is in the state it meets, ``_apply`` looks up what that action does (``machine.py``).
Both are plain column arithmetic on slices; nothing loops over residents or readings.

Source: clinical decision table 2.4, 2.5; docs/decisions/0011.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rules import machine
from rules.codes import CaseState, Condition
from rules.columns import BoolArray, Int8Array, Int64Array
from rules.decisions import IN_SECOND_SLOT, decide
from rules.events import NO_ROW, EventKind, Events, Turned
from rules.lanes import LONG_AGO, LONG_AGO_US, NEVER, Lanes, Step
from rules.limits import ProfileTable, RowOrRows, pick
from rules.machine import Action, Change, Due
from rules.moments import Moments
from rules.runs import RowArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What each event did, shape (e,) each, turned as the fold wrote it (``events.Turned``)."""

    action: Int8Array
    due: Int64Array  # Of the alert it raised; NEVER.
    missed_state: Int8Array  # State whose missed due day it answered; 0: none.
    missed_anchor: RowArray
    missed_decided: RowArray
    missed_cause: Int8Array
    missed_due: Int64Array
    visited_before: Int64Array  # Of a visit or closure: day of the one before it; else NEVER.
    visit_anchor: RowArray

    def take(self, rows: Any) -> Self:  # noqa: ANN401 - an index
        """These events; a slice gives views."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


# An enumeration is slow to ask, and these are asked in every step.
_KEEP, _SECOND, _REFERRAL = int(Due.KEEP), int(Due.SECOND), int(Due.REFERRAL)
_SCREENING, _SUSPECTED, _GIVEN = int(Due.SCREENING), int(Due.SUSPECTED), int(Due.GIVEN)
_ADD_ONE, _ZERO = int(Change.ADD_ONE), int(Change.ZERO)
_VISIT, _HYPERTENSION = int(EventKind.VISIT), int(Condition.HYPERTENSION)


def fold(
    events: Events, turned: Turned, lanes: Lanes, moments: Moments, limits: ProfileTable
) -> Outcome:
    """Apply every event to its lane, in order; ``lanes`` is changed in place.

    Args:
        events: By lane and time.
        turned: From ``turn_events`` on them.
        lanes: In the order of ``turned.lanes``: fresh, or from a checkpoint.
        moments: What anchors point at.
        limits: Due days and counts, by profile row.

    Cost: one pass of about a hundred small column operations a step; a step has all lanes that
    have so many events.
    """
    turn = _step_columns(events, turned, moments, limits)
    many = len(events)
    outcome = Outcome(
        action=np.zeros(many, np.int8),
        due=np.full(many, NEVER, np.int64),
        missed_state=np.zeros(many, np.int8),
        missed_anchor=np.full(many, NO_ROW, np.intp),
        missed_decided=np.full(many, NO_ROW, np.intp),
        missed_cause=np.zeros(many, np.int8),
        missed_due=np.full(many, NEVER, np.int64),
        visited_before=np.full(many, NEVER, np.int64),
        visit_anchor=np.full(many, NO_ROW, np.intp),
    )
    for low, high in zip(turned.bounds[:-1], turned.bounds[1:], strict=True):
        here = slice(low, high)
        now, event = lanes.take(slice(0, high - low)), turn.take(here)
        action = decide(now, event, limits)
        outcome.action[here] = action
        _apply(now, event, action, outcome.take(here), limits)
    return outcome


def _step_columns(events: Events, turned: Turned, moments: Moments, limits: ProfileTable) -> Step:
    anchor, decided = turned.turn(events.anchor), turned.turn(events.decided)
    kind = turned.turn(events.kind)
    day = moments.day.astype(np.int64)
    row: RowOrRows = 0
    if len(limits.profiles) > 1:
        urgent = kind == EventKind.EMERGENCY
        row = np.where(urgent, moments.urgent_row[decided], moments.row[decided])
    return Step(
        kind=kind,
        **{
            name: turned.turn(getattr(events, name))
            for name in ("code", "emergency", "face_to_face", "state", "reason")
        },
        given_due=_days(turned.turn(events.given_due)),
        anchor=anchor,
        decided=decided,
        at_us=moments.at.view(np.int64)[anchor],
        day=day[anchor],
        decided_day=day[decided],
        row=row,
    )


def _days(days: npt.NDArray[np.datetime64]) -> Int64Array:
    return np.where(np.isnat(days), NEVER, days.astype(np.int64))


def _apply(
    now: Lanes, event: Step, action: Int8Array, outcome: Outcome, limits: ProfileTable
) -> None:
    """Do to the lanes what their actions say, and note in ``outcome`` what that answered."""
    chosen = action.astype(np.intp)
    policy = machine.DUE.take(chosen)
    raises = machine.RAISES.take(now.condition * np.intp(len(Action)) + chosen)
    due = _due_of(now, event, machine.ALERT_DUE.take(chosen), limits)
    np.putmask(outcome.due, raises != 0, due)
    if (event.kind >= _VISIT).any():
        _remember_people(now, event, action, outcome)
    _answer_missed(now, event, policy, outcome)
    np.putmask(now.due, policy != _KEEP, due)
    anchors = machine.ANCHORS.take(chosen)
    np.putmask(now.anchor, anchors, event.anchor)
    np.putmask(now.decided, anchors, event.decided)
    np.putmask(now.cause, anchors, action)
    _change(now.count, machine.COUNT.take(chosen))
    _change(now.reactions, machine.REACTIONS.take(chosen))
    _set(now.first_open, machine.FIRST_OPEN.take(chosen))
    _set(now.reaction_open, machine.REACTION_OPEN.take(chosen))
    _move(now, event, chosen, limits)
    _remember_screening(now, event, chosen)
    if (raises < 0).any():
        _remember_emergencies(now, event, raises)
    settles = machine.SETTLES.take(chosen)
    if settles.any():
        for at in (now.first_emergency_at, now.second_emergency_at):
            np.putmask(at, settles, LONG_AGO_US)


def _due_of(now: Lanes, event: Step, policy: Int8Array, limits: ProfileTable) -> Int64Array:
    """The due day that the policy of each action gives, NEVER where it gives none."""
    due = np.full(len(policy), NEVER, np.int64)
    present = np.bincount(policy, minlength=len(Due))
    if present[_SECOND]:
        _put_due(due, event, limits.second_days, policy == _SECOND)
    if present[_REFERRAL]:
        _put_due(due, event, limits.referral_days, policy == _REFERRAL)
    if present[_SUSPECTED]:
        _put_due(due, event, limits.suspected_due, policy == _SUSPECTED)
    if present[_SCREENING]:
        mine, pressure = policy == _SCREENING, now.condition == _HYPERTENSION
        _put_due(due, event, limits.bp_screened.due_days, mine & pressure)
        _put_due(due, event, limits.glucose_screened.due_days, mine & ~pressure)
    if present[_GIVEN]:
        np.putmask(due, policy == _GIVEN, event.given_due)
    return due


def _put_due(due: Int64Array, event: Step, days: Int64Array, mine: BoolArray) -> None:
    np.putmask(due, mine, np.minimum(event.day + pick(days, event.row), NEVER))


def _answer_missed(now: Lanes, event: Step, policy: Int8Array, outcome: Outcome) -> None:
    """Where the due day had passed, note the overdue alert that this event resolves."""
    missed = (now.due < event.day) & (policy != _KEEP)
    if missed.any():
        np.putmask(outcome.missed_state, missed, now.state)
        np.putmask(outcome.missed_anchor, missed, now.anchor)
        np.putmask(outcome.missed_decided, missed, now.decided)
        np.putmask(outcome.missed_cause, missed, now.cause)
        np.putmask(outcome.missed_due, missed, now.due)


def _change(number: Int64Array, change: Int8Array) -> None:
    number += change == _ADD_ONE
    number *= change != _ZERO


def _set(flag: Int8Array, value: Int8Array) -> None:
    np.putmask(flag, value >= 0, value)


OVERRIDE_TO: Final = np.arange(max(CaseState) + 1, dtype=np.int8)
"""By state a doctor names: the state that is kept; whether it is overdue the clock says."""
OVERRIDE_TO[CaseState.SECOND_FOLLOWUP_OVERDUE] = CaseState.SECOND_FOLLOWUP_OPEN
OVERRIDE_TO[CaseState.REFERRAL_FOLLOWUP_OVERDUE] = CaseState.REFERRAL_RECOMMENDED


def _move(now: Lanes, event: Step, action: RowArray, limits: ProfileTable) -> None:
    """State and routine day; a doctor gives the state, and only a case can be closed."""
    state = machine.STATE.take(action)
    given = state == machine.GIVEN_STATE
    routine = machine.ROUTINE.take(action)
    sets = routine == 1
    if given.any():
        closing = action == Action.CLOSED
        closed = np.where(now.state == CaseState.NONE, now.state, np.int8(CaseState.CLOSED))
        state = np.where(given, np.where(closing, closed, OVERRIDE_TO.take(event.state)), state)
        sets &= (state != CaseState.NONE) & (state != CaseState.CLOSED)
        asked = (state == CaseState.SECOND_FOLLOWUP_OPEN).astype(np.int8)
        np.putmask(now.first_open, given, asked)
        now.reaction_open[given] &= asked[given]
    np.putmask(now.state, state >= 0, state)
    if (routine >= 0).any():
        again = event.day + pick(limits.routine_days, event.row)
        again = np.where(event.given_due != NEVER, event.given_due, again)
        np.putmask(now.routine, routine >= 0, np.where(sets, again, NEVER))


def _remember_screening(now: Lanes, event: Step, action: RowArray) -> None:
    change = machine.SCREENING.take(action)
    adds = change == _ADD_ONE
    if adds.any():
        np.putmask(now.high_day_before, adds, now.high_day)
        np.putmask(now.high_day, adds, event.decided_day)
        by_random = (action == Action.SCREENING_BEGUN_BY_RANDOM).astype(np.int8)
        np.putmask(now.by_random, adds, by_random)
    ends = (change == _ZERO) & (now.high_day != LONG_AGO)
    if not ends.any():
        return
    for day in (now.high_day, now.high_day_before):
        np.putmask(day, ends, LONG_AGO)
    np.putmask(now.by_random, ends, 0)


def _remember_emergencies(now: Lanes, event: Step, raises: Int8Array) -> None:
    second = IN_SECOND_SLOT.take(event.code)
    np.putmask(now.second_emergency_at, (raises < 0) & second, event.at_us)
    np.putmask(now.first_emergency_at, (raises < 0) & ~second, event.at_us)


def _remember_people(now: Lanes, event: Step, action: Int8Array, outcome: Outcome) -> None:
    """Face-to-face visits, for the routine; and who is followed at all."""
    closes = action == Action.CLOSED
    comes = event.face_to_face & (now.closed == 0) & (event.day >= now.last_visit)
    ends = comes | closes
    np.putmask(outcome.visited_before, ends, now.last_visit)
    np.putmask(outcome.visit_anchor, ends, now.visit_anchor)
    np.putmask(now.last_visit, comes, event.day)
    np.putmask(now.visit_anchor, comes, event.anchor)
    np.putmask(now.closed, closes, event.reason)
    returns = action == Action.RETURNED
    np.putmask(now.closed, returns, 0)
    np.putmask(now.last_visit, returns, event.day)
    np.putmask(now.visit_anchor, returns, event.anchor)
