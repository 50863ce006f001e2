"""``GET /v1/events``: the change feed, page by page, with a bounded wait at its end.

Everything there is about it that must not fail is elsewhere: the order in ``api.dispatcher``, who
sees what in the database. It must never answer a place in the feed that was not looked at: the
``next_after`` of a page is the last number that this transaction saw.
"""

import asyncio
import contextlib
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import BadParameterError
from api.events import examples, queries
from api.events.queries import Page
from api.events.schemas import EventPage, EventQuery
from api.feed import require_kept
from api.services import Running, Services

router = APIRouter()
_ANSWER: Final = {
    "description": "One page; it may be empty and still move on",
    "content": {"application/json": {"example": examples.PAGE}},
}


@router.get("", response_model=EventPage, responses={200: _ANSWER}, summary="Follow what changes")
async def list_events(
    running: Running,
    principal: Annotated[Principal, require(Permission.EVENTS_READ)],
    query: Annotated[EventQuery, Query()],
) -> Response:
    """Everything that was told, in order, each event once. Pass `next_after` back as `after`.

    A page holds what you may see; `next_after` moves on where nothing is yours. At the end
    (`next_after` = `head`) `wait_s` holds the answer back until there is something, or time is up.
    Events are told at least once: keep `next_after` when you have dealt with the page, not before.
    Old events go: an `after` behind which some are missing is `410`, which says where to begin.
    """
    page = await _read(running, principal, query, query.after)
    if query.wait_s and not page.items and page.is_at_end:
        await _await_news(running, principal, query, page.next_after)
        page = await _read(running, principal, query, page.next_after)
    residents = (item.resident_id for item in page.items)
    await running.audit.saw(principal, "list_events", residents)
    return Response(page.as_json(), media_type="application/json")


async def _read(running: Services, principal: Principal, query: EventQuery, after: int) -> Page:
    page = await queries.list_visible(
        running.database,
        principal,
        after=after,
        limit=query.limit,
        scan_max=running.settings.feed.scan_rows_max,
        kinds=query.type,
    )
    require_kept(after, page.floor)
    if after > page.head:
        raise BadParameterError(
            field="after",
            value=str(after),
            remedy=f"the feed ends at {page.head}: was the database restored? Read the lists "
            "again, then go on from there",
        )
    return page


async def _await_news(
    running: Services, principal: Principal, query: EventQuery, after: int
) -> None:
    """Wait until the feed tells something that this one may see and wants; ``wait_s`` at most."""
    with contextlib.suppress(TimeoutError), running.feed.listen() as listener:
        async with asyncio.timeout(query.wait_s):
            async for events in listener.pages(after, wait_s=query.wait_s):
                if any(
                    (query.type is None or event.kind in query.type) and event.is_seen_by(principal)
                    for event in events
                ):
                    return
