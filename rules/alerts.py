"""The table of alerts: what raised each one, then what it looks like to those who get it.

Grounds come from events, from overdue days that an event answered, from overdue days still
open today, and from advisories. Nothing is decided here that the fold has not decided.

Source: clinical decision table 2.5; escalation: 2.4.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.advisories import Advisories
from rules.codes import AlertCode, AlertStatus, Severity
from rules.columns import DateArray, Int8Array, Int64Array, Readings
from rules.fold import Events, Lanes, Raised, overdue_code
from rules.judgement import Alerts
from rules.local_time import local_midnight
from rules.profile import Profile
from rules.runs import RowArray, stack_tables
from rules.sessions import Sessions

_ONE_DAY: Final = np.timedelta64(1, "D")
_OF_ONE_READING: Final = (
    AlertCode.BP_EMERGENCY,
    AlertCode.BP_PREG_HIGH,
    AlertCode.GLU_EMERGENCY_HIGH,
    AlertCode.GLU_EMERGENCY_LOW,
)
_OVERDUE_CODES: Final = (AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Why there is an alert, shape (g,) each. Anchors are rows of the sorted readings."""

    resident: Int64Array
    condition: Int8Array
    code: Int8Array
    status: Int8Array
    anchor: RowArray
    decided: RowArray  # First reading of the session or value that crossed the limit.
    due: DateArray
    until: DateArray  # Day to which overdue days are counted: of the answer, or today.


def collect_grounds(
    events: Events, lanes: Lanes, raised: Raised, advisories: Advisories, today: DateArray
) -> Grounds:
    """All grounds in one table, in no particular order.

    Args:
        events: What was folded.
        lanes: Where every case ended.
        raised: What each event raised and answered.
        advisories: Beside the cases.
        today: Shape (1,), the local day of the clock.
    """
    return stack_tables(
        [
            _of_events(events, lanes, raised),
            _of_answered(events, lanes, raised),
            _of_overdue(lanes, today),
            _of_advisories(advisories),
        ]
    )


def _of_events(events: Events, lanes: Lanes, raised: Raised) -> Grounds:
    rows = np.flatnonzero(raised.code)
    lane = events.lane[rows]
    return Grounds(
        resident=lanes.resident[lane],
        condition=lanes.condition[lane],
        code=raised.code[rows],
        status=raised.status[rows],
        anchor=events.anchor[rows],
        decided=events.decided[rows],
        due=raised.due[rows],
        until=raised.due[rows],
    )


def _of_answered(events: Events, lanes: Lanes, raised: Raised) -> Grounds:
    rows = np.flatnonzero(raised.overdue_code)
    lane = events.lane[rows]
    return Grounds(
        resident=lanes.resident[lane],
        condition=lanes.condition[lane],
        code=raised.overdue_code[rows],
        status=np.full(len(rows), AlertStatus.RESOLVED, dtype=np.int8),
        anchor=raised.overdue_anchor[rows],
        decided=raised.overdue_anchor[rows],
        due=raised.overdue_due[rows],
        until=events.day[rows],
    )


def _of_overdue(lanes: Lanes, today: DateArray) -> Grounds:
    rows = np.flatnonzero(lanes.due < today)
    return Grounds(
        resident=lanes.resident[rows],
        condition=lanes.condition[rows],
        code=overdue_code(lanes.state[rows]),
        status=np.full(len(rows), AlertStatus.ACTIVE, dtype=np.int8),
        anchor=lanes.anchor[rows],
        decided=lanes.anchor[rows],
        due=lanes.due[rows],
        until=np.repeat(today, len(rows)),
    )


def _of_advisories(advisories: Advisories) -> Grounds:
    no_day = np.full(len(advisories.code), np.datetime64("NaT"), dtype="datetime64[D]")
    return Grounds(
        resident=advisories.resident,
        condition=advisories.condition,
        code=advisories.code,
        status=advisories.status,
        anchor=advisories.anchor,
        decided=advisories.decided,
        due=no_day,
        until=no_day,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What each sorted row shows if it decides an alert, shape (n,): sums and their counts."""

    systolic_sum: Int64Array  # 1e-13 mmHg over ``count`` readings; MISSING unless a pressure.
    diastolic_sum: Int64Array
    count: Int64Array


def observe(ordered: Readings, sessions: Iterable[Sessions]) -> Observed:
    """A session's sums stand at its first reading, every other row speaks for itself."""
    found = Observed(
        systolic_sum=ordered.systolic_mmhg_e13.copy(),
        diastolic_sum=ordered.diastolic_mmhg_e13.copy(),
        count=np.ones(len(ordered), dtype=np.int64),
    )
    for each in sessions:
        found.systolic_sum[each.first] = each.systolic_sum
        found.diastolic_sum[each.first] = each.diastolic_sum
        found.count[each.first] = each.count
    return found


def list_alerts(
    grounds: Grounds, ordered: Readings, order: RowArray, profile: Profile, observed: Observed
) -> Alerts:
    """Alerts by (resident, condition, time of anchor, code), with severity, lateness, escalation.

    An alert is late when its reading became known more than 24 hours after the alert became
    true: the reading's own time, or for an overdue one the midnight after the due day.

    Args:
        grounds: From ``collect_grounds``.
        ordered: Readings in the order of ``order_in_time``.
        order: That order: from sorted rows to the caller's.
        profile: Severities, escalation days, lateness.
        observed: From ``observe``. An emergency is of one reading, whatever its session's mean.
    """
    rows = np.lexsort((grounds.code, grounds.anchor, grounds.condition, grounds.resident))
    code, due, anchor = grounds.code[rows], grounds.due[rows], grounds.anchor[rows]
    severity = _severity(code, profile)
    is_overdue = np.isin(code, _OVERDUE_CODES)
    missed_at = local_midnight(np.add(due, _ONE_DAY), profile.utc_offset)
    became_true = np.where(is_overdue, missed_at, ordered.effective_at[anchor])
    late = np.greater(ordered.received_at[anchor] - became_true, profile.timing.late_after)
    overdue_days = np.where(is_overdue, (grounds.until[rows] - due).astype(np.int64), 0)
    decided = grounds.decided[rows]
    alone = np.isin(code, _OF_ONE_READING)
    steps = np.array(profile.followup.escalation_days, dtype=np.int64)
    return Alerts(
        resident=grounds.resident[rows],
        condition=grounds.condition[rows],
        code=code,
        severity=severity,
        status=grounds.status[rows],
        anchor=order[anchor].astype(np.int64),
        decided=order[decided].astype(np.int64),
        systolic_sum=np.where(
            alone, ordered.systolic_mmhg_e13[decided], observed.systolic_sum[decided]
        ),
        diastolic_sum=np.where(
            alone, ordered.diastolic_mmhg_e13[decided], observed.diastolic_sum[decided]
        ),
        count=np.where(alone, 1, observed.count[decided]),
        due=due,
        page=(severity >= Severity.HIGH) & ~late,
        late=late,
        overdue_days=overdue_days,
        escalation=np.searchsorted(steps, overdue_days, side="right").astype(np.int64),
    )


def _severity(code: Int8Array, profile: Profile) -> Int8Array:
    table = np.zeros(max(AlertCode) + 1, dtype=np.int8)
    for each in AlertCode:
        table[each] = profile.severity(each)
    return table[code]
