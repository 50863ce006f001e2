"""The case machine, folded over time for all residents at once.

A *lane* is one resident's one condition. Step k applies the k-th event of every lane; a lane
has at most one event in a step, so a step is plain column arithmetic. Events are emergencies
and assessments in effective-time order; visits, referral follow-ups and overrides will be
further kinds. Overdue states are never stored here: they follow from the due date and the day
that is asked about, so time needs no event of its own.

Source: clinical decision table 2.4, 2.5; screening: architecture section 8, item 11.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.assessments import Assessments, Verdict
from rules.codes import NO_ALERT, AlertCode, AlertStatus, CaseState, Condition
from rules.columns import BoolArray, DateArray, InstantArray, Int8Array, Int64Array, Readings
from rules.profile import Profile, Screening
from rules.runs import RowArray, begins_where, number_runs, steps_by_rank

_NO_EVENT: Final = -1
_NO_DAY: Final = np.datetime64("NaT", "D")
_LATER_KIND: Final = 2  # Two events can share a row: the emergency comes first.


class EventKind(IntEnum):
    """What happens to a case. The verdicts of ``assessments`` keep their numbers."""

    SATISFIED = Verdict.SATISFIED
    UNSATISFIED = Verdict.UNSATISFIED
    NORMAL = Verdict.NORMAL
    HIGH = Verdict.HIGH
    EMERGENCY = 5


# Each lane has two emergency codes, each with its own repeat window: these are the second ones.
_SECOND_SLOT: Final = (AlertCode.BP_PREG_HIGH, AlertCode.GLU_EMERGENCY_LOW)
_PRESSURE_CODES: Final = (AlertCode.BP_EMERGENCY, AlertCode.BP_PREG_HIGH)
_REFERRAL_STATES: Final = [
    CaseState.REFERRAL_RECOMMENDED,
    CaseState.EMERGENCY_REFERRAL,
    CaseState.SCREENING_REFERRAL,
]
IS_REFERRAL: Final[BoolArray] = np.isin(np.arange(max(CaseState) + 1), _REFERRAL_STATES)
"""By state: a referral is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Shape (e,) each, ordered by lane, then time. Rows of the sorted readings."""

    lane: RowArray
    rank: RowArray  # 0, 1, 2 ... inside the lane.
    kind: Int8Array
    code: Int8Array  # Of an emergency, else 0.
    anchor: RowArray
    decided: RowArray  # First reading of the session or value that decided.
    at: InstantArray  # Of the anchor.
    day: DateArray  # Of the anchor: gives due dates.
    decided_day: DateArray
    emergency: BoolArray  # An assessment with an emergency among its readings.


@dataclass(slots=True, kw_only=True)
class Lanes:
    """State of every lane, shape (l,) each: all that the past means for the future."""

    resident: Int64Array
    condition: Int8Array
    state: Int8Array
    unsatisfied: Int64Array  # In a row.
    due: DateArray  # Of the open second follow-up, recheck or referral.
    routine: DateArray
    anchor: RowArray  # Reading that last moved the case, -1.
    first_alert: RowArray  # Event of the active _1 alert, -1; the next two likewise.
    screen_alert: RowArray
    suspected_alert: RowArray
    emergency_alert: RowArray  # Shape (l, 2), by slot.
    emergency_at: InstantArray  # Shape (l, 2): last one raised.
    high_day: DateArray  # Latest local day with a high value, while screening.
    high_day_before: DateArray


@dataclass(slots=True, kw_only=True)
class Raised:
    """What each event raised, shape (e,) each: its own alert, and an overdue one it answered."""

    code: Int8Array
    status: Int8Array
    due: DateArray
    overdue_code: Int8Array
    overdue_anchor: RowArray
    overdue_due: DateArray


def order_events(
    assessed: Assessments, emergency: Int8Array, ordered: Readings, day: DateArray
) -> tuple[Events, Lanes]:
    """Put emergencies and assessments of each lane in time order, with fresh lane states."""
    urgent = np.flatnonzero(emergency != NO_ALERT)
    code = emergency[urgent]
    is_pressure = np.isin(code, _PRESSURE_CODES)
    of_urgent = np.where(is_pressure, Condition.HYPERTENSION, Condition.DIABETES)
    condition = np.concatenate((assessed.condition, of_urgent.astype(np.int8)))
    resident = np.concatenate((assessed.resident, ordered.resident[urgent]))
    place = np.concatenate((assessed.placed * _LATER_KIND + 1, urgent * _LATER_KIND))
    order = np.argsort(condition * np.int64(_LATER_KIND * (len(ordered) + 1)) + place)

    def together(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate((one, other))[order]

    resident, condition = resident[order], condition[order]
    first, lane = number_runs(begins_where(condition, resident))
    anchor = together(assessed.anchor, urgent)
    events = Events(
        lane=lane,
        rank=np.arange(len(order)) - first[lane],
        kind=together(assessed.verdict, np.full(len(urgent), EventKind.EMERGENCY, dtype=np.int8)),
        code=together(np.full(len(assessed.anchor), NO_ALERT, dtype=np.int8), code),
        anchor=anchor,
        decided=together(assessed.decided, urgent),
        at=ordered.effective_at[anchor],
        day=day[anchor],
        decided_day=day[together(assessed.decided, urgent)],
        emergency=together(assessed.emergency, np.ones(len(urgent), dtype=np.bool_)),
    )
    return events, _fresh_lanes(resident[first], condition[first])


def _fresh_lanes(resident: Int64Array, condition: Int8Array) -> Lanes:
    lanes = len(resident)

    def no_day() -> DateArray:
        return np.full(lanes, _NO_DAY, dtype="datetime64[D]")

    def no_event() -> RowArray:
        return np.full(lanes, _NO_EVENT, dtype=np.intp)

    return Lanes(
        resident=resident,
        condition=condition,
        state=np.full(lanes, CaseState.NONE, dtype=np.int8),
        unsatisfied=np.zeros(lanes, dtype=np.int64),
        due=no_day(),
        routine=no_day(),
        anchor=no_event(),
        first_alert=no_event(),
        screen_alert=no_event(),
        suspected_alert=no_event(),
        emergency_alert=np.full((lanes, 2), _NO_EVENT, dtype=np.intp),
        emergency_at=np.full((lanes, 2), np.datetime64("NaT"), dtype="datetime64[us]"),
        high_day=no_day(),
        high_day_before=no_day(),
    )


def fold(events: Events, lanes: Lanes, profile: Profile) -> Raised:
    """Apply all events; ``lanes`` is moved to its final state in place.

    Cost: as many steps as the busiest lane has events, each over all lanes that have one.
    """
    rows = len(events.lane)
    raised = Raised(
        code=np.full(rows, NO_ALERT, dtype=np.int8),
        status=np.full(rows, AlertStatus.ACTIVE, dtype=np.int8),
        due=np.full(rows, _NO_DAY, dtype="datetime64[D]"),
        overdue_code=np.full(rows, NO_ALERT, dtype=np.int8),
        overdue_anchor=np.full(rows, _NO_EVENT, dtype=np.intp),
        overdue_due=np.full(rows, _NO_DAY, dtype="datetime64[D]"),
    )
    machine = _Machine(events, lanes, raised, profile)
    for step in steps_by_rank(events.rank):
        machine.apply(step)
    return raised


class _Machine:
    """The transitions. ``event`` arguments hold at most one event of any lane."""

    def __init__(self, events: Events, lanes: Lanes, raised: Raised, profile: Profile) -> None:
        self.events, self.lanes, self.raised, self.profile = events, lanes, raised, profile

    def apply(self, event: RowArray) -> None:
        """One step: each event meets the handler of its kind."""
        kind = self.events.kind[event]
        for mine, handle in (
            (kind == EventKind.EMERGENCY, self._refer_at_once),
            (kind == EventKind.SATISFIED, self._satisfy),
            (kind == EventKind.UNSATISFIED, self._escalate),
            (kind == EventKind.NORMAL, self._end_screening),
            (kind == EventKind.HIGH, self._screen),
        ):
            if mine.any():
                handle(event[mine])

    def _refer_at_once(self, event: RowArray) -> None:
        """Any state → emergency_referral, unless the same code was raised within four hours."""
        lanes, events = self.lanes, self.events
        slot = self._slot(event)
        since = events.at[event] - lanes.emergency_at[events.lane[event], slot]
        fresh = ~(since <= self.profile.timing.emergency_repeat)  # NaT compares False.
        event, slot = event[fresh], slot[fresh]
        lane = events.lane[event]
        self._answer_overdue(event)
        self._resolve(lanes.first_alert, lane)
        earlier = lanes.emergency_alert[lane, slot]
        self.raised.status[earlier[earlier != _NO_EVENT]] = AlertStatus.RESOLVED
        lanes.emergency_alert[lane, slot] = event
        lanes.emergency_at[lane, slot] = events.at[event]
        days = self.profile.followup.referral_days
        self._open(event, CaseState.EMERGENCY_REFERRAL, events.code[event], days)

    def _satisfy(self, event: RowArray) -> None:
        """Satisfied → controlled; under an open referral only the count goes back to 0."""
        self._leave_screening(event)
        self.lanes.unsatisfied[self.events.lane[event]] = 0
        event = event[~self._is_referred(event)]
        lane = self.events.lane[event]
        self._answer_overdue(event)
        self._resolve(self.lanes.first_alert, lane)
        self.lanes.state[lane] = CaseState.CONTROLLED
        self.lanes.due[lane] = _NO_DAY
        self.lanes.routine[lane] = self.events.day[event] + self.profile.followup.routine_days
        self.lanes.anchor[lane] = self.events.anchor[event]

    def _escalate(self, event: RowArray) -> None:
        """Unsatisfied: second follow-up, and the next time in a row referral.

        Under an open referral nothing is raised and the count is kept, except that the
        assessment which holds the emergency itself still counts one.
        """
        self._leave_screening(event)
        lanes, events, policy = self.lanes, self.events, self.profile.followup
        referred = self._is_referred(event)
        counts = event[~referred | events.emergency[event]]
        lanes.unsatisfied[events.lane[counts]] += 1
        event = event[~referred]
        self._answer_overdue(event)
        self._resolve(lanes.first_alert, events.lane[event])
        lane = events.lane[event]
        again = lanes.unsatisfied[lane] >= policy.unsatisfied_for_referral
        pressure = lanes.condition[lane] == Condition.HYPERTENSION
        second = np.where(pressure, AlertCode.BP_UNSATISFIED_2, AlertCode.GLU_UNSATISFIED_2)
        first = np.where(pressure, AlertCode.BP_UNSATISFIED_1, AlertCode.GLU_UNSATISFIED_1)
        state = CaseState.REFERRAL_RECOMMENDED
        self._open(event[again], state, second[again], policy.referral_days)
        state = CaseState.SECOND_FOLLOWUP_OPEN
        self._open(event[~again], state, first[~again], policy.second_days)
        lanes.first_alert[lane[~again]] = event[~again]

    def _end_screening(self, event: RowArray) -> None:
        """Normal on a later local day than the last high: no longer screening, count 0."""
        lanes, events = self.lanes, self.events
        event = event[events.decided_day[event] > lanes.high_day[events.lane[event]]]
        lane = events.lane[event]
        self._resolve(lanes.screen_alert, lane)
        lanes.high_day[lane] = lanes.high_day_before[lane] = _NO_DAY
        event = event[~self._is_referred(event)]
        lane = events.lane[event]
        self._answer_overdue(event)
        lanes.state[lane] = CaseState.NONE
        lanes.due[lane] = _NO_DAY
        lanes.anchor[lane] = _NO_EVENT

    def _screen(self, event: RowArray) -> None:
        """High without a diagnosis; on the third local day within the window: suspected.

        A high on a further day is the recheck that was asked for: it answers an overdue one,
        and asks for the next within the same number of days.
        """
        lanes, events = self.lanes, self.events
        event = event[~self._is_referred(event)]
        known = lanes.high_day[events.lane[event]]
        event = event[np.isnat(known) | (events.decided_day[event] > known)]
        self._answer_overdue(event)
        pressure = lanes.condition[events.lane[event]] == Condition.HYPERTENSION
        for mine, rule, code in (
            (pressure, self.profile.bp_screening, AlertCode.SCREEN_BP_HIGH),
            (~pressure, self.profile.glucose_screening, AlertCode.SCREEN_GLU_HIGH),
        ):
            self._screen_by(event[mine], rule, code)

    def _screen_by(self, event: RowArray, rule: Screening, code: AlertCode) -> None:
        lanes, events = self.lanes, self.events
        lane = events.lane[event]
        is_first = np.isnat(lanes.high_day[lane])
        third = np.zeros(len(event), dtype=np.bool_)
        if rule.suspected is not None:
            apart = events.decided_day[event] - lanes.high_day_before[lane]
            third = apart <= np.timedelta64(rule.suspected.within_days, "D")
            suspected = AlertCode.SCREEN_HTN_SUSPECTED
            days = rule.suspected.due_days
            self._open(event[third], CaseState.SCREENING_REFERRAL, suspected, days)
            lanes.suspected_alert[lane[third]] = event[third]
        lanes.high_day_before[lane] = lanes.high_day[lane]
        lanes.high_day[lane] = events.decided_day[event]
        self._open(event[is_first], CaseState.SCREENING, code, rule.due_days)
        lanes.screen_alert[lane[is_first]] = event[is_first]
        again = ~is_first & ~third
        self._open(event[again], CaseState.SCREENING, NO_ALERT, rule.due_days)

    def _leave_screening(self, event: RowArray) -> None:
        """A diagnosed assessment ends what screening began; the case is the condition's now."""
        lanes = self.lanes
        lane = self.events.lane[event]
        self._resolve(lanes.screen_alert, lane)
        self._resolve(lanes.suspected_alert, lane)
        lanes.high_day[lane] = lanes.high_day_before[lane] = _NO_DAY
        screened = np.isin(lanes.state[lane], (CaseState.SCREENING, CaseState.SCREENING_REFERRAL))
        self._answer_overdue(event[screened])
        lanes.state[lane[screened]] = CaseState.NONE
        lanes.due[lane[screened]] = _NO_DAY

    def _open(
        self, event: RowArray, state: CaseState, code: Int8Array | int, days: int | None
    ) -> None:
        """Raise ``code`` (0: nothing) and move the case, due ``days`` after the anchor's day."""
        lane = self.events.lane[event]
        due = self.events.day[event] + days if days is not None else _NO_DAY
        self.raised.code[event] = code
        self.raised.due[event] = due
        self.lanes.state[lane] = state
        self.lanes.due[lane] = due
        self.lanes.routine[lane] = _NO_DAY
        self.lanes.anchor[lane] = self.events.anchor[event]

    def _answer_overdue(self, event: RowArray) -> None:
        """Where the due day had passed, record the overdue alert that this event resolves."""
        lane = self.events.lane[event]
        missed = self.lanes.due[lane] < self.events.day[event]
        event, lane = event[missed], lane[missed]
        self.raised.overdue_code[event] = overdue_code(self.lanes.state[lane])
        self.raised.overdue_anchor[event] = self.lanes.anchor[lane]
        self.raised.overdue_due[event] = self.lanes.due[lane]

    def _resolve(self, alert: RowArray, lane: RowArray) -> None:
        event = alert[lane]
        self.raised.status[event[event != _NO_EVENT]] = AlertStatus.RESOLVED
        alert[lane] = _NO_EVENT

    def _is_referred(self, event: RowArray) -> BoolArray:
        return IS_REFERRAL[self.lanes.state[self.events.lane[event]]]

    def _slot(self, event: RowArray) -> RowArray:
        slot: RowArray = np.isin(self.events.code[event], _SECOND_SLOT).astype(np.intp)
        return slot


def overdue_code(state: Int8Array) -> Int8Array:
    """Which overdue alert a missed due day means in each state."""
    referred = IS_REFERRAL[state]
    code = np.where(referred, AlertCode.REFERRAL_FOLLOWUP_OVERDUE, AlertCode.FOLLOWUP_OVERDUE)
    return code.astype(np.int8)
