"""What one says to merge two residents, and how a merge looks."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.corrections.examples import RESIDENT_ID
from api.corrections.schemas import Word
from ingest.db.entities import ExternalId
from ingest.db.merges import MergeRow

EXAMPLE: Final[dict[str, Any]] = {
    "into": RESIDENT_ID,
    "reason": "registered twice: once from the card, once from the old health record",
}
MERGED: Final[dict[str, Any]] = {
    "resident_id": "r-0c9d2b7e4a5f46d8b1e37a90c5f2d614",
    "into": RESIDENT_ID,
    "reason": EXAMPLE["reason"],
    "author": "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f",
    "merged_at": "2026-03-02T01:20:00Z",
}


class MergeIn(Word):
    """Whom a resident really is."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    into: Annotated[ExternalId, Field(description="Pseudonym that stays")]


class MergeOut(BaseModel):
    """A merge that holds."""

    resident_id: Annotated[str, Field(description="Who is no person of their own meanwhile")]
    into: str
    reason: str
    author: str
    merged_at: datetime

    @classmethod
    def of(cls, row: MergeRow) -> "MergeOut":
        """As it is stored."""
        return cls(
            resident_id=row.resident_id,
            into=row.into_id,
            reason=row.reason,
            author=row.author,
            merged_at=row.merged_at,
        )
