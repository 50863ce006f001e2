"""A subscription as its owner writes and sees it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from api.cursors import Name, Number
from api.webhooks.addresses import URL_CHARACTERS_MAX
from ingest.db.outbox import EventKind

State = Literal["active", "retrying", "parked", "gone", "disabled"]


class WebhookIn(BaseModel):
    """The whole of a subscription."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=URL_CHARACTERS_MAX)]
    types: Annotated[
        list[EventKind] | None, Field(min_length=1, description="Only these; null: all")
    ] = None
    description: Annotated[str, Field(max_length=500, pattern="^[^\x00]*$")] = ""
    enabled: StrictBool = True


class SecretIn(BaseModel):
    """A rotation, under a name of yours, so that sending it twice is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name


class ReplayIn(BaseModel):
    """From where to tell again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[
        Number, Field(strict=True, description="Events with a higher number are told, in order")
    ]


class SecretOut(BaseModel):
    """That there is a secret; the secret itself is shown when it is made, and never again."""

    id: str
    made_at: datetime
    expires_at: Annotated[datetime | None, Field(description="null: the one in force")]


class WebhookOut(BaseModel):
    """A subscription and how it stands."""

    id: str
    url: str
    types: list[EventKind] | None
    description: str
    enabled: bool
    created_at: datetime
    changed_at: datetime
    state: Annotated[
        State,
        Field(
            description="`retrying`: the last attempt failed; `parked`: given up, `replay` "
            "goes on; `gone`: the receiver answered 410"
        ),
    ]
    after: Annotated[int, Field(description="Told up to this number of the feed")]
    head: Annotated[int, Field(description="The end of the feed")]
    failures: Annotated[int, Field(description="Since the last success")]
    failing_since: datetime | None
    next_attempt_at: datetime | None
    parked_at: datetime | None
    last_delivered_at: datetime | None
    last_problem: str | None
    secrets: list[SecretOut]
    secret: Annotated[
        str | None, Field(description="`whsec_…`, in the answer that made it and in no other")
    ] = None


class WebhookPage(BaseModel):
    """Your subscriptions, in order of id."""

    items: list[WebhookOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
