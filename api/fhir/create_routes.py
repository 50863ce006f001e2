"""``POST /fhir/Observation`` and ``POST /fhir``: what other systems send.

One Observation, or a Bundle with the Patients and Observations of many. Everything goes through
``receiving``; here are bytes, headers and answers. Needs ``readings:write``.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import RefusedContentError, TooLargeError, UnsupportedContentError
from api.fhir import examples
from api.fhir.answers import MEDIA_TYPE, answer, base_of, etag, require_json
from api.fhir.codes import Json
from api.fhir.incoming.elements import Unmappable
from api.fhir.incoming.entries import Entry, read_bundle, read_one
from api.fhir.kinds import OBSERVATION
from api.fhir.receiving import Outcome, receive, sender_of
from api.fhir.resources.operation_outcome import build as build_outcome
from api.fhir.resources.operation_outcome import issue
from api.services import Running, Services
from gateway.wire.errors import WireError
from gateway.wire.readings import parse_json

router = APIRouter(
    tags=["fhir"],
    default_response_class=Response,
    responses=examples.ERRORS,
    dependencies=[Depends(require_json)],
)
STREAMS: Final = frozenset({"/fhir"})
"""Addresses whose bodies may be longer than others'; they are bounded here."""
_TAKEN: Final = (MEDIA_TYPE, "application/json")
_LENIENT: Final = "handling=lenient"

IfNoneExist = Annotated[
    str | None,
    Header(
        alias="If-None-Exist",
        max_length=500,
        description="`identifier=system|value`: only if it stands for nothing yet",
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer",
        max_length=200,
        description="`handling=lenient`: of a transaction, too, what can be taken is",
    ),
]


async def _read_body(request: Request, bytes_max: int) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a body, its numbers exact."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _TAKEN:
        msg = f"send {MEDIA_TYPE}"
        raise UnsupportedContentError(msg)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            msg = f"the body has more than {bytes_max} bytes; send less at once"
            raise TooLargeError(msg)
    try:
        return parse_json(bytes(body))
    except WireError as error:
        raise RefusedContentError(field="body", value="", remedy=error.detail) from error


@router.post(
    "/Observation",
    status_code=201,
    operation_id="fhir_create_Observation",
    openapi_extra=examples.taken("Observation"),
    responses={
        200: {**examples.shown("Observation"), "description": "It is stored already"},
        201: {**examples.shown("Observation"), "description": "Stored; `Location` says where"},
    },
)
async def create_observation(
    running: Running,
    request: Request,
    principal: Annotated[Principal, require(Permission.READINGS_WRITE)],
    if_none_exist: IfNoneExist = None,
) -> Response:
    """Store a reading of another system: checked, told apart and judged as those of terminals.

    The sender is the enrolled gateway that its credential is named after. The same content again,
    or an identifier that is known with it, answers `200` and stores nothing; an identifier that
    stands for other content is `409`. What cannot be mapped exactly is `422` with its path.
    """
    content = await _read_body(request, running.settings.limits.body_bytes_max)
    entry = read_one(content, if_none_exist)
    (outcome,) = await receive(running, principal, [entry], strict=False)
    if outcome.is_refused or outcome.id is None:
        return answer(_as_outcome(outcome), status=outcome.status)
    resource = await _fetch(running, principal, outcome.id)
    location = f"{base_of(request)}/Observation/{outcome.id}"
    headers = {"Location": location}
    if resource is None:
        return answer(_done(outcome), status=outcome.status, headers=headers)
    return answer(resource, status=outcome.status, headers={**headers, "ETag": etag(resource)})


async def _fetch(running: Services, principal: Principal, id_: str) -> Json | None:
    """What was stored, if this one may read it, too."""
    if not principal.may(OBSERVATION.permission):
        return None
    async with running.database.reading(principal) as connection:
        row = await OBSERVATION.fetch_row(connection, id_)
    if row is None:
        return None
    await running.audit.saw(principal, "fhir_read_Observation", OBSERVATION.whom(row))
    return OBSERVATION.build(row, principal)


@router.post(
    "",
    operation_id="fhir_receive_Bundle",
    openapi_extra=examples.taken("Bundle"),
    responses={200: examples.shown("Bundle")},
)
async def receive_bundle(
    running: Running,
    request: Request,
    principal: Annotated[Principal, require(Permission.READINGS_WRITE)],
    prefer: Prefer = None,
) -> Response:
    """Receive the Patients and Observations of a Bundle, with an outcome for each entry.

    Of a `transaction` all is stored, or nothing: then `422` names every entry that was refused.
    Of a `batch`, and with `Prefer: handling=lenient`, what can be taken is. References inside the
    Bundle (`urn:uuid:…`) are followed. A Patient without our identifier becomes a resident under
    the sender's name, which needs `residents:write`; one who is there is not changed.
    """
    limits = running.settings.fhir
    content = await _read_body(request, limits.bundle_bytes_max)
    try:
        kind, entries = read_bundle(
            content, entries_max=limits.bundle_entries_max, gateway=sender_of(principal)
        )
    except Unmappable as problem:
        raise RefusedContentError(
            field=problem.path, value=problem.value, remedy=problem.remedy
        ) from problem
    strict = kind == "transaction" and _LENIENT not in (prefer or "")
    outcomes = await receive(running, principal, entries, strict=strict)
    refused = [one for outcome in outcomes if outcome.is_refused for one in outcome.issues]
    if strict and refused:
        return answer(build_outcome(refused), status=422)
    return answer(_as_response(entries, outcomes, "transaction" if strict else "batch"))


def _as_response(entries: Sequence[Entry], outcomes: Sequence[Outcome], kind: str) -> Json:
    found: Json = {"resourceType": "Bundle", "type": f"{kind}-response"}
    parts = []
    for outcome in outcomes:
        response: Json = {"status": str(outcome.status)}
        if outcome.id is not None and not outcome.is_refused:
            response["location"] = f"{outcome.type}/{outcome.id}"
        if outcome.issues:
            response["outcome"] = _as_outcome(outcome)
        parts.append({"response": response})
    if entries:
        found["entry"] = parts
    return found


def _as_outcome(outcome: Outcome) -> Json:
    return build_outcome(outcome.issues)


def _done(outcome: Outcome) -> Json:
    said = f"stored as Observation/{outcome.id}"
    return build_outcome([{**issue(200, "stored", said), "severity": "information"}])
