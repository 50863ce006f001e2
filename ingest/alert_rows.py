"""From a code of the rules to the row of an alert: always with value, limit and source. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import numpy as np

from ingest.columns import LOCAL, as_timedelta, to_readings
from ingest.db.alerts import AlertRow, alert_id
from ingest.db.readings import HistoryRow
from rules.codes import AlertCode, AlertStatus, Condition, Severity
from rules.columns import Readings
from rules.explain import limit_of, observed_text
from rules.judgement import Alerts
from rules.profile import Profile

_OVERDUE = (AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)
_EMERGENCY_CONDITION = {
    "blood_pressure": Condition.HYPERTENSION,
    "glucose": Condition.DIABETES,
}


def _observed_by_one(anchor: HistoryRow) -> str:
    """What one reading said."""
    readings = to_readings([anchor], {anchor.resident_id: 0})
    return observed_text(
        systolic_mmhg_e13=int(readings.systolic_mmhg_e13[0]),
        diastolic_mmhg_e13=int(readings.diastolic_mmhg_e13[0]),
        glucose_mmol_l_e4=int(readings.glucose_mmol_l_e4[0]),
        range_status=int(readings.range_status[0]),
    )


def _observed_by_alert(alerts: Alerts, number: int, readings: Readings) -> str:
    """What the session, or the value, that decided an alert said."""
    row = alerts.decided[number]
    return observed_text(
        systolic_mmhg_e13=int(alerts.systolic_sum[number]),
        diastolic_mmhg_e13=int(alerts.diastolic_sum[number]),
        glucose_mmol_l_e4=int(readings.glucose_mmol_l_e4[row]),
        range_status=int(readings.range_status[row]),
        count=int(alerts.count[number]),
    )


def emergency_row(
    anchor: HistoryRow, code: AlertCode, profile: Profile, *, at: datetime
) -> AlertRow:
    """The alert of one emergency reading, as ingest raises it at once.

    The judge works out the same id, due day and lateness from the stored reading.
    """
    condition = _EMERGENCY_CONDITION[anchor.kind]
    late = anchor.received_at - anchor.effective_at > as_timedelta(profile.timing.late_after)
    limit = limit_of(profile, code)
    day = anchor.effective_at.astimezone(LOCAL).date()
    resident_id = anchor.resident_id or None
    return AlertRow(
        id=alert_id(resident_id, condition.name.lower(), code.name, anchor.id),
        resident_id=resident_id,
        centre_id=anchor.centre_id,
        condition=condition.name.lower(),
        code=code.name,
        severity=profile.severity(code).name.lower(),
        status="active",
        anchor_reading_id=anchor.id,
        effective_at=anchor.effective_at,
        raised_at=at,
        due=day + timedelta(days=profile.followup.referral_days),
        page=not late,
        late=late,
        overdue_days=0,
        escalation=0,
        observed=_observed_by_one(anchor),
        threshold=limit.threshold,
        source=limit.source,
        profile=profile.id,
        profile_version=profile.version,
        raised_by="ingest",
        updated_at=at,
    )


def judged_rows(
    alerts: Alerts,
    readings: Readings,
    history: Sequence[HistoryRow],
    residents: Sequence[str],
    profile: Profile,
    *,
    at: datetime,
) -> list[AlertRow]:
    """The alerts of a judgement.

    Args:
        alerts: Columns whose ``anchor`` is a row of ``readings``.
        readings: Row-aligned with ``history``.
        history: Where ids and times of the anchors come from.
        residents: Pseudonyms, row-aligned with the residents of the judgement.
        profile: Whose limits were used.
        at: The clock when it was judged.
    """
    limits = {code: limit_of(profile, AlertCode(int(code))) for code in np.unique(alerts.code)}
    rows = []
    for number in range(len(alerts)):
        anchor = history[alerts.anchor[number]]
        condition = Condition(int(alerts.condition[number])).name.lower()
        code = AlertCode(int(alerts.code[number]))
        resident_id = residents[alerts.resident[number]]
        limit = limits[alerts.code[number]]
        due = day_or_none(alerts.due[number])
        known_late = at - _became_true(anchor, code, due) > as_timedelta(profile.timing.late_after)
        rows.append(
            AlertRow(
                id=alert_id(resident_id, condition, code.name, anchor.id),
                resident_id=resident_id,
                centre_id=anchor.centre_id,
                condition=condition,
                code=code.name,
                severity=Severity(int(alerts.severity[number])).name.lower(),
                status=AlertStatus(int(alerts.status[number])).name.lower(),
                anchor_reading_id=anchor.id,
                effective_at=anchor.effective_at,
                raised_at=at,
                due=due,
                page=bool(alerts.page[number]) and not known_late,
                late=bool(alerts.late[number]) or known_late,
                overdue_days=int(alerts.overdue_days[number]),
                escalation=int(alerts.escalation[number]),
                observed=_observed_by_alert(alerts, number, readings),
                threshold=limit.threshold,
                source=limit.source,
                profile=profile.id,
                profile_version=profile.version,
                raised_by="judge",
                updated_at=at,
            )
        )
    return rows


def _became_true(anchor: HistoryRow, code: AlertCode, due: date | None) -> datetime:
    """When somebody could first have been told: the measurement, or the end of the due day."""
    if code in _OVERDUE and due is not None:
        return datetime.combine(due + timedelta(days=1), time.min, tzinfo=LOCAL)
    return anchor.effective_at


def day_or_none(day: np.datetime64) -> date | None:
    """A local calendar day; NaT becomes None."""
    found: date | None = day.astype("datetime64[D]").item()
    return found
