"""``/console/today``, and its part that is asked for again whenever the feed says something."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Request
from psycopg.rows import DictRow
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api.alerts.attention import (
    acknowledge_alert,
    snooze_alert,
    withdraw_acknowledgement,
    withdraw_snooze,
)
from api.alerts.bounds import latest_return
from api.alerts.schemas import AcknowledgementIn, SnoozeIn
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.pages import PREFIX, Pages, Shown
from api.console.sign_in import read_form
from api.console.today import queries
from api.errors import (
    AlertClosedError,
    NotFoundError,
    PreconditionError,
    RefusedContentError,
)
from api.feed import read_head
from api.local_days import local_day
from api.services import Running, Services
from ingest.db.attention import Reason

router = APIRouter()
Reader = Annotated[Principal, require(Permission.ALERTS_READ, Permission.CASES_READ)]
Writer = Annotated[Principal, require(Permission.ALERTS_READ, Permission.ALERTS_WRITE)]


SNOOZE_HOURS: Final = (4, 24, 72, 168)


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
    return await _panel(request, running, pages, principal)


@router.post("/alerts/{alert_id}/acknowledgement")
async def acknowledge(
    *, request: Request, running: Running, pages: Shown, principal: Writer, alert_id: UUID
) -> Response:
    """Somebody has the case; said by the API's own function, which checks and notes it."""
    form = await read_form(request)
    seen, told = form.get("seen_escalation", ""), None
    try:
        content = AcknowledgementIn.model_validate(
            {
                "reason": form.get("reason"),
                "note": form.get("note") or None,
                "seen_escalation": int(seen) if seen.isdecimal() else None,
            }
        )
        first, *others = await _case_of(running, principal, alert_id)
        await acknowledge_alert(running, principal, first, content)
        for other in others:  # Their escalation was not shown; the one that leads was.
            unseen = content.model_copy(update={"seen_escalation": None})
            await acknowledge_alert(running, principal, other, unseen)
    except ValidationError as error:
        told = "note_needed" if "note: say" in str(error) else "not_possible"
    except AlertClosedError:
        told = "closed"
    except PreconditionError:
        told = "worse"
    return await _panel(request, running, pages, principal, failed=(alert_id, told))


@router.post("/alerts/{alert_id}/snooze")
async def snooze(
    *, request: Request, running: Running, pages: Shown, principal: Writer, alert_id: UUID
) -> Response:
    """Put it aside for some hours, within what its severity and due day allow."""
    hours, told = (await read_form(request)).get("hours", ""), None
    try:
        until = running.clock() + timedelta(hours=int(hours) if hours.isdecimal() else 0)
        for each in await _case_of(running, principal, alert_id):
            await snooze_alert(running, principal, each, SnoozeIn(until=until))
    except AlertClosedError:
        told = "closed"
    except (RefusedContentError, OverflowError):
        told = "not_so_long"
    return await _panel(request, running, pages, principal, failed=(alert_id, told))


@router.post("/alerts/{alert_id}/reopening")
async def reopen(
    *, request: Request, running: Running, pages: Shown, principal: Writer, alert_id: UUID
) -> Response:
    """Undo either: it was a slip."""
    for each in await _case_of(running, principal, alert_id):
        await withdraw_acknowledgement(running, principal, each)
        await withdraw_snooze(running, principal, each)
    return await _panel(request, running, pages, principal)


async def _case_of(running: Services, principal: Principal, alert_id: UUID) -> list[UUID]:
    """The alert first, then the others of its case. Raises ``NotFoundError``."""
    async with running.database.reading(principal) as connection:
        found = await queries.list_of_case(connection, alert_id)
    if not found:
        msg = "no such alert; look at the list"
        raise NotFoundError(msg)
    return found


async def _panel(
    request: Request,
    running: Services,
    pages: Pages,
    principal: Principal,
    *,
    failed: tuple[UUID, str | None] = (UUID(int=0), None),
) -> Response:
    """Counts and list; beside one alert, why what was asked for was not done."""
    if request.method == "POST" and request.headers.get("hx-request") != "true":
        return RedirectResponse(f"{PREFIX}/today", status_code=303)  # Without scripts.
    shown = await _read(running, principal)
    shown["failed"] = {str(failed[0]): failed[1]} if failed[1] else {}
    return pages.render(request, "today_panel.html", principal=principal, **shown)


def _hours_left(item: DictRow, now: datetime) -> list[int]:
    """For how long an alert may be put aside."""
    latest = latest_return(item["severity"], item["due"], now)
    return [h for h in SNOOZE_HOURS if latest is not None and now + timedelta(hours=h) <= latest]


async def _read(running: Services, principal: Principal) -> dict[str, Any]:
    """What the page shows, of one instant; ``feed_number`` is where the stream goes on from it."""
    now = running.clock()
    today = local_day(now)
    rows_max = running.settings.console.today_rows_max
    async with running.database.reading(principal) as connection:
        feed_number = await read_head(connection)
        items = await queries.list_items(connection, now=now, rows=rows_max)
        counts = await queries.count(connection, principal, today=today)
    await running.audit.saw(principal, "console_today", (item["resident_id"] for item in items))
    total = items[0]["total"] if items else 0
    return {
        "items": items,
        "counts": counts,
        "total": total,
        "feed_number": feed_number,
        "may_write": principal.may(Permission.ALERTS_WRITE),
        "reasons": get_args(Reason),
        "hours": {item["id"]: _hours_left(item, now) for item in items},
        "failed": {},
    }
