"""Examples of the OpenAPI document about alerts. The resident is nobody."""

from typing import Any, Final

Json = dict[str, Any]

ALERT_ID: Final = "5f1fa600-0000-7000-8000-000000000042"
ACKNOWLEDGEMENT: Final[Json] = {"reason": "contacted", "note": "Comes in this afternoon"}
SNOOZE: Final[Json] = {"until": "2026-01-06T08:00:00+08:00"}
_BY: Final = "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f"
_AT: Final = "2026-01-05T09:30:00+08:00"
_ACKNOWLEDGED: Final[Json] = {"at": _AT, "by": _BY, **ACKNOWLEDGEMENT}
_SNOOZED: Final[Json] = {"at": _AT, "by": _BY, **SNOOZE}
ATTENDED: Final[Json] = {
    "alert_id": ALERT_ID,
    "attention": "acknowledged",
    "acknowledgement": _ACKNOWLEDGED,
    "snooze": None,
}
SNOOZED: Final[Json] = {
    "alert_id": ALERT_ID,
    "attention": "snoozed",
    "acknowledgement": None,
    "snooze": _SNOOZED,
}
OPEN: Final[Json] = {
    "alert_id": ALERT_ID,
    "attention": "open",
    "acknowledgement": None,
    "snooze": None,
}
ALERT: Final[Json] = {
    "id": ALERT_ID,
    "number": 42,
    "resident_id": "r-5b1a7a0f6f6a4f5e8f0f3d5c2a9b7e11",
    "team_id": "cx-longgang-3",
    "centre_id": "cx-longgang",
    "condition": "hypertension",
    "code": "BP_EMERGENCY",
    "severity": "critical",
    "status": "active",
    "observed": "186/112 mmHg",
    "threshold": ">= 180/110 mmHg",
    "source": "国家基本公共卫生服务规范(第三版, 2017)",
    "profile": "wuzhou",
    "profile_version": "2026-01-01",
    "anchor_id": "0199b0a0-0000-7000-8000-000000000007",
    "anchor_kind": "reading",
    "anchor_reading_id": "0199b0a0-0000-7000-8000-000000000007",
    "effective_at": "2026-01-05T09:12:00+08:00",
    "raised_at": "2026-01-05T09:12:01+08:00",
    "raised_by": "ingest",
    "due": "2026-01-19",
    "overdue_days": 0,
    "escalation": 0,
    "page": True,
    "late": False,
    "explanation": None,
    "updated_at": "2026-01-05T09:12:01+08:00",
    "attention": "acknowledged",
    "untold_since": None,
    "acknowledgement": _ACKNOWLEDGED,
    "snooze": None,
    "item": {
        "id": "c52edb35-1f0a-5f4e-8f6b-0d5b3b1a9d10",
        "alerts": 1,
        "severity": "critical",
        "attention": "acknowledged",
    },
}
PAGE: Final[Json] = {"items": [ALERT], "next_cursor": None, "feed_number": 1042}
HISTORY: Final[Json] = {
    "items": [
        {
            "number": 7,
            "what": "acknowledged",
            "at": _AT,
            "author": _BY,
            "until": None,
            **ACKNOWLEDGEMENT,
        }
    ]
}
