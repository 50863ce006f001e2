"""Examples of the OpenAPI document: bodies that work one after another, and their answers."""

from typing import Any, Final

from api.registry.examples import RESIDENT_ID

Json = dict[str, Any]
_IDS: Final = {
    "visit": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e01",
    "referral": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e02",
    "referral_followup": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e03",
    "contact_attempt": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e04",
    "reschedule": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e05",
    "override": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e06",
    "closure": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e07",
    "return": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e08",
    "withdrawal": "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e09",
}
_AT: Final = "2026-03-16T09:30:00+08:00"
BODIES: Final[dict[str, Json]] = {
    "visit": {
        "at": _AT,
        "condition": "hypertension",
        "mode": "home",
        "findings": ["adverse_drug_reaction"],
        "measured": {"systolic_mmhg": 146, "diastolic_mmhg": 88},
        "form": {
            "symptoms_hypertension": [2],
            "weight_kg": 64.5,
            "salt": 2,
            "medication_adherence": 2,
            "adverse_reaction": "ankle oedema",
            "result_code": 3,
            "medications": [{"name": "amlodipine", "times_per_day": 1, "dose_each": "5 mg"}],
            "next_followup_on": "2026-03-30",
        },
    },
    "referral": {
        "at": _AT,
        "condition": "hypertension",
        "form": {"reasons": [1], "institution": "District Hospital 2", "department": "cardiology"},
    },
    "referral_followup": {
        "at": _AT,
        "condition": "hypertension",
        "mode": "phone",
        "outcome": "treated",
        "note": "new medication, back with us",
    },
    "contact_attempt": {"at": _AT, "mode": "phone", "outcome": "not_reached"},
    "reschedule": {
        "at": _AT,
        "condition": "hypertension",
        "due": "2026-04-02",
        "note": "with the daughter until the 1st",
    },
    "override": {
        "at": _AT,
        "condition": "hypertension",
        "state": "second_followup_open",
        "due": "2026-03-23",
        "note": "seen with pain; to be measured again",
    },
    "closure": {"at": _AT, "reason": "moved"},
    "return": {"at": _AT, "note": "back in town"},
    "withdrawal": {"at": _AT, "replaces": _IDS["contact_attempt"], "note": "another resident"},
}


def _answer(kind: str) -> Json:
    body = {key: value for key, value in BODIES[kind].items() if key != "measured"}
    stored = {
        "id": _IDS[kind],
        "number": 90112,
        "resident_id": RESIDENT_ID,
        "kind": kind,
        "condition": None,
        "received_at": "2026-03-16T01:31:05Z",
        "author": "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f",
        "staff_id": "d-1042",
        "mode": "clinic",
        "findings": [],
        "state": None,
        "due": None,
        "reason": None,
        "outcome": None,
        "note": None,
        "form": None,
        "replaces": None,
        "withdrawn_by": None,
        **body,
    }
    if kind == "visit":
        measured = {"systolic_mmhg": "146", "diastolic_mmhg": "88"}
        stored["form"] = {**stored["form"], "weight_kg": "64.5", "measured": measured}
    return stored


ANSWERS: Final = {kind: _answer(kind) for kind in BODIES}
PAGE: Final[Json] = {"items": [ANSWERS["visit"]], "next_cursor": None}
