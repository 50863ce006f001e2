"""Why there is an alert, and why a case stands where it stands.

``explain_alert`` and ``explain_case`` give the structured record (``explanation.py``);
``sentence`` (``sentences.py``) puts it into Chinese or English. Nothing is judged here: what the
engine found is traced back to readings, records and the limits of a profile version.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np

from rules import machine
from rules.codes import AlertCode, AlertStatus, CaseState, Condition, Severity
from rules.columns import MEAL_FASTING
from rules.explain.counterfactuals import (
    answer_in_time,
    change_age,
    change_earlier,
    change_record,
    change_value,
)
from rules.explain.explanation import Answer, Counterfactual, Explanation, Moment, Side, UsedReading
from rules.explain.judged import Evidence, Judged
from rules.explain.measured import arms_text, difference_text, list_readings, mean_text, observed_by
from rules.explain.related import (
    FIRST_CODES,
    SCREEN_CODES,
    day_of,
    find_answered,
    find_awaited,
    find_earlier,
    find_resolution,
    moment_of,
)
from rules.explain.sides import compare_sides
from rules.explain.thresholds import LimitText, limit_of
from rules.local_time import age_on
from rules.machine import EMERGENCY_CODES, OWN_CODE, Action
from rules.profile import Profile

_OPENED_BY: Final = {
    AlertCode.FOLLOWUP_OVERDUE: frozenset(
        {*FIRST_CODES.values(), *SCREEN_CODES.values(), AlertCode.ADR_1}
    ),
    AlertCode.REFERRAL_FOLLOWUP_OVERDUE: EMERGENCY_CODES
    | {
        AlertCode.BP_UNSATISFIED_2,
        AlertCode.GLU_UNSATISFIED_2,
        AlertCode.SCREEN_HTN_SUSPECTED,
        AlertCode.ADR_2,
        AlertCode.COMPLICATION,
    },
}
_RULE_OF_RECHECK: Final = {
    AlertCode.SCREEN_BP_HIGH: "bp_screening.due_days",
    AlertCode.SCREEN_GLU_HIGH: "glucose_screening_fasting.due_days",
    AlertCode.SCREEN_HTN_SUSPECTED: "bp_screening.suspected.due_days",
}
_ANSWERS: Final[dict[AlertCode, tuple[Answer, ...]]] = {
    AlertCode.FOLLOWUP_OVERDUE: (),  # Depends on what is open.
    AlertCode.REFERRAL_FOLLOWUP_OVERDUE: (Answer.REFERRAL_FOLLOWUP,),
    AlertCode.ROUTINE_OVERDUE: (Answer.FACE_TO_FACE,),
}
_SOURCE_OF_CASES: Final = "Decision table 2.4 (D)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is to be explained."""

    resident: int
    condition: Condition
    code: AlertCode | None  # Whose limit applies; None: people decided.
    anchor: int
    decided: int
    profile: Profile
    due: date | None
    opened_by: AlertCode | None = None
    action: Action | None = None  # That raised no alert.


def explain_alert(judged: Judged, number: int) -> Explanation:
    """Why there is the alert in this row of ``judgement.alerts``.

    Raises:
        UnknownCodeError: It hangs on something that a checkpoint carried over.
    """
    alerts = judged.judgement.alerts
    subject = _Subject(
        resident=int(alerts.resident[number]),
        condition=Condition(int(alerts.condition[number])),
        code=AlertCode(int(alerts.code[number])),
        anchor=int(alerts.anchor[number]),
        decided=int(alerts.decided[number]),
        profile=judged.limits.profiles[alerts.row[number]],
        due=_day(alerts.due[number]),
    )
    return replace(
        _explain(judged, _trace_opener(judged, subject)),
        severity=Severity(int(alerts.severity[number])),
        status=AlertStatus(int(alerts.status[number])),
        resolved_by=find_resolution(judged, number),
        overdue_days=int(alerts.overdue_days[number]),
        escalation=int(alerts.escalation[number]),
    )


