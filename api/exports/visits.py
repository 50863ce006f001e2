"""Visits as they stand, page by page, and how they are written: for the route and the command.

Each page is one transaction, and whoever is in it is in the audit log before it leaves. It must
never hold more than a page.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any, Final, TypeAlias

import msgspec
from psycopg.rows import DictRow

from api import spreadsheets
from api.auth.principal import Principal
from api.database import Database
from api.errors import BadParameterError
from api.exports import queries
from api.exports.national_form import FIELDS, HEADINGS, as_cells
from api.exports.schemas import Completeness, FieldCount, TeamCompleteness
from api.local_days import LOCAL

PAGE_ROWS: Final = 500
SPAN_DAYS_MAX: Final = 366  # A year's report, and no more in one answer.
_DAY_MAX: Final = date.max - timedelta(days=1)  # The day after it is one, too.
OPERATION: Final = "export_followups"
"""What the audit log calls it."""
Saw: TypeAlias = Callable[[Iterable[str]], Awaitable[None]]
"""Writes down who is in a page, before it is shown."""
_JSON: Final = msgspec.json.Encoder(decimal_format="number")


def span(since: date, until: date, team: str | None) -> dict[str, Any]:
    """As instants. Raises ``BadParameterError`` for a span that is none, too long, or too late."""
    days = (until - since).days
    if not 0 <= days < SPAN_DAYS_MAX:
        raise BadParameterError(
            field="from",
            value=since.isoformat(),
            remedy=f"must not be later than `to`, nor more than {SPAN_DAYS_MAX} days before",
        )
    if until > _DAY_MAX:
        raise BadParameterError(
            field="to", value=until.isoformat(), remedy=f"must not be later than {_DAY_MAX}"
        )
    first = datetime.combine(since, time(), LOCAL)
    return {"since": first, "until": first + timedelta(days=days + 1), "team": team}


async def read_pages(
    database: Database, principal: Principal, saw: Saw, asked: dict[str, Any]
) -> AsyncIterator[list[DictRow]]:
    """Every page of what ``span`` says; the next one is read when it is needed."""
    after: queries.Key | None = None
    while True:
        async with database.reading(principal) as connection:
            rows = await queries.list_visits(connection, asked, after=after, rows=PAGE_ROWS)
        await saw(row["resident_id"] for row in rows)
        yield rows
        if len(rows) < PAGE_ROWS:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


async def as_csv(pages: AsyncIterator[list[DictRow]]) -> AsyncIterator[bytes]:
    """UTF-8 with a byte order mark."""
    yield (spreadsheets.BYTE_ORDER_MARK + spreadsheets.as_line(HEADINGS)).encode()
    async for rows in pages:
        yield "".join(spreadsheets.as_line(as_cells(row)) for row in rows).encode()


async def as_json(pages: AsyncIterator[list[DictRow]]) -> AsyncIterator[bytes]:
    """One array of objects."""
    begun = b"["
    async for rows in pages:
        for row in rows:
            yield begun + _JSON.encode(dict(zip(HEADINGS, as_cells(row), strict=True)))
            begun = b",\n"
    yield b"[]" if begun == b"[" else b"]"


async def count_filled(pages: AsyncIterator[list[DictRow]]) -> Completeness:
    """How many visits fill each field that their form asks for, by team."""
    visits: Counter[str | None] = Counter()
    filled: Counter[tuple[str | None, str]] = Counter()
    asked: Counter[tuple[str | None, str]] = Counter()
    async for rows in pages:
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
