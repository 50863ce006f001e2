"""What is done about a case at once: about its alerts that were shown, and none that was not.

A list shows one item a case, and whoever acts means all of it. So they say which alerts they saw,
how severe and at which step; if the case has another active alert by now, or one of them is
worse, nothing is done and they look again. What somebody else has stays theirs. One transaction.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from api.alerts.attention import acknowledge_held, snooze_held, withdraw_held
from api.alerts.schemas import AcknowledgementIn, SnoozeIn
from api.auth.principal import Principal
from api.errors import AlertClosedError, NotFoundError, PreconditionError
from api.registry.writing import as_tuples
from api.services import Services
from ingest.db import attention
from ingest.db.attention import Attended
from ingest.db.connections import Connection

SEEN_MAX: Final = 40
"""Of one case: two dozen codes, most of them one at a time."""
_NO_ALERT: Final = "no such alert; look at the list"
SEVERITIES: Final = ("info", "warn", "high", "critical")


@dataclass(frozen=True, slots=True)
class Seen:
    """One alert as it was shown."""

    alert_id: UUID
    severity: str
    escalation: int


async def acknowledge_case(
    running: Services, principal: Principal, seen: Sequence[Seen], content: AcknowledgementIn
) -> None:
    """Somebody has the case whose leading alert was shown first.

    Raises:
        NotFoundError: It is not there, or may not be seen.
        PreconditionError: The case is worse than what was shown.
        AlertClosedError: The leading alert is over, or somebody else's.
    """
    at = running.clock()
    async with _holding(running, principal, seen, at) as (connection, lead, others):
        for of in (lead, *(each for each in others if each.acknowledged_at is None)):
            await acknowledge_held(connection, of, content, principal, at)


async def snooze_case(
    running: Services, principal: Principal, seen: Sequence[Seen], content: SnoozeIn
) -> None:
    """Put the case aside. Raises as ``acknowledge_case``, and ``RefusedContentError``."""
    at = running.clock()
    async with _holding(running, principal, seen, at) as (connection, lead, others):
        for of in (lead, *(each for each in others if each.acknowledged_at is None)):
            if of is lead or of.snoozed_by in (None, principal.subject):
                await snooze_held(connection, of, content, principal, at)


async def reopen_case(running: Services, principal: Principal, seen: Sequence[Seen]) -> None:
    """Undo what was done about the leading alert, and what the same person did of the others."""
    at = running.clock()
    async with running.database.writing(principal, at=at) as connection:
        with as_tuples(connection) as tuples:
            lead, others = await _hold(tuples, seen)
            for of in (lead, *others):
                if _holder(of) == _holder(lead):
                    await withdraw_held(tuples, of, principal, at)


@asynccontextmanager
async def _holding(
    running: Services, principal: Principal, seen: Sequence[Seen], at: datetime
) -> AsyncIterator[tuple[Connection, Attended, list[Attended]]]:
    """The case, held as it stands, if it is no worse than what was shown."""
    async with running.database.writing(principal, at=at) as connection:
        with as_tuples(connection) as tuples:
            lead, others = await _hold(tuples, seen)
            _require_free(lead, principal)
            _require_seen([lead, *others], seen, at)
            shown = {each.alert_id for each in seen}
            active = [of for of in others if of.status == "active" and of.alert_id in shown]
            yield tuples, lead, active


async def _hold(connection: Connection, seen: Sequence[Seen]) -> tuple[Attended, list[Attended]]:
    if not seen:
        raise NotFoundError(_NO_ALERT)
    lead = await attention.fetch(connection, seen[0].alert_id, lock=False)
    if lead is None:
        raise NotFoundError(_NO_ALERT)
    held = await attention.hold_case(connection, lead)
    (lead,) = (of for of in held if of.alert_id == lead.alert_id)
    return lead, [of for of in held if of.alert_id != lead.alert_id]


def _holder(of: Attended) -> str | None:
    return of.acknowledged_by or of.snoozed_by


def _require_free(lead: Attended, principal: Principal) -> None:
    if lead.status != "active":
        msg = f"the alert is {lead.status} already: look at the list"
        raise AlertClosedError(msg)
    if lead.acknowledged_by not in (None, principal.subject):
        msg = "somebody else has taken the case meanwhile: look at the list"
        raise AlertClosedError(msg)


def _require_seen(held: Sequence[Attended], seen: Sequence[Seen], at: datetime) -> None:
    """Raise ``PreconditionError`` for what asks for somebody and was not shown, or not so bad."""
    shown = {each.alert_id: each for each in seen}
    for of in held:
        if of.state(at) != "open":
            continue
        known = shown.get(of.alert_id)
        if (
            known is None
            or of.escalation > known.escalation
            or SEVERITIES.index(of.severity) > SEVERITIES.index(known.severity)
        ):
            msg = "the case got worse meanwhile: look again before you act"
            raise PreconditionError(msg)
