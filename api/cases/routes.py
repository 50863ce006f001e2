"""``GET /v1/cases``: lists and worklists, counts, one case with its history."""

from datetime import date
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cases import examples, printing, queries
from api.cases.schemas import (
    CaseCounts,
    CaseDetail,
    CaseOut,
    CasePage,
    CaseQuery,
    CountQuery,
    Sort,
    TransitionOut,
    TransitionPage,
)
from api.cursors import NUMBER_MAX, Cursor, Number, PageQuery
from api.direct_routes import add_routes
from api.errors import NotFoundError
from api.local_days import local_day
from api.rows import Shown, ShownRow, answer_page
from api.services import Running, Services

router = APIRouter()
_Rank = Annotated[int, Field(ge=0, le=4)]
_CURSORS: Final[dict[Sort, Cursor[Any]]] = {
    "number": Cursor("cases", TypeAdapter(tuple[Number])),
    "due": Cursor("cases by due", TypeAdapter(tuple[date, Number])),
    "risk": Cursor("cases by risk", TypeAdapter(tuple[_Rank, date, Number])),
}
_TRANSITIONS: Final[Cursor[int]] = Cursor("transitions", TypeAdapter(Number))
_LISTED: Final = Shown(CaseOut)
_SHOWN: Final = 20  # Changes beside one case.
CaseNumber = Annotated[int, Path(description="`number` of the list", ge=1, le=NUMBER_MAX)]


@router.get(
    "", response_model=CasePage, responses={200: examples.as_response(examples.PAGE, "One page")}
)
async def list_cases(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[CaseQuery, Query()],
) -> Response:
    """Cases in the order asked; pass `next_cursor` back as `cursor`.

    By `number` every case that stood when one began is seen exactly once, whatever is opened
    meanwhile. `sort=risk` is a worklist: the worst first, then by due day; a case that moves
    while one pages may be seen at its new place, too, or be missed: begin again for the next look.
    """
    page = await find_cases(running, principal, query)
    return answer_page(page.items, next_cursor=page.next_cursor, feed_number=page.feed_number)


class Found(NamedTuple):
    """One page, as rows that ``CaseOut`` describes."""

    items: list[ShownRow]
    next_cursor: str | None
    feed_number: int


async def find_cases(running: Services, principal: Principal, query: CaseQuery) -> Found:
    """The page that a query asks for, noted as seen. Raises as the route does."""
    cursors = _CURSORS[query.sort]
    after = cursors.read(query.cursor)
    today = local_day(running.clock())
    feed_number = await running.feed.position()
    asked = queries.list_sorted(principal, query, after=after, today=today)
    (found,) = await running.database.find(principal, asked)
    items = _LISTED.of_each(found.columns, found.rows[: query.limit])
    await running.audit.saw(principal, "list_cases", (item["resident_id"] for item in items))
    cursor = None
    if len(found.rows) > query.limit:
        cursor = cursors.write(queries.key_of(found.row(query.limit - 1), query.sort))
    return Found(items=items, next_cursor=cursor, feed_number=feed_number)


@router.get("/counts", responses={200: examples.as_response(examples.COUNTS, "Counts")})
async def count_cases(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[CountQuery, Query()],
) -> CaseCounts:
    """How many cases are overdue, due today and this week, and wait for a referral, in one call."""
    today = local_day(running.clock())
    async with running.database.reading(principal) as connection:
        row = await queries.count(connection, principal, query, today=today)
    return CaseCounts(today=today, **row)


add_routes(router, printing.router)  # Before the numbers: `worklist` is none.


@router.get("/{number}", responses={200: examples.as_response(examples.DETAIL, "The case")})
async def read_case(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    number: CaseNumber,
) -> CaseDetail:
    """One case, why it stands where it stands, and its last changes."""
    today = local_day(running.clock())
    async with running.database.reading(principal) as connection:
        row = await queries.fetch(connection, number, today=today)
        if row is None:
            raise _no_such()
        told = await queries.list_transitions(connection, number, before=None, rows=_SHOWN)
    await running.audit.saw(principal, "read_case", [row["resident_id"]])
    changes = [TransitionOut.model_validate(each) for each in told]
    explanation = changes[0].explanation if changes else None
    return CaseDetail(**row, explanation=explanation, transitions=changes)


@router.get(
    "/{number}/transitions",
    responses={200: examples.as_response(examples.TRANSITIONS, "One page")},
)
async def list_transitions(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    number: CaseNumber,
    query: Annotated[PageQuery, Query()],
) -> TransitionPage:
    """Every change of a case, the newest first; nothing for who sees no measured values."""
    before = _TRANSITIONS.read(query.cursor)
    today = local_day(running.clock())
    async with running.database.reading(principal) as connection:
        row = await queries.fetch(connection, number, today=today)
        if row is None:
            raise _no_such()
        told = await queries.list_transitions(
            connection, number, before=before, rows=query.limit + 1
        )
    await running.audit.saw(principal, "list_transitions", [row["resident_id"]])
    items = [TransitionOut.model_validate(each) for each in told[: query.limit]]
    more = len(told) > query.limit
    return TransitionPage(
        items=items, next_cursor=_TRANSITIONS.write(items[-1].number) if more else None
    )


def _no_such() -> NotFoundError:
    msg = "no such case; use a number that the list shows"
    return NotFoundError(msg)
