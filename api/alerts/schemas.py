"""What an alert looks like from outside, and what one can ask for."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import Name, Number, PageQuery

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
    observed: Annotated[str, Field(examples=["146/92 mmHg"])]
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
        Explained | None, Field(description="null: an emergency not yet looked at by the judge")
    ]
    updated_at: datetime


class AlertPage(BaseModel):
    """One page, newest first."""

    items: list[AlertOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    feed_number: Annotated[int, Field(description="Pass as `after` to the stream")]
