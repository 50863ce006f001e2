"""Which action an event is in the state it meets: decision table 2.4, one function a row kind.

Each rule takes the lanes of one step, their events, and the limits, all aligned, and returns
the action of every lane as if all events were of its kind; ``decide`` puts them together.

Source: clinical decision table 2.4, 2.5; screening: architecture section 8, item 11;
docs/decisions/0011.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from rules.codes import AlertCode, CaseState, Condition
from rules.columns import BoolArray, Int8Array
from rules.events import KINDS, EventKind
from rules.lanes import LONG_AGO, NEVER, Lanes, Step
from rules.limits import ProfileTable, pick
from rules.machine import IS_QUIET, IS_REFERRAL, Action

Column: TypeAlias = Int8Array | np.int8
"""An action for every lane, or one for all of them."""
_SECOND_CODES: Final = (AlertCode.BP_PREG_HIGH, AlertCode.GLU_EMERGENCY_LOW)
IN_SECOND_SLOT: Final[BoolArray] = np.isin(np.arange(max(AlertCode) + 1), _SECOND_CODES)
"""By alert code. A lane has two emergency codes, each with its own repeat window."""


def decide(now: Lanes, event: Step, limits: ProfileTable) -> Int8Array:
    """Which action each event is, given the state of its lane. Shape (k,), aligned with both."""
    action = np.zeros(len(event.kind), dtype=np.int8)
    present = np.bincount(event.kind, minlength=KINDS)
    referred = IS_REFERRAL.take(now.state)
    for kind, rule in _RULES.items():
        if present[kind]:
            np.putmask(action, event.kind == kind, rule(now, event, limits, referred))
    if now.closed.any():
        _let_the_closed_rest(action, now, event)
    return action


def _let_the_closed_rest(action: Int8Array, now: Lanes, event: Step) -> None:
    """A closed case takes nothing but the return, and an emergency that does not move it."""
    closed = now.closed != 0
    urgent = closed & (action == Action.EMERGENCY)
    rests = closed & ~urgent & (event.kind != EventKind.RETURN)
    action[rests] = Action.NOTHING
    action[urgent] = Action.EMERGENCY_OF_CLOSED_CASE


def _under_own(referred: BoolArray, now: Lanes) -> BoolArray:
    """A referral to confirm a suspicion ends with the diagnosis, and is none to a diagnosed one."""
    own: BoolArray = referred & (now.state != CaseState.SCREENING_REFERRAL)
    return own


_OF: Final = {action: np.int8(action) for action in Action}
"""Actions as the numbers of a column."""


def _satisfied(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    waits = (now.reaction_open == 1) & (now.state == CaseState.SECOND_FOLLOWUP_OPEN)
    quiet = np.where(waits, _OF[Action.SATISFIED_UNDER_REACTION], _OF[Action.SATISFIED])
    return np.where(_under_own(referred, now), _OF[Action.SATISFIED_UNDER_REFERRAL], quiet)


def _unsatisfied(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    again = now.count + 1 >= pick(limits.unsatisfied_for_referral, event.row)
    quiet = np.where(again, _OF[Action.SECOND_UNSATISFIED], _OF[Action.FIRST_UNSATISFIED])
    beside = np.where(
        event.emergency,
        _OF[Action.UNSATISFIED_IN_EMERGENCY],
        _OF[Action.UNSATISFIED_UNDER_REFERRAL],
    )
    return np.where(_under_own(referred, now), beside, quiet)


def _normal(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    """Normal on a later day than the last high ends screening, and what a doctor asked for."""
    asked = (now.first_open == 1) & (now.reaction_open == 0)
    ends = (now.state == CaseState.SCREENING) | asked
    beside = (now.high_day != LONG_AGO) | (now.first_open == 1)
    action = np.where(beside, _OF[Action.SCREENING_ENDED_BESIDE], _OF[Action.NOTHING])
    action = np.where(ends, _OF[Action.SCREENING_ENDED], action)
    return np.where(event.decided_day > now.high_day, action, _OF[Action.NOTHING])


def _high(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    """On the third local day within the window: suspected. On a further day: the recheck.

    An open second follow-up (an adverse reaction's, or a doctor's) is not moved by it.
    """
    first = (now.high_day == LONG_AGO) | (now.by_random == 1)
    within = event.decided_day - now.high_day_before <= pick(limits.suspected_within, event.row)
    third = within & (now.condition == Condition.HYPERTENSION) & (now.high_day_before != LONG_AGO)
    asked = (now.first_open == 1) | (now.reaction_open == 1)
    again = np.where(asked, _OF[Action.SCREENING_AGAIN_BESIDE], _OF[Action.SCREENING_AGAIN])
    begun = np.where(asked, _OF[Action.SCREENING_BEGUN_BESIDE], _OF[Action.SCREENING_BEGUN])
    action = np.where(third, _OF[Action.SCREENING_SUSPECTED], again)
    action = np.where(first, begun, action)
    idle = referred | (~first & (event.decided_day <= now.high_day))
    return np.where(idle, _OF[Action.NOTHING], action)


def _high_random(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    quiet = IS_QUIET.take(now.state)
    return np.where(quiet, _OF[Action.SCREENING_BEGUN_BY_RANDOM], _OF[Action.NOTHING])


def _emergency(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    """The same code within the repeat time of the last one raised is the same emergency."""
    before = np.where(
        IN_SECOND_SLOT.take(event.code), now.second_emergency_at, now.first_emergency_at
    )
    repeats = event.at_us - before <= pick(limits.emergency_repeat_us, event.row)
    return np.where(repeats, _OF[Action.NOTHING], _OF[Action.EMERGENCY])


def _visit(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    ends = (now.reaction_open == 1) & (now.first_open == 0)
    ends &= now.state == CaseState.SECOND_FOLLOWUP_OPEN
    return np.where(ends, _OF[Action.REACTION_ENDED], _OF[Action.VISIT])


def _visit_with_reaction(
    now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray
) -> Column:
    """The second in a row refers; a further one only where no referral is open any more."""
    enough = pick(limits.reactions_for_referral, event.row)
    again = now.reactions + 1 == enough
    again |= (now.reactions + 1 > enough) & ~referred
    urgent = now.state == CaseState.EMERGENCY_REFERRAL
    second = np.where(urgent, _OF[Action.SECOND_REACTION_IN_EMERGENCY], _OF[Action.SECOND_REACTION])
    first = np.where(referred, _OF[Action.REACTION_UNDER_REFERRAL], _OF[Action.FIRST_REACTION])
    return np.where(again, second, first)


def _complication(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    urgent = now.state == CaseState.EMERGENCY_REFERRAL
    return np.where(urgent, _OF[Action.COMPLICATION_IN_EMERGENCY], _OF[Action.COMPLICATION])


def _referral_followup(
    now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray
) -> Column:
    return np.where(referred, _OF[Action.REFERRAL_FOLLOWED_UP], _OF[Action.NOTHING])


def _override(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    quiet = IS_QUIET.take(event.state)
    return np.where(quiet, _OF[Action.OVERRIDDEN_QUIET], _OF[Action.OVERRIDDEN_OPEN])


def _closure(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    return _OF[Action.CLOSED]


def _return(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    return np.where(now.closed != 0, _OF[Action.RETURNED], _OF[Action.NOTHING])


def _reschedule(now: Lanes, event: Step, limits: ProfileTable, referred: BoolArray) -> Column:
    """Another day for what is asked, by the state that it meets; nothing asked, nothing moved."""
    asked = ~IS_QUIET.take(now.state) & (now.due != NEVER)
    routine = IS_QUIET.take(now.state) & (now.routine != NEVER)
    quiet = np.where(routine, _OF[Action.ROUTINE_RESCHEDULED], _OF[Action.NOTHING])
    return np.where(asked, _OF[Action.RESCHEDULED], quiet)


_RULES: Final[dict[EventKind, Callable[[Lanes, Step, ProfileTable, BoolArray], Column]]] = {
    EventKind.SATISFIED: _satisfied,
    EventKind.UNSATISFIED: _unsatisfied,
    EventKind.NORMAL: _normal,
    EventKind.HIGH: _high,
    EventKind.EMERGENCY: _emergency,
    EventKind.HIGH_RANDOM: _high_random,
    EventKind.VISIT: _visit,
    EventKind.VISIT_WITH_REACTION: _visit_with_reaction,
    EventKind.COMPLICATION: _complication,
    EventKind.REFERRAL_FOLLOWUP: _referral_followup,
    EventKind.OVERRIDE: _override,
    EventKind.CLOSURE: _closure,
    EventKind.RETURN: _return,
    EventKind.RESCHEDULE: _reschedule,
}
