"""The rules once more, row by row, in plain Python with fractions: what the engine must equal.

Written from the clinical decision table (2.2 to 2.6) and not from the engine: one resident and
one condition at a time, its own numbers, its own arithmetic, no arrays. Slow and obvious.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from tests.unit.rules.rules_builders import LOCAL, Person, Row
from tests.unit.rules.rules_oracle_case import DAY, REFERRAL, Alert, Case, Numbers, local_day


def mmhg(value: Decimal, unit: str | None) -> Fraction:
    return Fraction(value) * (Fraction("7.50061575846") if unit == "kPa" else 1)


def mmol_l(value: Decimal, unit: str | None) -> Fraction:
    if unit == "mmol/L":
        return Fraction(value)
    if unit == "mol/L":
        return Fraction(value) * 1000
    mg_dl = Fraction(value) * (100_000 if unit == "kg/L" else 1)
    return Fraction(floor(mg_dl / Fraction("18.0156") * 10 + Fraction(1, 2)), 10)


def systolic(row: Row) -> Fraction:
    assert row.systolic is not None
    return mmhg(row.systolic, row.unit)


def diastolic(row: Row) -> Fraction:
    assert row.diastolic is not None
    return mmhg(row.diastolic, row.unit)


def age(person: Person, on: date) -> int | None:
    born = person.birth_date
    if born is None:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def is_pregnant(person: Person, on: date) -> bool:
    since, until = person.pregnant_since, person.pregnant_until
    return since is not None and since <= on and (until is None or on <= until)


def emergency_of(row: Row, person: Person) -> str | None:
    if not row.countable:
        return None
    if row.kind == "glucose":
        if row.glucose is None:
            return {1: "GLU_EMERGENCY_HIGH", -1: "GLU_EMERGENCY_LOW"}.get(row.range_status)
        value = mmol_l(row.glucose, row.unit)
        if value >= Fraction("16.7"):
            return "GLU_EMERGENCY_HIGH"
        return "GLU_EMERGENCY_LOW" if value <= Fraction("3.9") else None
    high, low = systolic(row), diastolic(row)
    if high >= 180 or low >= 110:
        return "BP_EMERGENCY"
    alarming = is_pregnant(person, local_day(row.at)) and (high >= 140 or low >= 90)
    return "BP_PREG_HIGH" if alarming else None


@dataclass
class Finding:
    """A sitting, or one glucose value, with its verdict."""

    rows: list[Row]
    verdict: str


def sittings(rows: list[Row]) -> list[list[Row]]:
    """Consecutive pressures: gaps of at most 10 min, at most 60 min from the first."""
    result: list[list[Row]] = []
    for row in rows:
        if (
            result
            and row.at - result[-1][-1].at <= timedelta(minutes=10)
            and row.at - result[-1][0].at <= timedelta(minutes=60)
        ):
            result[-1].append(row)
        else:
            result.append([row])
    return result


def mean_of(session: list[Row]) -> tuple[Fraction, Fraction]:
    def mean(rows: list[Row]) -> tuple[Fraction, Fraction]:
        return (
            sum((systolic(row) for row in rows), Fraction(0)) / len(rows),
            sum((diastolic(row) for row in rows), Fraction(0)) / len(rows),
        )

    left = [row for row in session if row.arm == "left"]
    right = [row for row in session if row.arm == "right"]
    return max(mean(left), mean(right)) if left and right else mean(session)


def over(value: Fraction, limit: Fraction | int, *, strict: bool) -> bool:
    return value > limit if strict else value >= limit


def pressure_verdict(session: list[Row], person: Person, numbers: Numbers) -> str | None:
    on = local_day(session[0].at)
    years = age(person, on)
    high, low = mean_of(session)
    strict = numbers.strict
    if person.hypertension_since is not None and person.hypertension_since <= on:
        limit = 150 if numbers.elderly and years is not None and years >= 65 else 140
        bad = over(high, limit, strict=strict) or over(low, 90, strict=strict)
        return "unsatisfied" if bad else "satisfied"
    if years is not None and years < numbers.screen_bp_age:
        return None
    bad = over(high, 140, strict=strict) or over(low, 90, strict=strict)
    return "high" if bad else "normal"


def fasting_verdict(row: Row, person: Person, numbers: Numbers) -> str | None:
    if row.glucose is None:
        if row.range_status != 1:
            return None
        bad = True
    else:
        value = mmol_l(row.glucose, row.unit)
        if value <= Fraction("3.9"):
            return None
        bad = over(value, 7, strict=numbers.strict)
    on = local_day(row.at)
    if person.diabetes_since is not None and person.diabetes_since <= on:
        return "unsatisfied" if bad else "satisfied"
    years = age(person, on)
    if years is not None and years < numbers.screen_glucose_age:
        return None
    return "high" if bad else "normal"


def groups(findings: list[Finding]) -> list[list[Finding]]:
    result: list[list[Finding]] = []
    for finding in findings:
        if result and finding.rows[0].at - result[-1][0].rows[0].at < DAY:
            result[-1].append(finding)
        else:
            result.append([finding])
    return result


def run_case(
    case: Case, findings: list[Finding], urgent: list[tuple[Row, str]], place: dict[bytes, int]
) -> None:
    events: list[tuple[int, int, Any]] = [(place[row.id], 0, (row, code)) for row, code in urgent]
    urgent_ids = {row.id for row, _ in urgent}
    for group in groups(findings):
        verdict = group[-1].verdict
        settled = next(finding for finding in group if finding.verdict == verdict)
        emergency = any(row.id in urgent_ids for finding in group for row in finding.rows)
        events.append((place[settled.rows[-1].id], 1, (verdict, group, emergency)))
    for _, kind, event in sorted(events, key=lambda item: item[:2]):
        if kind == 0:
            case.on_emergency(*event)
        else:
            verdict, group, emergency = event
            decided = local_day(group[-1].rows[0].at)
            case.on_assessment(verdict, group[0].rows[0], decided, emergency=emergency)


def advisory(case: Case, findings: list[Finding], code: str) -> None:
    open_alert: Alert | None = None
    for group in groups(findings):
        if group[-1].verdict == "satisfied":
            if open_alert is not None:
                open_alert.status = "resolved"
            open_alert = None
        elif open_alert is None:
            open_alert = Alert(code, "info", group[0].rows[0], None)
            case.alerts.append(open_alert)


def home_findings(sessions: list[list[Row]], person: Person, urgent: set[bytes]) -> list[Finding]:
    found = []
    for session in sessions:
        on = local_day(session[0].at)
        if person.hypertension_since is None or person.hypertension_since > on:
            continue
        if any(row.id in urgent for row in session):
            continue
        years = age(person, on)
        high, low = mean_of(session)
        bad = high >= (145 if years is not None and years >= 65 else 135) or low >= 85
        found.append(Finding(session, "unsatisfied" if bad else "satisfied"))
    return found


def meal_findings(rows: list[Row], person: Person, urgent: set[bytes]) -> list[Finding]:
    found = []
    for row in rows:
        if row.meal_context != "postprandial_2h" or row.glucose is None or row.id in urgent:
            continue
        if person.diabetes_since is None or person.diabetes_since > local_day(row.at):
            continue
        bad = mmol_l(row.glucose, row.unit) >= 10
        found.append(Finding([row], "unsatisfied" if bad else "satisfied"))
    return found


def evaluate(
    rows: Sequence[Row], person: Person, numbers: Numbers, as_of: datetime
) -> dict[str, Case]:
    """Both cases of one resident, with their alerts, as known at ``as_of``."""
    ordered = sorted(rows, key=lambda row: (row.at, row.captured_at, row.id))
    place = {row.id: number for number, row in enumerate(ordered)}
    flagged = [(row, emergency_of(row, person)) for row in ordered]
    urgent = {row.id for row, code in flagged if code}
    wait = timedelta(minutes=10)

    def closed(setting: str) -> list[list[Row]]:
        mine = [row for row in ordered if row.kind == "blood_pressure" and row.countable]
        return [
            session
            for session in sittings([row for row in mine if row.setting == setting])
            if max(row.arrived_at for row in session) + wait <= as_of
        ]

    cases = {name: Case(name, numbers) for name in ("hypertension", "diabetes")}
    pressures = [
        Finding(session, verdict)
        for session in closed("office")
        if (verdict := pressure_verdict(session, person, numbers))
    ]
    glucose = [row for row in ordered if row.kind == "glucose" and row.countable]
    fasting = [
        Finding([row], verdict)
        for row in glucose
        if row.meal_context == "fasting" and (verdict := fasting_verdict(row, person, numbers))
    ]
    for case, findings, kind in (
        (cases["hypertension"], pressures, "blood_pressure"),
        (cases["diabetes"], fasting, "glucose"),
    ):
        mine = [(row, code) for row, code in flagged if code and row.kind == kind]
        run_case(case, findings, mine, place)
        if case.due is not None and local_day(as_of) > case.due:
            case.overdue(local_day(as_of), "active")
            overdue = "referral_followup" if case.state in REFERRAL else "second_followup"
            case.state = f"{overdue}_overdue"
    advisory(cases["hypertension"], home_findings(closed("home"), person, urgent), "BP_HOME_HIGH")
    advisory(cases["diabetes"], meal_findings(glucose, person, urgent), "GLU_POSTPRANDIAL_HIGH")
    return cases


def lateness(alert: Alert) -> bool:
    true_from = alert.anchor.at
    if alert.code.endswith("OVERDUE"):
        assert alert.due is not None
        midnight = datetime.combine(alert.due + DAY, datetime.min.time(), tzinfo=LOCAL)
        true_from = midnight
    return alert.anchor.received_at - true_from > timedelta(hours=24)
