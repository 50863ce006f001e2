"""``/fhir``: FHIR R4 for other software. Reads and searches of every type, the same for all.

GET /fhir/metadata          what there is; nobody is asked who they are
GET /fhir/{type}/{id}       one resource with its weak ETag
GET /fhir/{type}?…          a page of what was found, with a link to the next
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import NotFoundError
from api.fhir import examples
from api.fhir.answers import answer, answer_one, answer_page, base_of, require_json
from api.fhir.kinds import OBSERVATION, PATIENT, RESOURCE_TYPES, ResourceType, Row
from api.fhir.resources import capability_statement, patient
from api.fhir.resources.capability_statement import Parameter, Served
from api.fhir.searches import SearchQuery
from api.registry.personal import open_personal
from api.services import Running

router = APIRouter(
    tags=["fhir"],
    default_response_class=Response,
    responses=examples.ERRORS,
    dependencies=[Depends(require_json)],
)
Id = Annotated[str, Path(max_length=64, description="Logical id, as in `fullUrl`")]
_PARAMETER_TYPES: Final = {
    "_id": "token",
    "identifier": "token",
    "code": "token",
    "status": "token",
    "_lastUpdated": "date",
    "date": "date",
    "identified": "date",
    "patient": "reference",
    "subject": "reference",
    "target": "reference",
}
"""Of FHIR; what is not here (`_count`, `_cursor`, `_format`) filters nothing."""


@router.get("/metadata", responses={200: examples.shown("CapabilityStatement")})
async def read_capabilities(request: Request) -> Response:
    """The CapabilityStatement. Open to everybody."""
    served = [
        Served(one.name, one.says, _parameters_of(one.query), one is OBSERVATION)
        for one in RESOURCE_TYPES
    ]
    return answer(
        capability_statement.build(
            served, program_version=request.app.version, base=base_of(request)
        )
    )


def _parameters_of(query: type[SearchQuery]) -> list[Parameter]:
    found = []
    for name, field in query.model_fields.items():
        shown = field.alias or name
        if shown in _PARAMETER_TYPES:
            found.append(Parameter(shown, _PARAMETER_TYPES[shown], field.description or shown))
    return found


@router.get(
    "/Patient/{id}",
    operation_id="fhir_read_Patient",
    responses={200: examples.shown("Patient"), **examples.NOT_MODIFIED},
)
async def read_patient(
    running: Running,
    request: Request,
    principal: Annotated[Principal, require(PATIENT.permission)],
    id: Id,  # noqa: A002 - its name in the address
) -> Response:
    """A resident. With `residents:read` also sex, birth date, name and ID number; on record."""
    whole = principal.may(Permission.RESIDENTS_READ)
    async with running.database.reading(principal) as connection:
        row = _require(await PATIENT.fetch_row(connection, id), "Patient")
        opened = await open_personal(running, connection, row["id"]) if whole else None
    read = "read_personal_data" if opened is not None else "fhir_read_Patient"
    await running.audit.saw(principal, read, [row["id"]])
    resource = patient.build(row, whole=whole, personal=opened)
    return answer_one(request, resource, **{"Cache-Control": "no-store"})


def _require(row: Row | None, name: str) -> Row:
    if row is None:
        msg = f"no such {name}, or not for you; search for it"
        raise NotFoundError(msg)
    return row


def _make_read(kind: ResourceType) -> Any:  # noqa: ANN401 - a route
    async def read(
        running: Running,
        request: Request,
        principal: Annotated[Principal, require(kind.permission)],
        id: Id,  # noqa: A002 - its name in the address
    ) -> Response:
        """One resource; `304` with `If-None-Match` where the version is known already."""
        async with running.database.reading(principal) as connection:
            row = _require(await kind.fetch_row(connection, id), kind.name)
        await running.audit.saw(principal, f"fhir_read_{kind.name}", _seen_in(kind, [row]))
        return answer_one(request, kind.build(row, principal))

    return read


def _make_search(kind: ResourceType) -> Any:  # noqa: ANN401 - a route
    async def search(
        running: Running,
        request: Request,
        principal: Annotated[Principal, require(kind.permission)],
        query: SearchQuery,
    ) -> Response:
        """A page of what was found, in a stable order; follow the link `next`.

        All that are given must hold. A parameter that is not listed is refused. `total` is left
        out: it is never a guess.
        """
        query.require_bounds()
        after = kind.cursor.read(query.cursor)
        async with running.database.reading(principal) as connection:
            rows = await kind.list_rows(connection, query, after=after, rows=query.count + 1)
        page = rows[: query.count]
        await running.audit.saw(principal, f"fhir_search_{kind.name}", _seen_in(kind, page))
        more = len(rows) > query.count
        return answer_page(
            request,
            [kind.build(row, principal) for row in page],
            asked=query.model_dump(by_alias=True, exclude_defaults=True, exclude={"cursor"}),
            next_cursor=kind.cursor.write(kind.key(page[-1])) if more else None,
        )

    search.__annotations__["query"] = Annotated[kind.query, Query()]
    return search


def _seen_in(kind: ResourceType, rows: Sequence[Row]) -> list[str]:
    return [resident for row in rows for resident in kind.whom(row)]


for _kind in RESOURCE_TYPES:
    if _kind is not PATIENT:
        router.add_api_route(
            f"/{_kind.name}/{{id}}",
            _make_read(_kind),
            methods=["GET"],
            operation_id=f"fhir_read_{_kind.name}",
            summary=f"Read one {_kind.name}",
            responses={200: examples.shown(_kind.name), **examples.NOT_MODIFIED},
        )
    router.add_api_route(
        f"/{_kind.name}",
        _make_search(_kind),
        methods=["GET"],
        operation_id=f"fhir_search_{_kind.name}",
        summary=f"Search for {_kind.name}",
        responses={200: examples.shown_page(_kind.name)},
    )
