"""``GET /v1/exports/followups``: visits with the fields of the national form, as they stand.

Streamed a page at a time; each page is one transaction, and its residents are in the audit log
before it leaves. If the database is lost on the way the answer breaks off: it never ends whole.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from psycopg.rows import DictRow

from api import spreadsheets
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import BadParameterError
from api.exports import queries
from api.exports.national_form import FIELDS, HEADINGS, as_cells
from api.exports.schemas import (
    Completeness,
    ExportQuery,
    FieldCount,
    SpanQuery,
    TeamCompleteness,
)
from api.local_days import LOCAL
from api.registry.examples import as_response
from api.services import Running, Services

router = APIRouter()
PAGE_ROWS: Final = 500
SPAN_DAYS_MAX: Final = 366  # A year's report, and no more in one answer.
_JSON: Final = msgspec.json.Encoder(decimal_format="number")
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


def _span(query: SpanQuery) -> dict[str, Any]:
    """As instants. Raises ``BadParameterError`` for a span that is none, or too long."""
    days = (query.until - query.since).days
    if not 0 <= days < SPAN_DAYS_MAX:
        raise BadParameterError(
            field="from",
            value=query.since.isoformat(),
            remedy=f"must not be later than `to`, nor more than {SPAN_DAYS_MAX} days before",
        )
    first = datetime.combine(query.since, time(), LOCAL)
    return {"since": first, "until": first + timedelta(days=days + 1), "team": query.team}


async def _pages(
    running: Services, principal: Principal, asked: dict[str, Any]
) -> AsyncIterator[list[DictRow]]:
    after: queries.Key | None = None
    while True:
        async with running.database.reading(principal) as connection:
            rows = await queries.list_visits(connection, asked, after=after, rows=PAGE_ROWS)
        await running.audit.saw(principal, "export_followups", (row["resident_id"] for row in rows))
        yield rows
        if len(rows) < PAGE_ROWS:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


async def _as_csv(pages: AsyncIterator[list[DictRow]]) -> AsyncIterator[str]:
    yield spreadsheets.BYTE_ORDER_MARK + spreadsheets.as_line(HEADINGS)
    async for rows in pages:
        yield "".join(spreadsheets.as_line(as_cells(row)) for row in rows)


async def _as_json(pages: AsyncIterator[list[DictRow]]) -> AsyncIterator[bytes]:
    begun = b"["
    async for rows in pages:
        for row in rows:
            yield begun + _JSON.encode(dict(zip(HEADINGS, as_cells(row), strict=True)))
            begun = b",\n"
    yield b"[]" if begun == b"[" else b"]"


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
    pages = _pages(running, principal, _span(query))
    name = f"followups-{query.since}-{query.until}.{query.format}"
    headers = spreadsheets.download(name)
    if query.format == "json":
        return StreamingResponse(_as_json(pages), media_type="application/json", headers=headers)
    return StreamingResponse(_as_csv(pages), media_type=spreadsheets.MEDIA_TYPE, headers=headers)


@router.get("/followups/completeness", responses={200: as_response(_COMPLETE, "The report")})
async def report_completeness(
    running: Running,
    principal: Annotated[Principal, require(Permission.EXPORTS_READ)],
    query: Annotated[SpanQuery, Query()],
) -> Completeness:
    """How many visits fill each field that their form asks for, and how many do not, by team."""
    visits: Counter[str | None] = Counter()
    filled: Counter[tuple[str | None, str]] = Counter()
    asked: Counter[tuple[str | None, str]] = Counter()
    async for rows in _pages(running, principal, _span(query)):
        for row in rows:
            visits[row["team_id"]] += 1
            for field in FIELDS:
                if not field.optional and field.applies(row):
                    key = (row["team_id"], field.name)
                    asked[key] += 1
                    filled[key] += field.value(row) is not None
    names = [field.name for field in FIELDS if not field.optional]
    return Completeness(
        teams=[
            TeamCompleteness(
                team_id=team,
                visits=visits[team],
                fields=[
                    FieldCount(field=name, filled=filled[key], missing=asked[key] - filled[key])
                    for name in names
                    if asked[key := (team, name)]
                ],
            )
            for team in sorted(visits, key=lambda each: each or "")
        ]
    )
