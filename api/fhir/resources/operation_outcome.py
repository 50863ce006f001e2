"""What went wrong, as an OperationOutcome: the same words as a problem of the rest of the API.

``details.coding`` holds the problem's stable type, ``expression`` names the element or parameter.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from api.fhir.codes import Json, coding, concept

_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "value",
    HTTPStatus.UNAUTHORIZED: "login",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.PRECONDITION_FAILED: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
    HTTPStatus.REQUEST_URI_TOO_LONG: "too-long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not-supported",
    HTTPStatus.UNPROCESSABLE_ENTITY: "processing",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.SERVICE_UNAVAILABLE: "transient",
}
"""Issue types of FHIR R4; what is not here is an exception of the server."""


def issue(
    status: int, slug: str, diagnostics: str, *, severity: str = "error", path: str | None = None
) -> Json:
    """One issue. Every text must be free of personal data."""
    code = _CODES.get(HTTPStatus(status), "exception")
    return {
        "severity": "fatal" if code == "exception" else severity,
        "code": code,
        "details": concept(coding("urn:suifang:problem", slug)),
        "diagnostics": diagnostics,
        **({} if path is None else {"expression": [path]}),
    }


def build(issues: Iterable[Json]) -> Json:
    """An OperationOutcome of at least one issue."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}
