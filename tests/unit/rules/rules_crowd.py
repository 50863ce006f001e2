"""Many worked cases as one set of columns, and what engine and plain evaluator say of each.

Nothing is decided here. The plain evaluator is asked once, on everything known at a moment: what
an earlier look would have shown and later lost is for those tests that look step by step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from rules.codes import AlertCode, AlertStatus, CaseState, Severity
from rules.columns import Periods, Readings, Records, Residents
from rules.judgement import Judgement
from rules.limits import ProfileTable, tabulate
from rules.normalise import normalise
from rules.profiles import load_versions
from rules.quality import Disposition
from rules.reported import Amendments, Reported
from rules.runs import stack_tables
from rules.worked.amend import retracted_ids, to_amendments
from rules.worked.events import CaseEvents, read_events, to_records, to_reported
from rules.worked.fields import Fields
from rules.worked.people import CONDITIONS, read_residents
from simulators.oracle.evaluate import fold
from simulators.oracle.normal import know, moment, read_event
from simulators.oracle.person import PROFILES, local_day
from simulators.oracle.person import read_resident as read_person

CaseFile: TypeAlias = dict[str, Any]
"""A case in the form of the worked cases."""
Said: TypeAlias = dict[str, Any]
"""What is said of one resident: cases, alerts by identity, and what stands beside them."""

CHOICES = ("wuzhou", "cn_nbphs_2017", "who_hearts")
LIMITS: ProfileTable = tabulate([load_versions(name) for name in CHOICES])
"""All profiles in use; the first is the deployment's, residents may have another."""
_NAMES = {code: name for name, code in CONDITIONS.items()}


@dataclass(frozen=True, kw_only=True)
class Member:
    """One case, read once."""

    case: CaseFile
    found: CaseEvents
    reported: Reported
    records: Records
    people: Residents  # The resident, then strangers to whom some of the readings belong.

    @property
    def name(self) -> str:
        """The resident's id: the anchor of a routine visit that has no visit before it."""
        return str(self.case["resident"]["id"])


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """What is known of several members at a moment."""

    readings: Readings
    records: Records
    residents: Residents
    rows: list[int]  # Of each member's resident.
    names: list[str]  # Of readings, records and residents, as anchors count them.
    dispositions: list[dict[str, str]]


