"""What a case looks like from outside, and what one can ask for."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import Name, PageQuery
from api.instants import Day

Condition = Literal["hypertension", "diabetes"]
Severity = Literal["info", "warn", "high", "critical"]
Sort = Literal["number", "due", "risk"]
Team = Annotated[Name | None, Field(description="Team that has the resident now")]
Centre = Annotated[Name | None, Field(description="Centre of that team")]


class CountQuery(BaseModel):
    """Whose cases are counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Team = None
    centre: Centre = None


class CaseFilters(CountQuery):
    """Which cases; all that are given must hold."""

    condition: Condition | None = None
    state: Annotated[Name | None, Field(examples=["second_followup_open"])] = None
    severity: Annotated[
        Severity | None, Field(description="Of state and open alerts the worst")
    ] = None
    resident: Annotated[Name | None, Field(description="Pseudonym")] = None
    due_before: Annotated[
        Day | None, Field(description="Something is due before this local day")
    ] = None
    due_after: Annotated[
        Day | None, Field(description="The earliest thing due is due after this local day")
    ] = None
    overdue: Annotated[
        bool | None, Field(description="Whether the last day to do something has passed")
    ] = None
    waiting_for_referral: Annotated[
        bool | None, Field(description="Whether a referral is open")
    ] = None


class CaseQuery(CaseFilters, PageQuery):
    """Filters and order of ``GET /v1/cases``."""

    sort: Annotated[
        Sort,
        Field(
            description="`number`: as opened. `due`: the earliest day first. `risk`: the worst"
            " severity first, then the earliest day. Ties by number; what has no day comes last"
        ),
    ] = "number"


class CaseOut(BaseModel):
    """The present state of one resident's condition. Days are local (Asia/Shanghai)."""

    number: int
    resident_id: Annotated[str, Field(description="Pseudonym")]
    team_id: str | None
    centre_id: str | None
    condition: Condition
    state: str
    severity: Annotated[
        Severity | None,
        Field(description="Of what the state means and of its open alerts the worst; null: quiet"),
    ]
    consecutive_unsatisfied: int
    second_followup_due: date | None
    referral_followup_due: date | None
    next_routine_due: date | None
    due: Annotated[date | None, Field(description="The earliest of the three; last day, inclusive")]
    overdue: Annotated[bool, Field(description="That day has passed")]
    waiting_for_referral: Annotated[bool, Field(description="A referral is open")]
    anchor_id: Annotated[UUID | None, Field(description="What last moved the case")]
    anchor_kind: Literal["reading", "record", "resident"] | None
    anchor_reading_id: Annotated[UUID | None, Field(description="`anchor_id`, if a reading")]
    cause: Annotated[str | None, Field(examples=["first_unsatisfied"])]
    profile: str
    profile_version: str
    updated_at: datetime


class CasePage(BaseModel):
    """One page, in the order asked."""

    items: list[CaseOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    feed_number: Annotated[int, Field(description="Pass as `after` to the stream")]


class CaseCounts(BaseModel):
    """How many cases there are of each sort; one case can be in several."""

    today: Annotated[date, Field(description="The local day that was counted for")]
    overdue: int
    due_today: int
    due_this_week: Annotated[int, Field(description="From today to Sunday, inclusive")]
    waiting_for_referral: int
    critical: Annotated[int, Field(description="By severity; an overdue case is in here, too")]
    high: int
    warn: int
    info: int


class TransitionOut(BaseModel):
    """One change of a case, as it was told then; nothing is rewritten."""

    number: int
    from_state: str
    to_state: str
    at: Annotated[datetime, Field(description="When it was judged")]
    author: Annotated[str, Field(description="`judge`, or whose word it is")]
    cause: str | None
    anchor_id: UUID | None
    anchor_kind: Literal["reading", "record", "resident"] | None
    threshold: Annotated[str | None, Field(examples=["> 140/90 mmHg"])]
    input_ids: Annotated[list[UUID], Field(description="Readings that decided")]
    profile: str
    profile_version: str
    explanation: Annotated[
        dict[str, Any] | None,
        Field(description="`record`: the facts; `zh` and `en`: the same in a sentence"),
    ]


class TransitionPage(BaseModel):
    """Changes, the newest first."""

    items: list[TransitionOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]


class CaseDetail(CaseOut):
    """One case and how it came to its state."""

    explanation: Annotated[
        dict[str, Any] | None,
        Field(description="Of the last change; null for who sees no measured values"),
    ]
    transitions: Annotated[
        list[TransitionOut],
        Field(description="The last 20 changes, the newest first; all: `…/transitions`"),
    ]
