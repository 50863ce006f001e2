"""People with a story: their dated events as readings, records, contracts and corrections."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.wire.ids import new_id
from ingest.db.amendments import Changes
from ingest.db.entities import Contract, Package
from ingest.db.records import Record
from ingest.db.residents import DatedCondition, Population, Resident
from simulators.planned import Numeral
from simulators.residents import team_id
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Amended, Enrolled, Happening, Recorded
from simulators.scenarios.scenario import Event, PersonPlan, Scenario
from simulators.sites import Site

_DOCTOR: Final = "doctor"
_DAY: Final = timedelta(days=1)
_MEASURED: Final = {"pressure", "glucose"}
_TOLD: Final = {"claim", "retract"}
_ENROLLED: Final = {"sign", "diagnose"}


def to_resident(person: PersonPlan, name: str, site: Site) -> Resident:
    """As the contract system knows them on the first day."""
    return Resident(
        id=name,
        team_id=team_id(site.centre_id, 0),
        birth_date=person.born,
        sex="female" if person.sex == "female" else "male",
        enrolled_on=person.enrolled,
        conditions=[
            DatedCondition(condition=condition, since=person.since)  # type: ignore[arg-type]
            for condition in person.conditions
        ],
    )


def tell_day(
    scenario: Scenario, begins_at: datetime, names: Mapping[str, str]
) -> tuple[list[Happening], list[Draft]]:
    """One day of all stories: what happens, and what is measured.

    Args:
        scenario: Whose events are told.
        begins_at: The day's midnight.
        names: Pseudonym by card.
    """
    persons = {person.id: person for person in scenario.persons}
    happenings: list[Happening] = []
    drafts: list[Draft] = []
    for event in scenario.events:
        if not begins_at <= event.at < begins_at + _DAY:
            continue
        person = persons[event.person]
        if event.what in _MEASURED:
            drafts.append(_measure(event, person))
        else:
            happenings.append(_happen(scenario, event, person, names[person.card_number]))
    return happenings, drafts


def _measure(event: Event, person: PersonPlan) -> Draft:
    values: dict[str, Any]
    if event.what == "glucose":
        values = {"glucose": Numeral(event.value), "unit": "mmol/L", **event.fields}
        draft = Draft.honest(event.at, person.card_number, person.gateway, "glucose", values)
    else:
        systolic, diastolic = event.value
        values = {"systolic": systolic, "diastolic": diastolic, "unit": "mmHg", **event.fields}
        draft = Draft.honest(event.at, person.card_number, person.gateway, "blood_pressure", values)
    draft.label = event.label
    return draft


def _happen(scenario: Scenario, event: Event, person: PersonPlan, name: str) -> Happening:
    if event.what in _TOLD:
        changes = Changes(resident_id=name) if event.what == "claim" else None
        return Amended(at=event.at, label=event.value, author=_DOCTOR, changes=changes)
    if event.what in _ENROLLED:
        return _enrol(scenario, event, person, name)
    own: dict[str, Any] = dict(event.fields)
    match event.what:
        case "visit":
            own["mode"] = event.value
        case "override":
            own["state"] = event.value
        case "closure":
            own["reason"] = event.value
        case _:
            own["outcome"] = event.value
    record = Record(
        id=new_id(event.at),
        resident_id=name,
        kind=event.what,  # type: ignore[arg-type]
        at=event.at,
        author=_DOCTOR,
        **own,
    )
    return Recorded(at=event.at, record=record)


def _enrol(scenario: Scenario, event: Event, person: PersonPlan, name: str) -> Enrolled:
    if event.what == "sign":
        contract = Contract(
            id=f"{name[:24]}-{event.at:%Y%m%d}",
            resident_id=name,
            package_id=event.value,
            since=event.at.date(),
            signed_on=event.at.date(),
        )
        package = Package(id=event.value, name=event.value)
        return Enrolled(
            at=event.at, population=Population(packages=[package], contracts=[contract])
        )
    found = [
        earlier
        for earlier in scenario.events
        if earlier.what == "diagnose" and earlier.person == person.id and earlier.at <= event.at
    ]
    site = next(s for s in scenario.town.sites if s.gateway_id == person.gateway)
    before = to_resident(person, name, site)
    conditions = [
        *before.conditions,
        *(DatedCondition(condition=each.value, since=each.at.date()) for each in found),
    ]
    resident = Resident(
        id=before.id,
        team_id=before.team_id,
        birth_date=before.birth_date,
        sex=before.sex,
        enrolled_on=before.enrolled_on or event.at.date(),
        conditions=conditions,
    )
    return Enrolled(at=event.at, population=Population(residents=[resident]))
