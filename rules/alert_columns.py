"""From the grounds of alerts to what people get: severity, lateness, escalation, what was seen.

Source: clinical decision table 2.5; escalation: 2.4.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.alerts import Grounds, Told
from rules.codes import AlertCode, AlertStatus, Condition, Severity
from rules.columns import MISSING, BoolArray, DateArray, Int8Array, Int64Array, Readings
from rules.judgement import Alerts
from rules.lanes import NEVER
from rules.limits import ProfileTable
from rules.local_time import local_midnight
from rules.runs import RowArray
from rules.sessions import Sessions

_OVERDUE_CODES: Final = (AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)
_IS_OVERDUE: Final = np.isin(np.arange(max(AlertCode) + 1), _OVERDUE_CODES)
_IS_TIMED: Final = np.isin(
    np.arange(max(AlertCode) + 1), (*_OVERDUE_CODES, AlertCode.ROUTINE_OVERDUE)
)
"""By alert code: time alone raises it."""


def as_dates(days: Int64Array) -> DateArray:
    """Days since 1970 as dates, NEVER as NaT."""
    dates = days.astype("datetime64[D]")
    dates[days >= NEVER] = np.datetime64("NaT")
    return dates


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
    grounds: Grounds, told: Told, ordered: Readings, observed: Observed, limits: ProfileTable
) -> Alerts:
    """Alerts by (resident, condition, anchor, code); anchors are still moments of the block.

    An alert is late when its ground became known more than 24 hours after it became true: the
    anchor's own time, or for an overdue one the midnight after the due day.

    Args:
        grounds: From ``collect_grounds``.
        told: What anchors point at, and what a checkpoint carried over.
        ordered: Readings in the order of ``sort_in_time``.
        observed: From ``observe``. An emergency is of one reading, whatever its session's mean.
        limits: Severities, escalation days, lateness.
    """
    moments = told.moments
    lane = grounds.resident * (max(Condition) + 1) + grounds.condition
    place = (lane * (len(moments) + 1) + grounds.anchor) * (max(AlertCode) + 1)
    rows = np.argsort(place + grounds.code, kind="stable")
    code, anchor, decided = grounds.code[rows], grounds.anchor[rows], grounds.decided[rows]
    due = as_dates(grounds.due[rows])
    row = np.where(grounds.urgent[rows], moments.urgent_row[decided], moments.row[decided])
    severity = _severity(code, grounds.by_random[rows], row, limits)
    timed = _IS_TIMED.take(code)
    missed_at = local_midnight(np.add(due, np.timedelta64(1, "D")), limits.utc_offset)
    became_true = np.where(timed, missed_at, moments.at[anchor])
    known = np.maximum(moments.received_at[anchor], moments.received_at[decided])
    late_after = limits.late_after_us[row].astype("timedelta64[us]")
    late = np.greater(known - became_true, late_after)
    overdue_days = np.where(timed, grounds.until[rows] - grounds.due[rows], 0)
    resolved_by = grounds.resolved_by[rows]
    status = np.where(resolved_by >= 0, AlertStatus.RESOLVED, AlertStatus.ACTIVE)
    return Alerts(
        resident=grounds.resident[rows],
        condition=grounds.condition[rows],
        code=code,
        severity=severity,
        status=status.astype(np.int8),
        anchor=anchor.astype(np.int64),
        decided=decided.astype(np.int64),
        **show_grounds(grounds, rows, told, ordered, observed),
        due=due,
        became_true_at=became_true,
        page=(severity >= Severity.HIGH) & ~late,
        late=late,
        overdue_days=overdue_days,
        escalation=_escalate(np.where(_IS_OVERDUE.take(code), overdue_days, 0), row, limits),
        row=row,
        resolved_by=resolved_by.astype(np.int64),
    )


def show_grounds(
    grounds: Grounds, rows: RowArray, told: Told, ordered: Readings, observed: Observed
) -> dict[str, Any]:
    """What the alert of each of these grounds showed: of this history, or as a checkpoint kept."""
    decided = grounds.decided[rows]
    shown = show(grounds.urgent[rows], decided, ordered, observed)
    past = decided - (len(told.moments) - len(told.carried.moments))
    old = np.flatnonzero(past >= 0)
    carried = grounds.carried[rows]
    kept = np.flatnonzero(carried >= 0)
    for name, column in shown.items():
        column[old] = getattr(told.carried.shown, name)[past[old]]
        column[kept] = getattr(told.carried.alerts, name)[carried[kept]]
    return shown


def show(
    urgent: BoolArray, decided: RowArray, ordered: Readings, observed: Observed
) -> dict[str, npt.NDArray[Any]]:
    """What decided, shape (a,) each.

    Args:
        urgent: An emergency decided, or opened the follow-up that is overdue: its one reading is
            shown, whatever the mean of its session. Otherwise the deciding session.
        decided: Moments.
        ordered: Readings in the order of ``sort_in_time``.
        observed: From ``observe``.

    Returns:
        Columns of ``Shown``: sums in 1e-13 mmHg over ``count`` readings, glucose in 1e-4 mmol/L;
        MISSING where a record decided, or a resident's enrolment.
    """
    is_reading = decided < len(ordered)
    place = np.where(is_reading, decided, 0)

    def of(session: npt.NDArray[Any], reading: npt.NDArray[Any], absent: int) -> npt.NDArray[Any]:
        if not len(ordered):
            return np.full(len(decided), absent, dtype=reading.dtype)
        value = np.where(urgent, reading[place], session[place])
        return np.where(is_reading, value, absent).astype(reading.dtype)

    one = np.ones(len(ordered), dtype=np.int64)
    return {
        "systolic_sum": of(observed.systolic_sum, ordered.systolic_mmhg_e13, MISSING),
        "diastolic_sum": of(observed.diastolic_sum, ordered.diastolic_mmhg_e13, MISSING),
        "count": of(observed.count, one, 1),
        "glucose_mmol_l_e4": of(ordered.glucose_mmol_l_e4, ordered.glucose_mmol_l_e4, MISSING),
        "range_status": of(ordered.range_status, ordered.range_status, 0),
    }


def _escalate(overdue_days: Int64Array, row: Int64Array, limits: ProfileTable) -> Int64Array:
    """Escalation step reached by each number of overdue days."""
    step = np.zeros(len(overdue_days), dtype=np.int64)
    for number, profile in enumerate(limits.profiles):
        mine = row == number
        days = np.array(profile.followup.escalation_days, dtype=np.int64)
        step[mine] = np.searchsorted(days, overdue_days[mine], side="right")
    return step


def _severity(
    code: Int8Array, by_random: BoolArray, row: Int64Array, limits: ProfileTable
) -> Int8Array:
    return np.where(by_random, limits.random_severity[row], limits.severity[row, code])
