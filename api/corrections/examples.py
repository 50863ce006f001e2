"""Examples of the OpenAPI document. The people are nobody."""

from typing import Any, Final

Json = dict[str, Any]

RESIDENT_ID: Final = "r-5b1a7a0f6f6a4f5e8f0f3d5c2a9b7e11"
READING_ID: Final = "019caa9c-5a00-7c3e-8d14-0f6b2f3a9e01"
CORRECTION: Final[Json] = {
    "id": "019caab0-0000-7000-8000-000000000001",
    "systolic": 128,
    "diastolic": 78,
    "unit": "mmHg",
    "reason": "typed from the display; the cuff had shown 128/78",
}
RETRACTION: Final[Json] = {
    "id": "019caab0-0000-7000-8000-000000000002",
    "reason": "measured by a visitor with the resident's card",
}
UNDO: Final[Json] = {"reason": "the correction was meant for another reading"}
CLAIM: Final[Json] = {
    "resident_id": RESIDENT_ID,
    "reason": "measured at the desk before the card was read",
}
_MEASURED: Final[Json] = {
    "id": READING_ID,
    "kind": "blood_pressure",
    "centre_id": "cx-longgang",
    "gateway_id": "cx-longgang-gw-1",
    "device_id": "bp-17",
    "device_sequence": 411,
    "measured_at": "2026-03-02T01:00:00Z",
    "captured_at": "2026-03-02T01:00:02Z",
    "received_at": "2026-03-02T01:00:03Z",
    "effective_at": "2026-03-02T01:00:00Z",
    "time_suspect": False,
    "stored_record": False,
    "setting": "office",
    "status": [],
    "systolic": 182,
    "diastolic": 94,
    "pulse": 71,
    "arm": "left",
    "posture": None,
    "glucose": None,
    "meal_context": None,
    "sample": None,
    "unit": "mmHg",
}
VERSIONS: Final[Json] = {
    "reported": {**_MEASURED, "resident_id": RESIDENT_ID},
    "stands": {
        "resident_id": RESIDENT_ID,
        "retracted": False,
        "systolic": 128,
        "diastolic": 78,
        "glucose": None,
        "unit": "mmHg",
        "meal_context": None,
        "arm": "left",
        "setting": "office",
        "status": [],
        "measured_at": "2026-03-02T01:00:00Z",
    },
    "amendments": [
        {
            "id": CORRECTION["id"],
            "kind": "correction",
            "changes": {"systolic": "128", "diastolic": "78", "unit": "mmHg"},
            "reason": CORRECTION["reason"],
            "author": "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f",
            "received_at": "2026-03-02T01:20:00Z",
            "undoes": None,
            "undone": False,
        }
    ],
}
UNCLAIMED_PAGE: Final[Json] = {"items": [_MEASURED], "next_cursor": None}


def as_response(example: Json, description: str) -> Json:
    """A response of the document that shows an example."""
    return {"description": description, "content": {"application/json": {"example": example}}}
