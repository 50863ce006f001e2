"""``/console/quality``: the API's own figures by team, and the persons behind each of them."""

from datetime import date
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.pages import Shown
from api.console.worklist.queries import list_people
from api.cursors import Name
from api.errors import BadParameterError
from api.indicators.periods import parse
from api.indicators.routes import (
    download_indicators,
    list_indicator_residents,
    list_indicators,
)
from api.indicators.schemas import By, Figure, FiguresQuery, PeopleQuery
from api.local_days import local_day
from api.services import Running

router = APIRouter()
router.add_api_route("/quality/csv", download_indicators, methods=["GET"])
Reader = Annotated[Principal, require(Permission.INDICATORS_READ, Permission.CASES_READ)]
Side = Literal["denominator", "numerator", "rest"]
_Text = Annotated[str, Query(max_length=400)]

GROUPS: Final = (
    ("control", ("htn.control_rate", "t2dm.control_rate")),
    ("standard", ("htn.standard_management_rate", "t2dm.standard_management_rate")),
    (
        "on_time",
        (
            *("htn.second_followup_on_time", "t2dm.second_followup_on_time"),
            *("htn.referral_followup_on_time", "t2dm.referral_followup_on_time"),
            *("htn.routine_followup_on_time", "t2dm.routine_followup_on_time"),
            *("htn.referral_closure_rate", "t2dm.referral_closure_rate"),
        ),
    ),
    ("load", ("load.residents", "load.signed", "load.open_cases", "load.overdue")),
    ("contracts", ("signing.all", "signing.key", "fulfilment.all", "fulfilment.key")),
)
"""What a team is asked about, the most telling first; the API and the CSV have all."""


@router.get("/quality")
async def show_quality(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Reader,
    period: _Text = "",
    by: By = "team",
) -> Response:
    """Figures of a period, one column for each team."""
    offered = _periods(local_day(running.clock()))
    chosen = period or offered[0]
    found = await list_indicators(running, principal, FiguresQuery(period=_require(chosen), by=by))
    by_code = {item.code: item for item in found.items}
    places = sorted({_place(f, by) for item in found.items for f in item.figures})
    return pages.render(
        request,
        "quality.html",
        principal=principal,
        found=found,
        groups=[(name, [by_code[code] for code in codes]) for name, codes in GROUPS],
        figures={code: {_place(f, by): f for f in item.figures} for code, item in by_code.items()},
        places=places,
        periods=offered,
        chosen=chosen,
        by=by,
    )


@router.get("/quality/{code}")
async def show_people(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Reader,
    code: Name,
    period: _Text = "",
    side: Side = "rest",
    team: _Text = "",
    centre: _Text = "",
    cursor: _Text = "",
) -> Response:
    """Who counts in a figure, or does not."""
    today = local_day(running.clock())
    query = PeopleQuery(
        period=_require(period or _periods(today)[0]),
        side=side,
        team=team or None,
        centre=centre or None,
        cursor=cursor or None,
        limit=running.settings.console.worklist_rows_max,
    )
    page = await list_indicator_residents(running, principal, code, query)
    async with running.database.reading(principal) as connection:
        people = await list_people(connection, (item.resident_id for item in page.items))
    return pages.render(
        request,
        "quality_people.html",
        principal=principal,
        page=page,
        people=people,
        chosen={"period": page.period.name, "side": side, "team": team, "centre": centre},
        is_first=not cursor,
    )


def _place(figure: Figure, by: By) -> str:
    """What a column is called."""
    return {"team": figure.team_id, "centre": figure.centre_id}.get(by) or ""


def _require(period: str) -> str:
    """A period's name. Raises ``BadParameterError``."""
    try:
        return parse(period).name
    except ValueError as error:
        raise BadParameterError(field="period", value=period, remedy=str(error)) from error


def _periods(today: date) -> list[str]:
    """What is offered: this year, quarter and month, and those before, the longest first."""
    quarter = (today.month + 2) // 3
    before = (today.year - 1, 4) if quarter == 1 else (today.year, quarter - 1)
    month = (today.year - 1, 12) if today.month == 1 else (today.year, today.month - 1)
    return [
        f"{today.year}",
        f"{today.year}-Q{quarter}",
        f"{today:%Y-%m}",
        f"{before[0]}-Q{before[1]}",
        f"{month[0]}-{month[1]:02}",
        f"{today.year - 1}",
    ]
