"""What a closed period looks like from outside."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import Name, PageQuery
from api.indicators.periods import PeriodName
from api.indicators.schemas import DefinitionOut, PeriodOut


class ClosingIn(BaseModel):
    """Whose figures are closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre_ids: Annotated[
        list[Name] | None,
        Field(description="null: of every centre that you may close", min_length=1, max_length=500),
    ] = None


class ClosingOut(BaseModel):
    """Who closed the figures of a centre, and when."""

    centre_id: str
    period: str
    author: str
    closed_at: datetime


class ClosingsOut(BaseModel):
    """The closings of one period."""

    items: list[ClosingOut]


class ClosingsQuery(PageQuery):
    """Filters of the list of closings."""

    period: PeriodName | None = None
    centre: Name | None = None


class ClosingPage(BaseModel):
    """One page, in order of period and centre."""

    items: list[ClosingOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]


class ClosedQuery(BaseModel):
    """Filters of a closed period's figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: Annotated[Name | None, Field(description="Residents of teams of this centre")] = None
    team: Annotated[Name | None, Field(description="Residents of this team, as it was")] = None


class Side(BaseModel):
    """A figure at one of the two times."""

    version: Annotated[int, Field(description="Of the formula")]
    numerator: int
    denominator: int | None
    percent: Annotated[str | None, Field(description="null, not 0 %, over 0")]


class ClosedFigure(BaseModel):
    """A figure as it was closed, and as it would be computed now."""

    centre_id: str
    team_id: str
    closed: Side
    present: Annotated[
        Side | None, Field(description="null: there is no such team or indicator any more")
    ]
    numerator_change: Annotated[int | None, Field(description="Present less closed")]
    denominator_change: int | None


class ClosedIndicator(BaseModel):
    """One indicator of a closed period; its definition as it is now, null if it is no more."""

    code: str
    definition: DefinitionOut | None
    figures: list[ClosedFigure]


class ClosedOut(BaseModel):
    """A closed period: nothing of `closed` ever changes."""

    period: PeriodOut
    closings: list[ClosingOut]
    compared_at: Annotated[datetime, Field(description="Of what stands under `present`")]
    items: list[ClosedIndicator]
