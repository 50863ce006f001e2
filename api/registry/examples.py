"""Examples of the OpenAPI document: requests that work one after another, and their answers.

The people are nobody: the number's district does not exist.
"""

import json
from typing import Any, Final

Json = dict[str, Any]

RESIDENT_ID: Final = "r-5b1a7a0f6f6a4f5e8f0f3d5c2a9b7e11"
CENTRE: Final[Json] = {"name": "Longgang Community Health Centre", "profile": "wuzhou"}
TEAM: Final[Json] = {"name": "Team 3", "centre_id": "cx-longgang"}
STAFF: Final[Json] = {
    "centre_id": "cx-longgang",
    "role": "doctor",
    "since": "2024-07-01",
    "team_ids": ["cx-longgang-3"],
    "subject": "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f",
}
PACKAGE: Final[Json] = {
    "name": "Hypertension package",
    "profile": "wuzhou",
    "followups_per_year": 4,
}
RESIDENT: Final[Json] = {
    "team_id": "cx-longgang-3",
    "birth_date": "1949-01-01",
    "sex": "male",
    "enrolled_on": "2026-01-05",
    "conditions": [{"condition": "hypertension", "since": "2019-05-20"}],
}
CONTRACT: Final[Json] = {
    "resident_id": RESIDENT_ID,
    "package_id": "hypertension",
    "signed_on": "2026-01-05",
    "since": "2026-01-05",
    "until": "2027-01-04",
    "follows": "2025-000017",
    "followed_as": "renewal",
    "referral_hospitals": [{"id": "h-2", "name": "District Hospital 2", "level": "district"}],
}
IDS: Final = {
    "centre": "cx-longgang",
    "team": "cx-longgang-3",
    "staff": "d-1042",
    "package": "hypertension",
    "resident": RESIDENT_ID,
    "contract": "2026-000017",
}
_BODIES: Final[dict[str, Json]] = {
    "centre": CENTRE,
    "team": TEAM,
    "staff": STAFF,
    "package": PACKAGE,
    "resident": RESIDENT,
    "contract": CONTRACT,
}
_ABSENT: Final[dict[str, Json]] = {
    "staff": {"until": None},
    "resident": {"personal_data": "sealed"},
    "contract": {"ended_on": None, "end_reason": None},
}
_AT: Final = "2026-01-05T09:30:00+08:00"
_BY: Final = "contract-system"
_CURSOR: Final = "WyJ0ZWFtcyIsImN4LWxvbmdnYW5nLTMiXQ"


def body(kind: str) -> Json:
    """What is sent."""
    return _BODIES[kind]


def answer(kind: str) -> Json:
    """What comes back."""
    content = {**_BODIES[kind], **_ABSENT.get(kind, {})}
    if kind == "resident":
        content["conditions"] = [{**each, "until": None} for each in content["conditions"]]
    return {"id": IDS[kind], "version": 1, "changed_at": _AT, "changed_by": _BY, **content}


def page(kind: str) -> Json:
    """A list of one."""
    return {"items": [answer(kind)], "next_cursor": None}


def history(kind: str) -> Json:
    """A history of one version."""
    version = {"version": 1, "at": _AT, "author": _BY, "content": _BODIES[kind]}
    return {"items": [version], "next_cursor": _CURSOR}


PERSONAL_ANSWER: Final[Json] = {
    "resident_id": RESIDENT_ID,
    "name": "某某",
    "id_number": "99000019490101001X",
    "erased_at": None,
}
_NEEDED: Final = ("invalid", "(missing)", "is needed")
_UNKNOWN: Final = "nothing has this id; send what it names first"
# Of each kind a line that is refused, the field for which it is, and reason, value and remedy.
_REFUSED: Final[dict[str, tuple[Json, str, tuple[str, str, str]]]] = {
    "centre": ({"id": "cx-buji"}, "name", _NEEDED),
    "team": (
        {"id": "cx-buji-1", "name": "Team 1", "centre_id": "cx-buji"},
        "centre_id",
        ("unknown_reference", "cx-buji", _UNKNOWN),
    ),
    "staff": (
        {**STAFF, "id": "d-1043", "team_ids": ["cx-buji-1"]},
        "team_ids",
        ("unknown_reference", "cx-buji-1", _UNKNOWN),
    ),
    "package": (
        {"id": "plain", "name": "Plain package", "profile": "plain"},
        "profile",
        ("invalid", "plain", "no such profile; see `suifang rules check`"),
    ),
    "resident": (
        {"id": "r-0c9d", "team_id": "cx-buji-1"},
        "team_id",
        ("unknown_reference", "cx-buji-1", _UNKNOWN),
    ),
    "contract": (
        {"id": "2026-000018", "resident_id": "r-0c9d", "package_id": "hypertension"},
        "since",
        _NEEDED,
    ),
}


def bulk(kind: str) -> tuple[str, str]:
    """Lines that are sent at once, the second one wrong, and their outcomes."""
    wrong, field, (reason, value, remedy) = _REFUSED[kind]
    problem = {"reason": reason, "field": field, "value": value, "remedy": remedy}
    outcomes: list[Json] = [
        {"line": 1, "id": IDS[kind], "outcome": "created", "version": 1},
        {"line": 2, "id": wrong["id"], "outcome": "refused", "problem": problem},
        {"lines": 2, "created": 1, "changed": 0, "unchanged": 0, "refused": 1},
    ]
    return _as_lines({"id": IDS[kind], **_BODIES[kind]}, wrong), _as_lines(*outcomes)


def _as_lines(*parts: Json) -> str:
    return "".join(json.dumps(part) + "\n" for part in parts)


def as_response(example: Any, description: str, media: str = "application/json") -> Json:  # noqa: ANN401 - JSON
    """A response of the document that shows an example; what is not JSON is a text."""
    schema = {} if media == "application/json" else {"schema": {"type": "string"}}
    return {"description": description, "content": {media: {**schema, "example": example}}}
