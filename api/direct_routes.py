"""Routes that are asked most: matched once, their query read once for all who ask the same.

FastAPI compares a request with an included router twice, and takes a query apart field by field
before its model may look at it: together more than the rows of a page. Here every route is one of
the application's own; and one that asks for services, a principal, names in its path, headers
that are not there and at most one model of the query, and answers by a response, is called without
FastAPI's solver. It must never decide otherwise than FastAPI: whatever is not plainly right is
given to that, which then finds what is wrong and says so.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, Final, NamedTuple, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Match
from starlette.types import Scope

from api.auth.guard import Guard
from api.services import find_services

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_REMEMBERED_MAX: Final = 200  # Different queries of one route; an address has a bound of its own.


class _Asked(NamedTuple):
    """What an endpoint takes, by the names of its parameters."""

    services: str
    principal: str
    guard: Guard
    path: Sequence[ModelField]
    query: ModelField | None
    headers: Sequence[ModelField]


class DirectRoute(APIRoute):
    """Calls its endpoint directly, if that asks for nothing else than what is known here.

    Made by ``add_routes`` only: its path is the whole of an address.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:  # noqa: ANN401 - FastAPI's to say
        super().__init__(path, endpoint, **more)
        self._begin = path.partition("{")[0]
        end = path.rpartition("}")[2]
        # As its regular expression has it: `$` stands before a last newline, too.
        self._ends = (end, f"{end}\n") if self._begin != path else ("",)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route; what is before and behind its parameters is looked at first.

        Sixty are compared with the address of a resident's readings: an eighth of that request.
        """
        path: str = scope["path"]
        if not scope.get("root_path") and not (
            path.startswith(self._begin) and path.endswith(self._ends)
        ):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Handler:
        """As FastAPI's; with ours before it where it can be."""
        usual = super().get_route_handler()
        asked = _find_asked(self.dependant)
        if asked is None or signature(self.endpoint).return_annotation is not Response:
            return usual
        return _make_handler(self.endpoint, asked, usual)


def _find_asked(dependant: Dependant) -> _Asked | None:
    """None for an endpoint that asks for more."""
    found: dict[object, str] = {each.call: each.name or "" for each in dependant.dependencies}
    guards = [call for call in found if isinstance(call, Guard)]
    if len(guards) != 1 or set(found) != {find_services, guards[0]}:
        return None
    query = dependant.query_params
    rest = Dependant(
        path_params=dependant.path_params,
        query_params=query,
        header_params=dependant.header_params,
        dependencies=dependant.dependencies,
        call=dependant.call,
        path=dependant.path,
        scope=dependant.scope,
    )
    if dependant != rest or len(query) > 1 or not all(map(_is_plain_model, query)):
        return None
    headers = [field.field_info for field in dependant.header_params]
    if any(each.is_required() or each.alias is None for each in headers):
        return None
    return _Asked(
        services=found[find_services],
        principal=found[guards[0]],
        guard=guards[0],
        path=dependant.path_params,
        query=query[0] if query else None,
        headers=dependant.header_params,
    )


def _is_plain_model(field: ModelField) -> bool:
    """Whether it may be shared: a model that cannot be changed."""
    model = field.field_info.annotation
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return False
    return bool(model.model_config.get("frozen"))


def _make_handler(endpoint: Callable[..., Any], asked: _Asked, usual: Handler) -> Handler:
    read = lru_cache(maxsize=_REMEMBERED_MAX)(_reader(asked.query)) if asked.query else None

    async def handle(request: Request) -> Response:
        values: dict[str, Any] = {}
        for field in asked.headers:
            if field.alias in request.headers:
                return await usual(request)
            values[field.name] = field.default
        for field in asked.path:
            value, errors = field.validate(request.path_params.get(field.alias))
            if errors:
                return await usual(request)
            values[field.name] = value
        if asked.query is not None and read is not None:
            try:
                values[asked.query.name] = read(request.scope["query_string"])
            except LookupError:  # Not remembered, either: FastAPI says what is wrong.
                return await usual(request)
        elif request.scope["query_string"]:
            return await usual(request)
        values[asked.services] = request.app.state.services
        values[asked.principal] = await asked.guard(request)
        response: Response = await endpoint(**values)
        return response

    return handle


def _reader(field: ModelField) -> Callable[[bytes], BaseModel]:
    """From a query as it was sent to its model; ``LookupError`` unless it is plainly right."""
    model: type[BaseModel] = field.field_info.annotation  # type: ignore[assignment]
    single = {
        each.alias or name
        for name, each in model.model_fields.items()
        if not _holds_many(each.annotation)
    }

    def read(query: bytes) -> BaseModel:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        given = dict(pairs)
        if len(given) != len(pairs) or not given.keys() <= single:
            raise LookupError
        value, errors = field.validate(given)
        if errors:
            raise LookupError
        found: BaseModel = value
        return found

    return read


def _holds_many(annotation: object) -> bool:
    parts = (annotation, *get_args(annotation))
    return any((get_origin(part) or part) in {list, set, frozenset, tuple} for part in parts)


def add_routes(
    to: FastAPI | APIRouter, router: APIRouter, *, prefix: str = "", tags: Sequence[str] = ()
) -> None:
    """Every route of a router as one of ``to``, as ``include_router`` would document it."""
    owner = to.router if isinstance(to, FastAPI) else to
    for route in router.routes:
        if not isinstance(route, APIRoute):
            msg = f"{route} is no route of an API; include its router instead"
            raise TypeError(msg)
        owner.add_api_route(
            prefix + route.path,
            route.endpoint,
            response_model=route.response_model,
            status_code=route.status_code,
            tags=[*tags, *route.tags],
            dependencies=route.dependencies,
            summary=route.summary,
            description=route.description,
            response_description=route.response_description,
            responses=route.responses,
            deprecated=route.deprecated,
            methods=route.methods,
            operation_id=route.operation_id,
            include_in_schema=route.include_in_schema,
            response_class=route.response_class,
            name=route.name,
            openapi_extra=route.openapi_extra,
            route_class_override=DirectRoute,
        )
