"""What figures look like from outside, and what one can ask for."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import Name, PageQuery
from api.indicators.periods import PeriodName, Span
from api.indicators.shown import SHOWN, Shown

By = Literal["team", "centre", "city"]


class FiguresQuery(BaseModel):
    """Filters of ``GET /v1/indicators``; a parameter it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: PeriodName
    by: Annotated[By, Field(description="One figure for each of these; `city` is all you see")] = (
        "team"
    )
    code: Annotated[
        Name | None, Field(description="One indicator, or all that begin so: `signing.`")
    ] = None
    team: Annotated[Name | None, Field(description="Residents of this team")] = None
    centre: Annotated[Name | None, Field(description="Residents of teams of this centre")] = None


class PeriodOut(BaseModel):
    """Which days were counted."""

    name: str
    first: date
    last: Annotated[date, Field(description="Inclusive")]
    known_until: Annotated[date, Field(description="The last of its days that has begun")]

    @classmethod
    def of(cls, span: Span, today: date) -> Self:
        """A period as seen today."""
        known = span.known_until(today)
        return cls(name=span.name, first=span.first, last=span.last, known_until=known)


class Figure(BaseModel):
    """One number, with what it was made of."""

    centre_id: str | None
    team_id: str | None
    numerator: int
    denominator: Annotated[
        int | None, Field(description="null: an estimate that nobody has given")
    ] = None
    ratio: Annotated[
        str | None,
        Field(description="To 4 places, rounded half up; null, not 0, over 0", examples=["0.7262"]),
    ]
    percent: Annotated[str | None, Field(description="null, not 0 %, over 0", examples=["72.62%"])]


class DefinitionOut(BaseModel):
    """What an indicator means. A changed formula has a higher version."""

    code: str
    version: int
    title_zh: str
    title_en: str
    formula: str
    source: str
    unit: Literal["persons", "follow_ups", "per_place"]
    people: Annotated[str, Field(description="Whom it is about: `managed`, `owed`, a key group")]

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """Of one indicator."""
        return cls.model_validate(shown, from_attributes=True)


class IndicatorOut(DefinitionOut):
    """An indicator with its figures."""

    figures: list[Figure]


class FiguresOut(BaseModel):
    """Indicators over a period, as computed at one moment."""

    period: PeriodOut
    by: By
    computed_at: Annotated[datetime, Field(description="Up to some seconds ago; not asked anew")]
    items: list[IndicatorOut]


class PeopleQuery(PageQuery):
    """Filters of the persons behind a figure."""

    period: PeriodName
    side: Annotated[
        Literal["denominator", "numerator", "rest"],
        Field(description="All of them; those who count; or those who do not, or not wholly"),
    ] = "denominator"
    team: Annotated[Name | None, Field(description="Residents of this team")] = None
    centre: Annotated[Name | None, Field(description="Residents of teams of this centre")] = None


class PersonOut(BaseModel):
    """How much one resident counts in a figure: 0 or 1, or that many follow-ups."""

    resident_id: Annotated[str, Field(description="Pseudonym")]
    team_id: str | None
    numerator: int
    denominator: int


class PeoplePage(BaseModel):
    """One page, in order of pseudonym."""

    definition: DefinitionOut
    period: PeriodOut
    items: list[PersonOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]


def matching(code: str | None) -> list[Shown]:
    """Indicators of this code, or whose code begins so; none if there is no such."""
    if code is None:
        return [*SHOWN.values()]
    return [shown for name, shown in SHOWN.items() if name == code or name.startswith(code)]
