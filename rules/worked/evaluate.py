"""What the live engine says of a worked case, step by step of knowledge, in the file's own form.

Knowledge steps through ten minutes after each arrival, each local midnight, and the moment the
result is read. An alert that was there at an earlier step and is not at the last is cancelled.
"""

from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import Any, Final

import numpy as np

from rules.codes import AlertCode, AlertStatus, CaseState, Severity
from rules.columns import KIND_BLOOD_PRESSURE, MISSING
from rules.engine import Judgement, judge
from rules.errors import ProfileError
from rules.limits import ProfileTable, tabulate
from rules.local_time import local_date, local_midnight
from rules.normalise import Normalised, normalise
from rules.profiles import load_versions
from rules.quality import Disposition
from rules.reported import Reported
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L
from rules.worked.amend import retracted_ids, to_amendments, unmatched
from rules.worked.errors import CaseFileError
from rules.worked.events import CaseEvents, read_events, to_records, to_reported
from rules.worked.fields import ZONE, Fields
from rules.worked.people import CONDITIONS, read_residents

_CONDITION_NAMES: Final = {code: name for name, code in CONDITIONS.items()}
_SETTLING_US: Final = 10 * 60 * 1_000_000
_TICK_US: Final = 5 * 60 * 1_000_000  # The daily look is at 00:05.
_DAY_US: Final = 86_400 * 1_000_000
_LATE: Final = np.timedelta64(24, "h")
NO_CASE: Final = {
    "state": "none",
    "consecutive_unsatisfied": 0,
    "second_followup_due": None,
    "referral_followup_due": None,
    "next_routine_due": None,
}


@dataclass(slots=True)
class _Told:
    """Alerts told so far, by (condition, code, anchor)."""

    alerts: dict[tuple[int, int, str], dict[str, Any]] = field(default_factory=dict)

    def counts_days(self) -> bool:
        """Whether some alert says how many days overdue it is."""
        return any(
            alert["status"] == "active" and alert["overdue_days"] for alert in self.alerts.values()
        )

    def hear(self, judgement: Judgement, names: list[str], raised_at: np.datetime64) -> None:
        """Take in what is true now; what is true no longer is cancelled."""
        now = judgement.alerts
        present = set()
        for row in np.flatnonzero(now.resident == 0).tolist():
            key = (int(now.condition[row]), int(now.code[row]), names[now.anchor[row]])
            present.add(key)
            before = self.alerts.get(key)
            if before is None:
                late = raised_at - now.became_true_at[row] > _LATE
                page = bool(now.severity[row] >= Severity.HIGH) and not late
                before = self.alerts[key] = {"page": page, "late": bool(late)}
            before.update(_as_alert(judgement, row, key))
        for key in self.alerts.keys() - present:
            self.alerts[key]["status"] = "cancelled"


def _as_alert(judgement: Judgement, row: int, key: tuple[int, int, str]) -> dict[str, Any]:
    now = judgement.alerts
    return {
        "code": AlertCode(key[1]).name,
        "condition": _CONDITION_NAMES[key[0]],
        "severity": Severity(now.severity[row]).name.lower(),
        "anchor": key[2],
        "due": _day(now.due[row]),
        "status": AlertStatus(now.status[row]).name.lower(),
        "overdue_days": int(now.overdue_days[row]),
        "escalation": int(now.escalation[row]),
    }


def _day(value: np.datetime64) -> str | None:
    return None if np.isnat(value) else str(value.astype("datetime64[D]"))


def evaluate_case(case: dict[str, Any]) -> dict[str, Any]:
    """Judge one case; the result has the form of its ``expected``.

    Raises:
        CaseFileError: A field that cannot be read; names case, event, field and remedy.
    """
    name = str(case.get("id", "without id"))
    top = Fields(name, "case", case)
    resident, events = case.get("resident"), case.get("events")
    if not isinstance(resident, dict) or not isinstance(events, list):
        top.refuse("resident", "and events must be an object and a list")
    found = read_events(name, str(resident.get("id")), events)
    limits = _limits(Fields(name, "resident", resident) if resident.get("profile") else top)
    told = _Told()
    as_of = top.instant("as_of")
    people = Fields(name, "resident", resident)
    known, judgement = _look(found, people, limits, as_of)
    before = np.iinfo(np.int64).min
    for step in _steps(found, as_of, limits):
        heard = [arrival for arrival in found.arrivals if before < arrival <= step]
        quiet = not heard and not _is_due(judgement, step) and not told.counts_days()
        quiet &= step != as_of
        if before != np.iinfo(np.int64).min and quiet:
            continue
        known, judgement = _look(found, people, limits, step)
        raised_at = np.datetime64(max(heard, default=step), "us")
        names = [known.names[row] for row in known.normalised.rows] + known.record_names
        told.hear(judgement, [*names, resident.get("id", "resident")], raised_at)
        before = step
    return _result(known, judgement, told) | {"unmatched": unmatched(found)}


def _limits(top: Fields) -> ProfileTable:
    try:
        return tabulate([load_versions(top.text("profile"))])
    except ProfileError as error:
        raise CaseFileError(top.case, "case.profile", str(error)) from error


