"""``GET /v1/alerts``."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from api.alerts import queries
from api.alerts.schemas import AlertOut, AlertPage, AlertQuery
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Number
from api.feed import read_head
from api.local_days import local_day
from api.services import Running

router = APIRouter()
CURSOR: Final[Cursor[int]] = Cursor("alerts", TypeAdapter(Number))


@router.get("")
async def list_alerts(
    running: Running,
    principal: Annotated[Principal, require(Permission.ALERTS_READ)],
    query: Annotated[AlertQuery, Query()],
) -> AlertPage:
    """Alerts, newest first, the active ones unless `status` says otherwise.

    Pass `next_cursor` back as `cursor`. An alert raised while one pages is not seen by later
    pages; the stream tells it.
    """
    before = CURSOR.read(query.cursor)
    today = local_day(running.clock())
    async with running.database.reading(principal) as connection:
        rows = await queries.list_newest(connection, query, before=before, today=today)
        feed_number = await read_head(connection)
    items = [AlertOut.model_validate(row) for row in rows[: query.limit]]
    await running.audit.saw(principal, "list_alerts", (item.resident_id for item in items))
    return AlertPage(
        items=items,
        next_cursor=CURSOR.write(items[-1].number) if len(rows) > query.limit else None,
        feed_number=feed_number,
    )
