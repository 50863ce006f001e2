"""Readings that came without a resident: listed for their centre, claimed, and given back.

GET     /v1/readings/unclaimed           of the principal's centres
PUT     /v1/readings/{reading_id}/claim  whose it is
DELETE  /v1/readings/{reading_id}/claim  nobody's again

A claim is a correction that names the resident, so it is judged and taken back like one. Of two
who claim at the same moment one wins, and the other one is told.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.corrections import examples, queries
from api.corrections.routes import (
    SHOWN,
    ReadingId,
    Writer,
    exact,
    fetch_versions,
    held,
    note,
    require_resident,
    take_back,
    write,
)
from api.corrections.routes import router as corrections
from api.corrections.schemas import ClaimIn, ReadingVersions, UnclaimedPage, UnclaimedQuery
from api.cursors import Cursor
from api.direct_routes import add_routes
from api.errors import BadParameterError, ConflictError
from api.readings.schemas import MeasuredOut
from api.services import Running
from gateway.wire.ids import new_id
from ingest.db.amendments import Amendment, Changes

router = APIRouter()
CURSOR: Final[Cursor[queries.Key]] = Cursor(
    "unclaimed readings", TypeAdapter(tuple[AwareDatetime, UUID])
)


@router.get(
    "/unclaimed",
    response_model=UnclaimedPage,
    responses={200: examples.as_response(examples.UNCLAIMED_PAGE, "One page")},
)
async def list_unclaimed(
    running: Running,
    principal: Annotated[Principal, require(Permission.READINGS_READ)],
    query: Annotated[UnclaimedQuery, Query()],
) -> Response:
    """Readings of nobody at the centres that one belongs to, by `effective_at`.

    Their emergencies are among the alerts, without a resident. Pass `next_cursor` back as `cursor`.
    """
    if query.since and query.until and query.since > query.until:
        raise BadParameterError(
            field="from", value=query.since.isoformat(), remedy="must not be later than `to`"
        )
    after = CURSOR.read(query.cursor)
    async with running.database.reading(principal) as connection:
        rows = await queries.list_unclaimed(connection, query, after=after)
    items = [MeasuredOut.model_validate(row) for row in rows[: query.limit]]
    things = (str(item.id) for item in items)
    await running.audit.saw(principal, "list_unclaimed", (), things=things)
    last = items[-1] if len(rows) > query.limit else None
    next_cursor = last and CURSOR.write((last.effective_at, last.id))
    return exact(UnclaimedPage(items=items, next_cursor=next_cursor))


@router.put("/{reading_id}/claim", response_model=ReadingVersions, responses=SHOWN)
async def claim_reading(
    running: Running, principal: Writer, reading_id: ReadingId, body: ClaimIn
) -> Response:
    """Say whose an unclaimed reading is. An emergency of it goes from the centre to their team.

    Claiming it again for the same resident changes nothing; for another one it is refused
    (`409`): give it back first.
    """
    async with held(running, principal, reading_id) as (connection, reading):
        await require_resident(connection, body.resident_id)
        if reading.reported_for is not None:
            msg = "this reading came with a resident: correct `resident_id` to move it"
            raise ConflictError(msg)
        if reading.resident_id not in (None, body.resident_id):
            msg = "somebody has claimed this reading for another resident: give it back first"
            raise ConflictError(msg)
        if reading.resident_id is None:
            claim = Amendment(
                id=new_id(running.clock()),
                kind="correction",
                author=principal.subject,
                reading_id=reading_id,
                changes=Changes(resident_id=body.resident_id),
                reason=body.reason,
            )
            await write(running, connection, reading, claim)
        shown = await fetch_versions(connection, reading_id)
    await note(running, principal, "claim_reading", shown)
    return exact(shown)


@router.delete(
    "/{reading_id}/claim",
    status_code=204,
    responses={204: {"description": "It is nobody's, now or before"}},
)
async def give_back_reading(running: Running, principal: Writer, reading_id: ReadingId) -> None:
    """Take a claim back: the resident is judged as if it had never been theirs.

    An emergency goes back to the centre, and is active there again.
    """
    async with held(running, principal, reading_id) as (connection, reading):
        if reading.reported_for is not None:
            msg = "this reading came with a resident; undo the correction that moved it"
            raise ConflictError(msg)
        claim = await queries.fetch_last_move(connection, reading_id)
        if claim is None:
            return
        if set(claim["changes"]) != {"resident_id"}:
            msg = f"correction {claim['id']} says more than whose it is: undo that one"
            raise ConflictError(msg)
        why = {"author": principal.subject, "reason": "the claim was taken back"}
        await take_back(running, connection, reading, amendment_id=claim["id"], **why)


add_routes(router, corrections)  # After `/unclaimed`, which would else be a reading's id.
