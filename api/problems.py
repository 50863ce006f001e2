"""Errors as ``application/problem+json`` (RFC 9457), whatever went wrong and wherever.

Below ``/fhir/`` the same words are an OperationOutcome, which is what clients there understand.

A problem never carries a stack trace, SQL or a connection string. 422 is kept for a body that
does not validate; a bad query value, path value, header or cursor is 400 and says which field,
which value and what would be right.
"""

import re
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
from api.errors import ApiError, BadParameterError, NotReadyError
from api.fhir.resources.operation_outcome import build as build_outcome
from api.fhir.resources.operation_outcome import issue
from api.headers import HEADERS

FHIR_MEDIA_TYPE = "application/fhir+json"
MEDIA_TYPE = PROBLEM
VALUE_CHARACTERS_MAX = 200
NOT_SHOWN = "(not shown)"
_NAMED = re.compile(r"([a-z_]+): ")
_PERSONAL = frozenset({"personal", "name", "id_number"})
_ID_NUMBER = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")  # In an address by mistake.


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
    details = {
        HTTPStatus.NOT_FOUND: "there is nothing at this address; the root / lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here; see Allow",
    }
    headers = dict(refused.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # The route that refused knows only its own.
        allowed = list_methods(request.app.openapi(), request.url.path)
        headers["Allow"] = ", ".join(allowed) or headers.get("Allow", "")
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
    body = [problem for problem in problems if problem["loc"][0] == "body"]
    errors = [_describe(problem) for problem in body or problems]
    return _respond(
        request,
        slug="invalid-body" if body else BadParameterError.slug,
        title="The body does not validate" if body else BadParameterError.title,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if body else HTTPStatus.BAD_REQUEST,
        detail="; ".join(f"{wrong.field}: {wrong.remedy}" for wrong in errors[:5]),
        errors=errors,
    )


async def _on_bug(request: Request, _: Exception) -> JSONResponse:
    return _respond(
        request,
        slug=ApiError.slug,
        title=ApiError.title,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="this is a fault of the server, not of the request; its log says more",
        headers=HEADERS,  # Starlette answers here, outside of the front door.
    )


def _describe(problem: Mapping[str, Any]) -> FieldProblem:
    path = [str(part) for part in problem["loc"][1:]]
    remedy = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error" and (named := _NAMED.match(remedy)):
        path.append(named[1])  # A check of several fields says itself which one is wrong.
        remedy = remedy[named.end() :]
    if problem["type"] == "extra_forbidden":
        remedy = "no such parameter; /openapi.json lists those there are"
    return FieldProblem(
        field=".".join(path), value=_shown(problem, path), remedy=remedy or "not usable"
    )


def _shown(problem: Mapping[str, Any], path: Sequence[str]) -> str:
    """What was sent; of a body neither what holds other fields nor what may name somebody.

    What stands in the path may name somebody, and is in ``instance`` already.
    """
    value = problem.get("input")
    if problem["loc"][0] == "path":
        return NOT_SHOWN
    if problem["loc"][0] == "body" and (
        isinstance(value, dict | list)
        or problem["type"] == "extra_forbidden"
        or not {*path}.isdisjoint(_PERSONAL)
    ):
        return NOT_SHOWN
    return _cut(value)


def _field_problem(refused: BadParameterError) -> FieldProblem:
    return FieldProblem(field=refused.field, value=_cut(refused.value), remedy=refused.remedy)


def _cut(value: object) -> str:
    return _ID_NUMBER.sub(NOT_SHOWN, str(value))[:VALUE_CHARACTERS_MAX]


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
        instance=_ID_NUMBER.sub(NOT_SHOWN, request.url.path),
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
