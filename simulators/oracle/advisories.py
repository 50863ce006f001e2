"""Findings that tell the team and never count: B2, B5, G2, and Q1, the routine follow-up.

One advisory of a kind is active at a time; the next assessment below its limit resolves it, and
so does the end of the contract. An emergency value forms none.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta

from simulators.oracle import shown
from simulators.oracle.alert import Alert, midnight_after
from simulators.oracle.normal import Act, Reading
from simulators.oracle.person import Resident, local_day
from simulators.oracle.sittings import (
    Finding,
    Period,
    Sitting,
    group_findings,
    mean,
    period_of,
    seen_in,
)

ROUTINE_DAYS = timedelta(days=90)


def advise(
    condition: str, code: str, findings: Iterable[Finding], words: Sequence[datetime]
) -> list[Alert]:
    """Alerts of one kind, from findings whose verdict is "over" or "below"."""
    alerts: list[Alert] = []
    active: Alert | None = None
    period: Period | None = None
    for group in group_findings(findings, words):
        if active is not None and (group[0].period is not period or group[-1].verdict == "below"):
            active.status = "resolved"
            active = None
        period = group[0].period
        if group[-1].verdict == "over" and active is None:
            anchor = group[0].first
            active = Alert(
                condition,
                code,
                "info",
                anchor.id,
                None,
                since=anchor.at,
                seen=seen_in(group),
                limit=group[-1].limit,
            )
            alerts.append(active)
    if active is not None and period is not None and period.end is not None:
        active.status = "resolved"
    return alerts


def home_findings(
    sittings: Iterable[Sitting], resident: Resident, emergencies: Collection[str]
) -> list[Finding]:
    """B2: the diagnosed at home, mean 135/85 or more (145/85 from 65 years)."""
    found = []
    for sitting in sittings:
        if resident.has("hypertension", sitting.day) and not _urgent(sitting, emergencies):
            high, low = sitting.pressure
            elderly = resident.is_elderly(sitting.day)
            over = high >= (145 if elderly else 135) or low >= 85
            seen = shown.while_growing(sitting.counted)
            found.append(_finding(sitting, seen, shown.at_home(elderly=elderly), over=over))
    return found


def arm_findings(sittings: Iterable[Sitting], emergencies: Collection[str]) -> list[Finding]:
    """B5: both arms measured in one office sitting, mean systolic 20 mmHg or more apart."""
    found = []
    for sitting in sittings:
        left, right = sitting.arms
        if left and right and not _urgent(sitting, emergencies):
            apart = abs(mean(left)[0] - mean(right)[0])
            seen = frozenset({shown.of_difference(apart)})
            found.append(_finding(sitting, seen, shown.ARMS, over=apart >= 20))
    return found


def meal_findings(
    readings: Iterable[Reading], periods: Sequence[Period], resident: Resident
) -> list[Finding]:
    """G2: the diagnosed two hours after a meal, 10.0 mmol/L or more. Emergencies left out."""
    found = []
    for reading in readings:
        period = period_of(reading.at, periods)
        after_meal = reading.context == "postprandial_2h" and reading.glucose is not None
        if period and after_meal and resident.has("diabetes_t2", local_day(reading.at)):
            assert reading.glucose is not None
            verdict = "over" if reading.glucose >= 10 else "below"
            seen = frozenset({shown.of_reading(reading)})
            found.append(Finding((reading,), period, verdict, seen, shown.AFTER_MEAL))
    return found


def _urgent(sitting: Sitting, emergencies: Collection[str]) -> bool:
    return any(reading.id in emergencies for reading in sitting.readings)


def _finding(sitting: Sitting, seen: frozenset[str], limit: shown.Limit, *, over: bool) -> Finding:
    return Finding(sitting.readings, sitting.period, "over" if over else "below", seen, limit)


class Routine:
    """Q1: ROUTINE_OVERDUE of one diagnosed condition.

    The 90 days run from the last face-to-face visit or the enrolment, whichever is later, after a
    closure from the return, and never from before the diagnosis. Who was neither enrolled nor
    visited owes none. Nothing but a visit or a closure ends it.
    """

    def __init__(self, resident: Resident, condition: str, acts: Iterable[Act]) -> None:
        self.resident = resident
        self.condition = condition
        self.alerts: list[Alert] = []  # Those that have been dealt with.
        self._from: tuple[date, str] | None = None
        self._by = ""  # What the days run from.
        if condition not in resident.diagnosed:
            return
        if resident.enrolled_on:
            self._from, self._by = (resident.enrolled_on, resident.id), "enrolment"
        closed = False
        for act in acts:
            if act.kind == "closure":
                self._end(act.at)
                self._from, closed = None, True
            elif act.kind == "reopening" and closed:
                self._from, closed = (local_day(act.at), act.id), False
                self._by = "return"
            elif not closed and act.kind == "visit" and act.condition == condition:
                self._visit(act)

    def active(self, now: datetime) -> list[Alert]:
        """The one that stands now, if any."""
        alert = self._alert(local_day(now))
        return [alert] if alert else []

    def _visit(self, act: Act) -> None:
        if act.told.get("mode") == "phone":
            return
        self._end(act.at)
        on = local_day(act.at)
        if self._from is None or on >= self._from[0]:
            self._from, self._by = (on, act.id), "visit"

    def _end(self, at: datetime) -> None:
        alert = self._alert(local_day(at))
        if alert:
            alert.status = "resolved"
            self.alerts.append(alert)

    def _alert(self, on: date) -> Alert | None:
        if self._from is None:
            return None
        day, anchor = self._from
        due = max(day, self.resident.diagnosed[self.condition]) + ROUTINE_DAYS
        if on <= due:
            return None
        return Alert(
            self.condition,
            "ROUTINE_OVERDUE",
            "info",
            anchor,
            due,
            since=midnight_after(due),
            overdue_days=(on - due).days,
            seen=frozenset({self._by}),
            limit=shown.ROUTINE,
        )
