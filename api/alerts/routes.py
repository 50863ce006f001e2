"""``GET /v1/alerts``."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import TypeAdapter

from api.alerts import examples, queries
from api.alerts.polling import await_news
from api.alerts.schemas import AlertPage, AlertQuery
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Number
from api.local_days import local_day
from api.registry.examples import as_response
from api.rows import answer_page
from api.services import Running

router = APIRouter()
CURSOR: Final[Cursor[int]] = Cursor("alerts", TypeAdapter(Number))


@router.get("", response_model=AlertPage, responses={200: as_response(examples.PAGE, "One page")})
async def list_alerts(
    running: Running,
    principal: Annotated[Principal, require(Permission.ALERTS_READ)],
    query: Annotated[AlertQuery, Query()],
) -> Response:
    """Alerts, newest first, the active ones unless `status` says otherwise; or what is new.

    Pass `next_cursor` back as `cursor`. An alert raised while one pages is not seen by later
    pages; the stream tells it, and so does this: with `after` come the cases with news since that
    `feed_number`, one item each as it stands now (also when nothing of it is active any more), at
    once or within `wait_s`. Pass the `feed_number` of each answer back as `after`. Then only
    `team`, `centre` and `resident` filter.
    """
    if query.after is not None:
        items, feed_number = await await_news(running, principal, query, after=query.after)
        more = False
    else:
        before = CURSOR.read(query.cursor)
        at = running.clock()
        feed_number = await running.feed.position()
        asked = queries.list_newest(
            query, principal=principal, before=before, now=at, today=local_day(at)
        )
        (found,) = await running.database.find(principal, asked)
        items = queries.as_listed(found.columns, found.rows[: query.limit])
        more = len(found.rows) > query.limit
    await running.audit.saw(principal, "list_alerts", (item["resident_id"] for item in items))
    return answer_page(
        items,
        next_cursor=CURSOR.write(items[-1]["number"]) if more else None,
        feed_number=feed_number,
    )
