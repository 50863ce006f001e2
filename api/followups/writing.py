"""One record and what comes with it, in one transaction: readings of a visit, what it withdraws.

Nothing is judged here: the judge folds the case again because the record marks its resident.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.principal import Principal
from api.errors import ConflictError, RefusedContentError, SettledError
from api.followups import queries
from api.followups.schemas import Body, VisitIn, to_record
from api.local_days import local_day
from api.registry.sight import require_seen
from api.registry.writing import as_tuples
from api.services import Services
from ingest.db import errors, merges, records, visit_readings
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from ingest.db.records import Kind, Record

CLOCKS_APART_S: Final = 300  # As the database allows (``record_is_not_of_the_future``).


def require_sound(body: Body, now: datetime) -> None:
    """Refuse what contradicts itself or lies ahead. Raises ``RefusedContentError``."""
    times: dict[str, datetime | None] = {"at": body.at}
    if isinstance(body, VisitIn) and body.measured is not None:
        times["measured.measured_at"] = body.measured.measured_at
    for field, at in times.items():
        if at is not None and (at - now).total_seconds() > CLOCKS_APART_S:
            raise RefusedContentError(
                field=field, value=at.isoformat(), remedy="must not be in the future"
            )
    for field, value, remedy in body.find_mistakes(local_day(now)):
        raise RefusedContentError(field=field, value=value, remedy=remedy)


async def record_one(
    running: Services,
    principal: Principal,
    body: Body,
    *,
    kind: Kind,
    resident_id: str,
    record_id: UUID,
) -> tuple[DictRow, bool]:
    """Store what somebody records, in a transaction of its own. Returns and raises as ``write``."""
    at = running.clock()
    require_sound(body, at)
    record = to_record(body, kind, record_id, resident_id, principal.subject)
    async with running.database.writing(principal, at=at) as connection:
        return await write(connection, record, body, at=at)


async def write(
    connection: AsyncConnection[DictRow], record: Record, body: Body, *, at: datetime
) -> tuple[DictRow, bool]:
    """Store a record that is not stored yet, with all that it brings.

    Args:
        connection: Of the principal, inside a transaction that may write.
        record: Of ``body``.
        body: As sent, sound.
        at: The clock: received now.

    Returns:
        The record as it stands, and whether it is new.

    Raises:
        NotFoundError: The resident is not there.
        RefusedContentError: What it names is not there or cannot be withdrawn.
        ConflictError: Another record stands under its id.
    """
    await require_seen(connection, record.resident_id)
    stands = await queries.fetch(connection, record.resident_id, record.id)
    if stands is None:
        await _require_withdrawable(connection, record)
        if isinstance(body, VisitIn):
            await _require_readings(connection, record.resident_id, body.reading_ids)
    with as_tuples(connection) as tuples:
        try:
            new = await records.insert_new(tuples, [record], at=at)
        except UnstorableError as error:
            raise _taken() from error
        if new and record.withdraws is not None:
            await _take_readings_back(tuples, record, record.withdraws, at)
        if new and record.kind == "visit":
            await _bring_readings(tuples, record, at)
    row = await queries.fetch(connection, record.resident_id, record.id)
    if row is None:  # Of somebody else, or its withdrawal came second.
        raise _taken()
    return row, bool(new)


async def _bring_readings(connection: Connection, record: Record, at: datetime) -> None:
    values = visit_readings.values_of(record.form, record.mode, record.at)
    if not values:
        return
    try:
        await visit_readings.add(connection, record.resident_id, record.id, values, received_at=at)
    except UnstorableError as error:
        raise RefusedContentError(field="measured", value="", remedy=str(error)) from error


async def _take_readings_back(
    connection: Connection, record: Record, old: UUID, at: datetime
) -> None:
    try:
        await visit_readings.retract(
            connection, record.resident_id, old, author=record.author, at=at
        )
    except errors.SettledError as error:
        raise SettledError(str(error)) from error


async def _require_withdrawable(connection: AsyncConnection[DictRow], record: Record) -> None:
    """Raise ``RefusedContentError`` for what cannot be withdrawn by this record."""
    if record.withdraws is None:
        return
    old = await queries.fetch(connection, record.resident_id, record.withdraws)
    if old is None:
        remedy = "no such record of this resident"
    elif old["withdrawn_by"] is not None:
        remedy = f"was withdrawn already, by {old['withdrawn_by']}"
    elif old["kind"] == "withdrawal":
        remedy = "a withdrawal stays; record anew what was right"
    elif record.kind not in ("withdrawal", old["kind"]):
        remedy = f"is a {old['kind']}: replace it by one, or withdraw it"
    elif old["of_contract"]:
        remedy = "follows from a contract; write the contract as it is"
    else:
        return
    raise RefusedContentError(field="replaces", value=str(record.withdraws), remedy=remedy)


async def _require_readings(
    connection: AsyncConnection[DictRow], resident: str, ids: Sequence[UUID]
) -> None:
    if not ids:
        return
    with as_tuples(connection) as tuples:
        person = await merges.find_survivor(tuples, resident)
    strange = await queries.find_strange_readings(connection, person, ids)
    if strange:
        raise RefusedContentError(
            field="reading_ids", value=str(strange[0]), remedy="no such reading of this resident"
        )


def _taken() -> ConflictError:
    msg = (
        "another record stands under this id; nothing recorded is rewritten: take a new id, and"
        " `replaces` for what was a mistake"
    )
    return ConflictError(msg)
