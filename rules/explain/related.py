"""What an alert hangs together with: what came before, what it answered, what answered it."""

from datetime import date, timedelta
from typing import Final

import numpy as np

from rules.codes import AlertCode, CaseState, ClosureReason, Condition, RecordKind
from rules.columns import BOTH_CONDITIONS, KIND_BLOOD_PRESSURE, SETTING_OFFICE
from rules.explain.explanation import Answer, Answered, Happening, Moment
from rules.explain.judged import Judged
from rules.explain.measured import observed_by
from rules.explain.sides import compare_sides
from rules.explain.thresholds import limit_of
from rules.local_time import local_date, local_midnight
from rules.machine import EMERGENCY_CODES
from rules.moments import choose_rows
from rules.profile import Profile

FIRST_CODES: Final = {
    Condition.HYPERTENSION: AlertCode.BP_UNSATISFIED_1,
    Condition.DIABETES: AlertCode.GLU_UNSATISFIED_1,
}
SCREEN_CODES: Final = {
    Condition.HYPERTENSION: AlertCode.SCREEN_BP_HIGH,
    Condition.DIABETES: AlertCode.SCREEN_GLU_HIGH,
}
_SECOND_CODES: Final = (AlertCode.BP_UNSATISFIED_2, AlertCode.GLU_UNSATISFIED_2)
_OVERDUE_CODES: Final = (AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)
_ASKED: Final = (CaseState.SECOND_FOLLOWUP_OPEN, CaseState.SECOND_FOLLOWUP_OVERDUE)
_ENDED_BY_EMERGENCY: Final = frozenset(
    {*EMERGENCY_CODES, *FIRST_CODES.values(), AlertCode.ADR_1, *_OVERDUE_CODES}
)
_OF_RECORD: Final = {
    RecordKind.VISIT: Happening.VISIT,
    RecordKind.REFERRAL_FOLLOWUP: Happening.REFERRAL_FOLLOWUP,
    RecordKind.OVERRIDE: Happening.OVERRIDE,
    RecordKind.CLOSURE: Happening.CLOSURE,
    RecordKind.RETURN: Happening.RETURN,
    RecordKind.RESCHEDULE: Happening.RESCHEDULE,
}


def day_of(judged: Judged, anchor: int) -> date:
    """Local day of an anchor."""
    at = np.array([judged.at(anchor)], dtype="datetime64[us]")
    day: date = local_date(at, judged.limits.utc_offset)[0].item()
    return day


def moment_of(
    judged: Judged,
    anchor: int,
    what: Happening = Happening.READING,
    *,
    observed: str | None = None,
) -> Moment:
    """An anchor as something that happened; ``what`` says what a reading was."""
    record, resident = judged.record_row(anchor), judged.resident_row(anchor)
    reason = None
    if resident >= 0:
        what = Happening.ENROLMENT
    elif record >= 0:
        what = _OF_RECORD[RecordKind(int(judged.records.kind[record]))]
        if what is Happening.CLOSURE and judged.records.reason[record]:
            reason = ClosureReason(int(judged.records.reason[record]))
    return Moment(
        what=what,
        id=judged.id_of(anchor),
        on=day_of(judged, anchor),
        observed=observed,
        reason=reason,
    )


def assessment_of(judged: Judged, anchor: int) -> Moment:
    """The assessment that an anchor began, on the day and with the value that decided it."""
    decided = judged.deciding_row(anchor)
    evidence = judged.evidence(decided, alone=False)
    return Moment(
        what=Happening.ASSESSMENT,
        id=judged.id_of(anchor),
        on=day_of(judged, decided),
        observed=observed_by(judged, evidence),
    )


def find_earlier(
    judged: Judged, code: AlertCode, condition: Condition, anchor: int, profile: Profile
) -> tuple[Moment, ...]:
    """The earlier ones that made this the second in a row, or the third day; latest first."""
    if code is AlertCode.ADR_2:
        visits = profile.followup.adverse_reactions_for_referral - 1
        return _visits_before(judged, condition, anchor, visits)
    if code is AlertCode.SCREEN_HTN_SUSPECTED and profile.bp_screening.suspected is not None:
        return _high_days_before(judged, anchor, profile.bp_screening.suspected.days_high - 1)
    if code not in _SECOND_CODES:
        return ()
    resident = int(judged.readings.resident[anchor])
    alerts = judged.judgement.alerts
    return tuple(
        assessment_of(judged, int(alerts.anchor[number]))
        for number in judged.answered_by(resident, condition, anchor)
        if alerts.code[number] == FIRST_CODES[condition]
    )


def _visits_before(
    judged: Judged, condition: Condition, anchor: int, many: int
) -> tuple[Moment, ...]:
    records, record = judged.records, judged.record_row(anchor)
    everything = judged.records_of(int(records.resident[record]))
    visits = [
        row
        for row in everything[: everything.index(record)]
        if records.kind[row] == RecordKind.VISIT
        and records.condition[row] in (BOTH_CONDITIONS, condition)
    ]
    return tuple(moment_of(judged, len(judged.readings) + row) for row in visits[::-1][:many])


