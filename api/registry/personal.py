"""``/v1/residents/{id}/personal-data``: one resident's name and ID number, read or erased.

The only place where they are opened. No list holds them, but for the names (never the numbers) on
a team's list that is printed with names; of other answers only the FHIR ``Patient`` that is read by
its id does.
"""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import NotFoundError
from api.registry import examples, queries
from api.registry.routes import Id
from api.registry.schemas import PersonalOut
from api.registry.writing import as_tuples, keys_at_hand
from api.services import Running, Services
from ingest.db import merges, personal
from ingest.db.entities import Personal
from ingest.db.registry import Authorship

router = APIRouter(tags=["residents"])


@router.get(
    "/residents/{id}/personal-data",
    responses={200: examples.as_response(examples.PERSONAL_ANSWER, "Name and ID number")},
)
async def read_personal_data(
    running: Running,
    principal: Annotated[Principal, require(Permission.RESIDENTS_READ)],
    id: Id,  # noqa: A002 - its name in the address
    response: Response,
) -> PersonalOut:
    """Open one resident's name and ID number. Who does is on record; nothing may cache it."""
    response.headers["Cache-Control"] = "no-store"
    async with running.database.reading(principal) as connection:
        if not await queries.fetch("resident", id).run(connection):
            msg = "no such resident; PUT it first, or look at the list"
            raise NotFoundError(msg)
        with as_tuples(connection) as tuples, keys_at_hand():
            found = await personal.reveal(tuples, id, running.keys.keyring())
    await running.audit.saw(principal, "read_personal_data", [id])
    who = found.personal
    return PersonalOut(
        resident_id=id,
        name=None if who is None else who.name,
        id_number=None if who is None else who.id_number,
        erased_at=found.erased_at,
    )


async def open_personal(
    running: Services, connection: AsyncConnection[DictRow], id_: str
) -> Personal | None:
    """Name and ID number for an answer about this one resident; None: none are kept here.

    Who asks must hold ``residents:read``, and be noted in the audit log as one who opened them.
    """
    if running.settings.key_file is None:
        return None
    with as_tuples(connection) as tuples, keys_at_hand():
        return (await personal.reveal(tuples, id_, running.keys.keyring())).personal


async def open_names(
    running: Services, connection: AsyncConnection[DictRow], ids: Collection[str]
) -> dict[str, str]:
    """Names, without ID numbers, of those of these residents who have one here.

    Who asks must hold ``residents:read``, and be noted in the audit log for each of them.
    """
    found = {}
    with as_tuples(connection) as tuples, keys_at_hand():
        keyring = running.keys.keyring()
        for id_ in sorted(set(ids)):
            who = (await personal.reveal(tuples, id_, keyring)).personal
            if who is not None and who.name is not None:
                found[id_] = who.name
    return found


@router.delete(
    "/residents/{id}/personal-data",
    status_code=204,
    responses={204: {"description": "Erased, now or before"}},
)
async def erase_personal_data(
    running: Running,
    principal: Annotated[Principal, require(Permission.RESIDENTS_WRITE)],
    id: Id,  # noqa: A002 - its name in the address
) -> None:
    """Destroy the key of a resident's name and ID number: for ever, in history too.

    The medical record stays under the pseudonym, which the law on health records asks for. Names
    sent later are refused (`409`), so that a nightly upload does not bring them back. Of merged
    residents all names go, whichever is asked for.
    """
    at = running.clock()
    by = Authorship(author=principal.subject, at=at)
    async with running.database.writing(principal, at=at) as connection:
        with as_tuples(connection) as tuples:
            person = await merges.find_person(tuples, id)  # All pseudonyms of one who is merged.
            erased = [await personal.erase(tuples, each, by) for each in sorted({id, *person})]
        if not any(erased):
            msg = "no such resident; PUT it first, or look at the list"
            raise NotFoundError(msg)
