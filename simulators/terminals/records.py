"""Measurements -> bytes of the standard characteristics, for virtual devices.

Written from the published layouts (Blood Pressure Service, Glucose Service, GATT
Specification Supplement) and not from the gateway's decoders, so that each checks the other.
Device times are naive: a device knows no time zone.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

_MANTISSA_MAX: Final = 2_045  # 0x07FE..0x0802 are special values (IEEE 11073-20601).
_EXPONENT_MIN, _EXPONENT_MAX = -8, 7
SFLOAT_NAN: Final = b"\xff\x07"

MEALS: Final = {"preprandial": 1, "postprandial": 2, "fasting": 3, "casual": 4, "bedtime": 5}


def encode_sfloat(value: Decimal | None) -> bytes:
    """Encode a decimal as IEEE 11073 SFLOAT in its own scale; None becomes NaN.

    Raises:
        ValueError: The digits do not fit 12 bits.

    >>> encode_sfloat(Decimal("0.0072")).hex()
    '48c0'
    """
    if value is None:
        return SFLOAT_NAN
    sign, digits, exponent = value.as_tuple()
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    if not isinstance(exponent, int):
        return SFLOAT_NAN
    while exponent > _EXPONENT_MAX:
        mantissa, exponent = mantissa * 10, exponent - 1
    if abs(mantissa) > _MANTISSA_MAX or exponent < _EXPONENT_MIN:
        msg = f"{value} has too many digits for an SFLOAT"
        raise ValueError(msg)
    return struct.pack("<H", (exponent & 0xF) << 12 | mantissa & 0xFFF)


def encode_date_time(at: datetime) -> bytes:
    """Year to second, 7 bytes (GSS, Date Time)."""
    return struct.pack("<HBBBBB", at.year, at.month, at.day, at.hour, at.minute, at.second)


def encode_current_time(at: datetime, adjusted: int = 0) -> bytes:
    """Characteristic 0x2A2B: date, time, day of the week (Monday 1), 1/256 s, reason."""
    fractions = at.microsecond * 256 // 1_000_000
    return encode_date_time(at) + bytes((at.isoweekday(), fractions, adjusted))


def decode_current_time(raw: bytes) -> datetime:
    """The time that a client writes. Raises ``ValueError`` or ``struct.error``."""
    year, month, day, hour, minute, second, _, fractions, _ = struct.unpack("<HBBBBBBBB", raw)
    return datetime(  # noqa: DTZ001 - a device knows no zone
        year, month, day, hour, minute, second, fractions * 1_000_000 // 256
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CuffRecord:
    """One blood-pressure measurement in a cuff's memory."""

    systolic: Decimal
    diastolic: Decimal
    unit: str = "mmHg"
    mean: Decimal | None = None
    pulse: Decimal | None = None
    at: datetime | None = None  # The device's own clock.
    user: int | None = None
    status: int | None = None

    def encode(self) -> bytes:
        """The bytes of 0x2A35 (and of 0x2A36, which shares the layout)."""
        flags = (
            (self.unit == "kPa")
            | (self.at is not None) << 1
            | (self.pulse is not None) << 2
            | (self.user is not None) << 3
            | (self.status is not None) << 4
        )
        parts = [bytes((flags,))]
        parts += [encode_sfloat(value) for value in (self.systolic, self.diastolic, self.mean)]
        if self.at is not None:
            parts.append(encode_date_time(self.at))
        if self.pulse is not None:
            parts.append(encode_sfloat(self.pulse))
        if self.user is not None:
            parts.append(bytes((self.user,)))
        if self.status is not None:
            parts.append(struct.pack("<H", self.status))
        return b"".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """One glucose measurement in a meter's memory, and what the resident said about the meal.

    Attributes:
        sequence: 0 to 65,535.
        at: Base time, the device's own clock.
        concentration: In ``unit``; None: the meter said only a status (HI, LO).
        unit: ``mol/L`` or ``kg/L``.
        meal: One of ``MEALS``; None: nothing was said.
        context_late: The context comes after the transfer, when somebody pressed the button.
    """

    sequence: int
    at: datetime
    concentration: Decimal | None
    unit: str = "mol/L"
    sample: int = 1
    location: int = 1
    offset_minutes: int | None = None
    status: int | None = None
    meal: str | None = None
    context_late: bool = False

    def encode(self) -> bytes:
        """The bytes of 0x2A18."""
        known = self.concentration is not None
        flags = (
            (self.offset_minutes is not None)
            | known << 1
            | (self.unit == "mol/L") << 2
            | (self.status is not None) << 3
            | (self.meal is not None) << 4
        )
        parts = [struct.pack("<BH", flags, self.sequence), encode_date_time(self.at)]
        if self.offset_minutes is not None:
            parts.append(struct.pack("<h", self.offset_minutes))
        if known:
            parts.append(encode_sfloat(self.concentration))
            parts.append(bytes((self.location << 4 | self.sample,)))
        if self.status is not None:
            parts.append(struct.pack("<H", self.status))
        return b"".join(parts)

    def encode_context(self) -> bytes | None:
        """The bytes of 0x2A34, if there is a context."""
        if self.meal is None:
            return None
        return struct.pack("<BHB", 0b10, self.sequence, MEALS[self.meal])
