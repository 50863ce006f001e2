"""What the audit log looks like from outside, and what one can ask for."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.cursors import Name, PageQuery
from api.instants import Instant


class AuditQuery(PageQuery):
    """Filters of ``GET /v1/audit``; all that are given must hold."""

    subject: Annotated[Name | None, Field(description="Who")] = None
    resident: Annotated[Name | None, Field(description="Whom: a pseudonym")] = None
    since: Instant | None = None
    until: Instant | None = None


class AuditOut(BaseModel):
    """One entry."""

    id: int
    at: datetime
    subject: Annotated[str, Field(examples=["client:contracts-ningbo"])]
    action: Annotated[str, Field(examples=["read"])]
    object: Annotated[str, Field(description="Operation that read, or table that was changed")]
    residents: Annotated[list[str], Field(description="Pseudonyms; erased ones cannot be named")]
    residents_count: Annotated[int, Field(description="Erased ones included")]
    things: Annotated[list[str], Field(description="Ids of what is no resident")]
    seal: Annotated[int | None, Field(description="null: not sealed yet")]


class AuditPage(BaseModel):
    """One page, newest first."""

    items: list[AuditOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
