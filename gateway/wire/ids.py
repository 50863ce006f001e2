"""Identifiers: UUID version 7 (RFC 9562), whose first 48 bits are Unix milliseconds.

The time inside an id is a pure function of the payload, so a redelivered reading always
falls into the same partition as its twin, whatever the clocks do meanwhile.
"""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION = 7

PARTITION_MIN = datetime(2020, 1, 1, tzinfo=UTC)  # An absurd clock must not make a thousand
PARTITION_MAX = datetime(2100, 1, 1, tzinfo=UTC)  # chunks: architecture, storage.


def new_id(at: datetime) -> UUID:
    """Make a UUIDv7 whose time is ``at`` (aware) to the millisecond; 74 bits are random."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    random_bits = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= _VERSION << 76
    value |= (random_bits >> 68 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random_bits & (1 << 62) - 1
    return UUID(int=value)


def time_of(identifier: UUID) -> datetime:
    """Read the time inside a UUIDv7, UTC, to the millisecond (years 1970 to 10889: not clamped).

    Raises:
        ValueError: Not version 7, or a time that ``datetime`` cannot hold.
    """
    if identifier.version != _VERSION:
        msg = f"{identifier} is UUID version {identifier.version}, expected 7"
        raise ValueError(msg)
    try:
        return _EPOCH + timedelta(milliseconds=identifier.int >> 80)
    except OverflowError as error:
        msg = f"{identifier} carries a time beyond the year 9999"
        raise ValueError(msg) from error


def partition_time_of(identifier: UUID) -> datetime:
    """The partition time of a reading: the time inside its id, clamped to 2020..2100."""
    return min(max(time_of(identifier), PARTITION_MIN), PARTITION_MAX)
