"""``PUT`` and ``GET`` of what the contract system writes, the same for every collection.

PUT  /v1/{collection}/{id}           the whole of it, as often as you like
GET  /v1/{collection}/{id}           as it stands, with its ETag
GET  /v1/{collection}                in order of id, page by page
GET  /v1/{collection}/{id}/history   every version: who, when, what
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.openapi.models import Example
from psycopg.rows import DictRow
from pydantic import BaseModel, TypeAdapter

from api.auth.guard import require
from api.auth.principal import Principal
from api.cursors import Cursor, Name, PageQuery
from api.direct_routes import add_routes
from api.errors import NotFoundError
from api.registry import examples, queries
from api.registry.kinds import COLLECTIONS, Collection
from api.registry.preconditions import IfMatch, IfNoneMatch, Precondition, etag
from api.registry.reach import require_own_place
from api.registry.schemas import Content, HistoryPage, VersionOut
from api.registry.writing import as_tuples, keys_at_hand, raise_refusal, require_profile
from api.services import Running, Services
from ingest.db.entities import ExternalId
from ingest.db.registry import Authorship

Id = Annotated[ExternalId, Path(description="As the contract system calls it")]


def make_router(collection: Collection) -> APIRouter:
    """Four routes of one collection."""
    router = APIRouter(tags=[collection.path])
    one = examples.as_response(examples.answer(collection.kind), "As it stands now")
    one["headers"] = {"ETag": {"description": "The version", "schema": {"type": "string"}}}
    created = {**one, "description": "There was none before; `Location` says where it is"}
    router.add_api_route(
        "/{id}",
        _make_put(collection),
        methods=["PUT"],
        response_model=collection.out,
        responses={200: one, 201: {**created, "model": collection.out}},
        operation_id=f"put_{collection.kind}",
        summary=f"Write a {collection.kind}",
    )
    router.add_api_route(
        "/{id}",
        _make_get(collection),
        methods=["GET"],
        response_model=collection.out,
        responses={200: one, 304: {"description": "The version named in If-None-Match stands"}},
        operation_id=f"get_{collection.kind}",
        summary=f"Read a {collection.kind}",
    )
    router.add_api_route(
        "",
        _make_list(collection),
        methods=["GET"],
        response_model=collection.page,
        responses={200: examples.as_response(examples.page(collection.kind), "One page")},
        operation_id=f"list_{collection.path}",
        summary=f"List {collection.path}",
    )
    router.add_api_route(
        "/{id}/history",
        _make_history(collection),
        methods=["GET"],
        response_model=HistoryPage,
        responses={200: examples.as_response(examples.history(collection.kind), "Versions")},
        operation_id=f"list_{collection.kind}_history",
        summary=f"Every version of a {collection.kind}",
    )
    return router


def _make_put(collection: Collection) -> Any:  # noqa: ANN401 - a route
    async def put(
        *,
        running: Running,
        principal: Annotated[Principal, require(collection.writes)],
        id: Id,  # noqa: A002 - its name in the address
        content: Content,
        response: Response,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> BaseModel:
        """Write the whole of it. The same content again changes nothing and is no new version.

        `201`: there was none; `200`: there was, or nothing had to be changed. With `If-Match` only
        if that version stands (a retry whose content already stands succeeds), with
        `If-None-Match: *` only if there is none; else `412`. What a field names must be there.
        """
        precondition = Precondition(if_match, if_none_match)
        await _check_profile(running, content)
        at = running.clock()
        by = Authorship(author=principal.subject, at=at, permits=precondition.permits)
        named = getattr(content, "personal", None) is not None
        sealing = running.keys.sealing() if named else None
        async with running.database.writing(principal, at=at) as connection:
            with as_tuples(connection) as tuples, keys_at_hand():
                record = content.to_record(id)
                await require_own_place(tuples, principal, collection.kind, record)
                (outcome,) = await collection.save(tuples, [record], by, sealing)
            if outcome.refusal is not None:
                raise_refusal(outcome.refusal)
            row = _only(collection, await queries.fetch(collection.kind, id).run(connection))
        response.headers["ETag"] = etag(row["version"])
        if outcome.status == "created":
            response.status_code = 201
            response.headers["Location"] = f"/v1/{collection.path}/{quote(id, safe='')}"
        return collection.answer(row)

    shown: dict[str, Example] = {"whole": {"value": examples.body(collection.kind)}}
    put.__annotations__["content"] = Annotated[collection.body, Body(openapi_examples=shown)]
    return put


async def _check_profile(running: Services, content: Content) -> None:
    profile = getattr(content, "profile", None)
    await asyncio.to_thread(require_profile, profile, running.settings.profile_directory)


async def _note(
    running: Services,
    principal: Principal,
    collection: Collection,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Say to the audit log whom these rows show; places and people who work there are nobody."""
    if collection.kind == "resident":
        await running.audit.saw(principal, "read_residents", (row["id"] for row in rows))
    if collection.kind == "contract":
        residents = (row["content"]["resident_id"] for row in rows)
        await running.audit.saw(principal, "read_contracts", residents)


