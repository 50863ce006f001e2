"""An explanation as sentences for people, in Chinese or English.

They show what was observed, the limit with its comparator, the profile version with its source,
and the day by which somebody must act. Never a diagnosis, never a dose. Here is the order in
which things are said; ``words_zh`` and ``words_en`` have the words.
"""

from datetime import timedelta
from typing import Final, Literal, TypeAlias

from rules.codes import AlertCode, AlertStatus
from rules.explain import words_en, words_zh
from rules.explain.explanation import ChangeKind, Counterfactual, Explanation, Moment, Scope, Side
from rules.explain.thresholds import Quantity
from rules.explain.words import Words
from rules.machine import Action
from rules.profile import Comparator

Language: TypeAlias = Literal["zh", "en"]

_WORDS: Final[dict[Language, Words]] = {"zh": words_zh.WORDS, "en": words_en.WORDS}
_FOLLOWUPS: Final = (AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)
_NOTHING_BEYOND: Final = ("0", "0.0")


def sentence(explanation: Explanation, language: Language) -> str:
    """Why, which limit of which profile, what to do by when, and what would have changed it."""
    words = _WORDS[language]
    said = (
        _ground(explanation, words),
        _act(explanation, words),
        _resolution(explanation, words),
        _state(explanation, words),
        _otherwise(explanation, words),
        _basis(explanation, words),
    )
    return words.space.join(f"{each}{words.stop}" for each in said if each)


def _ground(explanation: Explanation, words: Words) -> str:
    """What was found, beside its limit."""
    finding = _finding(explanation, explanation.code, words)
    if explanation.code is AlertCode.ROUTINE_OVERDUE:
        return _routine(explanation, finding, words)
    if explanation.code in _FOLLOWUPS:
        opener, within = _opener(explanation, words), _days_given(explanation, words)
        return words.of_overdue.format(opener=opener, within=within)
    earlier = _earlier(explanation, words)
    if explanation.limit.comparator is None:
        what = words.happenings[explanation.decided.what]
        on = explanation.decided.on
        return words.of_record.format(on=on, what=what, finding=finding, earlier=earlier)
    return words.of_value.format(
        measured=_measured(explanation, words),
        compared=_compared(explanation, words),
        sides=_sides(explanation, words),
        finding=finding,
        earlier=earlier,
    )


def _finding(explanation: Explanation, code: AlertCode | None, words: Words) -> str:
    if code is not None:
        return words.findings[code].format(times=explanation.limit.times)
    action = explanation.action or Action.NOTHING
    if action is Action.SATISFIED:
        return words.satisfied[explanation.readings[0].kind]
    return words.quiet[action] + _reason(explanation.decided, words)


def _reason(moment: Moment, words: Words) -> str:
    if moment.reason is None:
        return ""
    return words.brackets.format(inside=words.reasons[moment.reason])


def _routine(explanation: Explanation, finding: str, words: Words) -> str:
    """Since when nobody came: the last visit, the enrolment, or a later diagnosis."""
    anchor, due, days = explanation.anchor, explanation.due, explanation.limit.days or 0
    since = anchor.on if due is None else due - timedelta(days=days)
    what = words.happenings[anchor.what] if since == anchor.on else words.diagnosis
    return words.of_routine.format(since=since, what=what, days=_days(days, words), finding=finding)


def _opener(explanation: Explanation, words: Words) -> str:
    """What opened the follow-up that is overdue."""
    if explanation.readings:
        told = _measured(explanation, words)
    else:
        told = f"{explanation.decided.on} {words.happenings[explanation.decided.what]}"
    if explanation.opened_by is None:
        return told
    finding = _finding(explanation, explanation.opened_by, words)
    return words.opener.format(told=told, finding=finding)


def _days_given(explanation: Explanation, words: Words) -> str:
    followup = words.followups.get(explanation.limit.rule or "", words.followup)
    days = explanation.limit.days
    if days is None:
        return words.due_as_set.format(followup=followup)
    return words.due_in_days.format(followup=followup, days=_days(days, words))


def _days(count: int, words: Words) -> str:
    return words.days[count != 1].format(count=count)


def _measured(explanation: Explanation, words: Words) -> str:
    """When, what and how much, and of how many readings it is the mean."""
    counted = [reading for reading in explanation.readings if reading.counted]
    first = counted[0]
    is_glucose = first.kind == "glucose"
    facts = {
        "when": f"{first.effective_at:%Y-%m-%d %H:%M}",
        "name": words.meals[first.meal_context] if is_glucose else words.settings[first.setting],
        "observed": explanation.observed,
    }
    if explanation.code is AlertCode.BP_INTERARM_DIFF:
        left, right = explanation.arms
        return words.of_arms.format(left=left, right=right, **facts)
    left_out = len(explanation.readings) - len(counted)
    arm = words.arms[first.arm] if left_out else ""
    template = words.mean if len(counted) > 1 else words.one_arm
    notes = [template.format(arm=arm, count=len(counted)).strip()]
    if left_out:
        notes.append(words.left_out.format(count=left_out))
    inside = words.comma.join(note for note in notes if note)
    note = words.brackets.format(inside=inside) if inside else ""
    return words.measured.format(note=note, **facts)


def _compared(explanation: Explanation, words: Words) -> str:
    limit = explanation.limit
    satisfied = explanation.action is Action.SATISFIED
    compared = (words.spared if satisfied else words.crossed)[limit.comparator or Comparator.ABOVE]
    number = limit.number or ""
    if limit.age_min:
        number = words.tier.format(age=limit.age_min, number=number)
    compared = f"{compared} {number}"
    if explanation.code is AlertCode.SCREEN_HTN_SUSPECTED:
        compared += words.within_days.format(times=limit.times, days=_days(limit.days or 0, words))
    return compared


