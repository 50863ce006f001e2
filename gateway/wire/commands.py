"""Commands downward on ``…/commands``: small, safe to repeat, each answered in the status.

The answer travels in the status message's ``commands`` (ADR 0019). A command is known by its
id: the same id again is answered with the same result and not carried out again. After
``expires_at`` it is refused. None of them can lose, change or invent a reading.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gateway.wire.status import Instant

COMMAND_BYTES_MAX: Final = 65_536
IDS_MAX: Final = 500  # In one command: as many as a batch has readings.


class CommandName(StrEnum):
    """What a gateway can be told to do."""

    REPORT_STATUS = "report_status"
    SYNC_TIME = "sync_time"
    RESEND = "resend"
    ROTATE_LOG = "rotate_log"


class CommandRefusal(StrEnum):
    """Why a command was not carried out. Stable."""

    UNKNOWN_COMMAND = "unknown_command"
    UNKNOWN_SCHEMA = "unknown_schema"
    WRONG_ARGUMENTS = "wrong_arguments"
    EXPIRED = "expired"
    BUSY = "busy"
    NOT_IN_SPOOL = "not_in_spool"
    NO_LOG_FILE = "no_log_file"
    OUT_OF_ORDER = "out_of_order"  # It was tried, and the box could not.


class Command(BaseModel):
    """One command. The name is a text, so that an unknown one can be refused by its id."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_version: int = Field(default=1, alias="schema")
    id: UUID
    command: Annotated[str, Field(min_length=1, max_length=64)]
    issued_at: Instant
    expires_at: Instant
    arguments: dict[str, Any] = Field(default_factory=dict)


class ResendArguments(BaseModel):
    """Which batches to send again now: those that hold any of this. None given: all that wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batches: Annotated[list[UUID], Field(max_length=IDS_MAX)] = Field(default_factory=list)
    readings: Annotated[list[UUID], Field(max_length=IDS_MAX)] = Field(default_factory=list)
    captured_from: Instant | None = None  # Inclusive, the gateway's clock.
    captured_to: Instant | None = None  # Inclusive.


class NoArguments(BaseModel):
    """A command that takes none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ARGUMENTS: Final[dict[CommandName, type[BaseModel]]] = {
    CommandName.REPORT_STATUS: NoArguments,
    CommandName.SYNC_TIME: NoArguments,
    CommandName.RESEND: ResendArguments,
    CommandName.ROTATE_LOG: NoArguments,
}

_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def parse_command(payload: bytes) -> Command:
    """Decode a command. ``pydantic.ValidationError`` when it is none."""
    return _COMMAND.validate_json(payload)


def write_command(command: Command) -> bytes:
    """The message."""
    return command.model_dump_json(by_alias=True).encode()


class _Published(Command):
    """As published: with the names that v1 knows and the arguments of each."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    command: CommandName
    arguments: ResendArguments | NoArguments = NoArguments()  # type: ignore[assignment]  # narrower


def command_json_schema() -> dict[str, Any]:
    """The JSON Schema published as ``gateway/wire/schema/v1/command.schema.json``."""
    schema = TypeAdapter(_Published).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Command",
    }
