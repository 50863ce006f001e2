"""What a batch holds: readings, and late contexts of readings. ``parse_item`` is the only door.

A meter sends the meal context of a glucose value as a record of its own, after the value or
without it. The context names the value by device and sequence number, never by an id, for the
gateway may have given that long ago. It has an id of its own and one disposition, as a reading
has, so that the conservation law counts it. Which value it belongs to is ingest's to find out.

Source: Bluetooth Glucose Service 1.0.1, Glucose Measurement Context (0x2A34).
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.wire.readings import (
    BloodPressure,
    Glucose,
    Identifier,
    Instant,
    MealContext,
    Text,
    parse_json,
    to_wire_error,
)


class GlucoseContext(BaseModel):
    """What a meter says later of one of its values. Unknown fields are kept, and ignored.

    ``unknown`` says nothing (a record about a meal's carbohydrates alone, say): it is stored, and
    changes nothing.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)

    id: Identifier
    kind: Literal["glucose_context"]
    device_id: Text
    device_sequence: Annotated[int, Field(ge=0, lt=2**63)]  # Of the value that it is about.
    boot_id: Text | None = None
    resident_id: Text | None = None  # Where given, it must be that of the value, if that has one.
    captured_at: Instant  # Gateway clock.
    clock_synchronised: bool = False
    meal_context: MealContext


Item: TypeAlias = BloodPressure | Glucose | GlucoseContext
_ADAPTER: TypeAdapter[Item] = TypeAdapter(Annotated[Item, Field(discriminator="kind")])


def parse_item(raw: bytes) -> Item:
    """Turn the bytes of one item of a batch into what it is.

    Raises:
        WireError: The bytes are nothing that can be judged; says the reason and the field.
    """
    return validate_item(parse_json(raw))


def validate_item(fields: object) -> Item:
    """Validate one item whose numbers are ``int`` or ``Decimal``. Raises ``WireError``."""
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        raise to_wire_error(error.errors(include_url=False), fields) from error


def item_json_schema() -> dict[str, Any]:
    """The JSON Schema of one item, as published in ``gateway/wire/schema``."""
    return _ADAPTER.json_schema()
