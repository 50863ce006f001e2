"""``GET /v1/residents/{resident_id}/readings``."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.corrections.examples import VERSIONS
from api.cursors import Cursor, Name
from api.errors import BadParameterError, NotFoundError
from api.readings import queries
from api.readings.schemas import ReadingOut, ReadingPage, ReadingQuery
from api.registry.examples import as_response
from api.registry.sight import is_known
from api.registry.writing import as_tuples
from api.round_trip import Answer
from api.rows import Shown, answer_page
from api.services import Running, Services
from ingest.db import merges

router = APIRouter()
CURSOR: Final[Cursor[queries.Key]] = Cursor(
    "readings", TypeAdapter(tuple[AwareDatetime, AwareDatetime, UUID])
)
_PAGE: Final = {
    "items": [VERSIONS["reported"]],
    "next_cursor": None,
    "retained_since": "2023-01-01T00:00:00Z",
}
_SHOWN: Final = Shown(ReadingOut)


@router.get(
    "/{resident_id}/readings",
    response_model=ReadingPage,
    responses={200: as_response(_PAGE, "One page")},
)
async def list_readings(
    running: Running,
    principal: Annotated[Principal, require(Permission.READINGS_READ)],
    resident_id: Annotated[Name, Path(description="Pseudonym")],
    query: Annotated[ReadingQuery, Query()],
) -> Response:
    """One resident's readings by `effective_at`; pass `next_cursor` back as `cursor`.

    Values are JSON numbers with exactly the digits that the device reported, in its own unit:
    they never pass through a binary fraction here, and 7.00 is written 7.00. Of merged residents
    these are the survivor's, whichever is asked for.
    """
    if query.since and query.until and query.since > query.until:
        raise BadParameterError(
            field="from", value=query.since.isoformat(), remedy="must not be later than `to`"
        )
    after = CURSOR.read(query.cursor)
    standing, found = await _read(running, principal, resident_id, query, after=after)
    seen = [resident_id]
    if not found.rows:
        survivor = await _require_known(running, principal, resident_id)
        if survivor != resident_id:
            seen.append(survivor)
            standing, found = await _read(running, principal, survivor, query, after=after)
    items = _SHOWN.of_each(found.columns, found.rows[: query.limit])
    await running.audit.saw(principal, "list_readings", seen)
    last = found.row(query.limit - 1) if len(found.rows) > query.limit else None
    return answer_page(
        items,
        next_cursor=last and CURSOR.write((last["effective_at"], last["captured_at"], last["id"])),
        retained_since=standing.retained_since,
    )


async def _require_known(running: Services, principal: Principal, resident_id: str) -> str:
    """Under whose pseudonym this resident's readings are. Raises ``NotFoundError``."""
    async with running.database.reading(principal) as connection:
        if not await is_known(connection, resident_id):
            msg = "no such resident; use the pseudonym that cases and alerts name"
            raise NotFoundError(msg)
        with as_tuples(connection) as tuples:
            return await merges.find_survivor(tuples, resident_id)


async def _read(
    running: Services,
    principal: Principal,
    resident_id: str,
    query: ReadingQuery,
    *,
    after: queries.Key | None,
) -> tuple[queries.Standing, Answer]:
    """First as if the resident were plain and had readings, which is so of nearly all asked for."""
    plain = queries.list_by_time(resident_id, query, after=after, plain=True)
    (found,) = await running.database.find(principal, plain)
    if found.rows:
        edge = found.row(0)["retained_since"]
        return queries.Standing(is_plain=True, retained_since=edge), found
    standing = queries.fetch_standing(resident_id)
    stands, found = await running.database.find(principal, standing, plain)
    if not stands.row(0)["is_plain"]:
        listed = queries.list_by_time(resident_id, query, after=after, plain=False)
        stands, found = await running.database.find(principal, standing, listed)
    return queries.Standing(**stands.row(0)), found
