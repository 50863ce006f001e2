"""Promise: a route called directly answers as FastAPI would have it answered, right or wrong."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Header, Path, Query, Response, Security
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.requests import Request

from api.auth.guard import Guard
from api.auth.principal import LOCAL, Principal
from api.cursors import PageQuery
from api.direct_routes import DirectRoute, add_routes
from api.errors import UnauthenticatedError
from api.problems import install_problems
from api.services import Running


class Anybody(Guard):
    """Everybody who says who they are."""

    async def __call__(self, request: Request) -> Principal:
        """Local, or nobody."""
        if "authorization" not in request.headers:
            msg = "say who you are"
            raise UnauthenticatedError(msg)
        return LOCAL


class Asked(PageQuery):
    """Of each kind of field one."""

    day: Annotated[str | None, Field(alias="from", min_length=2)] = None
    kinds: list[str] | None = None


Somebody = Annotated[Principal, Security(Anybody())]
Number = Annotated[int, Path(ge=1)]
Tag = Annotated[str | None, Header(alias="If-None-Match", max_length=3)]
router = APIRouter()


@router.get("/things/{number}")
async def list_things(
    running: Running,
    principal: Somebody,
    number: Number,
    query: Annotated[Asked, Query()],
    tag: Tag = None,
) -> Response:
    """Says what it was asked."""
    return Response(f"{running} {principal.subject} {number!r} {query!r} {tag!r}")


@router.get("/bare")
async def list_bare(running: Running, principal: Somebody) -> Response:
    """Says who asked."""
    return Response(f"{running} {principal.subject}")


def an_app(*, direct: bool) -> FastAPI:
    app = FastAPI()
    app.state.services = "services"
    install_problems(app)
    if direct:
        add_routes(app, router, prefix="/v1", tags=["things"])
    else:
        app.include_router(router, prefix="/v1", tags=["things"])
    return app


async def answer(app: FastAPI, path: str, headers: dict[str, str]) -> tuple[Any, ...]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        found = await client.get(path, headers=headers)
    return found.status_code, found.text, dict(found.headers)


PLAIN = ("/v1/things/7", "/v1/things/7?limit=3", "/v1/things/7?from=ab&limit=0003", "/v1/bare")
ODD = (
    "/v1/things/0",
    "/v1/things/x?limit=3",
    "/v1/things/7?limit=0",
    "/v1/things/7?limit=",
    "/v1/things/7?limit=1&limit=2",
    "/v1/things/7?from=a",
    "/v1/things/7?day=ab",
    "/v1/things/7?kinds=a&kinds=b",
    "/v1/things/7?kinds=a",
    "/v1/things/7?unknown=1",
    "/v1/things/7?from=%E4%B8%A4%E4%B8%A4",
    "/v1/things/7?from=%FF%FF%FF",
    "/v1/things/7?from=a+b&&",
    "/v1/things/7?limit",
    "/v1/things",
    "/v1/bare?unknown=1",
)


@pytest.mark.parametrize("path", [*PLAIN, *ODD])
@pytest.mark.parametrize("tag", [None, "a", "abcd"])
@pytest.mark.parametrize("known", [True, False])
async def test_it_answers_as_fastapi_does(path: str, tag: str | None, *, known: bool) -> None:
    headers = {"Authorization": "x"} if known else {}
    if tag is not None:
        headers["If-None-Match"] = tag
    direct, usual = an_app(direct=True), an_app(direct=False)

    for _ in range(2):  # The second time it is remembered.
        assert await answer(direct, path, headers) == await answer(usual, path, headers)


@pytest.mark.parametrize("path", PLAIN)
async def test_what_is_plain_is_not_solved(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("fastapi.routing.solve_dependencies")

    status, _, _ = await answer(an_app(direct=True), path, {"Authorization": "x"})

    assert status == httpx.codes.OK


ADDRESSES = (
    *("/things/1", "/things/1\n", "/things/", "/things//", "/things/1/2", "/thing/1", "/"),
    *("/bare", "/bare\n", "/bare\n\n", "/bare/", "/bar", "/bared", "/x/bare", "/x/things/1"),
    *("/things/1/of/2", "/things/1/of/2\n", "/things/1/of/", "/things/of/2", "/things/1/on/2"),
    *("/things/1/parts", "/things/1/parts\n", "/things/parts", "/things/1/2/parts", "/parts"),
)


@pytest.mark.parametrize("root_path", ["", "/x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/things/{a}", "/bare", "/things/{a}/of/{b}", "/things/{a}/parts"]
)
def test_it_matches_what_any_route_matches(path: str, method: str, root_path: str) -> None:
    usual, ours = APIRoute(path, list_bare), DirectRoute(path, list_bare)
    for address in ADDRESSES:
        scope = {"type": "http", "method": method, "path": address, "root_path": root_path}
        wanted, there = usual.matches(scope)
        found, here = ours.matches(scope)
        assert (found, here.get("path_params")) == (wanted, there.get("path_params")), address


def test_the_document_is_the_same() -> None:
    assert an_app(direct=True).openapi() == an_app(direct=False).openapi()


def test_what_is_no_route_of_an_api_is_not_left_out_in_silence() -> None:
    outer = APIRouter()
    outer.include_router(router)

    with pytest.raises(TypeError, match="include its router instead"):
        add_routes(FastAPI(), outer)