def _make_get(collection: Collection) -> Any:  # noqa: ANN401 - a route
    async def get(
        running: Running,
        principal: Annotated[Principal, require(collection.reads)],
        id: Id,  # noqa: A002 - its name in the address
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        """As it stands now, with its ETag. Whom only a terminal has met is not there yet."""
        precondition = Precondition(None, if_none_match)
        (rows,) = await running.database.read(principal, queries.fetch(collection.kind, id))
        row = _only(collection, rows)
        await _note(running, principal, collection, [row])
        headers = {"ETag": etag(row["version"])}
        if precondition.is_known(row["version"]):
            return Response(status_code=304, headers=headers)
        content = collection.answer(row).model_dump_json()
        return Response(content, headers=headers, media_type="application/json")

    return get


def _only(collection: Collection, rows: Sequence[DictRow]) -> DictRow:
    if not rows:
        msg = f"no such {collection.kind}; PUT it first, or look at the list"
        raise NotFoundError(msg)
    return rows[0]


def _make_list(collection: Collection) -> Any:  # noqa: ANN401 - a route
    cursors: Cursor[str] = Cursor(collection.path, TypeAdapter(Name))

    async def list_all(
        running: Running,
        principal: Annotated[Principal, require(collection.reads)],
        query: PageQuery,
    ) -> Any:  # noqa: ANN401 - the collection's page
        """In order of id; pass `next_cursor` back as `cursor`.

        Everything that was there when one began is seen exactly once, whatever is written
        meanwhile.
        """
        after = cursors.read(query.cursor)
        asked = query.model_dump(exclude={"cursor", "limit"})
        async with running.database.reading(principal) as connection:
            rows = await queries.list_by_id(
                connection, collection.kind, asked, after=after, rows=query.limit + 1
            )
        await _note(running, principal, collection, rows[: query.limit])
        items = [collection.answer(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        return collection.page(
            items=items, next_cursor=cursors.write(items[-1].id) if more else None
        )

    list_all.__annotations__["query"] = Annotated[collection.query, Query()]
    return list_all


def _make_history(collection: Collection) -> Any:  # noqa: ANN401 - a route
    cursors: Cursor[int] = Cursor(f"{collection.path} history", TypeAdapter(int))

    async def list_history(
        running: Running,
        principal: Annotated[Principal, require(collection.reads)],
        id: Id,  # noqa: A002 - its name in the address
        query: Annotated[PageQuery, Query()],
    ) -> HistoryPage:
        """Every version, the newest first: who wrote it, when, and what it said then."""
        before = cursors.read(query.cursor)
        async with running.database.reading(principal) as connection:
            rows = await queries.list_versions(
                connection, collection.kind, id, before=before, rows=query.limit + 1
            )
        if not rows and before is None:
            msg = f"no such {collection.kind}; PUT it first, or look at the list"
            raise NotFoundError(msg)
        await _note(running, principal, collection, [{**row, "id": id} for row in rows])
        items = [VersionOut.model_validate(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        return HistoryPage(
            items=items, next_cursor=cursors.write(items[-1].version) if more else None
        )

    return list_history


router: Final = APIRouter()
for _collection in COLLECTIONS:
    add_routes(router, make_router(_collection), prefix=f"/{_collection.path}")