def explain_case(judged: Judged, number: int) -> Explanation:
    """Why the case in this row of ``judgement.cases`` last moved, and where it stands.

    Raises:
        UnknownCodeError: It hangs on something that a checkpoint carried over.
    """
    cases, alerts = judged.judgement.cases, judged.judgement.alerts
    action = Action(int(cases.cause[number]))
    resident, anchor = int(cases.resident[number]), int(cases.anchor[number])
    condition = Condition(int(cases.condition[number]))
    due = _day(cases.second_followup_due[number]) or _day(cases.referral_followup_due[number])
    hanging = {
        AlertCode(int(alerts.code[each])): each
        for each in judged.alerts_at(resident, condition, anchor)
    }
    raised = [hanging[code] for code in _raised_by(action, condition) if code in hanging]
    if raised:
        found = explain_alert(judged, raised[0])
    else:
        subject = _Subject(
            resident=resident,
            condition=condition,
            code=_code_of_quiet(action, condition),
            anchor=anchor,
            decided=int(cases.decided[number]),
            profile=judged.limits.profiles[cases.row[number]],
            due=due,
            action=action,
        )
        found = replace(_explain(judged, subject), code=None)
    missed = [each for code, each in hanging.items() if code in _OPENED_BY]
    missed = [each for each in missed if alerts.status[each] == AlertStatus.ACTIVE]
    return replace(
        found,
        action=action,
        state=CaseState(int(cases.state[number])),
        consecutive_unsatisfied=int(cases.consecutive_unsatisfied[number]),
        due=due,
        next_routine_due=_day(cases.next_routine_due[number]),
        overdue_days=int(alerts.overdue_days[missed[0]]) if missed else 0,
        escalation=int(alerts.escalation[missed[0]]) if missed else 0,
    )


def _raised_by(action: Action, condition: Condition) -> list[AlertCode]:
    """Codes that an action may have raised."""
    code = int(machine.RAISES[condition, action])
    if code == OWN_CODE:
        return sorted(EMERGENCY_CODES)
    return [AlertCode(code)] if code else []


def _code_of_quiet(action: Action, condition: Condition) -> AlertCode | None:
    """Whose limit an action without an alert is about; None: people decided."""
    return {
        Action.SATISFIED: FIRST_CODES[condition],
        Action.SCREENING_AGAIN: SCREEN_CODES[condition],
        Action.REACTION_ENDED: AlertCode.ADR_1,
    }.get(action)


def _trace_opener(judged: Judged, subject: _Subject) -> _Subject:
    """An overdue follow-up is explained by what opened it."""
    if subject.code not in _OPENED_BY:
        return subject
    alerts, anchor = judged.judgement.alerts, subject.anchor
    hanging = [
        number
        for number in judged.alerts_at(subject.resident, subject.condition, anchor)
        if alerts.code[number] in _OPENED_BY[subject.code]
    ]
    if hanging:
        opened_by = AlertCode(int(alerts.code[hanging[-1]]))
        return replace(subject, opened_by=opened_by, decided=int(alerts.decided[hanging[-1]]))
    if judged.record_row(anchor) >= 0:
        return subject
    again = SCREEN_CODES[subject.condition]  # A recheck that was high again raises no alert.
    return replace(subject, opened_by=again, decided=judged.deciding_row(anchor))


def _explain(judged: Judged, subject: _Subject) -> Explanation:
    evidence = _evidence(judged, subject)
    limit = _limit(judged, subject)
    code, profile = subject.code, subject.profile
    earlier: tuple[Moment, ...] = ()
    if code is not None and subject.action is None:
        earlier = find_earlier(judged, code, subject.condition, subject.anchor, profile)
    observed, mean = _shown(judged, subject, evidence)
    sides: tuple[Side, ...] = ()
    readings: tuple[UsedReading, ...] = ()
    if evidence is not None:
        sides = compare_sides(evidence, judged.readings, limit)
        both_arms = code is AlertCode.BP_INTERARM_DIFF
        readings = list_readings(judged, evidence, both_arms=both_arms)
    return Explanation(
        resident=subject.resident,
        condition=subject.condition,
        code=code,
        profile=profile.id,
        profile_version=profile.version,
        profile_valid_from=profile.valid_from,
        limit=limit,
        sides=sides,
        observed=observed,
        session_mean=mean,
        arms=() if evidence is None else arms_text(evidence),
        readings=readings,
        anchor=moment_of(judged, subject.anchor),
        decided=moment_of(judged, subject.decided),
        earlier=earlier,
        answered=find_answered(judged, subject.resident, subject.condition, subject.anchor),
        counterfactual=(
            *_changes(judged, subject, evidence, limit),
            *change_earlier(earlier),
        ),
        opened_by=subject.opened_by,
        due=subject.due,
    )


