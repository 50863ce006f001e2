"""``GET /v1/indicators``, the same as CSV, and the persons behind each figure."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Name
from api.errors import BadParameterError, NotFoundError
from api.indicators import examples, figures, queries, tables
from api.indicators.periods import begun
from api.indicators.schemas import (
    DefinitionOut,
    FiguresOut,
    FiguresQuery,
    PeoplePage,
    PeopleQuery,
    PeriodOut,
    PersonOut,
    matching,
)
from api.indicators.shown import SHOWN, Family
from api.local_days import local_day
from api.registry.examples import as_response
from api.services import Running, Services

router: Final = APIRouter()
CURSOR: Final[Cursor[str]] = Cursor("indicator residents", TypeAdapter(Name))
Reader = Annotated[Principal, require(Permission.INDICATORS_READ)]
Code = Annotated[Name, Path(description="Of an indicator", examples=["htn.control_rate"])]


async def _compute(running: Services, principal: Principal, query: FiguresQuery) -> FiguresOut:
    wanted = matching(query.code)
    if not wanted:
        raise BadParameterError(
            field="code", value=query.code or "", remedy="names no indicator; leave it out for all"
        )
    today = local_day(running.clock())
    span = begun(query.period, today)
    found = await running.figures.count(principal, span, wanted)
    return FiguresOut(
        period=PeriodOut.of(span, local_day(found.computed_at)),
        by=query.by,
        computed_at=found.computed_at,
        items=list(
            figures.sum_up(found.counts, wanted, by=query.by, team=query.team, centre=query.centre)
        ),
    )


@router.get("", responses={200: as_response(examples.FIGURES, "Figures")})
async def list_indicators(
    running: Running, principal: Reader, query: Annotated[FiguresQuery, Query()]
) -> FiguresOut:
    """Every indicator over a period, computed from what is known now.

    Beside each number stand its definition, source and formula. Over a denominator of 0 there is
    no ratio: `null`, not 0. Residents count for the team that they are in now.
    """
    return await _compute(running, principal, query)


@router.get(
    "/csv",
    response_class=Response,
    responses={
        200: {
            "description": "One line a figure",
            "content": {"text/csv": {"schema": {"type": "string"}, "example": examples.CSV}},
        }
    },
)
async def download_indicators(
    running: Running, principal: Reader, query: Annotated[FiguresQuery, Query()]
) -> Response:
    """The same as a table for spreadsheets: UTF-8 with its mark, one line a figure."""
    found = await _compute(running, principal, query)
    name = f"indicators-{found.period.name}-{found.by}.csv"
    return Response(
        tables.to_csv(found),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get("/{code}/residents", responses={200: as_response(examples.PEOPLE, "One page")})
async def list_indicator_residents(
    running: Running, principal: Reader, code: Code, query: Annotated[PeopleQuery, Query()]
) -> PeoplePage:
    """The persons behind a figure, by pseudonym; pass `next_cursor` back as `cursor`.

    `side=numerator` are those who count, `side=rest` those of the denominator who do not, or not
    with everything that they were owed.
    """
    shown = SHOWN.get(code)
    if shown is None or shown.family is Family.LOAD:
        msg = "no indicator of this code has persons behind it; GET /v1/indicators lists them"
        raise NotFoundError(msg)
    after = CURSOR.read(query.cursor)
    today = local_day(running.clock())
    span = begun(query.period, today)
    settings = running.settings.indicators
    asked = query.model_dump(include={"side", "team", "centre"})
    async with running.database.reading(principal) as connection:
        await queries.bound(
            connection,
            statement_ms=settings.statement_ms_max,
            work_mem=f"{settings.sort_memory_kb}kB",
        )
        rows = await queries.list_people(
            connection, shown, span, today, asked, after=after, rows=query.limit + 1
        )
    items = [PersonOut.model_validate(row) for row in rows[: query.limit]]
    await running.audit.saw(
        principal, "list_indicator_residents", (item.resident_id for item in items)
    )
    more = len(rows) > query.limit
    return PeoplePage(
        definition=DefinitionOut.of(shown),
        period=PeriodOut.of(span, today),
        items=items,
        next_cursor=CURSOR.write(items[-1].resident_id) if more else None,
    )
