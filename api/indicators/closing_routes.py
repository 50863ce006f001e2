"""``/v1/indicators/periods``: close a period, list what is closed, read it beside what is now.

Closed figures are never changed, also not by data that come later: what they would be now stands
beside them.
"""

from collections import defaultdict
from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query
from pydantic import TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor
from api.errors import NotFoundError, RefusedContentError
from api.indicators import closed, examples
from api.indicators.closing_schemas import (
    ClosedFigure,
    ClosedIndicator,
    ClosedOut,
    ClosedQuery,
    ClosingIn,
    ClosingOut,
    ClosingPage,
    ClosingsOut,
    ClosingsQuery,
    Side,
)
from api.indicators.figures import figure
from api.indicators.periods import PeriodName, over, parse
from api.indicators.queries import Counts, TeamCounts
from api.indicators.schemas import DefinitionOut, PeriodOut
from api.indicators.shown import SHOWN
from api.local_days import local_day
from api.registry.examples import as_response
from api.services import Running

router: Final = APIRouter()
CURSOR: Final[Cursor[tuple[str, str]]] = Cursor("closings", TypeAdapter(tuple[str, str]))
Reader = Annotated[Principal, require(Permission.INDICATORS_READ)]
Closer = Annotated[Principal, require(Permission.INDICATORS_READ, Permission.REGISTER_WRITE)]
Period = Annotated[PeriodName, Path()]
_ROWS_MAX: Final = 10_000  # Centres of one period.


@router.put("/{period}", responses={200: as_response(examples.CLOSINGS, "Closed")})
async def close_period(
    running: Running,
    principal: Closer,
    period: Period,
    content: Annotated[ClosingIn, Body(openapi_examples={"one": {"value": examples.CLOSING}})],
) -> ClosingsOut:
    """Keep the figures of a period that is over, for good, under your name.

    For the centres named, or all that you may close. What is closed already stays as it was: the
    same request again answers the same. Closed figures are never changed or removed.
    """
    at = running.clock()
    span = over(period, local_day(at))
    async with running.database.reading(principal) as connection:
        centres = await closed.list_closable(connection, content.centre_ids)
    strange = sorted({*(content.centre_ids or ())} - {*centres})
    if strange or not centres:
        raise RefusedContentError(
            field="centre_ids",
            value=", ".join(strange),
            remedy="name centres that are there and yours, or leave it out for all that are",
        )
    found = await running.figures.count(principal, span, SHOWN.values(), anew=True)
    async with running.database.writing(principal, at=found.computed_at) as connection:
        await closed.close(
            connection,
            span.name,
            centres,
            found.counts,
            author=principal.subject,
            at=found.computed_at,
        )
        rows = await closed.list_closings(
            connection, period=span.name, centre=None, after=None, rows=_ROWS_MAX
        )
    items = [ClosingOut.model_validate(row) for row in rows if row["centre_id"] in centres]
    return ClosingsOut(items=items)


@router.get("", responses={200: as_response(examples.CLOSING_PAGE, "One page")})
async def list_closings(
    running: Running, principal: Reader, query: Annotated[ClosingsQuery, Query()]
) -> ClosingPage:
    """Which periods were closed, of which centre, by whom and when."""
    after = CURSOR.read(query.cursor)
    async with running.database.reading(principal) as connection:
        rows = await closed.list_closings(
            connection,
            period=query.period,
            centre=query.centre,
            after=after,
            rows=query.limit + 1,
        )
    items = [ClosingOut.model_validate(row) for row in rows[: query.limit]]
    last = (items[-1].period, items[-1].centre_id) if len(rows) > query.limit else None
    return ClosingPage(items=items, next_cursor=CURSOR.write(last) if last else None)


@router.get("/{period}", responses={200: as_response(examples.CLOSED, "Closed and present")})
async def get_closed_period(
    running: Running,
    principal: Reader,
    period: Period,
    query: Annotated[ClosedQuery, Query()],
) -> ClosedOut:
    """Figures as they were closed, each beside what it would be now, and the difference.

    Teams that have been there since only are not in it; residents count as they were in teams.
    """
    span = parse(period)
    async with running.database.reading(principal) as connection:
        closings = await closed.list_closings(
            connection, period=span.name, centre=query.centre, after=None, rows=_ROWS_MAX
        )
        kept = await closed.fetch_figures(connection, span.name, query.model_dump())
    if not closings:
        msg = "this period is closed for no centre that you see; GET /v1/indicators computes it"
        raise NotFoundError(msg)
    now = await running.figures.count(principal, span, SHOWN.values())
    items: defaultdict[str, list[ClosedFigure]] = defaultdict(list)
    for (code, centre, team), (version, counts) in kept.items():
        items[code].append(_compare(code, (centre, team), version, counts, now.counts))
    return ClosedOut(
        period=PeriodOut.of(span, local_day(now.computed_at)),
        closings=[ClosingOut.model_validate(row) for row in closings],
        compared_at=now.computed_at,
        items=[
            ClosedIndicator(
                code=code,
                definition=DefinitionOut.of(SHOWN[code]) if code in SHOWN else None,
                figures=figures,
            )
            for code, figures in items.items()
        ],
    )


def _compare(
    code: str, place: tuple[str, str], version: int, counts: Counts, now: TeamCounts
) -> ClosedFigure:
    centre, team = place
    present = now.counts.get(code, {}).get(team)
    numerator, denominator = counts
    change = None if present is None else present[0] - numerator
    rest = None
    if present is not None and present[1] is not None and denominator is not None:
        rest = present[1] - denominator
    return ClosedFigure(
        centre_id=centre,
        team_id=team,
        closed=_side(code, version, counts),
        present=None if present is None else _side(code, SHOWN[code].version, present),
        numerator_change=change,
        denominator_change=rest,
    )


def _side(code: str, version: int, counts: Counts) -> Side:
    shown = SHOWN.get(code)
    percent = None
    if shown is not None:
        percent = figure(shown, *counts, centre_id=None, team_id=None).percent
    return Side(version=version, numerator=counts[0], denominator=counts[1], percent=percent)
