"""The case machine as a table: what each *action* does to a case. Decision table 2.4 in code.

``fold.py`` decides which action an event is in the state it meets, and then looks everything
else up here, for all residents at once. A new transition is a new line of ``ACTIONS`` and a
branch in ``decide``; nothing else knows what an action means, but ``explain`` has its words.

Overdue states are never stored: they follow from the due day and the day that is asked about,
so that time needs no event of its own.

Source: clinical decision table 2.4, 2.5; docs/decisions/0011.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.codes import AlertCode, CaseState, Condition
from rules.columns import BoolArray


class Action(IntEnum):
    """What an event did to a case. Numbers are stored: append, never renumber."""

    NOTHING = 0
    SATISFIED = 1
    SATISFIED_UNDER_REFERRAL = 2
    SATISFIED_UNDER_REACTION = 3
    FIRST_UNSATISFIED = 4
    SECOND_UNSATISFIED = 5
    UNSATISFIED_IN_EMERGENCY = 6
    UNSATISFIED_UNDER_REFERRAL = 7
    EMERGENCY = 8
    EMERGENCY_OF_CLOSED_CASE = 9
    SCREENING_BEGUN = 10
    SCREENING_BEGUN_BY_RANDOM = 11
    SCREENING_AGAIN = 12
    SCREENING_SUSPECTED = 13
    SCREENING_ENDED = 14
    SCREENING_ENDED_BESIDE = 15
    FIRST_REACTION = 16
    REACTION_UNDER_REFERRAL = 17
    SECOND_REACTION = 18
    SECOND_REACTION_IN_EMERGENCY = 19
    REACTION_ENDED = 20
    VISIT = 21
    COMPLICATION = 22
    COMPLICATION_IN_EMERGENCY = 23
    REFERRAL_FOLLOWED_UP = 24
    OVERRIDDEN_OPEN = 25
    OVERRIDDEN_QUIET = 26
    CLOSED = 27
    RETURNED = 28
    SCREENING_BEGUN_BESIDE = 29
    SCREENING_AGAIN_BESIDE = 30
    RESCHEDULED = 31
    ROUTINE_RESCHEDULED = 32


class Due(IntEnum):
    """Where a due day comes from."""

    KEEP = 0
    CLEAR = 1
    SECOND = 2  # Days of the profile after the anchor's day; the next three likewise.
    REFERRAL = 3
    SCREENING = 4
    SUSPECTED = 5
    GIVEN = 6  # By the doctor who overrode or agreed on another day.


class Change(IntEnum):
    """What happens to a number."""

    KEEP = 0
    ZERO = 1
    ADD_ONE = 2


KEEP_STATE: Final = -1
GIVEN_STATE: Final = -2
OWN_CODE: Final = -1
"""The alert an action raises is the emergency's own."""

