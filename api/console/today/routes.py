"""``/console/today``, and its part that is asked for again whenever the feed says something."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.pages import Shown
from api.console.today import queries
from api.feed import read_head
from api.local_days import local_day
from api.services import Running, Services

router = APIRouter()
Reader = Annotated[Principal, require(Permission.ALERTS_READ, Permission.CASES_READ)]


@router.get("/today")
async def show_today(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """The whole page."""
    shown = await _read(running, principal)
    return pages.render(request, "today.html", principal=principal, **shown)


@router.get("/today/panel")
async def show_panel(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """Counts and list alone."""
    shown = await _read(running, principal)
    return pages.render(request, "today_panel.html", principal=principal, **shown)


async def _read(running: Services, principal: Principal) -> dict[str, Any]:
    """What the page shows, of one instant; ``feed_number`` is where the stream goes on from it."""
    today = local_day(running.clock())
    rows_max = running.settings.console.today_rows_max
    async with running.database.reading(principal) as connection:
        feed_number = await read_head(connection)
        items = await queries.list_items(connection, rows=rows_max)
        counts = await queries.count(connection, today=today)
    await running.audit.saw(principal, "console_today", (item["resident_id"] for item in items))
    total = items[0]["total"] if items else 0
    return {"items": items, "counts": counts, "total": total, "feed_number": feed_number}
