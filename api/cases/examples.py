"""Examples of the OpenAPI document: what the routes of cases answer. The people are nobody."""

from typing import Any, Final

from api.registry.examples import RESIDENT_ID, as_response

__all__ = ["COUNTS", "DETAIL", "PAGE", "TRANSITIONS", "WORKLIST", "as_response"]
Json = dict[str, Any]

_READING: Final = "0197b2c0-5a10-7c3e-9d2f-3b8a51f0c4d2"
CASE: Final[Json] = {
    "number": 4711,
    "resident_id": RESIDENT_ID,
    "team_id": "cx-longgang-3",
    "centre_id": "cx-longgang",
    "condition": "hypertension",
    "state": "second_followup_open",
    "severity": "warn",
    "consecutive_unsatisfied": 1,
    "second_followup_due": "2026-03-16",
    "referral_followup_due": None,
    "next_routine_due": None,
    "due": "2026-03-16",
    "overdue": False,
    "waiting_for_referral": False,
    "anchor_id": _READING,
    "anchor_kind": "reading",
    "anchor_reading_id": _READING,
    "cause": "first_unsatisfied",
    "profile": "wuzhou",
    "profile_version": "1",
    "updated_at": "2026-03-02T01:12:00Z",
}
PAGE: Final[Json] = {"items": [CASE], "next_cursor": None, "feed_number": 90210}
COUNTS: Final[Json] = {
    "today": "2026-03-10",
    "overdue": 3,
    "due_today": 5,
    "due_this_week": 21,
    "waiting_for_referral": 4,
    "critical": 1,
    "high": 3,
    "warn": 40,
    "info": 2,
}
_TRANSITION: Final[Json] = {
    "number": 81234,
    "from_state": "none",
    "to_state": "second_followup_open",
    "at": "2026-03-02T01:12:00Z",
    "author": "judge",
    "cause": "first_unsatisfied",
    "anchor_id": _READING,
    "anchor_kind": "reading",
    "threshold": "> 140/90 mmHg",
    "input_ids": [_READING],
    "profile": "wuzhou",
    "profile_version": "1",
    "explanation": {"record": {}, "zh": "…", "en": "…"},
}
TRANSITIONS: Final[Json] = {"items": [_TRANSITION], "next_cursor": None}
DETAIL: Final[Json] = {
    **CASE,
    "explanation": _TRANSITION["explanation"],
    "transitions": [_TRANSITION],
}
WORKLIST: Final = (
    "\ufeff序号,居民编号,团队,病种,状态,风险,应随访日期,是否逾期,待转诊随访,连续不满意次数\r\n"
    f"1,{RESIDENT_ID},cx-longgang-3,高血压,待二次随访,注意,2026-03-16,否,否,1\r\n"
)
