"""Long poll: what is new since a number of the feed, one item a case, waited for if need be.

It reads the same shared feed as the stream and holds nothing but its place in it. Many events of a
case between two polls are one item: as it stands now, which is all that a list must show.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from api.alerts import queries
from api.alerts.schemas import AlertQuery
from api.auth.principal import Principal
from api.errors import BadParameterError
from api.feed import FeedEvent, require_kept
from api.local_days import local_day
from api.rows import ShownRow
from api.services import Services

_PREFIX: Final = "alert."


async def await_news(
    running: Services, principal: Principal, query: AlertQuery, *, after: int
) -> tuple[list[ShownRow], int]:
    """Items of the cases with news after a number, and the number up to which was read.

    Bounded by ``query.wait_s``, and by one page of the feed when that is 0; cancellation (the
    client went) gives the listener's place back.

    Raises:
        ListenersFullError: As many listen already as settings allow.
        EventsGoneError: Events after the number are not kept any more.
        FeedEndedError: The feed lost its database; come back with the same number.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + query.wait_s
    with running.feed.listen() as listener:
        floor, head = await listener.ends()
        require_kept(after, floor)
        if after > head:
            remedy = f"the feed ends at {head}: read the list again, then go on from there"
            raise BadParameterError(field="after", value=str(after), remedy=remedy)
        while True:
            left_s = max(0.0, deadline - loop.time())
            page = await anext(listener.pages(after, wait_s=left_s))
            after = page[-1].number if page else after
            ids = _news(principal, page)
            if ids or loop.time() >= deadline:
                break
    return (await _read(running, principal, query, ids)) if ids else [], after


def _news(principal: Principal, page: Sequence[FeedEvent]) -> list[UUID]:
    """Alerts that a page tells this one of, each once."""
    seen = (e for e in page if e.kind.startswith(_PREFIX) and e.is_seen_by(principal))
    return list(dict.fromkeys(UUID(json.loads(event.data)["alert_id"]) for event in seen))


async def _read(
    running: Services, principal: Principal, query: AlertQuery, ids: Sequence[UUID]
) -> list[ShownRow]:
    at = running.clock()
    asked = queries.list_news(query, ids, now=at, today=local_day(at))
    (found,) = await running.database.find(principal, asked)
    return queries.as_listed(found.columns, found.rows)
