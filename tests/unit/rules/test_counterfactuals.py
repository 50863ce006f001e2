"""The promise: what is said to change an outcome does change it, when it is done and judged again.

Random histories of one resident; every change of every alert is applied to the input.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given, settings

from rules.codes import AlertCode, Condition, RecordKind
from rules.explain import Judged, explain_alert, explain_case
from rules.explain.explanation import Answer, ChangeKind, Counterfactual, Explanation, Needed, Scope
from rules.machine import Action
from tests.unit.rules.rules_explained import (
    ALERTS,
    CASES,
    FIRST_DAY,
    History,
    Said,
    Taken,
    bp,
    explained_case,
    identifier,
    record,
    sugar,
    visit,
)
from tests.unit.rules.rules_random import HISTORIES

_STEP = {2: Decimal("0.0001"), 1: Decimal("0.1")}


def _bounds(change: Counterfactual) -> list[Decimal]:
    """The limit of each side."""
    return [Decimal(number) for number in (change.limit or "").split(" ")[0].split("/")]


def _moved(value: Decimal, bound: Decimal, needed: Needed, step: Decimal) -> Decimal:
    """The nearest value on the side of the limit that was needed."""
    if needed is Needed.NOT_ABOVE:
        return min(value, bound)
    if needed is Needed.BELOW:
        return min(value, bound - step)
    if needed is Needed.AT_OR_ABOVE:
        return max(value, bound)
    return max(value, bound + step)


def _with_values(history: History, told: Explanation, change: Counterfactual) -> History:
    used = {reading.id for reading in told.readings}
    bounds, needed = _bounds(change), change.needed
    assert needed is not None

    def moved(each: Taken) -> Taken:
        if change.scope is Scope.DIFFERENCE:
            return each._replace(value=(Decimal(120), each.value[1]))
        values = each.value or (Decimal(30 if each.range_status > 0 else 0),)  # HI, LO
        step = _STEP[len(bounds)]
        pairs = zip(values, bounds, strict=True)
        return each._replace(
            value=tuple(_moved(value, bound, needed, step) for value, bound in pairs)
        )

    return replace(
        history,
        taken=[
            moved(each) if identifier(number) in used else each
            for number, each in enumerate(history.taken)
        ],
    )


def _with_earlier(history: History, judged: Judged, told: Explanation) -> list[History]:
    """One history for each earlier one: calm on its day, or a visit without the reaction."""
    found = []
    for moment in told.earlier:
        if told.code is AlertCode.ADR_2:
            said = [
                each._replace(reaction=False) if identifier(1000 + number) == moment.id else each
                for number, each in enumerate(history.said)
            ]
            found.append(replace(history, said=said))
            continue
        groups = judged.judgement.trace.group
        calm = {
            row
            for row in range(len(history.taken))
            if groups[row] >= 0 and _decided_on(judged, int(groups[row])) == moment.on
        }
        taken = [
            each._replace(value=(Decimal(110), Decimal(70))[: len(each.value)])
            if number in calm and len(each.value) == 2
            else each._replace(value=(Decimal(5),))
            if number in calm
            else each
            for number, each in enumerate(history.taken)
        ]
        found.append(replace(history, taken=taken))
    return found


def _decided_on(judged: Judged, anchor: int) -> date:
    at = judged.at(judged.deciding_row(anchor)) + judged.limits.utc_offset
    found: date = at.astype("datetime64[D]").item()
    return found


def _with_answers(history: History, told: Explanation, change: Counterfactual) -> History:
    assert change.by is not None
    assert change.answers
    due = (change.by - FIRST_DAY).days
    taken, said = list(history.taken), list(history.said)
    for answer in change.answers:
        if answer in (Answer.ASSESSMENT, Answer.RECHECK):
            is_pressure = told.condition is Condition.HYPERTENSION
            taken.append(bp(due, 110, 70) if is_pressure else sugar(due, 5))
        elif answer is Answer.REFERRAL_FOLLOWUP:
            said.append(record(due, RecordKind.REFERRAL_FOLLOWUP, condition=told.condition))
        else:
            said.append(visit(due, told.condition))
    return replace(history, taken=taken, said=said)


def _with_record(history: History, told: Explanation, *, reaction: bool | None) -> History:
    """The visit with or without a reaction; None: without a complication."""

    def changed(said: Said) -> Said:
        return (
            said._replace(complication=False)
            if reaction is None
            else said._replace(reaction=reaction)
        )

    said = [
        changed(each) if identifier(1000 + number) == told.decided.id else each
        for number, each in enumerate(history.said)
    ]
    return replace(history, said=said)


def _otherwise(
    history: History, judged: Judged, told: Explanation, change: Counterfactual
) -> Sequence[History]:
    """The history with the change done."""
    if change.change is ChangeKind.EARLIER:
        return _with_earlier(history, judged, told)
    person = history.person
    born = date(1940, 1, 1) if change.age_min else date(1980, 1, 1)
    spared = None if told.code is AlertCode.COMPLICATION else False
    found = {
        ChangeKind.VALUE: lambda: _with_values(history, told, change),
        ChangeKind.AGE_LIMIT: lambda: replace(history, person=replace(person, born=born)),
        ChangeKind.NOT_PREGNANT: lambda: replace(history, person=replace(person, pregnant=False)),
        ChangeKind.ANSWERED: lambda: _with_answers(history, told, change),
        ChangeKind.FINDING: lambda: _with_record(history, told, reaction=True),
        ChangeKind.NO_FINDING: lambda: _with_record(history, told, reaction=spared),
        ChangeKind.NOT_RECORDED: lambda: replace(history, said=history.said[:-1]),
    }
    return [found[change.change]()]


def _identities(judged: Judged) -> set[tuple[int, int, str | None]]:
    alerts = judged.judgement.alerts
    rows = zip(alerts.condition, alerts.code, alerts.anchor, strict=True)
    return {
        (int(condition), int(code), judged.id_of(int(anchor))) for condition, code, anchor in rows
    }


def _assert_every_change_ends_every_alert(history: History) -> None:
    judged = history.judged()
    for number in range(len(judged.judgement.alerts)):
        told = explain_alert(judged, number)
        assert told.code is not None
        identity = (int(told.condition), int(told.code), told.anchor.id)
        assert identity in _identities(judged)
        assert told.counterfactual
        for change in told.counterfactual:
            for other in _otherwise(history, judged, told, change):
                assert identity not in _identities(other.judged()), (told.code, change)


@settings(max_examples=100, deadline=None)
@given(HISTORIES)
def test_a_change_that_is_named_ends_the_alert(history: History) -> None:
    _assert_every_change_ends_every_alert(history)


def test_a_change_that_is_named_ends_the_alert_of_every_code() -> None:
    for history in ALERTS.values():
        _assert_every_change_ends_every_alert(history)


def test_a_change_that_is_named_undoes_the_transition_of_every_action() -> None:
    for action, (history, condition) in CASES.items():
        judged = history.judged()
        told = explained_case(history, condition)
        assert told.action is action
        for change in told.counterfactual:
            for other in _otherwise(history, judged, told, change):
                assert (action, told.anchor.id) not in _causes(other.judged())


def _causes(judged: Judged) -> set[tuple[Action | None, str | None]]:
    cases = range(len(judged.judgement.cases))
    return {(case.action, case.anchor.id) for case in (explain_case(judged, n) for n in cases)}
