"""The envelope upward: ``{"schema": 1, "batch": …, "sent_at": …, "readings": [1..500]}``.

``readings`` holds late contexts of readings, too (``gateway.wire.items``).

Readings are spliced in as the bytes the spool froze, so a batch sent twice is the same
reading twice, byte for byte. A batch above a limit is never built.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from gateway.wire import limits
from gateway.wire.items import item_json_schema
from gateway.wire.times import format_instant

SCHEMA_VERSION: Final = 1
_ENVELOPE_BYTES: Final = 160  # More than the envelope's own text.


def fits(reading_bytes: int, *, batch_bytes: int, readings: int) -> bool:
    """Whether one more reading may join a batch of that many bytes and readings."""
    return (
        readings < limits.READINGS_PER_BATCH_MAX
        and batch_bytes + reading_bytes + 1 + _ENVELOPE_BYTES <= limits.BATCH_BYTES_MAX
    )


def build_batch(batch: UUID, sent_at: datetime, readings: Sequence[bytes]) -> bytes:
    """Write one batch.

    Raises:
        ValueError: No reading, more than 500, or more bytes than the broker lets through.
    """
    if not 1 <= len(readings) <= limits.READINGS_PER_BATCH_MAX:
        msg = f"a batch holds 1 to {limits.READINGS_PER_BATCH_MAX} readings, not {len(readings)}"
        raise ValueError(msg)
    head = f'{{"schema":{SCHEMA_VERSION},"batch":"{batch}","sent_at":"{format_instant(sent_at)}"'
    payload = head.encode() + b',"readings":[' + b",".join(readings) + b"]}"
    if len(payload) > limits.BATCH_BYTES_MAX:
        msg = f"a batch of {len(payload)} bytes is above {limits.BATCH_BYTES_MAX}"
        raise ValueError(msg)
    return payload


def batch_json_schema() -> dict[str, Any]:
    """The JSON Schema of a batch, published as ``gateway/wire/schema/v1/batch.schema.json``."""
    item = item_json_schema()
    definitions = item.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Suifang wire contract v1: a batch of readings",
        "type": "object",
        "required": ["schema", "batch", "sent_at", "readings"],
        "properties": {
            "schema": {"const": SCHEMA_VERSION},
            "batch": {"type": "string", "format": "uuid"},
            "sent_at": {"type": "string", "format": "date-time"},
            "readings": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.READINGS_PER_BATCH_MAX,
                "items": item,
            },
        },
        "$defs": definitions,
    }
