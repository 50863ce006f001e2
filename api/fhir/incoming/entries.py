"""A Bundle, or one resource, as entries to be received: what each is, and whom it names. Pure.

References inside a Bundle (``urn:uuid:…``) are resolved here, to the entries they stand for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from api.fhir import ids
from api.fhir.codes import RESIDENT_IDS, Json
from api.fhir.incoming.elements import Element, Unmappable
from api.fhir.incoming.patient import Person, map_patient

TAKEN: Final = ("Patient", "Observation")
TYPES: Final = ("transaction", "batch")
_REFERENCE: Final = re.compile(r"(?:https?://\S+/)?Patient/([A-Za-z0-9.\-]{1,64})")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One resource to be received, and what has become of it so far."""

    resource: Element
    type: str = ""
    condition: tuple[str, str] | None = None  # Identifier of If-None-Exist.
    person: Person | None = None
    resident_id: str | None = None  # Of an Observation: whom it names.
    problem: Unmappable | None = None
    notes: list[str] = field(default_factory=list)


def read_condition(path: str, text: str | None) -> tuple[str, str] | None:
    """The identifier of ``If-None-Exist``. Raises ``Unmappable``."""
    if text is None:
        return None
    asked = parse_qsl(text.partition("?")[2] if "?" in text else text, keep_blank_values=True)
    system, bar, value = asked[0][1].rpartition("|") if len(asked) == 1 else ("", "", "")
    if len(asked) != 1 or asked[0][0] != "identifier" or not (bar and system and value):
        raise Unmappable(
            path=path, value=text, remedy="write identifier=system|value, and nothing else"
        )
    return system, value


def read_one(resource: object, condition: str | None) -> Entry:
    """One Observation by itself."""
    entry = Entry(resource=Element("Observation", {}), type="Observation")
    try:
        entry.condition = read_condition("If-None-Exist", condition)
        entry.resource = Element.of("Observation", resource)
        _require("resourceType", entry.resource.text("resourceType"), ("Observation",))
        _require_condition(entry)
        entry.resident_id = _subject(entry.resource, {})
    except Unmappable as problem:
        entry.problem = problem
    return entry


def _require(path: str, value: str | None, allowed: Sequence[str]) -> None:
    if value not in allowed:
        wanted = " or ".join(allowed)
        raise Unmappable(path=path, value=value or "", remedy=f"only {wanted} is taken")


def read_bundle(bundle: object, *, entries_max: int, gateway: str) -> tuple[str, list[Entry]]:
    """Type and entries of a Bundle; what cannot be read of an entry is its problem.

    Raises:
        Unmappable: It is no Bundle that is taken here.
    """
    found = Element.of("Bundle", bundle)
    _require("Bundle.resourceType", found.text("resourceType"), ("Bundle",))
    _require("Bundle.type", found.text("type"), TYPES)
    parts = found.elements("entry", entries_max)
    people: dict[str, Entry] = {}
    entries = [_read_entry(part, people, gateway) for part in parts]
    for entry in entries:
        if entry.type == "Observation" and entry.problem is None:
            try:
                entry.resident_id = _subject(entry.resource, people)
            except Unmappable as problem:
                entry.problem = problem
    return found.need("type"), entries


def _read_entry(part: Element, people: dict[str, Entry], gateway: str) -> Entry:
    entry = Entry(resource=part)
    try:
        entry.resource = part.element("resource")
        entry.type = entry.resource.need("resourceType")
        request = part.element("request")
        path = f"{part.path}.request"
        _require(f"{entry.resource.path}.resourceType", entry.type, TAKEN)
        _require(f"{path}.method", request.text("method"), ("POST",))
        _require(f"{path}.url", request.text("url"), (entry.type, f"/{entry.type}"))
        condition = request.text("ifNoneExist")
        if entry.type == "Observation":
            entry.condition = read_condition(f"{path}.ifNoneExist", condition)
            _require_condition(entry)
        else:
            entry.person = map_patient(entry.resource, gateway=gateway)
    except Unmappable as problem:
        entry.problem = problem
    if entry.type == "Patient" and isinstance(part.content.get("fullUrl"), str):
        people[part.content["fullUrl"]] = entry
    return entry


def _require_condition(entry: Entry) -> None:
    """What is not among its identifiers could never be found again."""
    if entry.condition is not None and entry.condition not in entry.resource.identifiers():
        path = f"{entry.resource.path}.identifier"
        raise Unmappable(
            path=path, value="|".join(entry.condition), remedy="If-None-Exist names another one"
        )


def _subject(resource: Element, people: Mapping[str, Entry]) -> str:
    subject = resource.element("subject")
    reference = subject.text("reference")
    path = f"{subject.path}.reference"
    if reference is not None and reference in people:
        person = people[reference].person
        if person is None:
            raise Unmappable(
                path=path, value=reference, remedy="the Patient it stands for was refused"
            )
        return person.resident.id
    if reference is not None and (found := _REFERENCE.fullmatch(reference)):
        id_ = ids.from_fhir(found[1])
        if id_ is not None:
            return id_
    if reference is None and subject.has("identifier"):
        named = subject.element("identifier")
        if named.text("system") == RESIDENT_IDS:
            return named.need("value")
    raise Unmappable(
        path=path, value=reference or "", remedy="names no Patient of ours, nor of this Bundle"
    )


def issues_of(problem: Unmappable) -> Sequence[Json]:
    """What a refused element is told as."""
    return [describe(problem.path, f"{problem.value!r}: {problem.remedy}")]


def describe(path: str, said: str, *, severity: str = "error", code: str = "value") -> Json:
    """One issue about an element."""
    found: dict[str, Any] = {
        "severity": severity,
        "code": code,
        "diagnostics": f"{path}: {said}",
        "expression": [path],
    }
    return found
