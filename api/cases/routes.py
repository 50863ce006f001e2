"""``GET /v1/cases``."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cases import queries
from api.cases.schemas import CaseOut, CasePage, CaseQuery
from api.cursors import Cursor, Number
from api.feed import read_head
from api.local_days import local_day
from api.services import Running

router = APIRouter()
CURSOR: Final[Cursor[int]] = Cursor("cases", TypeAdapter(Number))


@router.get("")
async def list_cases(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[CaseQuery, Query()],
) -> CasePage:
    """Cases in the order in which they were opened; pass `next_cursor` back as `cursor`.

    Every case that stood when one began is seen exactly once, whatever is opened meanwhile.
    """
    after = CURSOR.read(query.cursor)
    today = local_day(running.clock())
    async with running.database.reading(principal) as connection:
        rows = await queries.list_opened(connection, query, after=after, today=today)
        feed_number = await read_head(connection)
    items = [CaseOut.model_validate(row) for row in rows[: query.limit]]
    await running.audit.saw(principal, "list_cases", (item.resident_id for item in items))
    return CasePage(
        items=items,
        next_cursor=CURSOR.write(items[-1].number) if len(rows) > query.limit else None,
        feed_number=feed_number,
    )
