"""A Patient of another system as a resident of ours. Pure.

Who carries our identifier is that resident; everybody else becomes one under the sender's name,
so that no two senders' patients are ever one. Names, addresses and numbers are not taken here:
they come from the contract system, which seals them. What is not kept is listed.
"""

from datetime import date
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from api.fhir.codes import RESIDENT_IDS, TEAM_IDS
from api.fhir.incoming.elements import Element, Unmappable
from ingest.db.entities import ExternalId, Resident, Sex

_ID: Final[TypeAdapter[str]] = TypeAdapter(ExternalId)
_KEPT: Final = frozenset(
    {"resourceType", "id", "meta", "identifier", "gender", "birthDate", "generalPractitioner"}
) | {"text", "deceasedBoolean"}
_SEXES: Final[dict[str, Sex | None]] = {
    "female": "female",
    "male": "male",
    "unknown": None,
    "other": None,
}


class Person(NamedTuple):
    """Who is meant, and what there is to write if nobody has yet."""

    resident: Resident
    ours: bool  # Named by our own identifier.
    not_kept: list[str]  # Names of elements.


def map_patient(resource: Element, *, gateway: str) -> Person:
    """The resident that a Patient says. Raises ``Unmappable``."""
    dead = ("deceasedBoolean",) if resource.content.get("deceasedBoolean") is not False else ()
    resource.refuse(
        *("modifierExtension", "implicitRules", "deceasedDateTime", *dead),
        remedy="changes what the rest means; a death is told by the contract system",
    )
    named = [value for system, value in resource.identifiers() if system == RESIDENT_IDS]
    if len(named) > 1:
        raise Unmappable(
            path=f"{resource.path}.identifier", value="", remedy=f"more than one of {RESIDENT_IDS}"
        )
    id_ = named[0] if named else f"{gateway}.{resource.need('id')}"
    try:
        _ID.validate_python(id_)
    except ValidationError as error:
        raise Unmappable(
            path=f"{resource.path}.id", value="", remedy="no id that we can use"
        ) from error
    resident = Resident(
        id=id_,
        team_id=_team(resource),
        birth_date=_birth_date(resource),
        sex=_sex(resource),
    )
    return Person(resident, bool(named), sorted(set(resource.content) - _KEPT))


def _sex(resource: Element) -> Sex | None:
    gender = resource.text("gender")
    if gender is None:
        return None
    if gender not in _SEXES:
        raise Unmappable(
            path=f"{resource.path}.gender", value=gender, remedy="must be of administrative-gender"
        )
    return _SEXES[gender]


def _birth_date(resource: Element) -> date | None:
    text = resource.text("birthDate")
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:  # A year alone would be a guess of the day, and 65 is a limit.
        path = f"{resource.path}.birthDate"
        raise Unmappable(
            path=path, value="", remedy="must be a whole date; leave it out where it is not"
        ) from error


def _team(resource: Element) -> str | None:
    found = [
        one.element("identifier").need("value")
        for one in resource.elements("generalPractitioner")
        if one.has("identifier") and one.element("identifier").text("system") == TEAM_IDS
    ]
    if len(found) > 1:
        raise Unmappable(
            path=f"{resource.path}.generalPractitioner", value="", remedy="more than one team"
        )
    return found[0] if found else None
