"""What can be asked of an export, and its report of completeness."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import Name
from api.instants import Day


class SpanQuery(BaseModel):
    """Which visits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Annotated[Day, Field(alias="from", description="First local day")]
    until: Annotated[Day, Field(alias="to", description="Last local day, inclusive")]
    team: Annotated[Name | None, Field(description="Team that has the resident now")] = None


class ExportQuery(SpanQuery):
    """Which visits, and how."""

    format: Literal["csv", "json"] = "csv"


class FieldCount(BaseModel):
    """One field of the form."""

    field: str
    filled: int
    missing: int


class TeamCompleteness(BaseModel):
    """One team's visits."""

    team_id: str | None
    visits: int
    fields: list[FieldCount]


class Completeness(BaseModel):
    """Per team, the fields that the form asks for; what is often empty by right is left out."""

    teams: list[TeamCompleteness]
