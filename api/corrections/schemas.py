"""What somebody may say of a reading, and how a reading looks with all that was said of it.

A value is an integer or a text here, never a JSON number with a point: it would pass through a
binary fraction on its way. A value comes with its unit, and both pressures come together, so that
nothing is read in a unit that was meant for something else.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from api.corrections import examples
from api.cursors import Name, PageQuery
from api.instants import Instant
from api.readings.schemas import Exact, Kind, MeasuredOut
from gateway.wire.readings import MealContext, StatusFlag
from ingest.db.amendments import Changes
from ingest.db.entities import ExternalId

PRESSURE_FIELDS: Final = frozenset({"systolic", "diastolic", "arm", "setting"})
GLUCOSE_FIELDS: Final = frozenset({"glucose", "meal_context"})
PRESSURE_UNITS: Final = frozenset({"mmHg", "kPa"})
Unit = Literal["mmHg", "kPa", "mmol/L", "mg/dL", "mol/L", "kg/L"]


def _require_exact(value: object) -> object:
    if isinstance(value, float):
        msg = 'write it as a text, like "7.4": a JSON number with a point loses digits'
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns only these into a problem
    return value


def _require_text(text: str) -> str:
    if not text.strip() or "\x00" in text:
        msg = "must say something, without NUL characters"
        raise ValueError(msg)
    return text


Value = Annotated[
    Decimal,
    BeforeValidator(_require_exact),
    Field(ge=0, le=1_000_000, decimal_places=7),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{1,7}(\.\d{1,7})?$"},
                {"type": "integer", "minimum": 0, "maximum": 1_000_000},
            ]
        }
    ),
]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500),
    AfterValidator(_require_text),
    Field(description="For whoever reads the record later. No names, no ID numbers"),
]


class Word(BaseModel):
    """Base of all bodies. An unknown field is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason


class CorrectionIn(Word):
    """What a reading should have said. A field that is left out, or null, stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CORRECTION]})

    id: Annotated[
        UUID, Field(description="Of this correction, chosen by you: the same again is a retry")
    ]
    systolic: Annotated[Value | None, Field(description="With `diastolic` and `unit`")] = None
    diastolic: Annotated[Value | None, Field(description="With `systolic` and `unit`")] = None
    glucose: Annotated[Value | None, Field(description="With `unit`")] = None
    unit: Annotated[Unit | None, Field(description="Alone: the numbers were in this unit")] = None
    meal_context: MealContext | None = None
    arm: Literal["left", "right"] | None = None
    setting: Literal["office", "home", "ambulatory"] | None = None
    status: Annotated[tuple[StatusFlag, ...] | None, Field(max_length=16)] = None
    measured_at: Annotated[Instant | None, Field(description="When it was really taken")] = None
    resident_id: Annotated[
        ExternalId | None, Field(description="Whose it really is; both are judged again")
    ] = None

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if not self.changes().as_json():
            msg = "id: a correction changes something; to take a reading out, retract it"
            raise ValueError(msg)
        if (self.systolic is None) != (self.diastolic is None):
            lacking = "systolic" if self.systolic is None else "diastolic"
            msg = f"{lacking}: both pressures come together"
            raise ValueError(msg)
        valued = self.systolic is not None or self.glucose is not None
        if valued and self.unit is None:
            msg = "unit: a value comes with its unit"
            raise ValueError(msg)
        if self.measured_at is not None and self.measured_at.tzinfo is None:
            msg = "measured_at: a time comes with its offset, like 2026-03-02T09:00:00+08:00"
            raise ValueError(msg)
        return self

    def changes(self) -> Changes:
        """As ``ingest.db`` takes it."""
        return Changes(**{name: getattr(self, name) for name in Changes.__slots__})


class RetractionIn(Word):
    """That a reading is none."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RETRACTION]})

    id: Annotated[
        UUID, Field(description="Of this retraction, chosen by you: the same again is a retry")
    ]


class UndoIn(Word):
    """That something was said of a reading by mistake."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.UNDO]})


class ClaimIn(Word):
    """Whose an unclaimed reading is."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLAIM]})

    resident_id: ExternalId


class ReportedOut(MeasuredOut):
    """A reading as it came."""

    resident_id: Annotated[str | None, Field(description="For whom it came; null: unclaimed")]


class StandingOut(BaseModel):
    """What a reading says now. ``unit`` is that of the numbers here."""

    resident_id: Annotated[str | None, Field(description="Whose it is now")]
    retracted: bool
    systolic: Exact | None
    diastolic: Exact | None
    glucose: Exact | None
    unit: str | None
    meal_context: str | None
    arm: str | None
    setting: str
    status: list[str]
    measured_at: datetime | None


class AmendmentOut(BaseModel):
    """One thing that was said of a reading. It stays for ever."""

    id: UUID
    kind: Literal["correction", "retraction", "undo"]
    changes: Annotated[dict[str, Any], Field(description="Numbers as exact text")]
    reason: str | None
    author: Annotated[str, Field(description="A subject")]
    received_at: datetime
    undoes: Annotated[UUID | None, Field(description="Which one an undo takes back")]
    undone: Annotated[bool, Field(description="It was taken back and counts no more")]


class ReadingVersions(BaseModel):
    """A reading as it came, as it stands, and all that was said in between, the oldest first."""

    reported: ReportedOut
    stands: StandingOut
    amendments: list[AmendmentOut]


class UnclaimedQuery(PageQuery):
    """Filters of ``GET /v1/readings/unclaimed``, on ``effective_at``."""

    centre: Annotated[Name | None, Field(description="Where it was taken")] = None
    since: Annotated[Instant | None, Field(alias="from", description="Inclusive")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Exclusive")] = None
    kind: Kind | None = None


class UnclaimedPage(BaseModel):
    """One page, in order of ``effective_at``."""

    items: list[MeasuredOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
