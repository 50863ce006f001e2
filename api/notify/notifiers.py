"""What a channel is: it reaches people by some address, and sends them one message.

A channel of your own (SMS, a pager) is a module with a function ``make() -> Notifier``, named by
``NOTIFY_ADAPTERS=package.module:make``; see docs/alerts.md. It must never raise anything but
``NotSentError`` for what the world did, must be over within ``NOTIFY_SEND_S_MAX``, and must hand
``message.id`` on where its receiver can use it to see that a message came twice.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class NotSentError(Exception):
    """It was not taken. ``final``: it never will be; sending again is of no use.

    The text is recorded and shown: it names no person, no address, no secret.
    """

    def __init__(self, msg: str, *, final: bool = False) -> None:
        self.final = final
        super().__init__(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody to be told. No name: Suifang knows none."""

    staff_id: str
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert in a message. No value, no diagnosis, no name: that is looked at after logging in.

    ``rung`` says for what one is told: as the doctor, the team leader, or for the centre.
    """

    alert_id: UUID
    resident_id: str | None  # Pseudonym.
    team_id: str | None
    severity: str
    raised_at: datetime
    rung: str
    step: int  # 1: told; 2: reminded; 3, 4: escalated.
    held: bool  # It waited for the end of the quiet hours.


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one person. Sent again after a failure or a crash, under the same id."""

    id: UUID
    kind: str  # 'page': one critical alert; 'notice': others; 'digest': of a shift.
    recipient: Recipient
    alerts: Sequence[Told]
    counts: dict[str, int]  # Of a digest: active alerts of one's residents by severity, and so on.

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "id": str(self.id),
            "kind": self.kind,
            "staff_id": self.recipient.staff_id,
            "alerts": [
                {
                    "alert_id": str(each.alert_id),
                    "resident_id": each.resident_id,
                    "team_id": each.team_id,
                    "severity": each.severity,
                    "raised_at": each.raised_at.isoformat(),
                    "rung": each.rung,
                    "step": each.step,
                    "held": each.held,
                }
                for each in self.alerts
            ],
            "counts": self.counts,
        }


class Notifier(Protocol):
    """One channel."""

    @property
    def name(self) -> str:
        """Stable: it stands in the record of what was sent."""

    def reaches(self, recipient: Recipient) -> bool:
        """Whether it has an address of this one."""

    async def send(self, message: Message, *, at: datetime) -> None:
        """One attempt; returns once the receiver has taken it.

        Raises:
            NotSentError: It was not taken.
        """


def load_adapter(name: str) -> Notifier:
    """A channel by its dotted name. Raises ``ValueError`` when there is none."""
    module, _, attribute = name.partition(":")
    try:
        made: Notifier = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        msg = f"NOTIFY_ADAPTERS: {name!r} is no `package.module:make`: {error}"
        raise ValueError(msg) from error
    return made
