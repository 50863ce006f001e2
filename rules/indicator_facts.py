"""What happened to residents, as indicators count it: from one judgement, in whole columns.

Who is managed is not known here (that follows from the register alone); everything else is:
visits, what follow-ups found, and what was owed. Nothing is judged again: whether a value was
under control the assessment says, what was owed and what answered it the alerts say.

Source: clinical decision table 1.3, 2.4; docs/indicators.md; docs/decisions/0011.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.codes import AlertCode, AlertStatus, Condition, RecordKind
from rules.columns import (
    BOTH_CONDITIONS,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
    Readings,
    Records,
    Residents,
)
from rules.indicator_catalogue import FollowUpKind
from rules.indicator_columns import (
    Examinations,
    Facts,
    Managed,
    Obligations,
    Outcomes,
    Visits,
)
from rules.judgement import Judgement
from rules.limits import ProfileTable, rows_as_column
from rules.local_time import local_date
from rules.moments import choose_rows
from rules.runs import begins_where, last_rows, number_runs, stack_tables

_SECOND_CODES: Final = (AlertCode.BP_UNSATISFIED_1, AlertCode.GLU_UNSATISFIED_1, AlertCode.ADR_1)
_REFERRAL_CODES: Final = (
    AlertCode.BP_EMERGENCY,
    AlertCode.BP_PREG_HIGH,
    AlertCode.GLU_EMERGENCY_HIGH,
    AlertCode.GLU_EMERGENCY_LOW,
    AlertCode.BP_UNSATISFIED_2,
    AlertCode.GLU_UNSATISFIED_2,
    AlertCode.ADR_2,
    AlertCode.COMPLICATION,
    AlertCode.SCREEN_HTN_SUSPECTED,
)
_BY_VALUE: Final = (AlertCode.BP_UNSATISFIED_1, AlertCode.GLU_UNSATISFIED_1)
_WORDS_THAT_ANSWER: Final = {
    FollowUpKind.SECOND: (RecordKind.VISIT, RecordKind.REFERRAL_FOLLOWUP, RecordKind.OVERRIDE),
    FollowUpKind.REFERRAL: (RecordKind.REFERRAL_FOLLOWUP, RecordKind.OVERRIDE),
}
"""A closure answers nothing, and what opens another referral does not follow up the first."""
_READING: Final = 0
_NAT: Final = np.datetime64("NaT", "D")


def collect_facts(
    judgement: Judgement,
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
) -> Facts:
    """Everything but who was managed and examined; persons are rows of ``residents``.

    Args:
        judgement: Of exactly these rows.
        readings: As they were judged.
        records: Likewise.
        residents: Likewise.
        limits: The profiles that judged.

    After a checkpoint outcomes, second and referral follow-ups of the past are not told again;
    visits and routine follow-ups are, since records are kept.
    """
    visits = _visits(records, limits)
    return Facts(
        managed=Managed.none(),
        visits=visits,
        examinations=Examinations.none(),
        outcomes=_outcomes(judgement, visits),
        obligations=merge_obligations(
            stack_tables(
                [
                    _of_alerts(judgement, readings, records, limits),
                    _of_routine(records, residents, limits),
                ]
            )
        ),
    )


def merge_obligations(owed: Obligations) -> Obligations:
    """What is due of one kind on one day is one follow-up, answered when all of it is."""
    order = np.lexsort((owed.answered, owed.due, owed.kind, owed.condition, owed.person))
    keys = (owed.person[order], owed.condition[order], owed.kind[order], owed.due[order])
    first, _ = number_runs(begins_where(*keys))
    rows = order[last_rows(first, len(order))]  # NaT sorts last: not all of it is answered.
    return Obligations(
        person=owed.person[rows],
        condition=owed.condition[rows],
        kind=owed.kind[rows],
        due=owed.due[rows],
        answered=owed.answered[rows],
    )


def _visits(records: Records, limits: ProfileTable) -> Visits:
    rows = np.flatnonzero(records.kind == RecordKind.VISIT)
    return Visits(
        person=records.resident[rows],
        condition=records.condition[rows],
        day=local_date(records.at[rows], limits.utc_offset),
        face_to_face=records.face_to_face[rows],
    )


def _outcomes(judgement: Judgement, visits: Visits) -> Outcomes:
    """Days with an assessment, and face-to-face days without one: nothing was measured then."""
    found = judgement.assessed
    person, condition, day = found.resident, found.condition, found.day
    measured = _keys(person, condition, day)
    parts = [(person, condition, day, found.controlled)]
    for each in Condition:
        mine = visits.face_to_face & np.isin(visits.condition, (BOTH_CONDITIONS, each))
        who, on = visits.person[mine], visits.day[mine]
        lane = np.full(len(who), each, np.int8)
        bare = ~np.isin(_keys(who, lane, on), measured)
        parts.append((who[bare], lane[bare], on[bare], np.zeros(int(bare.sum()), np.bool_)))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Outcomes(
        person=columns[0],
        condition=columns[1],
        day=columns[2],
        controlled=columns[3],
        lost=np.zeros(len(columns[0]), np.bool_),
    )


def _keys(person: Int64Array, condition: Int8Array, day: DateArray) -> Int64Array:
    """One number per (person, condition, day); days fit 24 bits until the year 47,000."""
    lane = person * np.int64(max(Condition) + 1) + condition
    return (lane << np.int64(24)) + day.astype(np.int64)


def _of_alerts(
    judgement: Judgement, readings: Readings, records: Records, limits: ProfileTable
) -> Obligations:
    """Second and referral follow-ups: what was asked for by a day, and what answered it."""
    alerts = judgement.alerts
    kind = np.zeros(len(alerts), np.int8)
    kind[np.isin(alerts.code, _SECOND_CODES)] = FollowUpKind.SECOND
    kind[np.isin(alerts.code, _REFERRAL_CODES)] = FollowUpKind.REFERRAL
    rows = np.flatnonzero((kind != 0) & ~np.isnat(alerts.due))
    kind, due, by = kind[rows], alerts.due[rows], alerts.resolved_by[rows]
    day, word = _ends(by, readings, records, limits)
    answers = (word == _READING) & np.isin(alerts.code[rows], _BY_VALUE)
    for each, words in _WORDS_THAT_ANSWER.items():
        answers |= (kind == each) & np.isin(word, words)
    answers &= by != alerts.anchor[rows]  # A visit does not follow up what it finds itself.
    ended = alerts.status[rows] != AlertStatus.ACTIVE
    owed = ~ended | answers | (day > due)  # Else it lost its ground before its due day.
    return Obligations(
        person=alerts.resident[rows][owed],
        condition=alerts.condition[rows][owed],
        kind=kind[owed],
        due=due[owed],
        answered=np.where(ended & answers, day, _NAT)[owed],
    )


def _ends(
    by: Int64Array, readings: Readings, records: Records, limits: ProfileTable
) -> tuple[DateArray, Int8Array]:
    """Local day and word (``RecordKind``, 0 for a reading) of what ended each; NaT: nothing."""
    at = np.concatenate((readings.effective_at, records.at, [np.datetime64("NaT", "us")]))
    word = np.concatenate((np.zeros(len(readings), np.int8), records.kind, np.zeros(1, np.int8)))
    place = np.where((by >= 0) & (by < len(at) - 1), by, len(at) - 1)
    return local_date(at, limits.utc_offset)[place], word[place]


@dataclass(frozen=True, slots=True)
class _Lane:
    """What began a routine anew, or ended it, in order of (resident, time); one condition."""

    resident: Int64Array
    day: DateArray
    kind: Int8Array  # ``RecordKind``; 0: the enrolment.

    def take(self, rows: BoolArray) -> "_Lane":
        return _Lane(self.resident[rows], self.day[rows], self.kind[rows])


def _of_routine(records: Records, residents: Residents, limits: ProfileTable) -> Obligations:
    """A visit is owed some days after the last one, the enrolment, the return, the diagnosis."""
    parts = []
    for condition, since in (
        (Condition.HYPERTENSION, residents.hypertension_since),
        (Condition.DIABETES, residents.diabetes_since),
    ):
        lane = _lane_of(condition, records, residents, limits)
        parts.append(_owed_in(lane, condition, since, residents, limits))
    return stack_tables(parts)


def _lane_of(
    condition: Condition, records: Records, residents: Residents, limits: ProfileTable
) -> _Lane:
    mine = np.isin(records.condition, (BOTH_CONDITIONS, condition))
    visits = mine & (records.kind == RecordKind.VISIT) & records.face_to_face
    closes = records.kind == RecordKind.CLOSURE
    returns = records.kind == RecordKind.RETURN
    said = np.flatnonzero(visits | closes | returns)
    enrolled = np.flatnonzero(~np.isnat(residents.enrolled_on))
    began = residents.enrolled_on[enrolled]
    resident = np.concatenate((enrolled.astype(np.int64), records.resident[said]))
    day = np.concatenate((began, local_date(records.at[said], limits.utc_offset)))
    at = np.concatenate((began.astype("datetime64[us]"), records.at[said] + limits.utc_offset))
    ids = np.concatenate((np.zeros(len(enrolled), "S16"), records.ids[said]))
    kind = np.concatenate((np.zeros(len(enrolled), np.int8), records.kind[said]))
    later = np.append(np.zeros(len(enrolled), np.bool_), np.ones(len(said), np.bool_))
    # The enrolment is what was before all; at one instant the smaller id comes first.
    order = np.lexsort((ids, at, later, resident))
    lane = _without_idle(_Lane(resident[order], day[order], kind[order]))
    # Until somebody returns, visits before the enrolment begin nothing.
    early = (lane.kind == RecordKind.VISIT) & (lane.day < residents.enrolled_on[lane.resident])
    return lane.take(~early | _has_returned(lane))


def _without_idle(lane: _Lane) -> _Lane:
    """Leave out what changes nothing: while closed all but a return, else a return."""
    returns, closes = lane.kind == RecordKind.RETURN, lane.kind == RecordKind.CLOSURE
    rows = np.arange(len(lane.kind))
    last = np.maximum.accumulate(np.where(returns | closes, rows, -1))
    last = np.append(-1, last)[: len(rows)]  # Of the rows before each.
    known = last >= 0
    known &= lane.resident[last] == lane.resident
    closed = known & closes[last]
    return lane.take(closed == returns)


def _has_returned(lane: _Lane) -> BoolArray:
    """Whether a return comes before each row."""
    rows = np.arange(len(lane.kind))
    last = np.maximum.accumulate(np.where(lane.kind == RecordKind.RETURN, rows, -1))
    returned: BoolArray = (last >= 0) & (lane.resident[last] == lane.resident)
    return returned


def _owed_in(
    lane: _Lane,
    condition: Condition,
    since: DateArray,
    residents: Residents,
    limits: ProfileTable,
) -> Obligations:
    resident, day = lane.resident, lane.day
    row = rows_as_column(choose_rows(limits, residents, resident, day), len(day))
    base = np.maximum(day, since[resident])  # NaT stays NaT: not diagnosed.
    due = base + limits.routine_overdue_days[row].astype("timedelta64[D]")
    follows = np.append(resident[1:] == resident[:-1], np.zeros(1, np.bool_))[: len(day)]
    next_day = np.where(follows, np.append(day[1:], _NAT)[: len(day)], _NAT)
    next_kind = np.append(lane.kind[1:], np.zeros(1, np.int8))[: len(day)]
    answered = follows & (next_kind == RecordKind.VISIT)
    lost = follows & ~answered & (next_day <= due)
    owed = (lane.kind != RecordKind.CLOSURE) & ~np.isnat(due) & ~lost
    return Obligations(
        person=resident[owed],
        condition=np.full(int(owed.sum()), condition, np.int8),
        kind=np.full(int(owed.sum()), FollowUpKind.ROUTINE, np.int8),
        due=due[owed],
        answered=np.where(answered, next_day, _NAT)[owed],
    )
