"""What a language must have words for, so that an explanation can be said in it.

Texts in braces are filled in by ``sentences``. A new alert code or action fails the tests until
both languages have words for it.
"""

from dataclasses import dataclass

from rules.codes import AlertCode, CaseState, ClosureReason
from rules.explain.explanation import Answer, ChangeKind, Happening, Needed, Scope
from rules.explain.thresholds import Quantity
from rules.machine import Action
from rules.profile import Comparator


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody must do, with a due day and without."""

    by: str
    undated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language."""

    # Names of things.
    findings: dict[AlertCode, str]
    quiet: dict[Action, str]  # What an action found that raised no alert.
    satisfied: dict[str, str]  # By the kind of reading.
    acts: dict[AlertCode, Act]
    states: dict[CaseState, str]
    settings: dict[str, str]  # Blood pressures by setting,
    meals: dict[str | None, str]  # and glucose by meal context.
    arms: dict[str | None, str]
    quantities: dict[Quantity, str]
    happenings: dict[Happening, str]
    reasons: dict[ClosureReason, str]
    answers: dict[Answer, str]
    escalations: tuple[str, ...]
    followups: dict[str, str]  # By the last part of the rule that gave the days.
    followup: str
    # Beside a limit.
    crossed: dict[Comparator, str]
    spared: dict[Comparator, str]
    needed: dict[Needed, str]
    tier: str
    within_days: str
    side_spared: str
    side_equal: str
    side_above: str
    side_below: str
    # Grounds.
    basis: str
    of_value: str
    of_arms: str
    of_routine: str
    of_overdue: str
    of_record: str
    measured: str
    mean: str
    one_arm: str
    left_out: str
    earlier: str
    earlier_visit: str
    opener: str
    diagnosis: str
    due_in_days: str
    due_as_set: str
    # What was to be done, and what was done.
    due: str
    overdue: str
    overdue_answered: str
    days: tuple[str, str]  # One, and more.
    resolved: str
    state: str
    state_overdue: str
    next_routine: str
    # What would have changed it.
    otherwise: str
    otherwise_satisfied: str
    otherwise_of: dict[ChangeKind, str]
    values: dict[Scope, str]
    values_to_cross: dict[Scope, str]
    glucose: str
    age_from: str
    age_below: str
    earlier_otherwise: dict[AlertCode, str]
    one_of: str
    any_of: str
    answered: str
    records: dict[ChangeKind, str]
    no_complication: str
    # Punctuation.
    stop: str
    space: str
    comma: str
    enumeration: str
    conjunction: str
    alternative: str
    brackets: str
