"""``/v1/residents/{resident_id}/merge``: this one is that one, or is not after all.

PUT     {into, reason}  the history of both is judged as one, the survivor's
DELETE                  both are judged as if there had been no merge

Nothing is moved or lost. Whoever says so must see both.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Name
from api.errors import ConflictError, NotFoundError, RefusedContentError, SettledError
from api.local_days import local_day
from api.merges.schemas import MERGED, MergeIn, MergeOut
from api.registry.sight import is_seen
from api.registry.writing import as_tuples
from api.services import Running
from ingest.db import errors, merges
from ingest.db.registry import Authorship

router = APIRouter()
Merged = Annotated[Name, Path(description="Pseudonym of the one that goes")]
Writer = Annotated[Principal, require(Permission.RESIDENTS_WRITE, Permission.READINGS_WRITE)]
_SHOWN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "It holds", "content": {"application/json": {"example": MERGED}}}
}
_SETTLED = (
    "retention has folded a part of it already, out of which nothing is taken; where only one of"
    " them has an old history, merge the newer pseudonym into the older one"
)


@router.put("/{resident_id}/merge", responses=_SHOWN)
async def merge_resident(
    running: Running, principal: Writer, resident_id: Merged, body: MergeIn
) -> MergeOut:
    """Say that this pseudonym is the same person as another one, who stays.

    Readings, records and diagnoses of both count for the one who stays; birth date, team, enrolment
    and contracts are those of the one who stays. What comes under the merged pseudonym later goes
    on to the survivor. The same again changes nothing; chains are refused (`409`).
    """
    at = running.clock()
    by = Authorship(author=principal.subject, at=at)
    async with running.database.writing(principal, at=at) as connection:
        await _require_both(connection, resident_id, body.into)
        try:
            with as_tuples(connection) as tuples:
                row = await merges.merge(
                    tuples, resident_id, body.into, body.reason, by, today=local_day(at)
                )
        except errors.TakenError as error:
            raise ConflictError(str(error)) from error
        except errors.SettledError as error:
            raise SettledError(_SETTLED) from error
    await running.audit.saw(principal, "merge_resident", [row.resident_id, row.into_id])
    return MergeOut.of(row)


async def _require_both(connection: AsyncConnection[DictRow], resident_id: str, into: str) -> None:
    if not await is_seen(connection, resident_id):
        msg = "no such resident; use the pseudonym that cases and alerts name"
        raise NotFoundError(msg)
    remedy = "nobody is merged into themselves"
    if into != resident_id:
        remedy = "no such resident among those you see; use a pseudonym that is on record"
        if await is_seen(connection, into):
            return
    raise RefusedContentError(field="into", value=into, remedy=remedy)


@router.delete(
    "/{resident_id}/merge",
    status_code=204,
    responses={204: {"description": "They are two persons, now or before"}},
)
async def unmerge_resident(running: Running, principal: Writer, resident_id: Merged) -> None:
    """Take a merge back. Each has their own history again, and the team they would have had."""
    at = running.clock()
    by = Authorship(author=principal.subject, at=at)
    async with running.database.writing(principal, at=at) as connection:
        if not await is_seen(connection, resident_id):
            msg = "no such resident; use the pseudonym that cases and alerts name"
            raise NotFoundError(msg)
        try:
            with as_tuples(connection) as tuples:
                await merges.unmerge(tuples, resident_id, by)
        except errors.SettledError as error:
            raise SettledError(_SETTLED) from error
