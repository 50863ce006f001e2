"""What pydantic found wrong with a request, in the words that a caller needs. Pure.

A mistake names its field, the value that was sent and what would be right, not the machinery that
noticed it. It must never repeat a body as a whole, which may name somebody: only the one value
that is wrong, and not that either where it is, or stands in, a name or an ID number.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ingest.db.entities import ID_PATTERN

BODY: Final = "body"
VALUE_CHARACTERS_MAX: Final = 200
NOT_SHOWN: Final = "(not shown)"
MISSING: Final = "(missing)"
PERSONAL: Final = frozenset({"personal", "name", "id_number"})
_NAMED: Final = re.compile(r"([a-z_]+): ")
_ID_NUMBER: Final = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")  # Where none belongs, by mistake.
_SHAPES: Final = {
    ID_PATTERN: "an id has 1 to 128 characters, none of them a blank, / ? # % or \\",
    r"^[^\x00]*$": "must not hold a NUL character",
    "^[^\x00]*$": "must not hold a NUL character",
    r"^20[0-9]{2}(-(H[12]|Q[1-4]|0[1-9]|1[0-2]))?$": "write a year, half year, quarter or month:"
    " 2026, 2026-H1, 2026-Q3, 2026-11",
}
"""What a pattern means to who did not write it."""


class Mistake(NamedTuple):
    """One value that cannot be used."""

    field: str
    value: str
    remedy: str


def redact(text: str) -> str:
    """Without what looks like an ID number."""
    return _ID_NUMBER.sub(NOT_SHOWN, text)


def cut(value: object) -> str:
    """A value as it may be repeated."""
    return redact(str(value))[:VALUE_CHARACTERS_MAX]


def describe(problem: Mapping[str, Any]) -> Mistake:
    """One of FastAPI's: ``loc`` begins with where it stood (body, query, path, header, cookie)."""
    where, *path = (str(part) for part in problem["loc"])
    remedy = _remedy(problem, where)
    value = problem.get("input")
    if problem["type"] == "value_error" and (named := _NAMED.match(remedy)):
        path.append(named[1])  # A check of several fields says itself which one is wrong.
        remedy = remedy[named.end() :]
        value = value.get(named[1], value) if isinstance(value, dict) else value
    if problem["type"] == "json_invalid":
        return Mistake(BODY, NOT_SHOWN, remedy)
    if problem["type"] == "missing":
        return Mistake(".".join(path) or where, MISSING, remedy)
    shown = _shown(value, where, path, is_unknown=problem["type"] == "extra_forbidden")
    return Mistake(".".join(path) or where, shown, remedy)


def _remedy(problem: Mapping[str, Any], where: str) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "json_invalid":
            place = [f" at character {part}" for part in problem["loc"] if isinstance(part, int)]
            return f"is no JSON: {context.get('error')}{''.join(place)}"
        case "missing":
            return "is needed"
        case "extra_forbidden":
            kind = "field" if where == BODY else "parameter"
            return f"no such {kind}; /openapi.json lists those there are"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "must be a JSON object"
        case "string_pattern_mismatch" if context.get("pattern") in _SHAPES:
            return _SHAPES[context["pattern"]]
        case _:
            return str(problem["msg"]).removeprefix("Value error, ") or "not usable"


def _shown(value: object, where: str, path: Sequence[str], *, is_unknown: bool) -> str:
    """What was sent; of a body neither what holds other fields nor what may name somebody.

    What stands in the path may name somebody, and is in ``instance`` already.
    """
    if where == "path" or isinstance(value, dict | list | bytes):
        return NOT_SHOWN
    if where == BODY and (not path or is_unknown or not {*path}.isdisjoint(PERSONAL)):
        return NOT_SHOWN
    return cut(value)
