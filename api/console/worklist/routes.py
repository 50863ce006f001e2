"""``/console/worklist``: cases by risk and due day, filtered; and as CSV by the API's own route."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cases import printing
from api.cases.printing import ROWS_MAX, read_whole
from api.cases.routes import count_cases, find_cases
from api.cases.schemas import CaseFilters, CaseQuery, Condition, CountQuery, Severity
from api.console.pages import Shown
from api.console.records.told import tell_recorded
from api.console.states import STATES
from api.console.worklist import queries
from api.local_days import local_day
from api.services import Running

router = APIRouter()
router.include_router(printing.router, prefix="/cases")

Due = Literal["overdue", "on_today", "today", "week", "referral"]
_SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "high", "warn", "info")
_WEEK_DAYS: Final = 7
# A form sends what was not chosen as an empty text.
_Nothing = Literal[""]
_Name = Annotated[str, Field(max_length=200)]


class Chosen(BaseModel):
    """What was chosen above the list; an empty text is what was not."""

    model_config = ConfigDict(frozen=True)

    condition: Condition | _Nothing = ""
    state: _Name = ""
    severity: Severity | _Nothing = ""
    due: Due | _Nothing = ""
    team: _Name = ""
    sort: Literal["risk", "due"] = "risk"


class PageOf(Chosen):
    """And where the page begins, and what was just recorded."""

    cursor: Annotated[str, Field(max_length=400)] = ""
    recorded: Annotated[str, Field(max_length=40)] = ""


class Printed(Chosen):
    """And whether names stand beside the pseudonyms."""

    names: bool = False


@router.get("/worklist")
async def show_worklist(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[PageOf, Query()],
) -> Response:
    """One page, the worst first; the address holds the filters, so it can be kept."""
    today = local_day(running.clock())
    filters = _filters(query, today)
    asked = CaseQuery(
        **filters,
        sort=query.sort,
        limit=running.settings.console.worklist_rows_max,
        cursor=query.cursor or None,
    )
    page = await find_cases(running, principal, asked)
    items = [item.as_dict() for item in page.items]
    counts = await count_cases(running, principal, CountQuery())
    async with running.database.reading(principal) as connection:
        people = await queries.list_people(connection, (item["resident_id"] for item in items))
    return pages.render(
        request,
        "worklist.html",
        principal=principal,
        may_record=principal.may(Permission.FOLLOWUPS_WRITE),
        done=tell_recorded(pages.words(request), query.recorded),
        items=items,
        people=people,
        counts=counts.model_dump(),
        steps={item["number"]: _next_step(item) for item in items},
        chosen=query.model_dump(include={*Chosen.model_fields}),
        filters={name: value for name, value in filters.items() if value is not None},
        next_cursor=page.next_cursor,
        is_first=not query.cursor,
        states=STATES,
        severities=_SEVERITIES,
        teams=sorted(principal.seen_team_ids),
    )


@router.get("/worklist/print")
async def show_printable(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[Printed, Query()],
) -> Response:
    """The whole list for a round of home visits, with room to write; who is on it is on record."""
    filters = CaseFilters(**_filters(query, local_day(running.clock())))
    rows, opened = await read_whole(running, principal, filters, names=query.names)
    async with running.database.reading(principal) as connection:
        people = await queries.list_people(connection, (row["resident_id"] for row in rows))
    return pages.render(
        request,
        "worklist_print.html",
        principal=principal,
        rows=rows,
        people=people,
        names=opened,
        may_name=running.keys.key_file is not None and principal.may(Permission.RESIDENTS_READ),
        steps={row["number"]: _next_step(row) for row in rows},
        chosen=query.model_dump(include={*Chosen.model_fields}),
        is_cut=len(rows) >= ROWS_MAX,
    )


def _filters(chosen: Chosen, today: date) -> dict[str, Any]:
    """What the list of cases is asked, from what was chosen on the page."""
    due = chosen.due
    tomorrow = today + timedelta(days=1)
    before = {
        "on_today": tomorrow,
        "today": tomorrow,
        "week": today + timedelta(days=_WEEK_DAYS + 1),
    }
    return {
        "condition": chosen.condition or None,
        "state": chosen.state or None,
        "severity": chosen.severity or None,
        "team": chosen.team or None,
        "overdue": True if due == "overdue" else None,
        "waiting_for_referral": True if due == "referral" else None,
        "due_before": before.get(due),
        "due_after": today - timedelta(days=1) if due == "on_today" else None,
    }


def _next_step(case: Mapping[str, Any]) -> str | None:
    """Which of the three due days is the earliest; a second follow-up before a routine visit.

    Of an emergency that nobody has followed up, the referral itself comes first.
    """
    days = {
        "second": case["second_followup_due"],
        "referral": case["referral_followup_due"],
        "routine": case["next_routine_due"],
    }
    if case["state"] == "emergency_referral":
        return "emergency"
    return next(
        (name for name, day in days.items() if day is not None and day == case["due"]), None
    )