Codes = tuple[AlertCode, AlertCode]
"""Of hypertension, of diabetes."""
_FIRST: Final = (AlertCode.BP_UNSATISFIED_1, AlertCode.GLU_UNSATISFIED_1)
_SECOND: Final = (AlertCode.BP_UNSATISFIED_2, AlertCode.GLU_UNSATISFIED_2)
_SCREEN: Final = (AlertCode.SCREEN_BP_HIGH, AlertCode.SCREEN_GLU_HIGH)
_FIRST_ALERTS: Final = frozenset({*_FIRST, AlertCode.ADR_1})
_SCREEN_ALERTS: Final = frozenset({*_SCREEN, AlertCode.SCREEN_HTN_SUSPECTED})
EMERGENCY_CODES: Final = frozenset(
    {
        AlertCode.BP_EMERGENCY,
        AlertCode.BP_PREG_HIGH,
        AlertCode.GLU_EMERGENCY_HIGH,
        AlertCode.GLU_EMERGENCY_LOW,
    }
)
IS_EMERGENCY: Final[BoolArray] = np.isin(np.arange(max(AlertCode) + 1), list(EMERGENCY_CODES))
"""By alert code."""
_OF_CASE: Final = frozenset(
    {*_FIRST_ALERTS, *_SCREEN_ALERTS, *_SECOND, *EMERGENCY_CODES}
    | {AlertCode.ADR_2, AlertCode.COMPLICATION}
)
_ADVISORIES: Final = frozenset(
    {AlertCode.BP_HOME_HIGH, AlertCode.GLU_POSTPRANDIAL_HIGH, AlertCode.BP_INTERARM_DIFF}
)
_REFERRAL_STATES: Final = [
    CaseState.REFERRAL_RECOMMENDED,
    CaseState.EMERGENCY_REFERRAL,
    CaseState.SCREENING_REFERRAL,
]
_QUIET_STATES: Final = [
    CaseState.NONE,
    CaseState.CONTROLLED,
    CaseState.REFERRAL_CLOSED,
    CaseState.CLOSED,
]
IS_QUIET: Final[BoolArray] = np.isin(np.arange(max(CaseState) + 1), _QUIET_STATES)
"""By state: nothing is open."""
IS_REFERRAL: Final[BoolArray] = np.isin(np.arange(max(CaseState) + 1), _REFERRAL_STATES)
"""By state: a referral is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one action does. The defaults do nothing."""

    state: CaseState | int = KEEP_STATE
    count: Change = Change.KEEP  # Of unsatisfied assessments in a row.
    reactions: Change = Change.KEEP  # Of visits with an adverse reaction in a row.
    first_open: bool | None = None  # An unsatisfied value waits for its second follow-up.
    reaction_open: bool | None = None  # An adverse reaction does.
    due: Due = Due.KEEP  # Of the case, and of the alert unless ``alert_due`` says otherwise.
    alert_due: Due | None = None
    routine: bool | None = None  # True: set anew; False: none while something is open.
    raises: Codes | AlertCode | int | None = None
    resolves: frozenset[AlertCode] = frozenset()  # Beside an older one of the code it raises.
    screening: Change = Change.KEEP  # ZERO: forget the high days; ADD_ONE: remember this one.
    anchors: bool = True  # The case's anchor becomes this event's.
    settles: bool = False  # A person has dealt with it: the next emergency is a new one.


