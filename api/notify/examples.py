"""Examples of the OpenAPI document about who is told. Nobody's addresses."""

from typing import Any, Final

Json = dict[str, Any]

_BY: Final[Json] = {"changed_at": "2026-01-05T09:30:00+08:00", "changed_by": "contract-system"}
CONTACT: Final[Json] = {
    "email": "d-1042@centre.example",
    "phone": None,
    "duties": ["doctor"],
}
CONTACT_ANSWER: Final[Json] = {"staff_id": "d-1042", **CONTACT, **_BY}
HOURS: Final[Json] = {
    "quiet_from": "18:00:00",
    "quiet_until": "09:00:00",
    "shifts": ["09:00:00", "14:00:00"],
}
HOURS_ANSWER: Final[Json] = {**HOURS, **_BY}
NOTIFICATIONS: Final[Json] = {
    "items": [
        {
            "round": 1,
            "step": 1,
            "rung": "doctor",
            "at": "2026-01-05T09:12:02+08:00",
            "held": False,
            "staff_id": "d-1042",
            "channel": "email",
            "message_id": "0199b0a0-0000-7000-8000-000000000009",
            "kind": "page",
            "status": "sent",
            "attempts": [
                {
                    "number": 1,
                    "begun_at": "2026-01-05T09:12:02+08:00",
                    "ended_at": "2026-01-05T09:12:03+08:00",
                    "problem": None,
                }
            ],
        }
    ]
}
