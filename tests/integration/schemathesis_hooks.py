"""What schemathesis has to know of this API beside its OpenAPI document."""

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.generation import GenerationMode

# What no schema can say of a parameter: a cursor is only good in the list that gave it, the feed
# has an end, `from` is not later than `to`, a period has begun or is over, a day is not in the
# future, a code begins as that of an indicator does. Patterns of ids and ETags are ours, and
# blanks beyond ASCII are none to a generator of JSON Schema.
_BEYOND_SCHEMAS: Final = {
    "cursor",
    "after",
    "from",
    "id",
    "period",
    "day",
    "code",
    "If-Match",
    "If-None-Match",
    *("_cursor", "patient", "subject", "target", "identifier"),  # FHIR: references and tokens,
    *("date", "identified", "_lastUpdated"),  # and dates with their prefixes.
}
# What no schema can say of a body: fields that belong together or follow each other, that there is
# one at all, a key in PEM, and the last digits of the largest number of 64 bits, no float's. Of a
# value: its decimals, and that 48.0 is written 48, which to JSON Schema are the same.
_OF_BODIES: Final = {
    *("id", "note", "until", "conditions", "request", "after"),
    *("ended_on", "end_reason", "follows", "followed_as"),
    *("unit", "systolic", "diastolic", "glucose"),
}
_OF_VALUES: Final = ("decimal place", "valid integer")
_OF_TEXTS: Final = "NUL character"  # Nowhere in a query: no pattern of ours repeats it.
ANSWERED: Final = os.environ.get("FUZZ_ANSWERED", os.devnull)
"""Where it is written which operations did what they are for."""
# By operation: what is there in path and body, where no example can be (`test_api_fuzz`). Of what
# fits its schema every second request is about that.
THERE: Final[dict[str, dict[str, dict[str, str]]]] = json.loads(os.environ.get("FUZZ_THERE", "{}"))
_CALLS: Final[dict[str, int]] = {}
_REFUSED: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


@schemathesis.serializer("application/x-ndjson")
def write_lines(_: Any, value: Any) -> Any:  # noqa: ANN401 - as schemathesis has it
    """Lines are text."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def before_call(_: Any, case: "Case[Any]", __: Any) -> None:  # noqa: ANN401 - as schemathesis has it
    """Have it done to what is there."""
    name = f"{case.method.upper()} {case.operation.path}"
    if name not in THERE or case.meta is None:
        return
    if case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    _CALLS[name] = _CALLS.get(name, 0) + 1
    if _CALLS[name] % 2:
        there = THERE[name]
        case.path_parameters = {**(case.path_parameters or {}), **there["path"]}
        if isinstance(case.body, dict):
            case.body = {**case.body, **there["body"]}


@schemathesis.check
def nothing_is_refused_but_for_what_no_schema_says(
    _: CheckContext, response: Response, case: "Case[Any]"
) -> None:
    """What fits its schema is refused only for what the schema cannot say."""
    if HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        with Path(ANSWERED).open("a", encoding="utf-8") as written:
            written.write(f"{case.method.upper()} {case.operation.path}\n")
    if response.status_code not in _REFUSED or case.meta is None:
        return
    if case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    said = response.json()
    if said.get("resourceType") == "OperationOutcome":
        named = {path for each in said["issue"] for path in each.get("expression", ())}
        fields = {each for each in named if not each[:1].isupper()}  # Else of a resource's content.
        beyond = _BEYOND_SCHEMAS
    elif response.status_code == HTTPStatus.BAD_REQUEST:
        fields = {
            each["field"].split(".")[0]
            for each in said.get("errors", ())
            if _OF_TEXTS not in each["remedy"]
        }
        beyond = _BEYOND_SCHEMAS
    elif said["type"].endswith(":invalid-body"):  # Else what is refused is what stands or is there.
        fields = {
            each["field"].rpartition(".")[2]  # Of a list's item, its own.
            for each in said["errors"]
            if not any(words in each["remedy"] for words in _OF_VALUES)
        }
        beyond = _OF_BODIES
    else:
        return
    if not fields <= beyond:
        msg = f"the schema of {sorted(fields - beyond)} allows what is refused"
        raise AssertionError(msg)
