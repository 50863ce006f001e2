"""``/v1/readings/{reading_id}``: a reading with all that was said of it, and saying something.

GET  /v1/readings/{reading_id}                       as it came, as it stands, what was said
PUT  /v1/readings/{reading_id}/correction            what it should have said, or whose it is
PUT  /v1/readings/{reading_id}/retraction            that it is none
PUT  /v1/readings/{reading_id}/amendments/{id}/undo  that one of these was said by mistake

Nothing is deleted or rewritten. Whoever it concerns is judged again within seconds.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

import msgspec
from fastapi import APIRouter, Depends, Path, Response
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import BaseModel

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.corrections import examples, queries
from api.corrections.schemas import (
    AmendmentOut,
    CorrectionIn,
    ReadingVersions,
    ReportedOut,
    RetractionIn,
    UndoIn,
    Word,
)
from api.corrections.standing import require_fit, work_out
from api.errors import ConflictError, NotFoundError, RefusedContentError, SettledError
from api.registry.sight import is_seen
from api.registry.writing import as_tuples
from api.services import Running, Services
from ingest.db import corrections, errors
from ingest.db.amendments import Amendment, Changes
from ingest.db.corrections import Held

router = APIRouter()
Writer = Annotated[Principal, require(Permission.READINGS_WRITE)]
Check = Callable[[ReadingVersions], None]  # Raises, if something must not be said any more.
SHOWN: Final[dict[int | str, dict[str, Any]]] = {
    200: examples.as_response(examples.VERSIONS, "The reading as it stands now")
}
_NO_READING: Final = "no such reading; lists of readings, alerts and cases name those there are"
_NO_AMENDMENT: Final = (
    "no such correction or retraction of this reading; GET the reading to see them"
)
_UNDOS: Final = UUID("5f1fa600-7375-5966-616e-756e646f6573")
_EXACT: Final = msgspec.json.Encoder(decimal_format="number")


_UUID: Final = {"format": "uuid"}


def _find_reading(
    reading_id: Annotated[
        str, Path(description="As lists and alerts name it", json_schema_extra=_UUID)
    ],
) -> UUID:
    """What is no UUID is no reading either: both are answered alike."""
    try:
        return UUID(reading_id)
    except ValueError as error:
        raise NotFoundError(_NO_READING) from error


def _find_amendment(
    amendment_id: Annotated[
        str, Path(description="A correction or a retraction of it", json_schema_extra=_UUID)
    ],
) -> UUID:
    try:
        return UUID(amendment_id)
    except ValueError as error:
        raise NotFoundError(_NO_AMENDMENT) from error


ReadingId = Annotated[UUID, Depends(_find_reading)]
AmendmentId = Annotated[UUID, Depends(_find_amendment)]


def _take_all(_: ReadingVersions) -> None:
    """Whatever stands: whoever writes over the API says what they mean by its ``id``."""


def exact(answer: BaseModel) -> Response:
    """An answer whose numbers keep every digit that was reported."""
    return Response(_EXACT.encode(answer.model_dump()), media_type="application/json")


async def fetch_versions(connection: AsyncConnection[DictRow], reading_id: UUID) -> ReadingVersions:
    """A reading with all that was said of it. Raises ``NotFoundError``."""
    row = await queries.fetch(connection, reading_id)
    if row is None:
        msg = "no such reading; lists of readings, alerts and cases name those there are"
        raise NotFoundError(msg)
    said = await queries.list_amendments(connection, reading_id)
    return ReadingVersions(
        reported=ReportedOut(**{**row, "resident_id": row["reported_for"]}),
        stands=work_out(row, said),
        amendments=[AmendmentOut.model_validate(each) for each in said],
    )


@asynccontextmanager
async def held(
    running: Services, principal: Principal, reading_id: UUID
) -> AsyncIterator[tuple[AsyncConnection[DictRow], Held]]:
    """One transaction in which nobody else amends this reading. Raises ``NotFoundError``."""
    async with running.database.writing(principal, at=running.clock()) as connection:
        with as_tuples(connection) as tuples:
            found = await corrections.hold(tuples, reading_id)
        if found is None:
            raise NotFoundError(_NO_READING)
        yield connection, found


async def write(
    running: Services, connection: AsyncConnection[DictRow], reading: Held, amendment: Amendment
) -> None:
    """Say one thing of a reading. Raises ``ConflictError`` or ``SettledError``."""
    try:
        with as_tuples(connection) as tuples:
            await corrections.amend(tuples, reading, amendment, at=running.clock())
    except errors.TakenError as error:
        msg = (
            f"{amendment.id} was used for something else: nothing said is rewritten, take a new id"
        )
        raise ConflictError(msg) from error
    except errors.SettledError as error:
        msg = (
            "this reading is older than what retention keeps apart: the case rests on the whole"
            " of it; record a visit or an override with your reason instead"
        )
        raise SettledError(msg) from error


async def require_resident(connection: AsyncConnection[DictRow], resident: str | None) -> None:
    """Raise ``RefusedContentError`` for a resident who is not there, or not seen."""
    if resident is not None and not await is_seen(connection, resident):
        remedy = "no such resident among those you see; use a pseudonym that is on record"
        raise RefusedContentError(field="resident_id", value=resident, remedy=remedy)


async def note(running: Services, principal: Principal, what: str, shown: ReadingVersions) -> None:
    """Say to the audit log whom an answer shows."""
    residents = {shown.reported.resident_id, shown.stands.resident_id}
    await running.audit.saw(principal, what, residents, things=[str(shown.reported.id)])


@router.get("/{reading_id}", response_model=ReadingVersions, responses=SHOWN)
async def get_reading(
    running: Running,
    principal: Annotated[Principal, require(Permission.READINGS_READ)],
    reading_id: ReadingId,
) -> Response:
    """A reading as it came, as it stands now, and every version in between.

    Of a meal context that the meter sent later, only the judgement and the timeline know.
    """
    async with running.database.reading(principal) as connection:
        shown = await fetch_versions(connection, reading_id)
    await note(running, principal, "get_reading", shown)
    return exact(shown)


@router.put("/{reading_id}/correction", response_model=ReadingVersions, responses=SHOWN)
async def correct_reading(
    running: Running, principal: Writer, reading_id: ReadingId, body: CorrectionIn
) -> Response:
    """Say what a reading should have said: value with unit, context, time, or whose it is.

    The reading stays as it came; of each field the last correction counts. The same `id` with the
    same body again changes nothing, with another one it is refused (`409`). A reading given to
    another resident takes its effects along: both are judged again. Whoever writes must see both.
    """
    return exact(await correct(running, principal, reading_id, body))


async def correct(
    running: Services,
    principal: Principal,
    reading_id: UUID,
    body: CorrectionIn,
    *,
    check: Check = _take_all,
) -> ReadingVersions:
    """Store a correction, unless ``check`` raises for what stood until now."""
    changes = body.changes()
    async with held(running, principal, reading_id) as (connection, reading):
        known = await fetch_versions(connection, reading_id)
        check(known)
        if all(each.id != body.id for each in known.amendments):  # Else it is a retry.
            require_fit(reading.kind, known.stands, body)
            await require_resident(connection, changes.resident_id)
        said = _amendment(principal, reading_id, body.id, body, changes=changes)
        await write(running, connection, reading, said)
        shown = await fetch_versions(connection, reading_id)
    await note(running, principal, "correct_reading", shown)
    return shown


@router.put("/{reading_id}/retraction", response_model=ReadingVersions, responses=SHOWN)
async def retract_reading(
    running: Running, principal: Writer, reading_id: ReadingId, body: RetractionIn
) -> Response:
    """Say that a reading is none. It stays, marked so; alerts that rest on it are cancelled.

    The same `id` with the same body again changes nothing, with another one it is refused (`409`).
    """
    return exact(await retract(running, principal, reading_id, body))


async def retract(
    running: Services,
    principal: Principal,
    reading_id: UUID,
    body: RetractionIn,
    *,
    check: Check = _take_all,
) -> ReadingVersions:
    """Store a retraction, unless ``check`` raises for what stood until now."""
    async with held(running, principal, reading_id) as (connection, reading):
        check(await fetch_versions(connection, reading_id))
        said = _amendment(principal, reading_id, body.id, body)
        await write(running, connection, reading, said)
        shown = await fetch_versions(connection, reading_id)
    await note(running, principal, "retract_reading", shown)
    return shown


@router.put(
    "/{reading_id}/amendments/{amendment_id}/undo",
    response_model=ReadingVersions,
    responses={**SHOWN, 204: {"description": "Done; it is no reading of one's own any more"}},
)
async def undo_amendment(
    running: Running,
    principal: Writer,
    reading_id: ReadingId,
    amendment_id: AmendmentId,
    body: UndoIn,
) -> Response:
    """Take back what was said of a reading by mistake: all is judged as if it had not been said.

    Both stay on record. The same body again changes nothing. An undo is not undone: say it anew.
    """
    shown = await undo(running, principal, reading_id, body, amendment_id=amendment_id)
    return Response(status_code=204) if shown is None else exact(shown)


async def undo(
    running: Services,
    principal: Principal,
    reading_id: UUID,
    body: UndoIn,
    *,
    amendment_id: UUID,
    check: Check = _take_all,
) -> ReadingVersions | None:
    """Take a word back, unless ``check`` raises; None: it is no reading of one's own any more."""
    async with held(running, principal, reading_id) as (connection, reading):
        known = await fetch_versions(connection, reading_id)
        if all(each.id != amendment_id or each.kind == "undo" for each in known.amendments):
            raise NotFoundError(_NO_AMENDMENT)
        check(known)
        why = {"author": principal.subject, "reason": body.reason}
        await take_back(running, connection, reading, amendment_id=amendment_id, **why)
        if await queries.fetch(connection, reading_id) is None:
            return None
        shown = await fetch_versions(connection, reading_id)
    await note(running, principal, "undo_amendment", shown)
    return shown


async def take_back(
    running: Services,
    connection: AsyncConnection[DictRow],
    reading: Held,
    *,
    author: str,
    amendment_id: UUID,
    reason: str,
) -> None:
    """Undo one amendment. Of each there is one undo, so a second one is a retry or refused."""
    undo = Amendment(
        id=uuid5(_UNDOS, str(amendment_id)),
        kind="undo",
        author=author,
        reading_id=reading.id,
        reason=reason,
        undoes=amendment_id,
    )
    await write(running, connection, reading, undo)


def _amendment(
    principal: Principal, reading_id: UUID, id_: UUID, word: Word, changes: Changes | None = None
) -> Amendment:
    return Amendment(
        id=id_,
        kind="retraction" if changes is None else "correction",
        author=principal.subject,
        reading_id=reading_id,
        changes=changes or Changes(),
        reason=word.reason,
    )