ACTIONS: Final[dict[Action, Effect]] = {
    Action.NOTHING: Effect(anchors=False),
    Action.SATISFIED: Effect(
        state=CaseState.CONTROLLED,
        count=Change.ZERO,
        first_open=False,
        due=Due.CLEAR,
        routine=True,
        resolves=frozenset(_FIRST) | _SCREEN_ALERTS,
        screening=Change.ZERO,
    ),
    Action.SATISFIED_UNDER_REFERRAL: Effect(
        count=Change.ZERO, resolves=_SCREEN_ALERTS, screening=Change.ZERO, anchors=False
    ),
    Action.SATISFIED_UNDER_REACTION: Effect(
        count=Change.ZERO,
        first_open=False,
        resolves=_SCREEN_ALERTS | frozenset(_FIRST),
        screening=Change.ZERO,
        anchors=False,
    ),
    Action.FIRST_UNSATISFIED: Effect(
        state=CaseState.SECOND_FOLLOWUP_OPEN,
        count=Change.ADD_ONE,
        first_open=True,
        due=Due.SECOND,
        raises=_FIRST,
        resolves=_SCREEN_ALERTS,
        screening=Change.ZERO,
        routine=False,
    ),
    Action.SECOND_UNSATISFIED: Effect(
        state=CaseState.REFERRAL_RECOMMENDED,
        count=Change.ADD_ONE,
        due=Due.REFERRAL,
        raises=_SECOND,
        resolves=_SCREEN_ALERTS | _FIRST_ALERTS,
        screening=Change.ZERO,
        first_open=False,
        reaction_open=False,
        routine=False,
    ),
    Action.UNSATISFIED_IN_EMERGENCY: Effect(
        count=Change.ADD_ONE, resolves=_SCREEN_ALERTS, screening=Change.ZERO, anchors=False
    ),
    Action.UNSATISFIED_UNDER_REFERRAL: Effect(
        resolves=_SCREEN_ALERTS, screening=Change.ZERO, anchors=False
    ),
    Action.EMERGENCY: Effect(
        state=CaseState.EMERGENCY_REFERRAL,
        due=Due.REFERRAL,
        raises=OWN_CODE,
        resolves=_FIRST_ALERTS,
        first_open=False,
        reaction_open=False,
        routine=False,
    ),
    Action.EMERGENCY_OF_CLOSED_CASE: Effect(raises=OWN_CODE, alert_due=Due.REFERRAL, anchors=False),
    Action.SCREENING_BEGUN: Effect(
        state=CaseState.SCREENING,
        due=Due.SCREENING,
        raises=_SCREEN,
        screening=Change.ADD_ONE,
        routine=False,
    ),
    Action.SCREENING_BEGUN_BY_RANDOM: Effect(
        state=CaseState.SCREENING,
        due=Due.CLEAR,
        raises=_SCREEN,
        screening=Change.ADD_ONE,
        routine=False,
    ),
    Action.SCREENING_AGAIN: Effect(
        state=CaseState.SCREENING, due=Due.SCREENING, screening=Change.ADD_ONE, routine=False
    ),
    Action.SCREENING_SUSPECTED: Effect(
        state=CaseState.SCREENING_REFERRAL,
        due=Due.SUSPECTED,
        raises=AlertCode.SCREEN_HTN_SUSPECTED,
        resolves=_FIRST_ALERTS,
        screening=Change.ADD_ONE,
        first_open=False,
        reaction_open=False,
        routine=False,
    ),
    Action.SCREENING_ENDED: Effect(
        state=CaseState.NONE,
        first_open=False,
        due=Due.CLEAR,
        resolves=frozenset(_SCREEN),
        screening=Change.ZERO,
    ),
    Action.SCREENING_ENDED_BESIDE: Effect(
        first_open=False, resolves=frozenset(_SCREEN), screening=Change.ZERO, anchors=False
    ),
    Action.SCREENING_BEGUN_BESIDE: Effect(
        alert_due=Due.SCREENING,
        raises=_SCREEN,
        screening=Change.ADD_ONE,
        anchors=False,
    ),
    Action.SCREENING_AGAIN_BESIDE: Effect(screening=Change.ADD_ONE, anchors=False),
    Action.FIRST_REACTION: Effect(
        state=CaseState.SECOND_FOLLOWUP_OPEN,
        reactions=Change.ADD_ONE,
        reaction_open=True,
        due=Due.SECOND,
        raises=AlertCode.ADR_1,
        routine=False,
    ),
    Action.REACTION_UNDER_REFERRAL: Effect(reactions=Change.ADD_ONE, anchors=False),
    Action.SECOND_REACTION: Effect(
        state=CaseState.REFERRAL_RECOMMENDED,
        reactions=Change.ADD_ONE,
        due=Due.REFERRAL,
        raises=AlertCode.ADR_2,
        resolves=_FIRST_ALERTS,
        first_open=False,
        reaction_open=False,
        routine=False,
    ),
    Action.REACTION_ENDED: Effect(
        state=CaseState.CONTROLLED,
        reactions=Change.ZERO,
        reaction_open=False,
        due=Due.CLEAR,
        routine=True,
        resolves=frozenset({AlertCode.ADR_1}),
    ),
    Action.VISIT: Effect(
        reactions=Change.ZERO,
        reaction_open=False,
        resolves=frozenset({AlertCode.ADR_1}),
        anchors=False,
    ),
    Action.COMPLICATION: Effect(
        state=CaseState.REFERRAL_RECOMMENDED,
        due=Due.REFERRAL,
        raises=AlertCode.COMPLICATION,
        resolves=_FIRST_ALERTS,
        first_open=False,
        reaction_open=False,
        routine=False,
    ),
    Action.REFERRAL_FOLLOWED_UP: Effect(
        settles=True,
        state=CaseState.REFERRAL_CLOSED,
        count=Change.ZERO,
        reactions=Change.ZERO,
        first_open=False,
        reaction_open=False,
        due=Due.CLEAR,
        routine=True,
        resolves=_OF_CASE,
        screening=Change.ZERO,
    ),
    Action.OVERRIDDEN_OPEN: Effect(state=GIVEN_STATE, due=Due.GIVEN, routine=False),
    Action.OVERRIDDEN_QUIET: Effect(
        settles=True,
        state=GIVEN_STATE,
        count=Change.ZERO,
        reactions=Change.ZERO,
        first_open=False,
        reaction_open=False,
        due=Due.CLEAR,
        routine=True,
        resolves=_OF_CASE,
        screening=Change.ZERO,
    ),
    Action.CLOSED: Effect(
        state=GIVEN_STATE,
        count=Change.ZERO,
        reactions=Change.ZERO,
        first_open=False,
        reaction_open=False,
        due=Due.CLEAR,
        routine=False,
        resolves=_OF_CASE | _ADVISORIES,
        screening=Change.ZERO,
    ),
    Action.RETURNED: Effect(state=CaseState.NONE, due=Due.CLEAR, routine=False),
    # The next overdue alert is another one than that of the day before it: it has its own anchor.
    Action.RESCHEDULED: Effect(due=Due.GIVEN),
    Action.ROUTINE_RESCHEDULED: Effect(routine=True, anchors=False),
}
for _twin, _of in (
    (Action.SECOND_REACTION_IN_EMERGENCY, Action.SECOND_REACTION),
    (Action.COMPLICATION_IN_EMERGENCY, Action.COMPLICATION),
):
    _same = {name: getattr(ACTIONS[_of], name) for name in Effect.__dataclass_fields__}
    ACTIONS[_twin] = Effect(**{**_same, "state": CaseState.EMERGENCY_REFERRAL})


