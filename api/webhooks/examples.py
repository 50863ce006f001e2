"""Examples of the subscriptions' operations."""

from typing import Any, Final

Json = dict[str, Any]
WEBHOOK_ID: Final = "care-desk"
BODY: Final[Json] = {
    "url": "https://hooks.example.org/suifang",
    "types": ["alert.raised", "case.changed"],
    "description": "The care desk's queue",
    "enabled": True,
}
_AT: Final = "2026-03-16T08:30:00+00:00"
ANSWER: Final[Json] = {
    "id": WEBHOOK_ID,
    **BODY,
    "created_at": _AT,
    "changed_at": _AT,
    "state": "active",
    "after": 4720,
    "head": 4720,
    "failures": 0,
    "failing_since": None,
    "next_attempt_at": None,
    "parked_at": None,
    "last_delivered_at": _AT,
    "last_problem": None,
    "secrets": [{"id": "first", "made_at": _AT, "expires_at": None}],
    "secret": None,
}
MADE: Final[Json] = {**ANSWER, "secret": "whsec_3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="}
ROTATED: Final[Json] = {
    **MADE,
    "secrets": [
        {"id": "2026-04", "made_at": _AT, "expires_at": None},
        {"id": "first", "made_at": _AT, "expires_at": "2026-03-17T08:30:00+00:00"},
    ],
}
PAGE: Final[Json] = {"items": [ANSWER], "next_cursor": None}
