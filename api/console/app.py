"""The console as an application of its own below ``/console``: its errors are pages, too.

Mounted in the API's process and past the same front door: limits, headers, audit log and
services are those of the API. Without its scripts (no Node at the build) it runs and says so.
"""

from pathlib import Path
from typing import Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from api.alerts import stream
from api.auth.guard import known_principal
from api.console import sign_in
from api.console.doorkeeper import Doorkeeper
from api.console.fleet import routes as fleet
from api.console.flow import routes as flow
from api.console.operations import routes as operations
from api.console.pages import PREFIX, Pages
from api.console.people import read_people
from api.console.quality import routes as quality
from api.console.readings import routes as readings
from api.console.records import routes as records
from api.console.records import withdrawing
from api.console.residents import routes as residents
from api.console.rules import routes as rules
from api.console.simulator import routes as simulator
from api.console.today import routes as today
from api.console.worklist import routes as worklist
from api.errors import ApiError, UnauthenticatedError
from api.services import Services

__all__ = ["PREFIX", "create_console"]

_STATIC: Final = Path(__file__).with_name("static")


class _Versioned(StaticFiles):
    """Files whose addresses carry their version: kept by the browser, asked for again when new."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response


def create_console(services: Services) -> FastAPI:
    """Build the application. Raises ``OSError`` and ``ValueError`` as ``read_people``."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    without = () if services.settings.console.simulator_file else ("simulator",)
    app.state.pages = Pages(_STATIC, services.clock, without=without)
    app.state.people = read_people(services.settings)
    app.add_middleware(Doorkeeper)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_bug)
    app.include_router(sign_in.router)
    app.include_router(stream.router, prefix="/feed")
    app.include_router(today.router)
    app.include_router(worklist.router)
    app.include_router(residents.router)
    app.include_router(records.router)
    app.include_router(withdrawing.router)
    app.include_router(readings.router)
    app.include_router(quality.router)
    app.include_router(fleet.router)
    app.include_router(flow.router)
    app.include_router(rules.router)
    app.include_router(simulator.router)
    app.include_router(operations.router)
    app.mount("/static", _Versioned(directory=_STATIC), name="static")
    return app


def _on_api_error(request: Request, error: Exception) -> Response:
    refused = cast("ApiError", error)
    if isinstance(refused, UnauthenticatedError):
        return _to_sign_in(request)
    headers = {"Retry-After": str(refused.retry_after_s)} if refused.retry_after_s else {}
    return _problem(request, refused.status, refused.slug, detail=refused.msg, headers=headers)


def _to_sign_in(request: Request) -> Response:
    """A page is asked for again after signing in; a part of one tells the page to go there."""
    sign_in_path = sign_in.address_for(request)
    if request.headers.get("hx-request") == "true":
        if request.method != "GET":  # What was typed stays on the page, which says what to do.
            return Response(status_code=401)
        return Response(status_code=401, headers={"HX-Redirect": sign_in_path})
    if "text/html" not in request.headers.get("accept", ""):
        return Response(status_code=401)
    response = RedirectResponse(sign_in_path, status_code=303)
    sign_in.forget(request, response)
    return response


def _on_http_error(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    slug = "not-found" if refused.status_code in {404, 405} else "internal-error"
    return _problem(request, refused.status_code, slug, headers=refused.headers)


def _on_invalid_request(request: Request, _: Exception) -> Response:
    return _problem(request, 400, "bad-parameter")


def _on_bug(request: Request, _: Exception) -> Response:
    return _problem(request, 500, "internal-error")


def _problem(
    request: Request,
    status: int,
    slug: str,
    *,
    detail: str = "",
    headers: object = None,
) -> Response:
    pages = cast("Pages", request.app.state.pages)
    response = pages.render(
        request,
        "problem.html",
        principal=known_principal(request),
        status=status,
        slug=slug,
        detail=detail,
        asked_by_get=request.method == "GET",
    )
    response.headers.update(cast("dict[str, str]", headers or {}))
    return response
