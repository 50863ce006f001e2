"""What stands in the OpenAPI document beside the operations of ``/fhir``. Nobody in it exists.

The examples are made by the same builders as the answers, from rows made up here, so that they
cannot drift from them; a test validates each by an independent checker.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from api.fhir.codes import RESIDENT_IDS, Json
from api.fhir.resources import (
    bundle,
    capability_statement,
    detected_issue,
    device,
    flag,
    observation,
    operation_outcome,
    patient,
    provenance,
    service_request,
    task,
)
from api.fhir.resources.meta import EXACT
from ingest.db.entities import Personal

MEDIA_TYPE: Final = "application/fhir+json"
BASE: Final = "/fhir"
_AT: Final = datetime(2026, 3, 16, 1, 0, tzinfo=UTC)
_RESIDENT: Final = "r-5b1a7a0f6f6a4f5e8f0f3d5c2a9b7e11"
_READING: Final = UUID("019cf3b5-5c00-7000-8000-000000000001")

READING_ROW: Final[Mapping[str, Any]] = {
    "id": _READING,
    "kind": "blood_pressure",
    "resident_id": _RESIDENT,
    "centre_id": "cx-longgang",
    "gateway_id": "cx-longgang-gw1",
    "device_id": "cuff-7F31",
    "captured_at": _AT,
    "received_at": _AT,
    "effective_at": _AT,
    "time_suspect": False,
    "setting": "office",
    "status": [],
    "systolic": Decimal(146),
    "diastolic": Decimal(92),
    "pulse": Decimal(78),
    "arm": "left",
    "posture": None,
    "glucose": None,
    "meal_context": None,
    "sample": None,
    "unit": "mmHg",
    "changes": None,
    "retracted": False,
    "late_context": None,
    "device_known": True,
    "identifiers": None,
    "version": 1,
    "updated_at": _AT,
}
_PATIENT_ROW: Final[Mapping[str, Any]] = {
    "id": _RESIDENT,
    "birth_date": date(1949, 1, 1),
    "sex": "female",
    "team_id": "cx-longgang-3",
    "team_name": "Longgang team 3",
    "centre_id": "cx-longgang",
    "centre_name": "Longgang",
    "version": 3,
    "updated_at": _AT,
    "merged_into": None,
    "merged": ["r-0c41d9e7"],
}
_DEVICE_ROW: Final[Mapping[str, Any]] = {
    "id": "cuff-7F31",
    "kind": "blood_pressure",
    "model": "U-100",
    "gateway_id": "cx-longgang-gw1",
    "centre_id": "cx-longgang",
}


ALERT_ROW: Final[Mapping[str, Any]] = {
    "id": UUID("0c9d6a2e-0000-5000-8000-000000000001"),
    "number": 41,
    "resident_id": _RESIDENT,
    "condition": "hypertension",
    "code": "BP_UNSATISFIED_1",
    "severity": "warn",
    "status": "active",
    "anchor_id": _READING,
    "anchor_kind": "reading",
    "raised_at": _AT,
    "observed": "146/92 mmHg",
    "threshold": "≥ 140/90 mmHg",
    "source": "国家基本公共卫生服务规范 2017, 高血压",
    "profile": "wuzhou",
    "profile_version": "1",
    "explanation": None,
    "updated_at": _AT,
}
CASE_ROW: Final[Mapping[str, Any]] = {
    "number": 7,
    "resident_id": _RESIDENT,
    "team_id": "cx-longgang-3",
    "condition": "hypertension",
    "state": "second_followup_open",
    "profile": "wuzhou",
    "profile_version": "1",
    "updated_at": _AT,
}
TASK_ROW: Final[Mapping[str, Any]] = {
    **CASE_ROW,
    "kind": "second-followup",
    "due": date(2026, 3, 30),
}
REFERRAL_ROW: Final[Mapping[str, Any]] = {
    **CASE_ROW,
    "to_state": "referral_recommended",
    "at": _AT,
    "author": "judge",
    "threshold": "≥ 140/90 mmHg",
    "input_ids": [_READING],
    "status": "active",
}
PROVENANCE_ROW: Final[Mapping[str, Any]] = {
    "kind": "reading",
    "id": _READING,
    "reading_id": _READING,
    "gateway_id": "cx-longgang-gw1",
    "device_id": "cuff-7F31",
    "device_known": True,
    "author": None,
    "reason": None,
    "received_at": _AT,
    "captured_at": _AT,
}


def _capabilities() -> Json:
    parameter = capability_statement.Parameter("_id", "token", "Logical id")
    served = capability_statement.Served("Observation", "A reading as it stands", [parameter])
    return capability_statement.build([served], program_version="0.1.0", base=BASE)


EXAMPLES: Final[Mapping[str, Callable[[], Json]]] = {
    "CapabilityStatement": _capabilities,
    "Patient": lambda: patient.build(
        _PATIENT_ROW, whole=True, personal=Personal(name="某某", id_number=None)
    ),
    "Device": lambda: device.build(_DEVICE_ROW),
    "Observation": lambda: observation.build(READING_ROW),
    "DetectedIssue": lambda: detected_issue.build(ALERT_ROW),
    "Flag": lambda: flag.build(CASE_ROW),
    "Task": lambda: task.build(TASK_ROW),
    "ServiceRequest": lambda: service_request.build(REFERRAL_ROW),
    "Provenance": lambda: provenance.build(PROVENANCE_ROW),
    "Bundle": lambda: received_bundle(),  # noqa: PLW0108 - it stands below
}


def example(name: str) -> Any:  # noqa: ANN401 - JSON
    """One resource as a client sees it."""
    return json.loads(EXACT.encode(EXAMPLES[name]()))


def _page(name: str) -> Any:  # noqa: ANN401 - JSON
    found = bundle.build_found(
        [EXAMPLES[name]()], base=BASE, self_link=f"{BASE}/{name}", next_link=None
    )
    return json.loads(EXACT.encode(found))


def _content(shown: Any, resource_type: str) -> Json:  # noqa: ANN401 - JSON
    schema = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": resource_type}},
    }
    return {MEDIA_TYPE: {"schema": schema, "example": shown}}


_ETAG: Final = {"ETag": {"description": 'The version, as `W/"1"`', "schema": {"type": "string"}}}


def shown(name: str) -> Json:
    """A response that shows one resource."""
    return {
        "description": f"One {name}",
        "content": _content(example(name), name),
        **({} if name == "CapabilityStatement" else {"headers": _ETAG}),
    }


def taken(name: str) -> Json:
    """The body that a create takes."""
    content = {"Observation": _incoming, "Bundle": _incoming_bundle}[name]()
    return {"requestBody": {"required": True, "content": _content(content, name)}}


def _incoming() -> Json:
    """As another system would send it."""
    sent = example("Observation")
    kept = ("resourceType", "status", "code", "subject", "effectiveDateTime", "issued", "component")
    named = {"system": "urn:example:his", "value": "o-4711"}
    return {"identifier": [named], **{name: sent[name] for name in kept}}


def _incoming_bundle() -> Json:
    patient_at, observation_at = (f"urn:uuid:{UUID(int=n)}" for n in (1, 2))
    known = {"system": RESIDENT_IDS, "value": _RESIDENT}
    whom = {"resourceType": "Patient", "identifier": [known]}
    measured = {**_incoming(), "subject": {"reference": patient_at}}
    request = {"method": "POST"}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": address,
                "resource": resource,
                "request": {**request, "url": resource["resourceType"]},
            }
            for address, resource in ((patient_at, whom), (observation_at, measured))
        ],
    }


def received_bundle() -> Json:
    """What became of the Bundle above."""
    locations = (f"Patient/{_RESIDENT}", f"Observation/{_READING}")
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [
            {"response": {"status": status, "location": location}}
            for status, location in zip(("200", "201"), locations, strict=True)
        ],
    }


def shown_page(name: str) -> Json:
    """A response that shows a page of what was found."""
    return {"description": "One page", "content": _content(_page(name), "Bundle")}


NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The version named in If-None-Match stands"}
}
_NOT_FOUND: Final = "no such Observation, or not for you; search for it"
_OUTCOME: Final = operation_outcome.build([operation_outcome.issue(404, "not-found", _NOT_FOUND)])
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    code: {
        "description": description,
        "content": _content(_OUTCOME, "OperationOutcome"),
    }
    for code, description in (
        ("4XX", "The request cannot be answered"),
        ("5XX", "The server cannot answer"),
    )
}
