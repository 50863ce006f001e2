"""The plain evaluator: one case in, alerts, cases and dispositions out, row by row.

Knowledge time is stepped: at 10 minutes after every arrival, at 00:05 local of every day and at
the end, everything received until then is folded as of then. What an earlier step showed and the
last does not has lost its ground and is cancelled. Never imports ``rules``.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, NamedTuple

from simulators.oracle.advisories import (
    Routine,
    advise,
    arm_findings,
    home_findings,
    meal_findings,
)
from simulators.oracle.alert import Alert
from simulators.oracle.case import Case
from simulators.oracle.normal import (
    MINUTE,
    Act,
    Knowledge,
    Memory,
    Reading,
    know,
    moment,
    read_event,
    tell_normalized,
)
from simulators.oracle.person import (
    CONDITIONS,
    PROFILES,
    SHANGHAI,
    Profile,
    Resident,
    local_day,
    read_resident,
)
from simulators.oracle.sittings import (
    Finding,
    assess,
    closed_sittings,
    contract_periods,
    emergency_of,
    fasting_findings,
    high_normal_on,
    is_random_high,
    needs_third,
    pressure_findings,
    settling_words,
    split_sittings,
)

_EMERGENCY, _ASSESSMENT, _RANDOM_HIGH, _RECORDED = range(4)  # The order of events at one instant.


@dataclass
class Folded:
    """What the known events say, before the clock is asked."""

    cases: list[Case]
    routines: list[Routine]
    advisories: list[Alert] = field(default_factory=list)
    needs_third_reading: list[str] = field(default_factory=list)
    high_normal_on: date | None = None

    def alerts(self) -> Iterable[Alert]:
        """Those that events raised."""
        for case in self.cases:
            yield from case.alerts
        for routine in self.routines:
            yield from routine.alerts
        yield from self.advisories

    def overdue(self, now: datetime) -> Iterable[Alert]:
        """Those that only the clock brings."""
        for case in self.cases:
            alert = case.overdue(local_day(now))
            if alert is not None:
                yield alert
        for routine in self.routines:
            yield from routine.active(now)


def evaluate_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the rules say of one case of the form of the worked cases, at its ``as_of``.

    Returns:
        ``alerts`` (every field of the table, and the anchor), ``cases`` (conditions whose state
        is not none), ``dispositions`` (every reading), ``normalized``, ``needs_third_reading``
        (first readings of such sittings) and ``high_normal_on`` (ISO day or None).
    """
    as_of = moment(case["as_of"])
    resident = read_resident(case["resident"])
    read = [read_event(event, resident.id) for event in case["events"]]
    events = sorted(read, key=lambda each: each.arrival)
    arrivals = [event.arrival for event in events]
    memory: Memory = {}
    profile = PROFILES[case["resident"].get("profile") or case["profile"]]
    told: dict[tuple[str, str, str], dict[str, Any]] = {}
    knowledge = know([], resident.id, memory)
    folded = fold(knowledge, resident, profile, as_of)
    known, all_waited = 0, True
    for now in steps(arrivals, as_of):
        before, known = known, bisect_right(arrivals, now)
        raised_at = arrivals[known - 1] if known > before else now
        if known > before or not all_waited:
            knowledge = know(events[:known], resident.id, memory)
            folded = fold(knowledge, resident, profile, now)
            for alert in folded.alerts():
                _tell(told, alert, raised_at)
        for alert in folded.overdue(now):
            _tell(told, alert, raised_at)
        # Until something arrives, only the clock can change what was just said.
        all_waited = known == 0 or arrivals[known - 1] + 10 * MINUTE <= now
    standing = {alert.key for alert in [*folded.alerts(), *folded.overdue(as_of)]}
    for key in told.keys() - standing:
        told[key]["status"] = "cancelled"
    on = local_day(as_of)
    return {
        "alerts": [told[key] for key in sorted(told)],
        "cases": {each.condition: each.tell(on) for each in folded.cases if each.state != "none"},
        "dispositions": dict(sorted(knowledge.dispositions.items())),
        "normalized": {
            name: tell_normalized(reading) for name, reading in sorted(knowledge.normalized.items())
        },
        "needs_third_reading": folded.needs_third_reading,
        "high_normal_on": folded.high_normal_on and folded.high_normal_on.isoformat(),
    }


def steps(arrivals: list[datetime], as_of: datetime) -> list[datetime]:
    """The moments at which knowledge is looked at, the last one being ``as_of``."""
    moments = {arrival + 10 * MINUTE for arrival in arrivals} | {as_of}
    if arrivals:
        day, last = local_day(arrivals[0]), local_day(as_of)
        while day <= last:
            moments.add(datetime.combine(day, time(0, 5), tzinfo=SHANGHAI))
            day += timedelta(days=1)
    return sorted(at for at in moments if at <= as_of)


