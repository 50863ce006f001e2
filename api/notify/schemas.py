"""Contacts of staff, hours of places, and who was told about an alert, from outside."""

import re
from datetime import datetime, time
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from api.notify import examples
from api.notify.ladder import Rung

Email = Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;\"]+@[^\s@<>,;\"]+$")]
Phone = Annotated[str, Field(max_length=20, pattern=r"^\+?[0-9][0-9 -]{4,18}$")]
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"


def _require_local(value: object) -> object:
    """A text must be a time of day as clocks on walls show it; rows hold times already."""
    if not isinstance(value, time) and not (isinstance(value, str) and re.fullmatch(_CLOCK, value)):
        msg = "times are local and have no offset; write 18:00"
        raise ValueError(msg)
    return value


# RFC 3339 has no time without an offset, so `format: time` would ask for what is refused.
Clock = Annotated[
    time,
    BeforeValidator(_require_local),
    WithJsonSchema({"type": "string", "pattern": _CLOCK, "description": "Local, Asia/Shanghai"}),
]


class ContactIn(BaseModel):
    """How somebody who works here is told about alerts, and as what."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.CONTACT]}
    )

    email: Email | None = None
    phone: Annotated[Phone | None, Field(description="For an adapter that sends SMS")] = None
    duties: Annotated[
        list[Rung],
        Field(
            max_length=3, description="`doctor`, `team_leader`: of the teams one is in; `centre`"
        ),
    ]


class ContactOut(ContactIn):
    """The same, with who wrote it when."""

    staff_id: str
    changed_at: datetime
    changed_by: str


class HoursIn(BaseModel):
    """When only critical alerts are told, and when shifts begin."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.HOURS]}
    )

    quiet_from: Clock
    quiet_until: Annotated[
        Clock, Field(description="Equal to `quiet_from`: there are no quiet hours")
    ]
    shifts: Annotated[list[Clock], Field(max_length=6, description="A digest for each")]


class HoursOut(HoursIn):
    """The same, with who wrote it when."""

    changed_at: datetime
    changed_by: str


class Attempt(BaseModel):
    """One attempt to send a message."""

    number: int
    begun_at: datetime
    ended_at: Annotated[datetime | None, Field(description="null: under way, or cut off")]
    problem: Annotated[str | None, Field(description="null: it was taken")]


class NotificationOut(BaseModel):
    """That somebody was to be told, as what, at which step; by which channel, and the result."""

    round: Annotated[int, Field(description="Counts up when the alert opens again")]
    step: Annotated[int, Field(description="1 told, 2 reminded, 3 team leader, 4 centre")]
    rung: Rung
    at: datetime
    held: Annotated[bool, Field(description="It waited for the end of the quiet hours")]
    staff_id: Annotated[str | None, Field(description="null: nobody could be told")]
    channel: str | None
    message_id: UUID | None
    kind: Literal["page", "notice", "digest"] | None
    status: Literal["waiting", "sent", "failed", "dropped"] | None
    attempts: list[Attempt]


class Notifications(BaseModel):
    """Everybody who was to be told about one alert, in order."""

    items: list[NotificationOut]