def _sides(explanation: Explanation, words: Words) -> str:
    if explanation.action is Action.SATISFIED or not explanation.sides:
        return ""
    told = words.comma.join(_side(explanation, side, words) for side in explanation.sides)
    return words.brackets.format(inside=told)


def _side(explanation: Explanation, side: Side, words: Words) -> str:
    """Which side crossed, and by how much."""
    below = explanation.limit.comparator is Comparator.AT_OR_BELOW
    if side.beyond is None:
        template = words.side_spared
    elif side.beyond in _NOTHING_BEYOND:
        template = words.side_equal
    else:
        template = words.side_below if below else words.side_above
    unit = "mmol/L" if side.quantity is Quantity.GLUCOSE else "mmHg"
    name = words.quantities[side.quantity]
    return template.format(name=name, beyond=side.beyond, unit=unit)


def _earlier(explanation: Explanation, words: Words) -> str:
    if not explanation.earlier:
        return ""
    told = words.enumeration.join(
        f"{moment.on} {moment.observed}"
        if moment.observed
        else words.earlier_visit.format(on=moment.on)
        for moment in explanation.earlier
    )
    return words.earlier.format(told=told)


def _act(explanation: Explanation, words: Words) -> str:
    """What somebody must do by when; of a resolved alert what had to be done."""
    due, code = explanation.due, explanation.code
    if code in (*_FOLLOWUPS, AlertCode.ROUTINE_OVERDUE):
        return _overdue(explanation, words)
    if explanation.action is Action.SCREENING_AGAIN:
        is_glucose = explanation.readings[0].kind == "glucose"
        code = AlertCode.SCREEN_GLU_HIGH if is_glucose else AlertCode.SCREEN_BP_HIGH
    answered = explanation.status is AlertStatus.RESOLVED and explanation.action is None
    if code is None or answered:
        return "" if due is None else words.due.format(due=due)
    act = words.acts[code]
    return act.undated if due is None else act.by.format(due=due)


def _overdue(explanation: Explanation, words: Words) -> str:
    answered = explanation.status is AlertStatus.RESOLVED
    template = words.overdue_answered if answered else words.overdue
    escalation = ""
    if explanation.code in _FOLLOWUPS:
        step = min(explanation.escalation, len(words.escalations) - 1)
        escalation = words.brackets.format(inside=words.escalations[step])
    days = _days(explanation.overdue_days, words)
    return template.format(due=explanation.due, days=days, escalation=escalation)


def _resolution(explanation: Explanation, words: Words) -> str:
    answer = explanation.resolved_by
    if answer is None:
        return ""
    what = words.happenings[answer.what] + _reason(answer, words)
    if answer.observed:
        what += words.brackets.format(inside=answer.observed)
    return words.resolved.format(on=answer.on, what=what)


def _state(explanation: Explanation, words: Words) -> str:
    """Of a case: where it stands."""
    if explanation.state is None:
        return ""
    said = [words.state.format(state=words.states[explanation.state])]
    if explanation.overdue_days:
        said.append(words.state_overdue.format(days=_days(explanation.overdue_days, words)))
    if explanation.next_routine_due:
        said.append(words.next_routine.format(day=explanation.next_routine_due))
    return words.comma.join(said)


def _otherwise(explanation: Explanation, words: Words) -> str:
    """Each change would have been enough by itself."""
    if not explanation.counterfactual:
        return ""
    changes = words.alternative.join(
        _change(each, explanation, words) for each in explanation.counterfactual
    )
    first = explanation.counterfactual[0].change
    usual = words.otherwise
    if explanation.action is Action.SATISFIED:
        usual = words.otherwise_satisfied
    return words.otherwise_of.get(first, usual).format(changes=changes)


def _change(change: Counterfactual, explanation: Explanation, words: Words) -> str:
    if change.change is ChangeKind.VALUE and change.scope is not None:
        return _value(change, change.scope, explanation, words)
    if change.change is ChangeKind.AGE_LIMIT:
        template = words.age_from if change.age_min else words.age_below
        return template.format(age=change.age_min or change.age_below, limit=change.limit)
    if change.change is ChangeKind.EARLIER and explanation.code is not None:
        template = words.any_of if len(change.days) > 1 else words.one_of
        days = template.format(days=words.enumeration.join(str(day) for day in change.days))
        return words.earlier_otherwise[explanation.code].format(days=days)
    if change.change is ChangeKind.ANSWERED:
        answers = words.conjunction.join(words.answers[answer] for answer in change.answers)
        return words.answered.format(by=change.by, answers=answers)
    if change.change is ChangeKind.NO_FINDING and explanation.code is AlertCode.COMPLICATION:
        return words.no_complication
    return words.records[change.change]


def _value(change: Counterfactual, scope: Scope, explanation: Explanation, words: Words) -> str:
    needed = words.needed[change.needed] if change.needed else ""
    if explanation.limit.sides[0][0] is Quantity.GLUCOSE:
        return words.glucose.format(needed=needed, limit=change.limit)
    crossing = explanation.action is Action.SATISFIED
    templates = words.values_to_cross if crossing else words.values
    return templates[scope].format(needed=needed, limit=change.limit)


def _basis(explanation: Explanation, words: Words) -> str:
    """Which version of which profile, and the source of the limit."""
    return words.basis.format(
        profile=explanation.profile,
        version=explanation.profile_version,
        since=explanation.profile_valid_from,
        source=explanation.limit.source,
    )