def _high_days_before(judged: Judged, anchor: int, many: int) -> tuple[Moment, ...]:
    """Assessments that were high on other local days, the latest of each day."""
    days = {day_of(judged, judged.deciding_row(anchor))}
    found: list[Moment] = []
    for earlier in judged.assessed_before(anchor):
        if len(found) == many:
            break
        assessment = assessment_of(judged, earlier)
        if assessment.on not in days and _is_high(judged, earlier):
            days.add(assessment.on)
            found.append(assessment)
    return tuple(found)


def _is_high(judged: Judged, anchor: int) -> bool:
    readings, row = judged.readings, judged.deciding_row(anchor)
    if readings.kind[row] != KIND_BLOOD_PRESSURE or readings.setting[row] != SETTING_OFFICE:
        return False
    limit = limit_of(profile_on(judged, row), AlertCode.SCREEN_BP_HIGH)
    sides = compare_sides(judged.evidence(row, alone=False), readings, limit)
    return any(side.crossed for side in sides)


def profile_on(judged: Judged, row: int) -> Profile:
    """The profile that judges a reading's assessment."""
    day = local_date(judged.readings.effective_at[row : row + 1], judged.limits.utc_offset)
    resident = judged.readings.resident[row : row + 1]
    chosen = choose_rows(judged.limits, judged.residents, resident, day)
    return judged.limits.profiles[chosen if isinstance(chosen, int) else int(chosen[0])]


def find_answered(
    judged: Judged, resident: int, condition: Condition, anchor: int
) -> tuple[Answered, ...]:
    """The alerts that the event of this anchor resolved."""
    alerts = judged.judgement.alerts
    return tuple(
        Answered(
            code=AlertCode(int(alerts.code[number])),
            on=day_of(judged, int(alerts.anchor[number])),
        )
        for number in judged.answered_by(resident, condition, anchor)
    )


def find_resolution(judged: Judged, number: int) -> Moment | None:
    """What resolved an alert; None while it is active.

    An emergency among the readings of an assessment comes before the assessment, so it was the
    emergency wherever one can resolve that code.
    """
    alerts = judged.judgement.alerts
    answer, code = int(alerts.resolved_by[number]), AlertCode(int(alerts.code[number]))
    if answer < 0:
        return None
    if judged.record_row(answer) >= 0:
        return moment_of(judged, answer)
    case = int(alerts.resident[number]), int(alerts.condition[number])
    urgent = any(alerts.code[each] in EMERGENCY_CODES for each in judged.alerts_at(*case, answer))
    if urgent and code in _ENDED_BY_EMERGENCY:
        alone = judged.evidence(answer, alone=True)
        observed = observed_by(judged, alone)
        return moment_of(judged, answer, Happening.EMERGENCY, observed=observed)
    if code is AlertCode.BP_INTERARM_DIFF:  # Its assessments compare arms.
        return moment_of(judged, answer, Happening.ASSESSMENT)
    return assessment_of(judged, answer)


def find_awaited(
    judged: Judged,
    resident: int,
    condition: Condition,
    due: date,
    *,
    anchor: int,
    opened_by: AlertCode | None,
) -> tuple[Answer, ...]:
    """What a second follow-up or a recheck still waited for at the end of its due day.

    A second follow-up waits for an assessment where a value or a doctor asked for it, and for a
    visit where an adverse reaction did. A doctor who sets another open state asks for neither.
    """
    asked = CaseState.NONE
    if opened_by is None:
        asked = CaseState(int(judged.records.state[judged.record_row(anchor)]))
    if opened_by is SCREEN_CODES[condition] or asked is CaseState.SCREENING:
        return (Answer.RECHECK,)
    next_day = np.array([due + timedelta(days=1)], dtype="datetime64[D]")
    end = local_midnight(next_day, judged.limits.utc_offset)[0]
    overridden = _last_override(judged, resident, condition, end)
    by_doctor = overridden is not None and overridden[1] in _ASKED
    waits = [
        answer
        for code, answer in (
            (FIRST_CODES[condition], Answer.ASSESSMENT),
            (AlertCode.ADR_1, Answer.VISIT),
        )
        if _is_open(judged, (resident, condition, code), end, overridden)
    ]
    if by_doctor and Answer.ASSESSMENT not in waits:
        waits.insert(0, Answer.ASSESSMENT)
    return tuple(waits)


def _last_override(
    judged: Judged, resident: int, condition: Condition, end: np.datetime64
) -> tuple[np.datetime64, CaseState] | None:
    """When a doctor last set the state before an instant, and which."""
    records = judged.records
    for row in reversed(judged.records_of(resident)):
        is_override = records.kind[row] == RecordKind.OVERRIDE
        if is_override and records.condition[row] == condition and records.at[row] < end:
            return records.at[row], CaseState(int(records.state[row]))
    return None


def _is_open(
    judged: Judged,
    raised: tuple[int, Condition, AlertCode],
    end: np.datetime64,
    overridden: tuple[np.datetime64, CaseState] | None,
) -> bool:
    """Whether the latest alert of a code still kept a second follow-up open at an instant."""
    alerts = judged.judgement.alerts
    number = judged.last_raised(*raised, end)
    if number is None:
        return False
    answer = int(alerts.resolved_by[number])
    if answer >= 0 and judged.at(answer) < end:
        return False
    if overridden is None or overridden[1] in _ASKED:
        return True
    return bool(judged.at(int(alerts.anchor[number])) > overridden[0])
