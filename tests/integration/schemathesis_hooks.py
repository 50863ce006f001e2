"""What schemathesis has to know of this API beside its OpenAPI document."""

from http import HTTPStatus
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
}


@schemathesis.serializer("application/x-ndjson")
def write_lines(_: Any, value: Any) -> Any:  # noqa: ANN401 - as schemathesis has it
    """Lines are text."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.check
def parameters_are_refused_for_what_no_schema_says(
    _: CheckContext, response: Response, case: "Case[Any]"
) -> None:
    """A parameter that fits its schema is refused only for what the schema cannot say."""
    if response.status_code != HTTPStatus.BAD_REQUEST or case.meta is None:
        return
    if case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    fields = {each["field"].split(".")[0] for each in response.json().get("errors", ())}
    if not fields <= _BEYOND_SCHEMAS:
        msg = f"the schema of {sorted(fields - _BEYOND_SCHEMAS)} allows what is refused"
        raise AssertionError(msg)
