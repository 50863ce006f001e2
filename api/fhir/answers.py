"""Responses of ``/fhir``: the media type, weak ETags, links of pages."""

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args
from urllib.parse import urlencode

from fastapi import Request, Response

from api.errors import BadParameterError, NotAcceptableError
from api.fhir.codes import Json
from api.fhir.resources.bundle import build_found
from api.fhir.resources.meta import EXACT

MEDIA_TYPE: Final = "application/fhir+json"
CONTENT_TYPE: Final = f"{MEDIA_TYPE}; charset=utf-8"
Format = Literal["json", "application/json", "application/fhir+json"]
"""Words of ``_format`` for what is written here."""
_ACCEPTED: Final = frozenset({"*/*", "application/*", "application/json", MEDIA_TYPE})


def require_json(request: Request) -> None:
    """Refuse whoever asks for another form, before anything is done: ``_format``, else ``Accept``.

    Source: HL7 FHIR R4, RESTful API, "Content Types and encodings".

    Raises:
        BadParameterError: Another ``_format``.
        NotAcceptableError: ``Accept`` is there and has nothing of JSON in it.
    """
    wanted = request.query_params.get("_format")
    if wanted is not None:
        if wanted not in get_args(Format):
            remedy = f"leave it out, or write one of {', '.join(get_args(Format))}"
            raise BadParameterError(field="_format", value=wanted, remedy=remedy)
        return
    accept = ",".join(request.headers.getlist("accept"))
    if accept.strip() and not any(map(_takes_json, accept.split(","))):
        msg = f"answers are {MEDIA_TYPE}; name it, or */*, in Accept"
        raise NotAcceptableError(msg)


def _takes_json(media_range: str) -> bool:
    """Whether one part of ``Accept`` is ours and has a weight above 0."""
    media, *parameters = (part.strip().lower() for part in media_range.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    return media in _ACCEPTED and weight.strip("0.") != ""


def answer(resource: Json, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """One resource, its numbers with exactly their digits."""
    return Response(
        EXACT.encode(resource), status_code=status, media_type=CONTENT_TYPE, headers=headers
    )


def etag(resource: Json) -> str:
    """The weak ETag of a resource: its version."""
    return f'W/"{resource["meta"]["versionId"]}"'


def answer_one(request: Request, resource: Json, **headers: str) -> Response:
    """One resource with its ETag; 304 where the client has this version already."""
    tag = etag(resource)
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in (each.strip() for each in known.split(",")):
        return Response(status_code=304, headers={"ETag": tag, **headers})
    return answer(resource, headers={"ETag": tag, **headers})


def base_of(request: Request) -> str:
    """The address of the service, as the client wrote it."""
    return f"{str(request.base_url).rstrip('/')}/fhir"


def answer_page(
    request: Request, resources: Sequence[Json], *, asked: dict[str, Any], next_cursor: str | None
) -> Response:
    """A page of what was found, with the link to the next one.

    Args:
        request: For the address of the service.
        resources: Of the page.
        asked: The parameters by their names in the address.
        next_cursor: Of the next page; None: this is the last one.
    """
    base = base_of(request)
    address = f"{base}/{request.url.path.rpartition('/')[2]}"
    here = urlencode(asked, doseq=True)
    following = urlencode({**asked, "_cursor": next_cursor}, doseq=True)
    bundle = build_found(
        resources,
        base=base,
        self_link=f"{address}?{here}" if here else address,
        next_link=None if next_cursor is None else f"{address}?{following}",
    )
    return answer(bundle)
