"""What an alert looks like from outside, and what one can ask for."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.alerts import examples
from api.cursors import Name, Number, PageQuery
from ingest.db.attention import Act, Reason, State

WAIT_S_MAX: Final = 60  # Shorter than the minute after which proxies commonly hang up.

Severity = Literal["info", "warn", "high", "critical"]
Status = Literal["active", "resolved", "cancelled"]
AnchorKind = Literal["reading", "record", "resident"]


class AlertQuery(PageQuery):
    """Filters of ``GET /v1/alerts``; all that are given must hold."""

    team: Annotated[Name | None, Field(description="Team that has the resident now")] = None
    centre: Annotated[Name | None, Field(description="Centre of the alert")] = None
    status: Literal["active", "resolved", "cancelled", "all"] = "active"
    severity: Severity | None = None
    code: Annotated[Name | None, Field(examples=["BP_EMERGENCY"])] = None
    resident: Annotated[Name | None, Field(description="Pseudonym")] = None
    attention: Annotated[State | None, Field(description="Whether somebody has it")] = None
    view: Annotated[
        Literal["alerts", "cases"],
        Field(description="`cases`: one item a case, the active alert that leads it"),
    ] = "alerts"
    after: Annotated[
        Number | None,
        Field(description="A `feed_number`: only cases with news since, one item each"),
    ] = None
    wait_s: Annotated[
        int, Field(ge=0, le=WAIT_S_MAX, description="With `after`: wait so long for news")
    ] = 0

    @model_validator(mode="after")
    def _waits_for_news_or_pages(self) -> Self:
        if self.after is None and self.wait_s:
            msg = "wait_s: give `after` too, the `feed_number` of the page before"
            raise ValueError(msg)
        if self.after is not None and self.cursor is not None:
            msg = "cursor: news are not paged; pass `feed_number` back as `after`"
            raise ValueError(msg)
        if self.view == "cases" and self.status != "active":
            msg = "view: cases are led by active alerts; leave `status` out"
            raise ValueError(msg)
        return self


class StreamQuery(BaseModel):
    """Filters of ``GET /v1/alerts/stream``; ``Last-Event-ID`` wins over ``after``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Number | None = None
    team: Name | None = None
    centre: Name | None = None


class Explained(BaseModel):
    """Why there is an alert: facts, and a sentence in both languages."""

    zh: str
    en: str
    record: Annotated[dict[str, Any], Field(description="Readings, mean, limit, what would change")]


class AcknowledgementIn(BaseModel):
    """Somebody has seen the alert and does something about it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.ACKNOWLEDGEMENT]}
    )

    reason: Annotated[Reason, Field(description="What is done about it; `other` needs a note")]
    note: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    seen_escalation: Annotated[
        int | None,
        Field(strict=True, ge=0, description="What was shown; `412` if it is worse by now"),
    ] = None

    @model_validator(mode="after")
    def _says_what_other_means(self) -> Self:
        if self.reason == "other" and self.note is None:
            msg = "note: say what is done, when none of the reasons fits"
            raise ValueError(msg)
        return self


class SnoozeIn(BaseModel):
    """Put aside until then."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.SNOOZE]}
    )

    until: Annotated[AwareDatetime, Field(description="It comes back by itself then")]


class Acknowledgement(BaseModel):
    """Who has it."""

    at: datetime
    by: Annotated[str, Field(description="A subject")]
    reason: Reason
    note: Annotated[str | None, Field(description="null, too, for who sees no measured values")]


class Snooze(BaseModel):
    """Until when it is put aside, and by whom."""

    at: datetime
    by: Annotated[str, Field(description="A subject")]
    until: datetime


class Item(BaseModel):
    """The case that an alert belongs to: what a list shows once."""

    id: Annotated[UUID, Field(description="Stable; of an unclaimed alert its own id")]
    alerts: Annotated[int, Field(description="How many are active")]
    severity: Annotated[Severity | None, Field(description="Of the worst active one")]
    attention: Annotated[State, Field(description="`open` if any of them is")]


class AttentionOut(BaseModel):
    """What people have done about an alert, as it stands."""

    alert_id: UUID
    attention: State
    acknowledgement: Acknowledgement | None
    snooze: Snooze | None


class HistoryEntry(BaseModel):
    """One act."""

    number: int
    what: Act
    at: datetime
    author: Annotated[str, Field(description="A subject; `judge`, `notify`: by itself")]
    reason: Reason | None
    note: str | None
    until: datetime | None


class AlertHistory(BaseModel):
    """Who did what about an alert, in order."""

    items: list[HistoryEntry]


class AlertOut(BaseModel):
    """One alert: what was seen, against which limit, by whose rule."""

    id: UUID
    number: int
    resident_id: Annotated[str | None, Field(description="Pseudonym; null: unclaimed")]
    team_id: str | None
    centre_id: Annotated[str | None, Field(description="null: no reading and no team say where")]
    condition: str
    code: str
    severity: Severity
    status: Status
    observed: Annotated[
        str,
        Field(
            examples=["146/92 mmHg"],
            description="`(not shown)` for who sees no measured values",
        ),
    ]
    threshold: Annotated[str, Field(examples=["> 140/90 mmHg"])]
    source: Annotated[str, Field(description="Document and section of the threshold")]
    profile: str
    profile_version: str
    anchor_id: Annotated[UUID, Field(description="What the alert rests on")]
    anchor_kind: AnchorKind
    anchor_reading_id: Annotated[UUID | None, Field(description="`anchor_id`, if a reading")]
    effective_at: Annotated[datetime, Field(description="Of the anchor")]
    raised_at: datetime
    raised_by: Literal["ingest", "judge"]
    due: Annotated[date | None, Field(description="Last day, inclusive, Asia/Shanghai")]
    overdue_days: int
    escalation: int
    page: Annotated[bool, Field(description="Someone must be called, not only shown")]
    late: bool
    explanation: Annotated[
        Explained | None,
        Field(
            description="null: an emergency not yet looked at by the judge, or for who sees no"
            " measured values"
        ),
    ]
    updated_at: datetime
    attention: State
    untold_since: Annotated[
        datetime | None,
        Field(description="Since when it pages and nobody could be told; null: somebody was"),
    ]
    acknowledgement: Acknowledgement | None
    snooze: Snooze | None
    item: Item


class AlertPage(BaseModel):
    """One page, newest first."""

    items: list[AlertOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    feed_number: Annotated[int, Field(description="Pass as `after`, here or to the stream")]
