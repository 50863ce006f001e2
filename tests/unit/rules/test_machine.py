"""The promise: the table of actions is complete: every alert has what raises and what ends it."""

import numpy as np
import pytest

from rules import machine
from rules.codes import SEVERITY_OF, AlertCode, CaseState, Condition
from rules.machine import ACTIONS, EMERGENCY_CODES, OWN_CODE, Action, Change, Due

_ADVISORIES = {
    AlertCode.BP_HOME_HIGH,
    AlertCode.GLU_POSTPRANDIAL_HIGH,
    AlertCode.BP_INTERARM_DIFF,
}
_BY_TIME = {
    AlertCode.FOLLOWUP_OVERDUE,
    AlertCode.REFERRAL_FOLLOWUP_OVERDUE,
    AlertCode.ROUTINE_OVERDUE,
}
_TABLES = (
    "STATE",
    "COUNT",
    "REACTIONS",
    "FIRST_OPEN",
    "REACTION_OPEN",
    "DUE",
    "ALERT_DUE",
    "ROUTINE",
    "SCREENING",
    "ANCHORS",
    "RESOLVES",
    "SETTLES",
)
_REFERS = {
    Action.EMERGENCY,
    Action.SECOND_UNSATISFIED,
    Action.SECOND_REACTION,
    Action.SECOND_REACTION_IN_EMERGENCY,
    Action.COMPLICATION,
    Action.COMPLICATION_IN_EMERGENCY,
    Action.SCREENING_SUSPECTED,
}
_RESETS = {Action.REFERRAL_FOLLOWED_UP, Action.OVERRIDDEN_QUIET, Action.CLOSED}


def raised(action: Action) -> set[AlertCode]:
    """Alert codes of both conditions that an action raises."""
    found = {int(code) for code in machine.RAISES[:, action]}
    own = EMERGENCY_CODES if OWN_CODE in found else frozenset()
    return {AlertCode(code) for code in found if code > 0} | own


def resolved(action: Action) -> set[AlertCode]:
    return {code for code in AlertCode if machine.RESOLVES[action] >> code & 1}


def test_actions_are_numbered_without_gaps_and_each_has_an_effect() -> None:
    assert [int(action) for action in Action] == list(range(len(Action)))
    assert set(ACTIONS) == set(Action)
    for name in _TABLES:
        assert len(getattr(machine, name)) == len(Action)
    assert machine.RAISES.shape == (1 + len(Condition), len(Action))
    assert not machine.RAISES[0].any()  # Conditions are numbered from 1.


@pytest.mark.parametrize("action", list(Action))
def test_tables_say_what_the_effect_says(action: Action) -> None:
    effect = ACTIONS[action]

    assert machine.STATE[action] == effect.state
    assert machine.COUNT[action] == effect.count
    assert machine.REACTIONS[action] == effect.reactions
    assert machine.SCREENING[action] == effect.screening
    assert machine.DUE[action] == effect.due
    assert machine.ANCHORS[action] == effect.anchors
    assert machine.SETTLES[action] == effect.settles
    assert resolved(action) == set(effect.resolves)
    alert_due = effect.due if effect.alert_due is None else effect.alert_due
    assert machine.ALERT_DUE[action] == alert_due
    for table, value in (
        (machine.FIRST_OPEN, effect.first_open),
        (machine.REACTION_OPEN, effect.reaction_open),
        (machine.ROUTINE, effect.routine),
    ):
        assert table[action] == (-1 if value is None else value)


def test_nothing_does_nothing() -> None:
    keep = [machine.COUNT, machine.REACTIONS, machine.SCREENING]
    assert [table[Action.NOTHING] for table in keep] == [Change.KEEP] * 3
    assert machine.STATE[Action.NOTHING] == machine.KEEP_STATE
    assert machine.DUE[Action.NOTHING] == machine.ALERT_DUE[Action.NOTHING] == Due.KEEP
    assert (raised(Action.NOTHING), resolved(Action.NOTHING)) == (set(), set())
    assert not machine.ANCHORS[Action.NOTHING]


def test_every_alert_has_a_severity_and_somebody_who_raises_it() -> None:
    by_events = {code for action in Action for code in raised(action)}

    assert set(SEVERITY_OF) == set(AlertCode)
    assert by_events | _ADVISORIES | _BY_TIME == set(AlertCode)
    assert not by_events & (_ADVISORIES | _BY_TIME)


def test_every_alert_of_a_case_can_be_ended_by_the_referral_followup_a_doctor_and_a_closure() -> (
    None
):
    by_events = {code for action in Action for code in raised(action)}

    for action in _RESETS:
        extra = _ADVISORIES if action is Action.CLOSED else set()
        assert resolved(action) == by_events | extra


def test_a_person_s_word_settles_a_case() -> None:
    assert {action for action in Action if machine.SETTLES[action]} == _RESETS - {Action.CLOSED}


@pytest.mark.parametrize("action", sorted(_REFERS))
def test_whatever_opens_a_referral_ends_the_second_followup(action: Action) -> None:
    first = {AlertCode.BP_UNSATISFIED_1, AlertCode.GLU_UNSATISFIED_1, AlertCode.ADR_1}

    assert first <= resolved(action)
    assert machine.IS_REFERRAL[machine.STATE[action]]
    assert machine.FIRST_OPEN[action] == machine.REACTION_OPEN[action] == 0
    assert machine.ROUTINE[action] == 0
    assert machine.DUE[action] in {Due.REFERRAL, Due.SUSPECTED}


def test_only_those_actions_open_a_referral() -> None:
    opened = {action for action in Action if machine.IS_REFERRAL[max(machine.STATE[action], 0)]}

    assert opened == _REFERS


def test_a_case_in_emergency_stays_in_emergency() -> None:
    for twin, action in (
        (Action.SECOND_REACTION_IN_EMERGENCY, Action.SECOND_REACTION),
        (Action.COMPLICATION_IN_EMERGENCY, Action.COMPLICATION),
    ):
        assert machine.STATE[twin] == CaseState.EMERGENCY_REFERRAL
        assert machine.STATE[action] == CaseState.REFERRAL_RECOMMENDED
        others = [name for name in (*_TABLES, "RAISES") if name != "STATE"]
        for name in others:
            table = getattr(machine, name)
            np.testing.assert_array_equal(table[..., twin], table[..., action])


def test_referral_states_are_those_that_wait_for_the_result() -> None:
    assert [state for state in CaseState if machine.IS_REFERRAL[state]] == [
        CaseState.REFERRAL_RECOMMENDED,
        CaseState.EMERGENCY_REFERRAL,
        CaseState.SCREENING_REFERRAL,
    ]
    assert [code for code in AlertCode if machine.IS_EMERGENCY[code]] == sorted(EMERGENCY_CODES)


def test_codes_fit_in_the_bits_of_a_mask() -> None:
    assert max(AlertCode) < 63
    assert {machine.RAISES.dtype, machine.STATE.dtype} == {np.dtype(np.int8)}


def test_conditions_raise_their_own_codes() -> None:
    for action in Action:
        pressure, sugar = (int(machine.RAISES[condition, action]) for condition in Condition)
        if pressure != sugar:
            assert AlertCode(pressure).name.replace("BP", "GLU") == AlertCode(sugar).name
