"""What goes into the spool and comes out of it, and what is remembered of the time."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

from gateway.fetched import Mark

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Unix milliseconds, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The instant of Unix milliseconds, UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


def checksum(raw: bytes) -> bytes:
    """CRC-32, 4 bytes, little-endian."""
    return zlib.crc32(raw).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Hold:
    """When a reading was captured, as long as nobody knows the time."""

    boot: bytes  # Of the machine; 16 bytes.
    boottime_ms: int  # Since that boot.


@dataclass(frozen=True, slots=True)
class SpooledReading:
    """One frozen reading: ``raw`` is what goes over the wire."""

    id: UUID
    captured_at: datetime
    raw: bytes
    clock_known: bool = False  # ``captured_at`` is the time, not the best guess.
    hold: Hold | None = None
    mark: Mark | None = None  # Of a record in a device's memory.


@dataclass(frozen=True, slots=True)
class ClockMemory:
    """What a spool remembers of the time, Unix milliseconds."""

    newest_ms: int = 0  # Latest capture at a known time: the present is not before it.
    id_ms: int = 0  # The time inside the last id: later ids sort after it.
    boot: bytes | None = None  # The boot in which the time was last known; None: never.
    boottime_ms: int = 0  # Since that boot, when it was.
    wall_ms: int = 0  # What time it was then,
    error_ms: int = 0  # and how far that may have been wrong.


@dataclass(frozen=True, slots=True)
class Batch:
    """A frozen batch; ``payload`` is the message."""

    id: UUID
    readings: int
    oldest_captured_at: datetime
    payload: bytes


class Settled(Enum):
    """What a receipt did."""

    CONFIRMED = auto()
    UNKNOWN = auto()  # No such batch waits: confirmed before, or never ours.
    MISCOUNTED = auto()  # Its sum is not the batch's size: it is not believed.
