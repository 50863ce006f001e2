"""An example of the OpenAPI document. The people are nobody."""

from typing import Any, Final

from api.corrections.examples import READING_ID

PAGE: Final[dict[str, Any]] = {
    "items": [
        {
            "kind": "case",
            "at": "2026-03-02T01:10:04Z",
            "id": "0000000000000000412",
            "condition": "hypertension",
            "from_state": "controlled",
            "to_state": "second_followup_open",
            "cause": "first_unsatisfied",
            "threshold": "≥ 140/90 mmHg",
            "author": "judge",
            "profile": "wuzhou",
            "profile_version": "1",
            "reading_ids": [READING_ID],
            "explanation": None,
        },
        {
            "kind": "reading",
            "at": "2026-03-02T01:00:00Z",
            "id": READING_ID,
            "measured": "blood_pressure",
            "device_id": "bp-17",
            "setting": "office",
            "systolic": 20.3,
            "diastolic": 12.5,
            "pulse": 71,
            "glucose": None,
            "unit": "kPa",
            "meal_context": None,
            "status": [],
            "quality": "accepted",
            "taken_at": "2026-03-02T01:00:00Z",
            "time_suspect": False,
            "systolic_mmhg": 152.26,
            "diastolic_mmhg": 93.75,
            "glucose_mmol_l": None,
            "meal_context_judged": None,
            "amendments": [],
        },
    ],
    "next_cursor": None,
    "retained_since": None,
}