def instant(at: datetime) -> np.datetime64:
    """An aware time as numpy's UTC instant."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def read_member(case: CaseFile) -> Member:
    """A case as columns, nothing of it judged."""
    resident = case["resident"]
    found = read_events(str(case["id"]), str(resident["id"]), case["events"])
    people = read_residents(Fields(str(case["id"]), "resident", resident), len(found.strangers))
    choice = CHOICES.index(resident.get("profile") or case["profile"])
    if choice:
        people = replace(people, profiles=_always(choice))
    return Member(
        case=case,
        found=found,
        reported=to_reported(found),
        records=to_records(found),
        people=people,
    )


def _always(choice: int) -> Periods:
    return Periods(
        resident=np.zeros(1, np.int64),
        since=np.array(["0001-01-01"], "datetime64[D]"),
        until=np.array(["NaT"], "datetime64[D]"),
        value=np.array([choice], np.int8),
    )


def gather(members: Sequence[Member], at: datetime) -> Crowd:
    """All that was received of these members until a moment, as one set of columns."""
    until = instant(at)
    reported: list[Reported] = []
    amendments: list[Amendments] = [Amendments.none()]
    records: list[Records] = [Records.none()]
    rows, readings, devices = [0], 0, 0
    for number, member in enumerate(members):
        known = member.reported.take(np.flatnonzero(member.reported.received_at <= until))
        said = to_amendments(member.found, known, int(until.astype(np.int64)))
        told = _known_records(member, until)
        reported.append(
            replace(
                known,
                resident=known.resident + rows[-1],
                device=known.device + devices,
                ids=_own(known.ids, number, len(members)),
            )
        )
        amendments.append(replace(said, target=said.target + readings))
        ids = _own(told.ids, number, len(members))
        records.append(replace(told, resident=told.resident + rows[-1], ids=ids))
        rows.append(rows[-1] + len(member.people))
        readings, devices = readings + len(known), devices + len(member.found.devices)
    everything = stack_tables(reported)
    normalised = normalise(everything, stack_tables(amendments))
    recorded = stack_tables(records)
    residents = _stack_residents([member.people for member in members])
    names = [bytes(each).decode().split(":")[-1] for each in normalised.readings.ids]
    names += [bytes(each).decode().split(":")[-1] for each in recorded.ids]
    owners = [[member.name, *[""] * (len(member.people) - 1)] for member in members]
    return Crowd(
        readings=normalised.readings,
        records=recorded,
        residents=residents,
        rows=rows[:-1],
        names=[*names, *[name for owner in owners for name in owner]],
        dispositions=_dispositions(everything, normalised.assayed.disposition, rows),
    )


def _known_records(member: Member, until: np.datetime64) -> Records:
    taken_back = sorted(retracted_ids(member.found, int(until.astype(np.int64))))
    gone = np.isin(member.records.ids, np.array(taken_back, dtype="S16"))
    return member.records.take(np.flatnonzero((member.records.received_at <= until) & ~gone))


def _own(ids: Any, number: int, members: int) -> Any:  # noqa: ANN401 - a column of ids
    """Ids that no other member has; among those of one member they keep their order."""
    if members == 1:
        return ids
    assert all(len(each) <= 11 for each in ids)  # Of 16 bytes five are the member's.
    return np.array([b"%04d:" % number + bytes(each) for each in ids], dtype="S16")


def _stack_residents(people: Sequence[Residents]) -> Residents:
    sizes = np.cumsum([0, *(len(each) for each in people)])

    def periods(name: str) -> Periods:
        parts: list[Periods] = [getattr(each, name) for each in people]
        moved = [
            replace(part, resident=part.resident + first)
            for part, first in zip(parts, sizes[:-1], strict=True)
        ]
        return stack_tables([Periods.none(), *moved])

    columns = ("birth_date", "hypertension_since", "diabetes_since", "enrolled_on")
    return Residents(
        pregnancies=periods("pregnancies"),
        profiles=periods("profiles"),
        **{name: np.concatenate([getattr(each, name) for each in people]) for name in columns},
    )


def _dispositions(reported: Reported, disposition: Any, rows: list[int]) -> list[dict[str, str]]:  # noqa: ANN401 - a column
    """By member: of each id what became of the reading that came last under it."""
    found: list[dict[str, str]] = [{} for _ in rows[:-1]]
    member = np.searchsorted(rows, reported.resident, side="right") - 1
    for row in np.argsort(reported.received_at, kind="stable"):
        word = Disposition(disposition[row]).name.lower()
        if word.startswith(("quarantined", "excluded")):
            word = word.replace("_", ":", 1)
        found[member[row]][bytes(reported.ids[row]).decode().split(":")[-1]] = word
    return found


def engine_says(crowd: Crowd, judgement: Judgement, carried: Iterable[bytes] = ()) -> list[Said]:
    """What a judgement says of each member; ``carried`` are the ids of a checkpoint's moments."""
    number = {row: member for member, row in enumerate(crowd.rows)}
    names = [*crowd.names, *[bytes(each).decode().split(":")[-1] for each in carried]]
    said: list[Said] = [
        {"cases": {}, "alerts": {}, "third": [], "high_normal_on": _day(on)}
        for on in judgement.high_normal_on[crowd.rows]
    ]
    cases, alerts = judgement.cases, judgement.alerts
    for row, resident in enumerate(cases.resident.tolist()):
        if resident in number:
            condition = _NAMES[int(cases.condition[row])]
            said[number[resident]]["cases"][condition] = {
                "state": CaseState(cases.state[row]).name.lower(),
                "consecutive_unsatisfied": int(cases.consecutive_unsatisfied[row]),
                "second_followup_due": _day(cases.second_followup_due[row]),
                "referral_followup_due": _day(cases.referral_followup_due[row]),
                "next_routine_due": _day(cases.next_routine_due[row]),
            }
    for row, resident in enumerate(alerts.resident.tolist()):
        if resident in number:
            anchor = names[alerts.anchor[row]] or "R1"
            code = AlertCode(alerts.code[row]).name
            key = _NAMES[int(alerts.condition[row])], code, anchor
            mine = said[number[resident]]["alerts"]
            assert key not in mine
            mine[key] = {
                "severity": Severity(alerts.severity[row]).name.lower(),
                "status": AlertStatus(alerts.status[row]).name.lower(),
                "due": _day(alerts.due[row]),
                "overdue_days": int(alerts.overdue_days[row]),
                "escalation": int(alerts.escalation[row]),
            }
    for row in judgement.third_reading.tolist():
        resident = int(crowd.readings.resident[row])
        if resident in number:
            said[number[resident]]["third"].append(crowd.names[row])
    return said


def _day(value: np.datetime64) -> str | None:
    return None if np.isnat(value) else str(value)


def oracle_says(case: CaseFile, at: datetime) -> Said:
    """What the plain evaluator says of one case, on what is known at a moment."""
    resident = read_person(case["resident"])
    profile = PROFILES[case["resident"].get("profile") or case["profile"]]
    told = [read_event(event, resident.id) for event in case["events"]]
    knowledge = know([each for each in told if each.arrival <= at], resident.id, {})
    folded = fold(knowledge, resident, profile, at)
    alerts = [*folded.alerts(), *folded.overdue(at)]
    on = local_day(at)
    return {
        "cases": {each.condition: each.tell(on) for each in folded.cases if each.state != "none"},
        "alerts": {
            alert.key: {
                "severity": alert.severity,
                "status": alert.status,
                "due": alert.due.isoformat() if alert.due else None,
                "overdue_days": alert.overdue_days,
                "escalation": _escalation(alert.code, alert.overdue_days),
            }
            for alert in alerts
        },
        "third": folded.needs_third_reading,
        "high_normal_on": folded.high_normal_on and folded.high_normal_on.isoformat(),
    }


def _escalation(code: str, days: int) -> int:
    return 0 if days < 7 or code == "ROUTINE_OVERDUE" else 1 if days < 14 else 2


def oracle_disposes(case: CaseFile, at: datetime) -> dict[str, str]:
    """What the plain evaluator says became of each reading known at a moment."""
    name = str(case["resident"]["id"])
    told = [read_event(event, name) for event in case["events"]]
    return know([each for each in told if each.arrival <= at], name, {}).dispositions


def as_time(text: str) -> datetime:
    """A time as a case writes it."""
    return moment(text)