def _evidence(judged: Judged, subject: _Subject) -> Evidence | None:
    """The session or value that decided; None where a record did."""
    if judged.record_row(subject.decided) >= 0:
        return None
    alone = (subject.opened_by or subject.code) in EMERGENCY_CODES
    return judged.evidence(subject.decided, alone=alone)


def _shown(
    judged: Judged, subject: _Subject, evidence: Evidence | None
) -> tuple[str | None, str | None]:
    """What was observed, and the mean of the session where a session decided."""
    if evidence is None:
        return None, None
    if subject.code is AlertCode.BP_INTERARM_DIFF:
        return difference_text(evidence), None
    alone = evidence.mean is None or (subject.opened_by or subject.code) in EMERGENCY_CODES
    mean = None if alone or evidence.mean is None else mean_text(evidence.mean)
    return observed_by(judged, evidence), mean


def _limit(judged: Judged, subject: _Subject) -> LimitText:
    code, profile = subject.code, subject.profile
    if code is None:
        return _limit_of_record(profile, subject.action)
    if code in _OPENED_BY:
        return _limit_of_overdue(judged, subject, limit_of(profile, code))
    age, by_random = None, False
    if judged.record_row(subject.decided) < 0:
        age = _age(judged, subject)
        by_random = bool(judged.readings.meal_context[subject.decided] != MEAL_FASTING)
    return limit_of(profile, code, age=age, by_random=by_random)


def _age(judged: Judged, subject: _Subject) -> int:
    born = judged.residents.birth_date[subject.resident : subject.resident + 1]
    day = np.array([day_of(judged, subject.decided)], dtype="datetime64[D]")
    return int(age_on(born, day)[0])


def _limit_of_overdue(judged: Judged, subject: _Subject, limit: LimitText) -> LimitText:
    """The days that whatever opened the follow-up gave it."""
    if subject.due is None or subject.opened_by is None:
        return LimitText(threshold="by the day that a doctor set", source=_SOURCE_OF_CASES)
    days = (subject.due - day_of(judged, subject.anchor)).days
    opened = limit_of(subject.profile, subject.opened_by)
    found = replace(limit, threshold=f"within {days} days", days=days, times=opened.times)
    rule = _RULE_OF_RECHECK.get(subject.opened_by)
    return found if rule is None else replace(found, rule=rule, source=opened.source)


def _limit_of_record(profile: Profile, action: Action | None) -> LimitText:
    if action is Action.REFERRAL_FOLLOWED_UP:
        days = profile.followup.routine_days
        return LimitText(
            threshold=f"referral follow-up recorded; next visit within {days} days",
            source=profile.followup.source,
            rule="followup.routine_days",
            days=days,
        )
    closed = action is Action.CLOSED
    threshold = "death, move or end of contract recorded" if closed else "decision of a doctor"
    return LimitText(threshold=threshold, source=_SOURCE_OF_CASES)


def _changes(
    judged: Judged, subject: _Subject, evidence: Evidence | None, limit: LimitText
) -> tuple[Counterfactual, ...]:
    code, due = subject.code, subject.due
    if code is not None and due is not None and code in _ANSWERS:
        awaited = _ANSWERS[code] or find_awaited(
            judged,
            subject.resident,
            subject.condition,
            due,
            anchor=subject.anchor,
            opened_by=subject.opened_by,
        )
        return answer_in_time(awaited, due)
    changes = change_record(code, subject.action)
    if code is None or evidence is None:
        return changes
    satisfied = subject.action is Action.SATISFIED
    return (
        *change_value(limit, evidence, satisfied=satisfied),
        *change_age(subject.profile, code, limit, evidence, judged.readings),
        *changes,
    )


def _day(value: Any) -> date | None:  # noqa: ANN401 - a scalar of numpy, NaT becomes None
    found: date | None = value.item()
    return found
