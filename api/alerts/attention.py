"""What people do about one alert: acknowledge it, put it aside, undo a slip, look who did what.

PUT, DELETE  /v1/alerts/{alert_id}/acknowledgement
PUT, DELETE  /v1/alerts/{alert_id}/snooze
GET          /v1/alerts/{alert_id}, /v1/alerts/{alert_id}/history

Every act is one transaction with its history and its event. The same again by the same person is
no new act, so everything here may be sent twice.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from api.alerts import examples, queries
from api.alerts.bounds import latest_return
from api.alerts.schemas import (
    Acknowledgement,
    AcknowledgementIn,
    AlertHistory,
    AlertOut,
    AttentionOut,
    HistoryEntry,
    Snooze,
    SnoozeIn,
)
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import AlertClosedError, NotFoundError, PreconditionError, RefusedContentError
from api.local_days import local_day
from api.registry.examples import as_response
from api.registry.writing import as_tuples
from api.services import Running, Services
from ingest.db import attention
from ingest.db.attention import Attended, Entry
from ingest.db.connections import Connection

router = APIRouter()
Writer: TypeAlias = Annotated[Principal, require(Permission.ALERTS_WRITE)]
Reader: TypeAlias = Annotated[Principal, require(Permission.ALERTS_READ)]
_NO_ALERT: Final = "no such alert; look at the list"


def _read_id(
    alert_id: Annotated[
        str, Path(description="Of the alert", json_schema_extra={"format": "uuid"})
    ],
) -> UUID:
    """What is no UUID names no alert, and is not repeated. Raises ``NotFoundError``."""
    try:
        return UUID(alert_id)
    except ValueError as error:
        raise NotFoundError(_NO_ALERT) from error


AlertId: TypeAlias = Annotated[UUID, Depends(_read_id)]


def _shown(example: dict[str, Any], text: str) -> dict[int | str, dict[str, Any]]:
    return {200: as_response(example, text)}


@asynccontextmanager
async def _attending(
    running: Services, principal: Principal, alert_id: UUID, at: datetime
) -> AsyncIterator[tuple[Connection, Attended]]:
    """One transaction in which one alert is held as it stands. Raises ``NotFoundError``."""
    async with running.database.writing(principal, at=at) as connection:
        with as_tuples(connection) as tuples:
            found = await attention.fetch(tuples, alert_id, lock=True)
            if found is None:
                raise NotFoundError(_NO_ALERT)
            yield tuples, found


def _require_active(of: Attended) -> None:
    if of.status != "active":
        msg = f"the alert is {of.status} already: there is nothing left to do about it"
        raise AlertClosedError(msg)


async def _answer(connection: Connection, alert_id: UUID, at: datetime) -> AttentionOut:
    of = await attention.fetch(connection, alert_id, lock=False)
    if of is None:
        raise NotFoundError(_NO_ALERT)
    told = AttentionOut(
        alert_id=of.alert_id, attention=of.state(at), acknowledgement=None, snooze=None
    )
    if of.acknowledged_at is not None:
        acknowledgement = Acknowledgement.model_validate(
            {
                "at": of.acknowledged_at,
                "by": of.acknowledged_by,
                "reason": of.reason,
                "note": of.note,
            }
        )
        return told.model_copy(update={"acknowledgement": acknowledgement})
    if told.attention == "snoozed":
        snooze = Snooze.model_validate(
            {"at": of.snoozed_at, "by": of.snoozed_by, "until": of.snoozed_until}
        )
        return told.model_copy(update={"snooze": snooze})
    return told


@router.put("/{alert_id}/acknowledgement", responses=_shown(examples.ATTENDED, "As it stands now"))
async def acknowledge_alert(
    running: Running, principal: Writer, alert_id: AlertId, content: AcknowledgementIn
) -> AttentionOut:
    """Say that somebody has it, and what is done; nobody is reminded of it any more.

    It opens again by itself when it gets worse (another step of escalation or severity), and when
    it is active again after it was resolved or cancelled. `409`: it is not active. With
    `seen_escalation` only what was really seen is acknowledged, else `412`.
    """
    at = running.clock()
    async with _attending(running, principal, alert_id, at) as (connection, of):
        await acknowledge_held(connection, of, content, principal, at)
        return await _answer(connection, alert_id, at)


async def acknowledge_held(
    connection: Connection,
    of: Attended,
    content: AcknowledgementIn,
    principal: Principal,
    at: datetime,
) -> None:
    """Acknowledge one alert that this transaction holds.

    Raises:
        AlertClosedError: It is not active.
        PreconditionError: It was escalated since it was seen.
    """
    stands = (of.acknowledged_by, of.reason, of.note)
    if stands == (principal.subject, content.reason, content.note):
        return
    _require_active(of)
    if content.seen_escalation is not None and of.escalation > content.seen_escalation:
        msg = f"the alert is at step {of.escalation} of escalation by now: look again"
        raise PreconditionError(msg)
    entry = Entry(
        what="acknowledged",
        at=at,
        author=principal.subject,
        reason=content.reason,
        note=content.note,
    )
    await attention.acknowledge(connection, of, entry)


@router.delete("/{alert_id}/acknowledgement", responses=_shown(examples.OPEN, "As it stands now"))
async def withdraw_acknowledgement(
    running: Running, principal: Writer, alert_id: AlertId
) -> AttentionOut:
    """Undo an acknowledgement: it was a slip. Reminders go on where they would be by now."""
    at = running.clock()
    async with _attending(running, principal, alert_id, at) as (connection, of):
        if of.acknowledged_at is not None:
            entry = Entry(what="acknowledgement_withdrawn", at=at, author=principal.subject)
            await attention.reopen(connection, of, entry)
        return await _answer(connection, alert_id, at)


@router.put("/{alert_id}/snooze", responses=_shown(examples.SNOOZED, "As it stands now"))
async def snooze_alert(
    running: Running, principal: Writer, alert_id: AlertId, content: SnoozeIn
) -> AttentionOut:
    """Put it aside for a while; it comes back by itself, and the feed tells so.

    A critical alert is never put aside (acknowledge it instead), one of severity `high` for a day,
    others for 14 days, but not beyond the beginning of the day on which they are due (a day at
    least). A worsening ends the snooze. `409`: it is not active, or acknowledged.
    """
    at = running.clock()
    async with _attending(running, principal, alert_id, at) as (connection, of):
        await snooze_held(connection, of, content, principal, at)
        return await _answer(connection, alert_id, at)


async def snooze_held(
    connection: Connection, of: Attended, content: SnoozeIn, principal: Principal, at: datetime
) -> None:
    """Put one alert aside that this transaction holds.

    Raises:
        AlertClosedError: It is not active, or acknowledged.
        RefusedContentError: Not for so long.
    """
    if (of.snoozed_by, of.snoozed_until) == (principal.subject, content.until):
        return
    _require_active(of)
    if of.acknowledged_at is not None:
        msg = "the alert is acknowledged: nobody is reminded of it; withdraw that first"
        raise AlertClosedError(msg)
    _require_bounded(of, content.until, at)
    entry = Entry(what="snoozed", at=at, author=principal.subject, until=content.until)
    await attention.snooze(connection, of, entry)


def _require_bounded(of: Attended, until: datetime, at: datetime) -> None:
    latest = latest_return(of.severity, of.due, at)
    remedy = None
    if latest is None:
        remedy = "a critical alert is not put aside; acknowledge it with what is done"
    elif until <= at:
        remedy = "must be later than now"
    elif until > latest:
        remedy = f"at the latest {latest.isoformat()}, at this severity and due day"
    if remedy is not None:
        raise RefusedContentError(field="until", value=until.isoformat(), remedy=remedy)


async def withdraw_held(
    connection: Connection, of: Attended, principal: Principal, at: datetime
) -> None:
    """Undo whatever was done about one alert that this transaction holds."""
    if of.acknowledged_at is not None:
        entry = Entry(what="acknowledgement_withdrawn", at=at, author=principal.subject)
        await attention.reopen(connection, of, entry)
    elif of.snoozed_at is not None:
        entry = Entry(what="snooze_withdrawn", at=at, author=principal.subject)
        await attention.reopen(connection, of, entry)


@router.delete("/{alert_id}/snooze", responses=_shown(examples.OPEN, "As it stands now"))
async def withdraw_snooze(running: Running, principal: Writer, alert_id: AlertId) -> AttentionOut:
    """Take it out again before its time. Reminders go on where they would be by now."""
    at = running.clock()
    async with _attending(running, principal, alert_id, at) as (connection, of):
        if of.snoozed_at is not None:
            entry = Entry(what="snooze_withdrawn", at=at, author=principal.subject)
            await attention.reopen(connection, of, entry)
        return await _answer(connection, alert_id, at)


@router.get("/{alert_id}", responses=_shown(examples.ALERT, "The alert"))
async def read_alert(running: Running, principal: Reader, alert_id: AlertId) -> AlertOut:
    """One alert, with who has it and the case that it belongs to."""
    at = running.clock()
    async with running.database.reading(principal) as connection:
        found = await queries.fetch_alert(connection, alert_id, now=at, today=local_day(at))
    if found is None:
        raise NotFoundError(_NO_ALERT)
    await running.audit.saw(principal, "read_alert", [found.resident_id])
    return found


@router.get("/{alert_id}/history", responses=_shown(examples.HISTORY, "Acts, in order"))
async def list_alert_history(
    running: Running, principal: Reader, alert_id: AlertId
) -> AlertHistory:
    """Who acknowledged, snoozed or undid what and when; and when it opened again by itself."""
    async with running.database.reading(principal) as connection:
        with as_tuples(connection) as tuples:
            of = await attention.fetch(tuples, alert_id, lock=False)
        if of is None:
            raise NotFoundError(_NO_ALERT)
        rows = await queries.list_history(connection, alert_id)
    await running.audit.saw(principal, "list_alert_history", [of.resident_id])
    return AlertHistory(items=[HistoryEntry.model_validate(row) for row in rows])
