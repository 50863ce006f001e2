"""Examples of events for the OpenAPI and AsyncAPI documents. A test holds them to their schemas."""

from typing import Any, Final

from api.registry.examples import IDS, RESIDENT_ID

Json = dict[str, Any]
_AT: Final = "2026-03-16T08:30:00+00:00"
_ALERT: Final = "3f2c1f8e-51b3-5a34-9c83-2f1b7c5c0d11"
_READING: Final = "0195a1d2-7c44-7d51-8a3b-0c5f6d2e9b10"
_RECORD: Final = "7b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"
_BY: Final = "d-1042"

_ALERT_DATA: Final[Json] = {
    "alert_id": _ALERT,
    "resident_id": RESIDENT_ID,
    "team_id": IDS["team"],
    "centre_id": IDS["centre"],
    "condition": "hypertension",
    "code": "BP_EMERGENCY",
    "severity": "critical",
    "status": "active",
    "observed": "186/112 mmHg",
    "threshold": ">= 180/110 mmHg",
    "source": "National basic public health service specification, 3rd edition",
    "profile": "wuzhou",
    "profile_version": "2026.1",
    "anchor_id": _READING,
    "anchor_kind": "reading",
    "anchor_reading_id": _READING,
    "effective_at": _AT,
    "raised_at": _AT,
    "raised_by": "ingest",
    "due": "2026-03-16",
    "overdue_days": 0,
    "escalation": 0,
    "page": True,
    "late": False,
    "updated_at": _AT,
}
_CASE_DATA: Final[Json] = {
    "resident_id": RESIDENT_ID,
    "team_id": IDS["team"],
    "centre_id": IDS["centre"],
    "condition": "hypertension",
    "from_state": "controlled",
    "state": "emergency_referral",
    "cause": "emergency",
    "severity": "critical",
    "consecutive_unsatisfied": 0,
    "second_followup_due": None,
    "referral_followup_due": "2026-03-30",
    "next_routine_due": "2026-06-05",
    "anchor_id": _READING,
    "anchor_kind": "reading",
    "anchor_reading_id": _READING,
    "profile": "wuzhou",
    "profile_version": "2026.1",
    "updated_at": _AT,
}
_RECORD_DATA: Final[Json] = {
    "record_id": _RECORD,
    "resident_id": RESIDENT_ID,
    "kind": "visit",
    "condition": "hypertension",
    "at": _AT,
    "mode": "home",
    "state": None,
    "due": None,
    "reason": None,
    "withdraws": None,
    "author": _BY,
}
_ACT: Final[Json] = {"alert_id": _ALERT, "resident_id": RESIDENT_ID, "author": _BY}
_AMENDED: Final[Json] = {
    "reading_id": _READING,
    "reading_kind": "blood_pressure",
    "amendment_id": _RECORD,
    "amendment_kind": "correction",
    "centre_id": IDS["centre"],
    "resident_id": RESIDENT_ID,
    "author": _BY,
}
_MERGED: Final[Json] = {"resident_id": RESIDENT_ID, "merged_resident_id": "r-0c9d", "author": _BY}
_VERSION: Final[Json] = {"resident_id": RESIDENT_ID, "version": 2, "author": "contract-system"}

DATA: Final[dict[str, Json]] = {
    "alert.raised": _ALERT_DATA,
    "alert.changed": {**_ALERT_DATA, "status": "resolved"},
    "alert.acknowledged": _ACT,
    "alert.acknowledgement_withdrawn": _ACT,
    "alert.snoozed": {**_ACT, "until": "2026-03-17T00:30:00+00:00"},
    "alert.snooze_ended": _ACT,
    "alert.escalated": {**_ACT, "step": 2},
    "case.changed": _CASE_DATA,
    "record.added": _RECORD_DATA,
    "reading.corrected": {**_AMENDED, "fields": ["systolic"]},
    "reading.retracted": {**_AMENDED, "amendment_kind": "retraction", "fields": []},
    "resident.changed": _VERSION,
    "resident.erased": {"resident_id": RESIDENT_ID, "author": _BY},
    "resident.merged": _MERGED,
    "resident.unmerged": _MERGED,
    "contract.changed": {"contract_id": IDS["contract"], **_VERSION},
}


def event(kind: str, number: int = 4711) -> Json:
    """One event as it is told."""
    return {"number": number, "type": kind, "timestamp": _AT, "data": DATA[kind]}


PAGE: Final[Json] = {
    "items": [event("alert.raised", 4711), event("case.changed", 4712)],
    "next_after": 4720,
    "head": 4720,
}
