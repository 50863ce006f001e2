"""``GET /v1/alerts/stream``: the feed as Server-Sent Events.

The event's id is its number in the feed, so a browser that comes back with ``Last-Event-ID``
goes on where it was: nothing lost, nothing twice. A comment with an id keeps the line alive and
moves the resume point on when a filter lets nothing through. When the database is lost the
stream ends cleanly and the browser reconnects by itself. The audit log notes who listened from
where on; whom they saw follows from the feed, which keeps events as long as the audit log entries.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.alerts.measured import shown_event
from api.alerts.schemas import StreamQuery
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import NUMBER_MAX
from api.errors import BadParameterError, EventsGoneError, FeedEndedError, UnavailableError
from api.feed import ALERTS_AND_CASES, FeedEvent, Listener, require_kept
from api.services import Running

router = APIRouter()


async def admit_listener(
    running: Running, _: Annotated[Principal, require(Permission.ALERTS_READ)]
) -> AsyncIterator[Listener]:
    """Take one of the listeners' places until the response ends."""
    with running.feed.listen() as listener:
        yield listener


async def find_start(
    query: Annotated[StreamQuery, Query()],
    listener: Annotated[Listener, Depends(admit_listener)],
    last_event_id: Annotated[int | None, Header(ge=0, le=NUMBER_MAX)] = None,
) -> int:
    """The number after which to start: the header, else ``after``, else the present end."""
    field, after = ("Last-Event-ID", last_event_id)
    if after is None:
        field, after = ("after", query.after)
    floor, head = await listener.ends()
    if after is None:
        return head
    require_kept(after, floor, field)
    if after > head:
        raise BadParameterError(
            field=field,
            value=str(after),
            remedy=f"the feed ends at {head}: read the lists again, then go on from there",
        )
    return after


@router.get("/stream", response_class=EventSourceResponse)
async def stream_feed(
    running: Running,
    principal: Annotated[Principal, require(Permission.ALERTS_READ)],
    query: Annotated[StreamQuery, Query()],
    listener: Annotated[Listener, Depends(admit_listener)],
    after: Annotated[int, Depends(find_start)],
) -> AsyncIterator[ServerSentEvent]:
    """Events ``alert.raised``, ``alert.changed`` and ``case.changed``, live and in order.

    `data` is the event's JSON with its `feed_number`, which is also the event's id. Without
    `Last-Event-ID` and `after` the stream starts now; to miss nothing, read a list first and
    pass its `feed_number` as `after`. Be ready to see a change that the list already showed.
    """
    limits = running.settings.feed
    keep_alive_s = limits.keep_alive_ms / 1_000
    told_at = asyncio.get_running_loop().time()
    await running.audit.saw(principal, "stream_feed", (), things=[f"after {after}"])
    yield ServerSentEvent(comment="connected", id=str(after), retry=limits.reconnect_ms)
    try:
        async for page in listener.pages(after, wait_s=keep_alive_s):
            if principal.expires_at is not None and running.clock() >= principal.expires_at:
                return  # The client comes back with a fresh credential, and goes on from there.
            for event in page:
                after = event.number
                if event.is_seen_by(principal) and _wants(query, event):
                    told_at = asyncio.get_running_loop().time()
                    yield ServerSentEvent(
                        raw_data=shown_event(event.data, principal),
                        event=event.kind,
                        id=str(event.number),
                    )
            if asyncio.get_running_loop().time() - told_at >= keep_alive_s:
                told_at = asyncio.get_running_loop().time()
                yield ServerSentEvent(comment="keep-alive", id=str(after))
    except (FeedEndedError, EventsGoneError, UnavailableError):
        return  # The response has begun: a clean end makes the browser come back.


def _wants(query: StreamQuery, event: FeedEvent) -> bool:
    return (
        event.kind.startswith(ALERTS_AND_CASES)  # The rest is at /v1/events.
        and query.team in (None, event.team_id)
        and query.centre in (None, event.centre_id)
    )
