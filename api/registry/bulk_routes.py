"""The routes ``POST /v1/{collection}/bulk``, the same for every collection."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request

from api.auth.guard import require
from api.auth.principal import Principal
from api.direct_routes import add_routes
from api.errors import UnsupportedContentError
from api.registry import examples
from api.registry.bulk import BulkWriter
from api.registry.kinds import COLLECTIONS, Collection
from api.registry.outcomes import OutcomeStream, Spool
from api.services import Running

_NDJSON: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
STREAMS: Final = frozenset(f"/v1/{each.path}/bulk" for each in COLLECTIONS)
"""Addresses whose bodies have no bound as a whole: they are read line by line."""


def make_router(collection: Collection) -> APIRouter:
    """The one route of one collection."""
    router = APIRouter(tags=[collection.path])
    lines, outcomes = examples.bulk(collection.kind)
    router.add_api_route(
        "/bulk",
        _make_write(collection),
        methods=["POST"],
        response_class=OutcomeStream,
        responses={
            200: {
                "description": "One outcome a line, in order; at last the counts",
                "content": {"application/x-ndjson": {"example": outcomes}},
            },
        },
        operation_id=f"write_{collection.path}",
        summary=f"Write many {collection.path} at once",
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "One JSON object a line: a body of PUT with `id`, and `version` if "
                "it matters which one it replaces",
                "content": {"application/x-ndjson": {"example": lines}},  # No schema says lines.
            }
        },
    )
    return router


def _make_write(collection: Collection) -> Any:  # noqa: ANN401 - a route
    async def write(
        running: Running,
        principal: Annotated[Principal, require(collection.writes)],
        request: Request,
        content_type: Annotated[str, Header(max_length=200, include_in_schema=False)] = "",
        _: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key", max_length=200, description="Not needed: send it again"
            ),
        ] = None,
    ) -> OutcomeStream:
        """Each line is written or refused by itself. What a line names must be there first.

        Sending all of it again is safe at any time: what stands already is `unchanged` and is no
        new version. A last line with the counts says that everything was read; `stopped` instead
        of it says why not. What was written until then stays.
        """
        if content_type.partition(";")[0].strip().lower() not in _NDJSON:
            msg = "send one JSON object a line, as Content-Type: application/x-ndjson"
            raise UnsupportedContentError(msg)

        async def work(spool: Spool) -> None:
            writer = BulkWriter(
                running=running, principal=principal, collection=collection, spool=spool
            )
            await writer.run(request.stream())

        return OutcomeStream(work)

    return write


router: Final = APIRouter()
for _collection in COLLECTIONS:
    add_routes(router, make_router(_collection), prefix=f"/{_collection.path}")
