"""What would have changed an outcome. Each change would have been enough by itself.

Nothing is listed that is not true of the readings at hand: a test applies every change to the
input and judges again.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from rules.codes import AlertCode
from rules.columns import Readings
from rules.explain.explanation import Answer, ChangeKind, Counterfactual, Moment, Needed, Scope
from rules.explain.judged import Evidence
from rules.explain.sides import compare_sides
from rules.explain.thresholds import LimitText, Quantity, limits_by_age
from rules.machine import Action
from rules.profile import Comparator, PressureBands, Profile

_AVOIDS: Final = {
    Comparator.ABOVE: Needed.NOT_ABOVE,
    Comparator.AT_OR_ABOVE: Needed.BELOW,
    Comparator.AT_OR_BELOW: Needed.ABOVE,
}
_CROSSES: Final = {
    Comparator.ABOVE: Needed.ABOVE,
    Comparator.AT_OR_ABOVE: Needed.AT_OR_ABOVE,
}
_OFFICE_CODES: Final = (AlertCode.BP_UNSATISFIED_1, AlertCode.BP_UNSATISFIED_2)
_REACTIONS: Final = (AlertCode.ADR_1, AlertCode.ADR_2, AlertCode.COMPLICATION)


def change_value(
    limit: LimitText, evidence: Evidence, *, satisfied: bool
) -> tuple[Counterfactual, ...]:
    """The value on the other side of its limit; nothing where no value was compared."""
    if limit.comparator is None:
        return ()
    return (
        Counterfactual(
            change=ChangeKind.VALUE,
            scope=_scope(limit, evidence, satisfied=satisfied),
            needed=(_CROSSES if satisfied else _AVOIDS)[limit.comparator],
            limit=limit.number,
        ),
    )


def _scope(limit: LimitText, evidence: Evidence, *, satisfied: bool) -> Scope:
    """Lowering the deciding arm alone would let the other decide; raising one arm is enough."""
    if limit.sides[0][0] is Quantity.ARMS:
        return Scope.DIFFERENCE
    if evidence.arms and not satisfied:
        return Scope.EACH_ARM
    return Scope.MEAN if len(evidence.counted) > 1 else Scope.VALUE


def change_age(
    profile: Profile,
    code: AlertCode,
    limit: LimitText,
    evidence: Evidence,
    readings: Readings,
) -> tuple[Counterfactual, ...]:
    """The limits of other ages under which the same value would have been judged otherwise."""
    bands = _bands(profile, code)
    if bands is None:
        return ()
    by_age = limits_by_age(bands, "")
    crossed = _crosses(evidence, readings, limit)
    return tuple(
        Counterfactual(
            change=ChangeKind.AGE_LIMIT,
            limit=other.number,
            age_min=age_min or None,
            age_below=None if age_min else min(set(by_age) - {0}),
        )
        for age_min, other in by_age.items()
        if age_min != limit.age_min and _crosses(evidence, readings, other) != crossed
    )


def _bands(profile: Profile, code: AlertCode) -> PressureBands | None:
    if code is AlertCode.BP_HOME_HIGH:
        return profile.bp_home
    return profile.bp_office if code in _OFFICE_CODES else None


def _crosses(evidence: Evidence, readings: Readings, limit: LimitText) -> bool:
    return any(side.crossed for side in compare_sides(evidence, readings, limit))


def change_earlier(earlier: Sequence[Moment]) -> tuple[Counterfactual, ...]:
    """Any one of those that it counts together with."""
    if not earlier:
        return ()
    days = tuple(moment.on for moment in earlier)
    return (Counterfactual(change=ChangeKind.EARLIER, days=days),)


def change_record(code: AlertCode | None, action: Action | None) -> tuple[Counterfactual, ...]:
    """What was on record about the resident, or at the visit; or the record itself."""
    if code is None:
        return (Counterfactual(change=ChangeKind.NOT_RECORDED),)
    if action is Action.REACTION_ENDED:
        return (Counterfactual(change=ChangeKind.FINDING),)
    if code is AlertCode.BP_PREG_HIGH:
        return (Counterfactual(change=ChangeKind.NOT_PREGNANT),)
    if code in _REACTIONS:
        return (Counterfactual(change=ChangeKind.NO_FINDING),)
    return ()


def answer_in_time(answers: Sequence[Answer], due: date) -> tuple[Counterfactual, ...]:
    """Everything that was waited for, up to the due day."""
    return (Counterfactual(change=ChangeKind.ANSWERED, answers=tuple(answers), by=due),)