Int8Table = npt.NDArray[np.int8]


def _table(values: list[int]) -> Int8Table:
    return np.array(values, dtype=np.int8)


def _ternary(value: bool | None) -> int:  # noqa: FBT001 - it is the value
    return -1 if value is None else int(value)


def _raised(effect: Effect, condition: Condition) -> int:
    raises = effect.raises
    if isinstance(raises, tuple):
        return int(raises[condition - 1])
    return 0 if raises is None else int(raises)


_EFFECTS: Final = [ACTIONS[action] for action in Action]
STATE: Final = _table([int(e.state) for e in _EFFECTS])
COUNT: Final = _table([e.count for e in _EFFECTS])
REACTIONS: Final = _table([e.reactions for e in _EFFECTS])
FIRST_OPEN: Final = _table([_ternary(e.first_open) for e in _EFFECTS])
REACTION_OPEN: Final = _table([_ternary(e.reaction_open) for e in _EFFECTS])
DUE: Final = _table([e.due for e in _EFFECTS])
ALERT_DUE: Final = _table([e.due if e.alert_due is None else e.alert_due for e in _EFFECTS])
ROUTINE: Final = _table([_ternary(e.routine) for e in _EFFECTS])
SCREENING: Final = _table([e.screening for e in _EFFECTS])
ANCHORS: Final = np.array([e.anchors for e in _EFFECTS])
SETTLES: Final = np.array([e.settles for e in _EFFECTS])
RAISES: Final = np.array(
    [[0] * len(_EFFECTS), *([_raised(e, condition) for e in _EFFECTS] for condition in Condition)],
    dtype=np.int8,
)
"""By condition, by action: alert code, 0, or OWN_CODE."""
RESOLVES: Final = np.array(
    [sum(1 << code for code in e.resolves) for e in _EFFECTS], dtype=np.int64
)
"""By action: bit ``code`` is set where an open alert of that code is resolved."""