def _steps(found: CaseEvents, as_of: int, limits: ProfileTable) -> list[int]:
    """The moments at which somebody looks, ascending, the last one ``as_of``."""
    steps = {arrival + _SETTLING_US for arrival in found.arrivals}
    if found.arrivals:
        first = np.array([min(found.arrivals)]).view("datetime64[us]")
        day = local_date(first, limits.utc_offset)
        midnight = int(local_midnight(day, limits.utc_offset).view(np.int64)[0])
        steps |= set(range(midnight + _TICK_US, as_of, _DAY_US))
    return sorted({step for step in steps if step < as_of} | {as_of})


def _is_due(judgement: Judgement, step: int) -> bool:
    tick = judgement.next_tick[0]
    return bool(tick <= np.datetime64(step, "us"))  # NaT never is.


@dataclass(frozen=True, slots=True)
class _Known:
    """What was known at a step."""

    reported: Reported
    normalised: Normalised
    names: list[str]  # Of the reported readings.
    record_names: list[str]


def _look(
    found: CaseEvents, people: Fields, limits: ProfileTable, step: int
) -> tuple[_Known, Judgement]:
    """Judge what was received until a moment, as of that moment."""
    reported, records = to_reported(found), to_records(found)
    moment = np.datetime64(step, "us")
    mine = np.flatnonzero(reported.received_at <= moment)
    gone = np.isin(records.ids, np.array(sorted(retracted_ids(found, step)), dtype="S16"))
    said = np.flatnonzero((records.received_at <= moment) & ~gone)
    reported = reported.take(mine)
    amendments = to_amendments(found, reported, step)
    normalised = normalise(reported, amendments)
    residents = read_residents(people, len(found.strangers))
    judgement = judge(normalised.readings, records.take(said), residents, limits, as_of=moment)
    names = [found.ids[row] for row in mine]
    record_names = [found.name_of(bytes(records.ids[row])) for row in said]
    return _Known(reported, normalised, names, record_names), judgement


def _result(known: _Known, judgement: Judgement, told: _Told) -> dict[str, Any]:
    normalised = known.normalised
    readings = [known.names[row] for row in normalised.rows]
    dispositions: dict[str, str] = {}
    arrived = np.argsort(known.reported.received_at, kind="stable")
    for row in arrived:
        kind = Disposition(normalised.assayed.disposition[row])
        dispositions[known.names[row]] = (
            kind.name.lower().replace("_", ":", 1)
            if (kind.name.startswith(("QUARANTINED", "EXCLUDED")))
            else kind.name.lower()
        )
    mine = [row for row in judgement.third_reading if judgement_owner(normalised, row) == 0]
    return {
        "alerts": list(told.alerts.values()),
        "cases": _cases(judgement),
        "dispositions": dispositions,
        # Of a reading that came twice the one that was accepted.
        "normalized": {known.names[row]: _normalised(known, row) for row in arrived[::-1]},
        "needs_third_reading": [readings[row] for row in mine],
        "high_normal_on": _day(judgement.high_normal_on[0]),
    }


def judgement_owner(normalised: Normalised, row: int) -> int:
    """Resident of an accepted reading."""
    return int(normalised.readings.resident[row])


def _cases(judgement: Judgement) -> dict[str, dict[str, Any]]:
    cases = judgement.cases
    return {
        _CONDITION_NAMES[int(cases.condition[row])]: {
            "state": CaseState(cases.state[row]).name.lower(),
            "consecutive_unsatisfied": int(cases.consecutive_unsatisfied[row]),
            "second_followup_due": _day(cases.second_followup_due[row]),
            "referral_followup_due": _day(cases.referral_followup_due[row]),
            "next_routine_due": _day(cases.next_routine_due[row]),
        }
        for row in np.flatnonzero(cases.resident == 0).tolist()
    }


def _normalised(known: _Known, row: int) -> dict[str, Any]:
    """Values in the limits' units, where there are any, and when the reading was taken."""
    assayed = known.normalised.assayed
    shown: dict[str, Any] = {}
    if known.reported.kind[row] == KIND_BLOOD_PRESSURE:
        for name, column in (
            ("sbp", assayed.systolic_mmhg_e13),
            ("dbp", assayed.diastolic_mmhg_e13),
        ):
            if column[row] != MISSING:
                shown[name] = Decimal(int(column[row])) / MMHG_E13_PER_MMHG
        shown["unit"] = "mm[Hg]"
    else:
        if assayed.glucose_mmol_l_e4[row] != MISSING:
            value = Decimal(int(assayed.glucose_mmol_l_e4[row])) / MMOL_L_E4_PER_MMOL_L
            shown["value"] = value
        shown["unit"] = "mmol/L"
    at = known.normalised.effective_at[row].astype("datetime64[us]").item()
    return {
        **shown,
        "effective_at": at.replace(tzinfo=UTC).astimezone(ZONE).isoformat(),
        "time_suspect": bool(known.normalised.time_suspect[row]),
    }