def _tell(
    told: dict[tuple[str, str, str], dict[str, Any]], alert: Alert, raised_at: datetime
) -> None:
    """Keep what a step shows; page and late were decided when the alert was first raised."""
    before = told.get(alert.key)
    late = before["late"] if before else raised_at - alert.since > timedelta(hours=24)
    days = alert.overdue_days
    told[alert.key] = {
        "condition": alert.condition,
        "code": alert.code,
        "severity": alert.severity,
        "anchor": alert.anchor,
        "due": alert.due.isoformat() if alert.due else None,
        "status": alert.status,
        "page": before["page"] if before else alert.severity in {"high", "critical"} and not late,
        "late": late,
        "overdue_days": days,
        "escalation": 0 if days < 7 or alert.code == "ROUTINE_OVERDUE" else 1 if days < 14 else 2,
    }


def fold(knowledge: Knowledge, resident: Resident, profile: Profile, now: datetime) -> Folded:
    """All that is known, in the order in which it happened."""
    folded = Folded(
        cases=[Case(condition, profile) for condition in CONDITIONS],
        routines=[Routine(resident, condition, knowledge.acts) for condition in CONDITIONS],
    )
    hypertension, diabetes = folded.cases
    _fold_pressure(hypertension, folded, knowledge, resident, now)
    _fold_glucose(diabetes, folded, knowledge, resident)
    return folded


def _fold_pressure(
    case: Case, folded: Folded, knowledge: Knowledge, resident: Resident, now: datetime
) -> None:
    readings = [reading for reading in knowledge.readings if reading.kind == "bp"]
    office = [reading for reading in readings if reading.setting == "office"]
    home = [reading for reading in readings if reading.setting == "home"]
    periods = contract_periods(knowledge.acts)
    urgent = {each.id: code for each in readings if (code := emergency_of(each, resident))}
    words = settling_words(knowledge.acts, case.condition)
    sittings = closed_sittings(office, periods, now)
    findings = pressure_findings(sittings, resident, case.profile)
    line = [
        *_emergencies(case, readings, urgent),
        *_assessments(case, findings, urgent, words),
        *_recorded(case, knowledge.acts),
    ]
    _run(line)
    at_home = home_findings(closed_sittings(home, periods, now), resident, urgent)
    folded.advisories += advise("hypertension", "BP_HOME_HIGH", at_home, words)
    folded.advisories += advise(
        "hypertension", "BP_INTERARM_DIFF", arm_findings(sittings, urgent), words
    )
    folded.needs_third_reading = [
        sitting.first.id for sitting in split_sittings(office, periods) if needs_third(sitting)
    ]
    folded.high_normal_on = high_normal_on(sittings, resident, case.profile)


def _fold_glucose(case: Case, folded: Folded, knowledge: Knowledge, resident: Resident) -> None:
    readings = [reading for reading in knowledge.readings if reading.kind == "glucose"]
    periods = contract_periods(knowledge.acts)
    urgent = {each.id: code for each in readings if (code := emergency_of(each, resident))}
    findings = fasting_findings(readings, periods, resident, case.profile)
    words = settling_words(knowledge.acts, case.condition)
    line = [
        *_emergencies(case, readings, urgent),
        *_assessments(case, findings, urgent, words),
        *_recorded(case, knowledge.acts),
    ]
    for reading in readings:
        if is_random_high(reading, periods, resident):
            happens = partial(case.on_random_high, reading)
            line.append(
                _Happening(reading.at, _RANDOM_HIGH, reading.captured_at, reading.id, happens)
            )
    _run(line)
    calm = [reading for reading in readings if reading.id not in urgent]
    after_meals = meal_findings(calm, periods, resident)
    folded.advisories += advise("diabetes_t2", "GLU_POSTPRANDIAL_HIGH", after_meals, words)


class _Happening(NamedTuple):
    """One event of a case's life; the first four fields are its place."""

    at: datetime
    rank: int
    captured_at: datetime
    id: str
    happens: Callable[[], object]


def _emergencies(
    case: Case, readings: Iterable[Reading], urgent: Mapping[str, str]
) -> Iterable[_Happening]:
    for reading in readings:
        if reading.id in urgent:
            happens = partial(case.on_emergency, reading, urgent[reading.id])
            yield _Happening(reading.at, _EMERGENCY, reading.captured_at, reading.id, happens)


def _assessments(
    case: Case, findings: Iterable[Finding], urgent: Mapping[str, str], words: list[datetime]
) -> Iterable[_Happening]:
    for assessment in assess(findings, urgent, words):
        place, happens = assessment.place, partial(case.on_assessment, assessment)
        yield _Happening(place.at, _ASSESSMENT, place.captured_at, place.id, happens)


def _recorded(case: Case, acts: Iterable[Act]) -> Iterable[_Happening]:
    for act in acts:
        if act.condition not in {None, case.condition}:
            continue
        by_kind: dict[str, Callable[[], object]] = {
            "visit": partial(case.on_visit, act),
            "referral_followup": partial(case.on_referral_followup, act),
            "override": partial(case.on_override, act),
            "reschedule": partial(case.on_reschedule, act),
            "closure": partial(case.on_closure, act),
            "reopening": case.on_reopening,
        }
        yield _Happening(act.at, _RECORDED, act.at, act.id, by_kind[act.kind])


def _run(line: list[_Happening]) -> None:
    for happening in sorted(line, key=lambda each: each[:4]):
        happening.happens()
