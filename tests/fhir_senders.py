"""What other systems send, for the tests beside: an Observation, and a Bundle as Synthea writes it.

The Bundle is made by hand in the shape of Synthea's R4 transactions (``urn:uuid`` references, the
old panel code, values with many digits, resources that nobody here takes); nobody in it exists.
"""

from decimal import Decimal
from typing import Any, Final

from api.fhir import codes
from tests.fhir_world import Json

PATIENT_AT: Final = "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"


def a_quantity(value: object, unit: str = "mm[Hg]") -> Json:
    return {"value": value, "unit": unit, "system": codes.UCUM, "code": unit}


def a_concept(*of_loinc: str) -> Json:
    return {"coding": [{"system": codes.LOINC, "code": code} for code in of_loinc]}


def a_part(code: str, value: object, unit: str = "mm[Hg]") -> Json:
    concept = {"coding": [{"system": codes.LOINC, "code": code}]}
    return {"code": concept, "valueQuantity": a_quantity(value, unit)}


def a_pressure(
    systolic: object = 146,
    diastolic: object = 92,
    *,
    name: str | None = None,
    **more: Any,  # noqa: ANN401
) -> Json:
    plain: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": codes.LOINC, "code": codes.PANEL}]},
        "subject": {"reference": "Patient/anna"},
        "effectiveDateTime": "2026-03-15T09:30:00+08:00",
        "component": [a_part(codes.SYSTOLIC, systolic), a_part(codes.DIASTOLIC, diastolic)],
    }
    named = {} if name is None else {"identifier": [{"system": "urn:his", "value": name}]}
    return {**plain, **named, **more}


def a_sugar(value: object, unit: str, code: str, **more: Any) -> Json:  # noqa: ANN401
    plain = a_pressure(code=a_concept(code))
    del plain["component"]
    return {**plain, "valueQuantity": a_quantity(value, unit), **more}


def an_entry(resource: Json, at: str | None = None, condition: str | None = None) -> Json:
    request = {"method": "POST", "url": resource["resourceType"]}
    if condition is not None:
        request["ifNoneExist"] = condition
    address = {} if at is None else {"fullUrl": at}
    return {**address, "resource": resource, "request": request}


def a_bundle(*entries: Json, kind: str = "transaction") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def a_synthea_patient() -> Json:
    return {
        "resourceType": "Patient",
        "id": "5cbc121b-cd71-4428-b8b7-31e53eba8184",
        "identifier": [
            {
                "system": "https://github.com/synthetichealth/synthea",
                "value": "2fa15bc7-8866-461a-9000-f739e425860a",
            }
        ],
        "name": [{"use": "official", "family": "Nobody999", "given": ["None888"]}],
        "gender": "male",
        "birthDate": "1949-01-01",
        "multipleBirthBoolean": False,
    }


def a_synthea_bundle() -> Json:
    """A Patient, two pressures, a glucose value, and what Synthea writes between them."""
    subject = {"reference": PATIENT_AT}
    around: Json = {"subject": subject, "encounter": {"reference": "urn:uuid:e1"}}
    old = {
        "coding": [{"system": codes.LOINC, "code": codes.OLD_PANEL, "display": "Blood Pressure"}]
    }
    encounter = {"resourceType": "Encounter", "status": "finished", "subject": subject}
    long = Decimal("119.73521940")
    pressure = a_pressure(Decimal("139.5"), Decimal(87), code=old, **around)
    return a_bundle(
        an_entry(a_synthea_patient(), PATIENT_AT),
        an_entry(encounter, "urn:uuid:e1"),
        an_entry({**pressure, "issued": "2026-03-15T09:30:00.000+08:00"}),
        an_entry(a_pressure(long, Decimal(80), code=old, **around)),
        an_entry(a_sugar(Decimal("126.25"), "mg/dL", "2339-0", **around)),
        an_entry(a_sugar(Decimal("6.1"), "%", "4548-4", **around)),
    )
