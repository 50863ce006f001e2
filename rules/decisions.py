"""Which action an event is in the state it meets: decision table 2.4, one function a row kind.

Each rule takes the lanes of one step, their events, and the limits, all aligned, and returns
the action of every lane as if all events were of its kind; ``decide`` puts them together.

Source: clinical decision table 2.4, 2.5; screening: architecture section 8, item 11;
docs/decisions/0011.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rules.codes import AlertCode, CaseState, Condition
from rules.columns import BoolArray, Int8Array
from rules.events import KINDS, EventKind
from rules.lanes import LONG_AGO, Lanes, Step
from rules.limits import ProfileTable, pick
from rules.machine import IS_REFERRAL, Action

_SECOND_CODES: Final = (AlertCode.BP_PREG_HIGH, AlertCode.GLU_EMERGENCY_LOW)
IN_SECOND_SLOT: Final[BoolArray] = np.isin(np.arange(max(AlertCode) + 1), _SECOND_CODES)
"""By alert code. A lane has two emergency codes, each with its own repeat window."""
_QUIET_STATES: Final = (
    CaseState.NONE,
    CaseState.CONTROLLED,
    CaseState.REFERRAL_CLOSED,
    CaseState.CLOSED,
)
IS_QUIET: Final[BoolArray] = np.isin(np.arange(max(CaseState) + 1), _QUIET_STATES)
"""By state: nothing is open."""


def decide(now: Lanes, event: Step, limits: ProfileTable) -> Int8Array:
    """Which action each event is, given the state of its lane. Shape (k,), aligned with both."""
    action = np.zeros(len(event.kind), dtype=np.int8)
    present = np.bincount(event.kind, minlength=KINDS)
    for kind, rule in _RULES.items():
        if present[kind]:
            mine = event.kind == kind
            np.copyto(action, rule(now, event, limits), where=mine)
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


def _referred(now: Lanes) -> BoolArray:
    return IS_REFERRAL[now.state]


def _under_own_referral(now: Lanes) -> BoolArray:
    """A referral to confirm a suspicion ends with the diagnosis, and is none to a diagnosed one."""
    referred: BoolArray = IS_REFERRAL[now.state] & (now.state != CaseState.SCREENING_REFERRAL)
    return referred


def _of(action: Action) -> np.int8:
    return np.int8(action)


def _satisfied(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001 - one shape of rule
    waits = (now.reaction_open == 1) & (now.state == CaseState.SECOND_FOLLOWUP_OPEN)
    quiet = np.where(waits, _of(Action.SATISFIED_UNDER_REACTION), _of(Action.SATISFIED))
    return np.where(_under_own_referral(now), _of(Action.SATISFIED_UNDER_REFERRAL), quiet)


def _unsatisfied(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401
    again = now.count + 1 >= pick(limits.unsatisfied_for_referral, event.row)
    quiet = np.where(again, _of(Action.SECOND_UNSATISFIED), _of(Action.FIRST_UNSATISFIED))
    referred = np.where(
        event.emergency,
        _of(Action.UNSATISFIED_IN_EMERGENCY),
        _of(Action.UNSATISFIED_UNDER_REFERRAL),
    )
    return np.where(_under_own_referral(now), referred, quiet)


def _normal(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    """Normal on a later day than the last high ends screening, and what a doctor asked for."""
    asked = (now.first_open == 1) & (now.reaction_open == 0)
    ends = (now.state == CaseState.SCREENING) | asked
    beside = (now.high_day != LONG_AGO) | (now.first_open == 1)
    action = np.where(beside, _of(Action.SCREENING_ENDED_BESIDE), _of(Action.NOTHING))
    action = np.where(ends, _of(Action.SCREENING_ENDED), action)
    return np.where(event.decided_day > now.high_day, action, _of(Action.NOTHING))


def _high(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401
    """On the third local day within the window: suspected. On a further day: the recheck.

    An open second follow-up (an adverse reaction's, or a doctor's) is not moved by it.
    """
    first = (now.high_day == LONG_AGO) | (now.by_random == 1)
    within = event.decided_day - now.high_day_before <= pick(limits.suspected_within, event.row)
    third = within & (now.condition == Condition.HYPERTENSION) & (now.high_day_before != LONG_AGO)
    asked = (now.first_open == 1) | (now.reaction_open == 1)
    again = np.where(asked, _of(Action.SCREENING_AGAIN_BESIDE), _of(Action.SCREENING_AGAIN))
    begun = np.where(asked, _of(Action.SCREENING_BEGUN_BESIDE), _of(Action.SCREENING_BEGUN))
    action = np.where(third, _of(Action.SCREENING_SUSPECTED), again)
    action = np.where(first, begun, action)
    idle = _referred(now) | (~first & (event.decided_day <= now.high_day))
    return np.where(idle, _of(Action.NOTHING), action)


def _high_random(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    quiet = IS_QUIET[now.state]
    return np.where(quiet, _of(Action.SCREENING_BEGUN_BY_RANDOM), _of(Action.NOTHING))


def _emergency(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401
    """The same code within the repeat time of the last one raised is the same emergency."""
    before = np.where(IN_SECOND_SLOT[event.code], now.second_emergency_at, now.first_emergency_at)
    repeats = event.at_us - before <= pick(limits.emergency_repeat_us, event.row)
    return np.where(repeats, _of(Action.NOTHING), _of(Action.EMERGENCY))


def _visit(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    ends = (now.reaction_open == 1) & (now.first_open == 0)
    ends &= now.state == CaseState.SECOND_FOLLOWUP_OPEN
    return np.where(ends, _of(Action.REACTION_ENDED), _of(Action.VISIT))


def _visit_with_reaction(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401
    """The second in a row refers; a further one only where no referral is open any more."""
    enough = pick(limits.reactions_for_referral, event.row)
    again = now.reactions + 1 == enough
    again |= (now.reactions + 1 > enough) & ~_referred(now)
    urgent = now.state == CaseState.EMERGENCY_REFERRAL
    second = np.where(urgent, _of(Action.SECOND_REACTION_IN_EMERGENCY), _of(Action.SECOND_REACTION))
    first = np.where(
        _referred(now), _of(Action.REACTION_UNDER_REFERRAL), _of(Action.FIRST_REACTION)
    )
    return np.where(again, second, first)


def _complication(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    urgent = now.state == CaseState.EMERGENCY_REFERRAL
    return np.where(urgent, _of(Action.COMPLICATION_IN_EMERGENCY), _of(Action.COMPLICATION))


def _referral_followup(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    return np.where(_referred(now), _of(Action.REFERRAL_FOLLOWED_UP), _of(Action.NOTHING))


def _override(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    quiet = IS_QUIET[event.state]
    return np.where(quiet, _of(Action.OVERRIDDEN_QUIET), _of(Action.OVERRIDDEN_OPEN))


def _closure(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    return _of(Action.CLOSED)


def _return(now: Lanes, event: Step, limits: ProfileTable) -> Any:  # noqa: ANN401, ARG001
    return np.where(now.closed != 0, _of(Action.RETURNED), _of(Action.NOTHING))


_RULES: Final[dict[EventKind, Callable[[Lanes, Step, ProfileTable], Any]]] = {
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
}
