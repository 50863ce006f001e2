"""What a case looks like from outside, and what one can ask for."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.cursors import Name, PageQuery

Condition = Literal["hypertension", "diabetes"]


class CaseQuery(PageQuery):
    """Filters of ``GET /v1/cases``; all that are given must hold."""

    team: Annotated[Name | None, Field(description="Team that has the resident now")] = None
    centre: Annotated[Name | None, Field(description="Centre of that team")] = None
    condition: Condition | None = None
    state: Annotated[Name | None, Field(examples=["second_followup_open"])] = None
    due_before: Annotated[
        date | None, Field(description="Something is due before this local day")
    ] = None
    overdue: Annotated[
        bool | None, Field(description="Whether the last day to do something has passed")
    ] = None


class CaseOut(BaseModel):
    """The present state of one resident's condition. Days are local (Asia/Shanghai)."""

    number: int
    resident_id: Annotated[str, Field(description="Pseudonym")]
    team_id: str | None
    centre_id: str | None
    condition: Condition
    state: str
    consecutive_unsatisfied: int
    second_followup_due: date | None
    referral_followup_due: date | None
    next_routine_due: date | None
    due: Annotated[date | None, Field(description="The earliest of the three; last day, inclusive")]
    overdue: Annotated[bool, Field(description="That day has passed")]
    anchor_id: Annotated[UUID | None, Field(description="What last moved the case")]
    anchor_kind: Literal["reading", "record", "resident"] | None
    anchor_reading_id: Annotated[UUID | None, Field(description="`anchor_id`, if a reading")]
    cause: Annotated[str | None, Field(examples=["first_unsatisfied"])]
    profile: str
    profile_version: str
    updated_at: datetime


class CasePage(BaseModel):
    """One page, in the order in which cases were opened."""

    items: list[CaseOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    feed_number: Annotated[int, Field(description="Pass as `after` to the stream")]
