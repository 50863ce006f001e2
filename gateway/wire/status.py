"""What a gateway says of itself, retained on ``…/status``: at connect, on news, now and then.

The last will is the same message with ``online`` false and nothing else, so everything else may
be absent. No personal data: devices, counts and times, never a resident, a value or a card.
Unknown fields are ignored: a newer gateway may say more.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PlainSerializer,
    TypeAdapter,
)

from gateway.wire.times import format_instant

STATUS_VERSION: Final = 1
RESULTS_MAX: Final = 16  # Of commands, the latest.
_TEXT_MAX: Final = 200

Instant: TypeAlias = Annotated[AwareDatetime, PlainSerializer(format_instant, when_used="json")]
Text: TypeAlias = Annotated[str, Field(max_length=_TEXT_MAX)]
Code: TypeAlias = Annotated[str, Field(max_length=64)]  # Stable; a newer gateway may know more.


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class SpoolStatus(_Part):
    """Readings on the box without a receipt."""

    rows: NonNegativeInt
    bytes: NonNegativeInt
    rows_max: NonNegativeInt
    bytes_max: NonNegativeInt
    oldest_captured_at: Instant | None = None
    oldest_age_s: NonNegativeInt | None = None


class ClockStatus(_Part):
    """The gateway's sense of time."""

    known: bool  # Readings are stamped with it.
    synchronised: bool  # The kernel's word, or the operator's, at the last look.
    error_ms: NonNegativeInt | None = None  # Upper bound; None: nobody knows.
    offset_ms: int | None = None  # The machine's clock minus the time that stamps are given.


class DeviceStatus(_Part):
    """One device as it was last seen. None: never told."""

    id: Annotated[str, Field(max_length=64)]
    name: Text = ""
    last_seen: Instant | None = None
    battery_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    clock_offset_s: int | None = None  # The device's clock minus the gateway's.
    calibration_due: date | None = None  # The last day on which it is valid.


class CommandResult(_Part):
    """What became of one command, by its id."""

    id: UUID
    command: Code
    outcome: Literal["done", "refused", "failed"]
    code: Code = ""  # Why it was refused or failed.
    detail: Text = ""  # For a person.
    figures: dict[str, int] = Field(default_factory=dict)
    finished_at: Instant


class Status(_Part):
    """All of it."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    online: bool
    at: Instant | None = None  # When this was written; the gateway's clock.
    version: Code | None = None
    started_at: Instant | None = None
    uptime_s: NonNegativeInt | None = None  # Monotonic: no step of a clock changes it.
    refusing: Code | None = None  # Terminals are told busy, with this code.
    problems: list[Code] = Field(default_factory=list)  # What an operator should look at.
    spool: SpoolStatus | None = None
    clock: ClockStatus | None = None
    certificate_until: Instant | None = None  # Of an enrolled gateway.
    counters: dict[str, NonNegativeInt] = Field(default_factory=dict)  # Since the spool was made.
    devices: list[DeviceStatus] = Field(default_factory=list)
    devices_unlisted: NonNegativeInt = 0  # Sightings under an id that is not listed.
    commands: Annotated[list[CommandResult], Field(max_length=RESULTS_MAX)] = Field(
        default_factory=list  # Oldest first.
    )


def write_status(status: Status) -> bytes:
    """The message. What was never told is left out."""
    return status.model_dump_json(by_alias=True, exclude_none=True).encode()


_STATUS: TypeAdapter[Status] = TypeAdapter(Status)


def parse_status(payload: bytes) -> Status:
    """Decode a status. ``pydantic.ValidationError`` when it is none."""
    return _STATUS.validate_json(payload)


def status_json_schema() -> dict[str, Any]:
    """The JSON Schema published as ``gateway/wire/schema/v1/status.schema.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_STATUS.json_schema(),
    }


def as_instant(at: datetime) -> datetime:
    """Cut to the millisecond that the wire carries."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
