"""Receipts downward: ingest's word, after COMMIT, of what became of each batch.

The gateway forgets a reading on its receipt and on nothing else; a PUBACK only says that
the broker has seen it. A batch whose readings were all known gets a receipt too.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)


class Refused(BaseModel):
    """One reading that went to quarantine. ``id`` is None when it could not be read."""

    model_config = ConfigDict(frozen=True)

    id: UUID | None
    reason: Annotated[str, Field(max_length=64)]  # A ``Reason``; a newer ingest may know more.


class Prompted(BaseModel):
    """Words for the display of the terminal where one reading was taken just now.

    They hold no value and no name: whoever stands there may read them.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID  # Of the reading.
    code: Annotated[str, Field(max_length=64)]  # A newer ingest may know more.
    text: Annotated[str, Field(max_length=200)]  # In the language of the place.


class Receipt(BaseModel):
    """What became of one batch: ``stored + duplicate + len(quarantined)`` is its size.

    A reading that was already stored under the same id counts as ``stored`` here: for the
    gateway it is safe, whichever delivery did it.
    """

    model_config = ConfigDict(frozen=True)

    batch: UUID
    stored: NonNegativeInt
    duplicate: NonNegativeInt
    quarantined: list[Refused] = Field(default_factory=list)
    prompts: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list)  # Not used.
    prompted: list[Prompted] = Field(default_factory=list)  # Absent where there are none.

    @model_serializer(mode="wrap")
    def _leave_out_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if not self.prompted:
            fields.pop("prompted", None)
        return fields


class Receipts(BaseModel):
    """One message per gateway and commit."""

    model_config = ConfigDict(frozen=True)

    receipts: list[Receipt]


_RECEIPTS: TypeAdapter[Receipts] = TypeAdapter(Receipts)


def parse_receipts(payload: bytes) -> Receipts:
    """Decode a receipt message. ``pydantic.ValidationError`` when it is none."""
    return _RECEIPTS.validate_json(payload)


def receipts_json_schema() -> dict[str, Any]:
    """The JSON Schema published as ``gateway/wire/schema/v1/receipts.schema.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_RECEIPTS.json_schema(),
    }
