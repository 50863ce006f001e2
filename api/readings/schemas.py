"""What a reading looks like from outside: the device's own numbers, unit and scale."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, WithJsonSchema

from api.cursors import PageQuery
from api.instants import Instant

Kind = Literal["blood_pressure", "glucose"]
# In JSON a number with every digit that the device reported: 7.00 stays 7.00.
Exact = Annotated[Decimal, WithJsonSchema({"type": "number"})]


class ReadingQuery(PageQuery):
    """Filters of ``GET /v1/residents/{id}/readings``, on ``effective_at``.

    A plus sign in an address must be written ``%2B``; times in ``Z`` need no care.
    """

    since: Annotated[Instant | None, Field(alias="from", description="Inclusive")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Exclusive")] = None
    kind: Kind | None = None


class MeasuredOut(BaseModel):
    """What was measured, whoever it is of. Values are in ``unit``, as reported, never converted."""

    id: UUID
    kind: Kind
    centre_id: str
    gateway_id: str
    device_id: str
    device_sequence: int | None
    measured_at: Annotated[datetime | None, Field(description="Device clock")]
    captured_at: Annotated[datetime, Field(description="Gateway clock")]
    received_at: Annotated[datetime, Field(description="Server clock")]
    effective_at: Annotated[datetime, Field(description="Corrected; what rules use")]
    time_suspect: bool
    stored_record: bool
    setting: str
    status: list[str]
    systolic: Exact | None
    diastolic: Exact | None
    pulse: Annotated[Exact | None, Field(description="Beats a minute")]
    arm: str | None
    posture: str | None
    glucose: Exact | None
    meal_context: str | None
    sample: str | None
    unit: str | None


class ReadingOut(MeasuredOut):
    """One stored reading, as reported; of whom it is now."""

    resident_id: str


class ReadingPage(BaseModel):
    """One page, in order of ``effective_at``."""

    items: list[ReadingOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    retained_since: Annotated[
        datetime | None,
        Field(description="Older readings may have been let go; null: all are kept"),
    ]
