"""Errors as ``application/problem+json`` (RFC 9457), whatever went wrong and wherever.

Below ``/fhir/`` the same words are an OperationOutcome, which is what clients there understand.

A problem never carries a stack trace, SQL or a connection string. 422 is kept for a body that
does not validate; a bad query value, path value, header or cursor is 400 and says which field,
which value and what would be right.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.document import PROBLEM, is_fhir, keep_nulls, list_methods, refine
from api.errors import (
    ApiError,
    BadParameterError,
    NotReadyError,
    TooLargeError,
    UnsupportedContentError,
)
from api.fhir.resources.operation_outcome import build as build_outcome
from api.fhir.resources.operation_outcome import issue
from api.headers import HEADERS
from api.remedies import BODY, VALUE_CHARACTERS_MAX, cut, describe, redact

FHIR_MEDIA_TYPE = "application/fhir+json"
MEDIA_TYPE = PROBLEM


class FieldProblem(BaseModel):
    """One value that cannot be used."""

    field: str = Field(description="Name of the parameter, or dotted path inside the body")
    value: str = Field(description=f"What was sent, cut at {VALUE_CHARACTERS_MAX} characters")
    remedy: str = Field(description="What would be right")


class Problem(BaseModel):
    """RFC 9457, with ``errors`` for single values and ``checks`` for readiness."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request, without its query")
    errors: list[FieldProblem] | None = None
    checks: dict[str, str] | None = None


def install_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, and say so in its OpenAPI document."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_bug)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way


async def _on_api_error(request: Request, error: Exception) -> JSONResponse:
    return answer_problem(request, cast("ApiError", error))


def answer_problem(request: Request, refused: ApiError) -> JSONResponse:
    """The response for one of our errors, for what stands before the routes, too."""
    return _respond(
        request,
        slug=refused.slug,
        title=refused.title,
        status=refused.status,
        detail=refused.msg,
        errors=[_field_problem(refused)] if isinstance(refused, BadParameterError) else None,
        checks=refused.checks if isinstance(refused, NotReadyError) else None,
        headers={
            **refused.headers,
            **({"Retry-After": str(refused.retry_after_s)} if refused.retry_after_s else {}),
        },
    )


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    refused = cast("HTTPException", error)
    status = HTTPStatus(refused.status_code)
    if status == TooLargeError.status:  # Found while the body was read; the phrase is Python's.
        return answer_problem(request, TooLargeError(str(refused.detail)))
    lists = "/fhir/metadata" if is_fhir(request.url.path) else "the root /"
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at this address; {lists} lists what there is",
        HTTPStatus.BAD_REQUEST: "the body is no JSON in UTF-8, or it is nested too deep",
    }
    headers = dict(refused.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # The route that refused knows only its own.
        allowed = list_methods(request.app.openapi(), request.url.path)
        headers["Allow"] = ", ".join(allowed) or headers.get("Allow", "")
        details[status] = f"{request.method} is not possible here, only {headers['Allow']}"
    return _respond(
        request,
        slug=status.phrase.lower().replace(" ", "-"),
        title=status.phrase,
        status=status,
        detail=details.get(status, str(refused.detail)),
        headers=headers,
    )


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    problems = cast("RequestValidationError", error).errors()
    body = [problem for problem in problems if problem["loc"][0] == BODY]
    if body and (unsupported := _find_unsupported(request, body[0])) is not None:
        return answer_problem(request, unsupported)
    errors = [FieldProblem(**describe(problem)._asdict()) for problem in body or problems]
    return _respond(
        request,
        slug="invalid-body" if body else BadParameterError.slug,
        title="The body does not validate" if body else BadParameterError.title,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if body else HTTPStatus.BAD_REQUEST,
        detail="; ".join(f"{wrong.field}: {wrong.remedy}" for wrong in errors[:5]),
        errors=errors,
    )


def _find_unsupported(
    request: Request, problem: Mapping[str, Any]
) -> UnsupportedContentError | None:
    """A body that was not read as JSON, because it does not say that it is."""
    if isinstance(problem.get("input"), bytes):
        given = request.headers.get("Content-Type")
        said = "no Content-Type" if given is None else f"Content-Type {cut(given)!r}"
        return UnsupportedContentError(
            f"send JSON, as Content-Type: application/json; here is {said}"
        )
    return None


async def _on_bug(request: Request, _: Exception) -> JSONResponse:
    return _respond(
        request,
        slug=ApiError.slug,
        title=ApiError.title,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="this is a fault of the server, not of the request; its log says more",
        headers=HEADERS,  # Starlette answers here, outside of the front door.
    )


def _field_problem(refused: BadParameterError) -> FieldProblem:
    return FieldProblem(field=refused.field, value=cut(refused.value), remedy=refused.remedy)


def _respond(
    request: Request,
    *,
    slug: str,
    title: str,
    status: int,
    detail: str,
    errors: Sequence[FieldProblem] | None = None,
    checks: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    if is_fhir(request.url.path):
        single = [
            issue(status, slug, f"{each.field}: {each.value!r}: {each.remedy}", path=each.field)
            for each in errors or ()
        ]
        outcome = build_outcome(single or [issue(status, slug, detail)])
        return JSONResponse(
            outcome, status_code=status, media_type=FHIR_MEDIA_TYPE, headers=headers
        )
    problem = Problem(
        type=f"urn:suifang:problem:{slug}",
        title=title,
        status=status,
        detail=detail,
        instance=redact(request.url.path),
        errors=None if errors is None else list(errors),
        checks=None if checks is None else dict(checks),
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, put right; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        app.openapi_schema = keep_nulls(refine(document), app.routes)
    return app.openapi_schema
