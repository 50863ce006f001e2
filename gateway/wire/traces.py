"""Trace ids: how one reading is followed from the gateway to a webhook.

A trace begins where a reading is frozen, and its id is the reading's own: 128 bits that are on
the wire, in the database and on every alert that rests on the reading already. Nothing is stored
for it, and a trace is as old as its reading. A message is in the trace of its first reading; its
span is the tail of the batch's id, so the same bytes sent again are the same span. Not personal:
ids name a measurement, never whose it is.

Source: W3C Trace Context, level 1: ``00-{16 bytes}-{8 bytes}-01``, in lower-case hexadecimal. The
last 62 bits of a UUIDv7 are random (RFC 9562, 5.7), which is what the level 2 draft asks of a
trace id's tail.
"""

import re
import secrets
from typing import Final
from uuid import UUID

TRACEPARENT: Final = "traceparent"
"""The name of the MQTT user property, and of the HTTP header."""
_SPAN_BYTES: Final = 8
_FIRST: Final = re.compile(rb'"readings":\[\{"id":"([0-9a-f-]{36})"')
_HEAD_BYTES: Final = 256  # The envelope's own fields have a bounded length.


def write_traceparent(reading: UUID, span: bytes) -> str:
    """The header's value.

    Args:
        reading: Whose trace it is.
        span: 8 bytes, not all of them zero: the step that passes it on.
    """
    return f"00-{reading.hex}-{span.hex()}-01"


def make_span() -> bytes:
    """A new step: one attempt to pass it on."""
    return secrets.token_bytes(_SPAN_BYTES)


def traceparent_of_batch(batch: UUID, payload: bytes) -> str | None:
    """Of a message as ``build_batch`` writes it from frozen readings; None of another's."""
    found = _FIRST.search(payload, 0, _HEAD_BYTES)
    if found is None:
        return None
    return write_traceparent(UUID(found[1].decode()), batch.bytes[-_SPAN_BYTES:])
