"""Promise: every resource that is built is valid FHIR R4, and says exactly what the row says."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.fhir import codes, examples, ids
from api.fhir.resources import device, observation, operation_outcome, patient
from api.fhir.resources.meta import EXACT
from ingest.db.entities import Personal
from tests.fhir_world import Json, check, exact

# Of the white space FHIR's own pattern takes some that the checker's does not.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=40)
TIMES = st.datetimes(
    min_value=datetime(2015, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


IDENTIFIERS = st.tuples(NAMES.map("urn:{}".format), NAMES)


def numbers(low: int, high: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


PRESSURES = st.fixed_dictionaries(
    {
        "kind": st.just("blood_pressure"),
        "systolic": st.integers(0, 2).flatmap(lambda places: numbers(60, 300, places)),
        "diastolic": numbers(20, 59, 1),
        "pulse": st.none() | numbers(20, 300, 0),
        "unit": st.sampled_from(codes.PRESSURE_UNITS),
        "arm": st.sampled_from([None, "left", "right"]),
        "posture": st.sampled_from([None, "sitting"]),
        "glucose": st.none(),
        "meal_context": st.none(),
        "sample": st.none(),
        "status": st.sampled_from([[], ["irregular_pulse"]]),
    }
)
SAMPLES = [*codes.SPECIMENS, "interstitial_fluid"]
CONTEXTS = ["fasting", "preprandial", "postprandial_2h", "random", "bedtime", "unknown"]
SUGARS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "kind": st.just("glucose"),
        "systolic": st.none(),
        "diastolic": st.none(),
        "pulse": st.none(),
        "arm": st.none(),
        "posture": st.none(),
        "glucose": st.integers(0, 4).flatmap(lambda places: numbers(1, 55, places)),
        "unit": st.sampled_from(codes.GLUCOSE_UNITS),
        "meal_context": st.sampled_from(CONTEXTS),
        "sample": st.sampled_from(SAMPLES),
        "status": st.just([]),
    }
) | st.fixed_dictionaries(
    {
        "kind": st.just("glucose"),
        **dict.fromkeys(("systolic", "diastolic", "pulse", "arm", "posture"), st.none()),
        **dict.fromkeys(("glucose", "unit", "sample"), st.none()),
        "meal_context": st.sampled_from(CONTEXTS),
        "status": st.sampled_from([["result_too_high"], ["result_too_low", "time_fault"]]),
    }
)
AROUND = st.fixed_dictionaries(
    {
        "id": st.uuids(),
        "resident_id": st.none() | NAMES,
        "centre_id": NAMES,
        "device_id": NAMES,
        "device_known": st.booleans(),
        "captured_at": TIMES,
        "received_at": TIMES,
        "effective_at": TIMES,
        "updated_at": TIMES,
        "time_suspect": st.booleans(),
        "retracted": st.booleans(),
        "late_context": st.none(),
        "version": st.integers(1, 9),
        "identifiers": st.none()
        | st.lists(st.tuples(NAMES.map("urn:{}".format), NAMES), max_size=2),
    }
)


def as_sent(resource: Json) -> Json:
    """What goes over the wire, each number with its digits."""
    return exact(EXACT.encode(resource).decode())


def a_reading(**more: Any) -> Json:  # noqa: ANN401 - columns are of any type
    return {**examples.READING_ROW, **more}


def a_sugar(**more: Any) -> Json:  # noqa: ANN401 - columns are of any type
    plain = dict.fromkeys(("systolic", "diastolic", "pulse", "arm", "posture"))
    value = {"kind": "glucose", "glucose": Decimal("7.00"), "unit": "mmol/L"}
    return a_reading(**{**plain, **value, "meal_context": "unknown", **more})


def codings(resource: Json, system: str) -> list[str]:
    return [c["code"] for c in resource["code"].get("coding", []) if c["system"] == system]


def component(resource: Json, code: str) -> Json:
    (found,) = [
        one
        for one in resource["component"]
        if any(each["code"] == code for each in one["code"]["coding"])
    ]
    return dict(found)


@settings(deadline=None)
@given(measured=PRESSURES | SUGARS, around=AROUND)
def test_every_reading_is_a_valid_observation(measured: Json, around: Json) -> None:
    row = {**a_reading(), **around, **measured, "changes": None}

    built = observation.build(row)

    check(built)
    assert built["status"] == ("entered-in-error" if row["retracted"] else "final")
    assert ("subject" in built) == (row["resident_id"] is not None)
    sent = as_sent(built)
    if row["kind"] == "blood_pressure":
        for name, code in (("systolic", codes.SYSTOLIC), ("diastolic", codes.DIASTOLIC)):
            value = component(sent, code)["valueQuantity"]
            assert str(value["value"]) == str(row[name])
            assert codes.UNIT_OF_UCUM[value["code"]] == row["unit"]
    elif row["glucose"] is not None:
        assert str(sent["valueQuantity"]["value"]) == str(row["glucose"])
        assert codes.UNIT_OF_UCUM[sent["valueQuantity"]["code"]] == row["unit"]
    else:
        assert "valueQuantity" not in sent
        assert sent["interpretation"]


@settings(deadline=None)
@given(measured=SUGARS)
def test_no_code_of_a_glucose_value_says_anything_false(measured: Json) -> None:
    built = observation.build({**a_reading(), **measured})

    context = component(built, "meal-context")["valueCodeableConcept"]["coding"][0]["code"]
    assert context == measured["meal_context"]
    for code in codings(built, codes.LOINC):
        name = codes.GLUCOSE_NAMES[code]
        assert not name.startswith("Fasting") or context == "fasting"
        if measured["unit"] is not None:
            assert ("Moles" in name) == (measured["unit"] in codes.MOLAR_UNITS)
        assert "Capillary" not in name or "capillary" in (measured["sample"] or "")
        assert measured["sample"] != "interstitial_fluid"
        if "plasma" in (measured["sample"] or "") and "Capillary" not in name:
            assert "Plasma" in name


@pytest.mark.parametrize(
    ("sample", "context", "unit", "code"),
    [
        ("capillary_whole_blood", "fasting", "mmol/L", "14770-2"),
        ("capillary_whole_blood", "random", "mmol/L", "14743-9"),
        ("capillary_whole_blood", "fasting", "mg/dL", "1556-0"),
        ("capillary_whole_blood", "unknown", "mg/dL", "41653-7"),
        ("venous_plasma", "fasting", "mmol/L", "14771-0"),
        ("venous_plasma", "fasting", "mg/dL", "1558-6"),
        ("venous_plasma", "random", "mg/dL", "2345-7"),
        ("venous_plasma", "random", "mmol/L", None),
        (None, "fasting", "mmol/L", "77145-1"),
        (None, "random", "mmol/L", "15074-8"),
        (None, "fasting", "mg/dL", "2339-0"),
        (None, "random", "mg/dL", "2339-0"),
        ("interstitial_fluid", "random", "mmol/L", None),
    ],
)
def test_glucose_codes_are_those_of_the_mapping_table(
    sample: str | None, context: str, unit: str, code: str | None
) -> None:
    built = observation.build(a_sugar(sample=sample, meal_context=context, unit=unit))

    assert codings(built, codes.LOINC) == ([] if code is None else [code])


def test_what_a_search_for_a_code_finds_is_what_goes_out_under_it() -> None:
    for code in codes.GLUCOSE_OF_CODE:
        for sugar in codes.sugars_of(code):
            assert codes.glucose_code(sugar) == code
    every = [sugar for code in codes.GLUCOSE_OF_CODE for sugar in codes.sugars_of(code)]
    assert len(every) == len(set(every)) == 11  # Of 12; plasma in moles at any time has none.


def test_only_a_pressure_in_mmhg_claims_the_profile() -> None:
    assert observation.build(a_reading())["meta"]["profile"] == [codes.BP_PROFILE]
    assert "profile" not in observation.build(a_reading(unit="kPa"))["meta"]


def test_a_correction_replaces_what_it_corrects_and_nothing_else() -> None:
    changes = {"systolic": "136", "arm": "right", "measured_at": "2026-03-15T23:00:00+00:00"}

    built = observation.build(a_reading(changes=changes, version=2))

    check(built)
    assert built["status"] == "corrected"
    assert str(component(built, codes.SYSTOLIC)["valueQuantity"]["value"]) == "136"
    assert str(component(built, codes.DIASTOLIC)["valueQuantity"]["value"]) == "92"
    assert built["effectiveDateTime"] == "2026-03-15T23:00:00Z"
    assert built["bodySite"]["text"] == "right arm"
    assert built["meta"]["versionId"] == "2"


def test_a_persons_context_stands_over_the_meters_later_one() -> None:
    late = a_sugar(late_context="fasting", sample="capillary_plasma")

    assert codings(observation.build(late), codes.LOINC) == ["14770-2"]
    assert observation.build(late)["status"] == "final"
    corrected = {**late, "changes": {"meal_context": "random"}}
    assert codings(observation.build(corrected), codes.LOINC) == ["14743-9"]


@settings(deadline=None)
@given(
    id_=NAMES,
    whole=st.booleans(),
    sex=st.sampled_from([None, "female", "male"]),
    birth_date=st.none() | st.dates(date(1900, 1, 1)),
    named=st.booleans(),
)
def test_a_patient_shows_nothing_beyond_what_its_reader_may(
    id_: str, sex: str | None, birth_date: date | None, *, whole: bool, named: bool
) -> None:
    row: dict[str, Any] = {
        "id": "x",
        "birth_date": birth_date,
        "sex": sex,
        "team_id": id_,
        "team_name": id_,
        "centre_id": id_,
        "centre_name": id_,
        "version": 1,
        "updated_at": datetime.now(UTC),
        "merged_into": None,
        "merged": [],
    }
    personal = Personal(name="某某", id_number="99000019490101001X") if named else None

    built = patient.build(row, whole=whole, personal=personal)

    check(built)
    shown = json.dumps(built, ensure_ascii=False)
    assert ("某某" in shown) == ("99000019490101001X" in shown) == (whole and named)
    assert ("gender" in built) == whole
    assert ("birthDate" in built) == (whole and birth_date is not None)


@settings(deadline=None)
@given(id_=NAMES, model=st.none() | NAMES, kind=st.sampled_from(["blood_pressure", "glucose"]))
def test_every_device_is_valid_where_it_has_an_address(
    id_: str, model: str | None, kind: str
) -> None:
    row = {"id": id_, "kind": kind, "model": model, "gateway_id": id_, "centre_id": id_}
    if ids.to_fhir(id_) is not None:
        check(device.build(row))


@pytest.mark.parametrize("name", examples.EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    check(examples.example(name))


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503]
)
def test_every_outcome_is_valid(status: int) -> None:
    issue = operation_outcome.issue(status, "bad-parameter", str(uuid4()), path="date")

    check(operation_outcome.build([issue]))


@settings(deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=70))
def test_an_id_is_spelled_in_one_way_and_read_back(text: str) -> None:
    spelled = ids.to_fhir(text)

    if "\x00" in text:  # Nothing of ours: no text in the database holds one.
        assert spelled is None or ids.from_fhir(spelled) is None
    elif spelled is not None:
        assert ids.from_fhir(spelled) == text
    else:
        assert len(text) > 64 or not text.isascii() or not text.isalnum()


@settings(deadline=None)
@given(spelled=st.text(st.sampled_from("aZ9-.0F2Eaf"), min_size=1, max_size=30))
def test_what_is_read_as_an_id_has_no_other_spelling(spelled: str) -> None:
    text = ids.from_fhir(spelled)

    assert text is None or ids.to_fhir(text) == spelled
