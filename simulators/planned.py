"""One reading as a terminal will send it: the line, and what should become of it.

The line is JSON with the wire's field names, less what the gateway adds (``id``,
``captured_at``, ``clock_synchronised``), plus ``card_number``. Numbers are written exactly as
the source wrote them: ``147.0`` stays ``147.0``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.wire.errors import WireError
from gateway.wire.items import validate_item
from gateway.wire.readings import parse_json

_ADDED_BY_THE_GATEWAY: Final = {
    "id": "01900000-0000-7000-8000-000000000000",
    "captured_at": "2026-01-01T00:00:00Z",
}


class Expected(StrEnum):
    """What should become of a reading: by ingest, or by the gateway, which takes no broken line."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    REFUSED = "refused"


class Numeral(str):
    """Digits that go on the wire as a JSON number, unchanged."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReading:
    """One reading to send.

    Attributes:
        gateway_id: The gateway to send to.
        device_id: The terminal that sends it.
        card_number: The resident's card: an opaque code, never a real number.
        line: What goes over TCP, without the line feed.
        expected: What should become of it; None when not known.
        reason: Why it should be quarantined; None when not known.
        twins: Name shared by readings that are the same measurement. One of them is stored,
            the others are duplicates; which one depends on the order of arrival.
        broken: The line is no JSON on purpose: no gateway takes it.
        due_s: When to send it, seconds after the start; None: as soon as there is room.
    """

    gateway_id: str
    device_id: str
    card_number: str
    line: bytes
    expected: Expected | None = None
    reason: str | None = None
    twins: str | None = None
    due_s: float | None = None
    broken: bool = False


def encode_line(fields: Mapping[str, object]) -> bytes:
    """Write one line of the terminal protocol; ``Numeral`` values become bare numbers.

    >>> encode_line({"kind": "glucose", "glucose": Numeral("147.0"), "note": "0Hi"})
    b'{"kind":"glucose","glucose":147.0,"note":"0Hi"}'
    """
    parts = [
        f"{json.dumps(name)}:{value if isinstance(value, Numeral) else json.dumps(value)}"
        for name, value in fields.items()
    ]
    return ("{" + ",".join(parts) + "}").encode()


def refusal_of(line: bytes) -> WireError | None:
    """Why the wire contract refuses this line; None when it is a reading."""
    fields = parse_json(line)
    fields.pop("card_number", None)
    try:
        validate_item(fields | _ADDED_BY_THE_GATEWAY)
    except WireError as error:
        return error
    return None
