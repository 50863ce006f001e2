"""Promise: what another system writes becomes a reading exactly, or is refused with its path."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.fhir import codes
from api.fhir.incoming.elements import Element, Unmappable
from api.fhir.incoming.entries import Entry, read_bundle, read_one
from api.fhir.incoming.observation import Draft, map_observation
from gateway.wire.errors import WireError
from gateway.wire.ids import time_of
from gateway.wire.readings import parse_reading
from tests.fhir_senders import a_pressure, a_sugar, a_synthea_bundle
from tests.fhir_world import Json

NOW = datetime(2026, 3, 16, tzinfo=UTC)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | st.sampled_from(["mmol/L", "mm[Hg]", codes.UCUM, codes.LOINC, "14770-2", "2339-0", "POST"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
IN_BUNDLE = [each["resource"] for each in a_synthea_bundle()["entry"]]
OBSERVATIONS = [
    a_pressure(name="o-1"),
    a_sugar(7, "mmol/L", "14743-9"),
    *(each for each in IN_BUNDLE if each["resourceType"] == "Observation"),
]
_WHOLE = {2, 4}  # Places in the Bundle.
# An element, or a field of the wire.
_PATH = r"(?:Observation|Bundle|Patient|If-None-Exist)(?:[.\[][\w.\[\]-]*)?|[a-z][a-z0-9_]*"


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside."""
    yield path
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for name, child in children:
        yield from places(child, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], by: object) -> Any:  # noqa: ANN401 - JSON
    """The same with one thing in another's place; nothing in it is shared."""
    if not path:
        return by
    name, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: replaced(one, rest, by) if key == name else one for key, one in value.items()}
    return [replaced(one, rest, by) if at == name else one for at, one in enumerate(value)]


def mapped(resource: object) -> Draft:
    return map_observation(
        Element.of("Observation", resource), resident_id="anna", gateway="his", now=NOW
    )


def outcome_of(resource: object, resident_id: str = "anna") -> str:
    """``taken``, or the path of what is refused."""
    try:
        draft = map_observation(
            Element.of("Observation", resource), resident_id=resident_id, gateway="his", now=NOW
        )
        reading = parse_reading(draft.seal("his")[1])
    except Unmappable as problem:
        return problem.path
    except WireError as error:
        return str(error.field)
    assert (reading.resident_id, reading.measured_at) == (resident_id, draft.measured_at)
    return "taken"


def test_what_is_whole_is_taken_and_what_is_not_ours_is_named() -> None:
    expected = [*["taken"] * 3, "systolic", "taken", "Observation.code.coding"]
    assert [outcome_of(observation) for observation in OBSERVATIONS] == expected


@settings(deadline=None, max_examples=500)
@given(data=st.data())
def test_whatever_is_in_an_observation_it_is_mapped_or_refused_by_its_path(
    data: st.DataObject,
) -> None:
    sent = data.draw(st.sampled_from(OBSERVATIONS))
    path = data.draw(st.sampled_from(list(places(sent))))
    broken = replaced(sent, path, data.draw(ANYTHING))

    entry = read_one(broken, None)
    assert (entry.problem is None) == (entry.resident_id is not None)
    outcome = outcome_of(broken)
    assert outcome == "taken" or re.fullmatch(_PATH, outcome)
    if broken == sent:
        assert outcome == outcome_of(sent)


def read_entries(bundle: object) -> tuple[list[Entry], str | None]:
    """Entries, or the path of what is refused."""
    try:
        return read_bundle(bundle, entries_max=10, gateway="his")[1], None
    except Unmappable as problem:
        return [], problem.path


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_whatever_is_in_a_bundle_its_entries_are_mapped_or_refused_by_their_path(
    data: st.DataObject,
) -> None:
    sent = a_synthea_bundle()
    path = data.draw(st.sampled_from([way for way in places(sent) if way]))
    broken = replaced(sent, path, data.draw(ANYTHING))
    entries, refused = read_entries(broken)
    if refused is not None:  # Only for what is no Bundle, or no list of entries.
        assert refused.startswith("Bundle")
        assert path[2:] == ()
        return

    patient = path[1:2] == (0,)  # Of whom the others are.
    for at, entry in enumerate(entries):
        is_whole = path != ("entry",) and path[1:2] != (at,) and at in _WHOLE
        if is_whole and not patient:
            assert entry.problem is None
        if entry.problem is not None:
            assert re.fullmatch(_PATH, entry.problem.path)
        elif entry.type == "Observation":
            outcome = outcome_of(entry.resource.content, str(entry.resident_id))
            assert outcome == "taken" or (re.fullmatch(_PATH, outcome) and not is_whole)


@settings(deadline=None)
@given(
    systolic=st.decimals(60, 300, places=2),
    diastolic=st.decimals(20, 59, places=2),
    at=st.datetimes(
        min_value=datetime(2015, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2026, 3, 15),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
)
def test_values_and_time_arrive_as_they_were_written(
    systolic: Decimal, diastolic: Decimal, at: datetime
) -> None:
    draft = mapped(a_pressure(systolic, diastolic, effectiveDateTime=at.isoformat()))
    id_, raw = draft.seal("his")

    reading = parse_reading(raw)
    assert (str(reading.systolic), str(reading.diastolic)) == (str(systolic), str(diastolic))  # type: ignore[union-attr]
    assert reading.measured_at == at
    assert reading.id == id_
    assert abs(time_of(id_) - at) < timedelta(milliseconds=1)
    assert reading.resident_id == "anna"


@settings(deadline=None)
@given(
    code=st.sampled_from(sorted(codes.GLUCOSE_OF_CODE)),
    unit=st.sampled_from(codes.GLUCOSE_UNITS),
)
def test_no_unit_is_taken_under_a_code_of_another_property(code: str, unit: str) -> None:
    sugar = codes.GLUCOSE_OF_CODE[code]
    sent = a_sugar(7, codes.UCUM_OF_UNIT[unit], code)
    if (unit in codes.MOLAR_UNITS) != sugar.molar:
        with pytest.raises(Unmappable) as refused:
            mapped(sent)
        assert refused.value.path == "Observation.valueQuantity.code"
        return
    fields = mapped(sent).fields
    assert fields["unit"] == unit
    assert (fields["meal_context"] == "fasting") == sugar.fasting


@settings(deadline=None)
@given(data=st.data(), sender=st.sampled_from(["his", "lab"]))
def test_the_id_is_the_same_for_the_same_content_of_one_sender_only(
    data: st.DataObject, sender: str
) -> None:
    values = st.tuples(st.integers(60, 300), st.integers(20, 59))
    first, second = data.draw(values), data.draw(values)
    assume(first != second)

    def seal(pressure: tuple[int, int], by: str) -> tuple[Any, bytes]:
        return mapped(json.loads(json.dumps(a_pressure(*pressure)))).seal(by)

    assert seal(first, sender) == seal(first, sender)
    assert seal(first, sender)[0] != seal(second, sender)[0]
    assert seal(first, "his")[0] != seal(first, "lab")[0]
    named: Json = {"identifier": [{"system": "urn:his", "value": "o-1"}]}
    assert mapped({**a_pressure(*first), **named}).seal(sender) == seal(first, sender)
