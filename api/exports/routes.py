"""``GET /v1/exports/followups``: visits with the fields of the national form, as they stand.

Streamed a page at a time; each page is one transaction, and its residents are in the audit log
before it leaves. If the database is lost on the way the answer breaks off: it never ends whole.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from psycopg.rows import DictRow

from api import spreadsheets
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.exports import visits
from api.exports.schemas import Completeness, ExportQuery, SpanQuery
from api.registry.examples import as_response
from api.services import Running, Services

router = APIRouter()
_CSV: Final = as_response(
    "\ufeff随访记录编号,居民编号,团队编号,病种,记录人,随访日期,…\r\n",
    "The visits: CSV, or with `format=json` an array of objects with the same names",
    spreadsheets.MEDIA_TYPE,
)
_CSV["content"]["application/json"] = {
    "schema": {"type": "array", "items": {"type": "object"}},
    "example": [{"随访日期": "2026-03-16", "随访方式": "家庭"}],
}
_COMPLETE: Final = {
    "teams": [
        {
            "team_id": "cx-longgang-3",
            "visits": 120,
            "fields": [{"field": "体重(kg)", "filled": 96, "missing": 24}],
        }
    ]
}


def _pages(
    running: Services, principal: Principal, query: SpanQuery
) -> AsyncIterator[list[DictRow]]:
    asked = visits.span(query.since, query.until, query.team)
    saw = partial(running.audit.saw, principal, visits.OPERATION)
    return visits.read_pages(running.database, principal, saw, asked)


@router.get("/followups", response_class=Response, responses={200: _CSV})
async def export_followups(
    running: Running,
    principal: Annotated[Principal, require(Permission.EXPORTS_READ)],
    query: Annotated[ExportQuery, Query()],
) -> StreamingResponse:
    """Visits of some days that stand, with the national form's fields; codes beside texts.

    CSV is UTF-8 with a byte order mark, and no text in it runs as a formula. No name and no ID
    number is in it: residents are pseudonyms.
    """
    pages = _pages(running, principal, query)
    name = f"followups-{query.since}-{query.until}.{query.format}"
    headers = spreadsheets.download(name)
    is_json = query.format == "json"
    return StreamingResponse(
        visits.as_json(pages) if is_json else visits.as_csv(pages),
        media_type="application/json" if is_json else spreadsheets.MEDIA_TYPE,
        headers=headers,
    )


@router.get("/followups/completeness", responses={200: as_response(_COMPLETE, "The report")})
async def report_completeness(
    running: Running,
    principal: Annotated[Principal, require(Permission.EXPORTS_READ)],
    query: Annotated[SpanQuery, Query()],
) -> Completeness:
    """How many visits fill each field that their form asks for, and how many do not, by team."""
    return await visits.count_filled(_pages(running, principal, query))
