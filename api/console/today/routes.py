"""``/console/today``, and its part that is asked for again whenever the feed says something."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Request
from psycopg.rows import DictRow
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.alerts.bounds import latest_return
from api.alerts.schemas import AcknowledgementIn, SnoozeIn
from api.alerts.whole_case import (
    SEEN_MAX,
    SEVERITIES,
    Seen,
    acknowledge_case,
    reopen_case,
    snooze_case,
)
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.forms import Form, read_form
from api.console.pages import PREFIX, Pages, Shown
from api.console.records.told import Recorded, tell_recorded
from api.console.today import queries
from api.console.today.away import ROWS_MAX as NEWS_MAX
from api.console.today.away import Looked, list_news, read_looked, remember_looked
from api.errors import (
    AlertClosedError,
    BadParameterError,
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
    request: Request, running: Running, pages: Shown, principal: Reader, recorded: Recorded = ""
) -> Response:
    """The whole page."""
    looked = read_looked(request, principal, running.clock())
    async with running.database.reading(principal) as connection:
        news = await list_news(connection, principal, looked.since)
    told = (each["resident_id"] for found in news.values() for each in found)
    await running.audit.saw(principal, "console_news", told)
    shown = await _read(running, principal)
    response = pages.render(
        request,
        "today.html",
        principal=principal,
        done=tell_recorded(pages.words(request), recorded),
        since=looked.since,
        news={name: found for name, found in news.items() if found},
        news_max=NEWS_MAX,
        **shown,
    )
    remember_looked(request, response, principal, looked)
    return response


@router.post("/today/seen")
async def see_news(request: Request, running: Running, principal: Reader) -> Response:
    """What happened while one was away was read: tell of what comes from here on."""
    response: Response = Response()
    if request.headers.get("hx-request") != "true":
        response = RedirectResponse(f"{PREFIX}/today", status_code=303)
    now = running.clock()
    remember_looked(request, response, principal, Looked(now, now))
    return response


@router.get("/today/panel")
async def show_panel(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """Counts and list alone."""
    return await _panel(request, running, pages, principal)


@router.get("/today/critical")
async def read_critical(running: Running, principal: Reader) -> JSONResponse:
    """What the other pages tell of critical alerts: two numbers, nobody's."""
    async with running.database.reading(principal) as connection:
        return JSONResponse(await queries.count_critical(connection))


@router.post("/alerts/{alert_id}/acknowledgement")
async def acknowledge(
    *, request: Request, running: Running, pages: Shown, principal: Writer, alert_id: UUID
) -> Response:
    """Somebody has the case as it was shown; the API's own functions check and note it."""
    form, told = await read_form(request), None
    try:
        content = AcknowledgementIn.model_validate(
            {"reason": form.get("reason"), "note": form.get("note") or None}
        )
        await acknowledge_case(running, principal, _seen(alert_id, form), content)
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
    form, told = await read_form(request), None
    hours = form.get("hours")
    try:
        until = running.clock() + timedelta(hours=int(hours) if hours.isdecimal() else 0)
        seen = _seen(alert_id, form)
        await snooze_case(running, principal, seen, SnoozeIn(until=until))
    except AlertClosedError:
        told = "closed"
    except PreconditionError:
        told = "worse"
    except (RefusedContentError, OverflowError):
        told = "not_so_long"
    return await _panel(request, running, pages, principal, failed=(alert_id, told))


@router.post("/alerts/{alert_id}/reopening")
async def reopen(
    *, request: Request, running: Running, pages: Shown, principal: Writer, alert_id: UUID
) -> Response:
    """Undo either: it was a slip."""
    await reopen_case(running, principal, _seen(alert_id, await read_form(request)))
    return await _panel(request, running, pages, principal)


def _seen(alert_id: UUID, form: Form) -> list[Seen]:
    """The alerts of the case as the page showed them, the one that leads first.

    Raises:
        BadParameterError: No page of ours says so.
    """
    found = []
    for text in form.all("seen")[:SEEN_MAX]:
        id_, severity, escalation = (*text.split(), "", "", "")[:3]
        if severity not in SEVERITIES or not escalation.isdecimal():
            break
        try:
            found.append(Seen(UUID(id_), severity, int(escalation)))
        except ValueError:
            break
    found.sort(key=lambda each: each.alert_id != alert_id)
    if len(found) != len(form.all("seen")) or not found or found[0].alert_id != alert_id:
        raise BadParameterError(field="seen", value="", remedy="open the list again, and act there")
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
    looked = read_looked(request, principal, running.clock())
    if request.method == "POST" and request.headers.get("hx-request") != "true":
        return RedirectResponse(f"{PREFIX}/today", status_code=303)  # Without scripts.
    shown = await _read(running, principal)
    if failed[1] is not None:
        row = _row_of(shown["items"], failed[0])
        shown.update({"failed": {row: failed[1]}} if row else {"refused": failed[1]})
    response = pages.render(request, "today_panel.html", principal=principal, **shown)
    if request.method == "POST":  # A page that asks by itself is nobody who looks.
        remember_looked(request, response, principal, looked)
    return response


def _hours_left(item: DictRow, now: datetime) -> list[int]:
    """For how long a case may be put aside: every alert of it that is open allows so much."""
    given = [each for each in item["alerts"] if each["attention"] == "open"]
    latest = [
        latest_return(each["severity"], each["due"] and date.fromisoformat(each["due"]), now)
        for each in given
    ]
    return [
        hours
        for hours in SNOOZE_HOURS
        if all(each is not None and now + timedelta(hours=hours) <= each for each in latest)
    ]


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
        "may_record": principal.may(Permission.FOLLOWUPS_WRITE),
        "reasons": get_args(Reason),
        "hours": {item["id"]: _hours_left(item, now) for item in items},
        "leads_to": {
            "due_today": "on_today",
            "overdue": "overdue",
            "waiting_for_referral": "referral",
        },
        "failed": {},
        "refused": None,
    }


def _row_of(items: Sequence[DictRow], alert_id: UUID) -> str | None:
    """The row that leads the alert's case now, while one can still act there."""
    for item in items:
        if item["attention"] == "open" and any(a["id"] == str(alert_id) for a in item["alerts"]):
            return str(item["id"])
    return None
