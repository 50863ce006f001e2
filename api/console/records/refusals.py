"""What the API refused of a form, said beside the fields, in the language of whoever typed it.

The words belong to the console; numbers in them come from the schema. What has no word of its own
is said in general: a test asks every refusal of the bodies for its word.
"""

import re
from datetime import date
from typing import Any, Final

from pydantic import ValidationError

from api.console.pages import Words
from api.errors import ConflictError, RefusedContentError, SettledError
from api.followups.schemas import Body

_BY_TYPE: Final = {
    "missing": "required",
    "greater_than_equal": "at_least",
    "less_than_equal": "at_most",
    "decimal_max_places": "decimals",
    "decimal_max_digits": "number",
    "string_too_long": "too_long",
    "string_too_short": "required",
    "too_short": "required",
    "literal_error": "choose",
    "int_type": "whole",
    "int_from_float": "whole",
}
_SHOWN_AT: Final = {"measured": "measured.systolic_mmhg", "id": ""}
_TIMES: Final = frozenset({"at", "measured.measured_at", "measured_at"})
_DAYS: Final = frozenset({"form.next_followup_on"})
_NUMBERS: Final = frozenset(
    {
        *("measured.systolic_mmhg", "measured.diastolic_mmhg", "measured.glucose_mmol_l"),
        *("systolic", "diastolic", "glucose"),
    }
)
# A check of several fields begins with the one that is wrong, as ``api/problems.py`` reads it.
_NAMED: Final = re.compile(r"Value error, ([a-z_]+): ")


def of_schema(error: ValidationError, words: Words) -> dict[str, str]:
    """By field, what the schema refuses."""
    found: dict[str, str] = {}
    for each in reversed(error.errors(include_url=False)):
        path = _path(each["loc"])
        named = _NAMED.match(each["msg"])
        if not path and named:
            found |= {_SHOWN_AT.get(named[1], named[1]): words(_name(named[1], "", words))}
        else:
            word = f"refusal.{_word(path, each['type'])}"
            found[path] = words(word, **_bounds(each.get("ctx", {})))
    return found


def of_refusal(error: RefusedContentError | ConflictError, words: Words) -> dict[str, str]:
    """The field that cannot be stored; of a conflict no field."""
    if isinstance(error, ConflictError):
        return {
            "": words("refusal.settled" if isinstance(error, SettledError) else "refusal.taken")
        }
    field = _SHOWN_AT.get(error.field, error.field)
    return {field: words(_name(error.field, error.value, words))}


def of_rules(
    error: RefusedContentError | ConflictError, body: Body, words: Words, *, today: date
) -> dict[str, str]:
    """By field, what was refused, and whatever else of the body contradicts itself."""
    if isinstance(error, ConflictError):
        return of_refusal(error, words)
    refused = [(field, value) for field, value, _ in body.find_mistakes(today)]
    found = {
        _SHOWN_AT.get(field, field): words(_name(field, value, words))
        for field, value in reversed(refused)
    }
    return found | of_refusal(error, words)


def _name(field: str, value: str, words: Words) -> str:
    name = f"refusal.{field.replace('.', '_')}{'' if value else '_missing'}"
    return name if name in words else "refusal.unusable"


def _path(location: tuple[int | str, ...]) -> str:
    """Of a list of choices the list, of a list of lines the line and its field."""
    parts = [str(part) for part in location] or [""]
    if parts[0] == "findings" or parts[:2] == ["form", "reasons"]:
        parts = [part for part in parts if not part.isdecimal()]
    return ".".join(parts)


def _word(path: str, kind: str) -> str:
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if path in _TIMES:
        return "time"
    if path in _DAYS:
        return "day"
    return "number" if path in _NUMBERS else "unusable"


def _bounds(context: dict[str, Any]) -> dict[str, Any]:
    named = ("ge", "le", "decimal_places", "max_length")
    return {"limit": next((context[name] for name in named if name in context), "")}
