"""Blood Pressure Service: measurement (0x2A35), cuff pressure under way (0x2A36), feature (0x2A49).

0x2A36 has the layout of 0x2A35 but is a pressure while the cuff still deflates. It decodes to a
class of its own that has no systolic and no diastolic, so nothing that wants a measurement can
take it: it is never a reading.

Source: Bluetooth GATT specification supplement, Blood Pressure Measurement, Intermediate Cuff
Pressure, Blood Pressure Feature; Blood Pressure Service 1.1.1.
"""

from dataclasses import dataclass
from typing import Final

from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.flags import reserved_of, words_of
from gateway.devices.gatt.octets import Octets
from gateway.devices.gatt.sfloat import Value, encode_sfloat

FLAG_KPA: Final = 1 << 0
FLAG_TIME: Final = 1 << 1
FLAG_PULSE: Final = 1 << 2
FLAG_USER: Final = 1 << 3
FLAG_STATUS: Final = 1 << 4
_FLAGS_KNOWN: Final = 5
USER_UNKNOWN: Final = 255

_STATUS_WORDS: Final = ("body_movement", "cuff_loose", "irregular_pulse", None, None)
_POSITION_BIT: Final = 5
_STATUS_KNOWN: Final = 6
_PULSE_RANGES: Final = (None, "pulse_above_range", "pulse_below_range", "pulse_range_reserved")
FEATURE_WORDS: Final = (
    "body_movement_detection",
    "cuff_fit_detection",
    "irregular_pulse_detection",
    "pulse_range_detection",
    "position_detection",
    "multiple_bonds",
    "end_to_end_check",
    "user_data_service",
    "user_facing_time",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodPressureStatus:
    """The measurement status, 16 bits."""

    bits: int

    @property
    def words(self) -> tuple[str, ...]:
        """What is said, in the order of the bits."""
        pulse_range = _PULSE_RANGES[self.bits >> 3 & 3]
        return (
            *words_of(self.bits, _STATUS_WORDS),
            *(() if pulse_range is None else (pulse_range,)),
            *(("improper_position",) if self.bits >> _POSITION_BIT & 1 else ()),
        )

    @property
    def reserved(self) -> int:
        """Bits that nothing is defined for."""
        return reserved_of(self.bits, _STATUS_KNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cuff:
    """What both characteristics carry."""

    flags: int
    timestamp: DateTime | None
    pulse: Value | None  # Beats a minute.
    user_id: int | None  # The device's own numbering of its users; 255: not known.
    status: BloodPressureStatus | None
    leftover: bytes = b""

    @property
    def unit(self) -> str:
        """``mmHg`` or ``kPa``, of every pressure."""
        return "kPa" if self.flags & FLAG_KPA else "mmHg"

    @property
    def reserved_flags(self) -> int:
        """Flags that nothing is defined for."""
        return reserved_of(self.flags, _FLAGS_KNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodPressureMeasurement(_Cuff):
    """One finished measurement, in ``unit``, as sent."""

    systolic: Value
    diastolic: Value
    mean_arterial: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateCuffPressure(_Cuff):
    """The pressure in the cuff at a moment, in ``unit``. Never a reading."""

    cuff: Value
    unused: tuple[Value, Value]  # Where the other characteristic has diastolic and mean.


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodPressureFeature:
    """What the device can detect, 16 bits."""

    bits: int
    leftover: bytes = b""

    @property
    def words(self) -> tuple[str, ...]:
        """What is said, in the order of the bits."""
        return words_of(self.bits, FEATURE_WORDS)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The bytes, before anybody says what the pressures mean."""

    flags: int
    pressures: tuple[Value, Value, Value]
    timestamp: DateTime | None
    pulse: Value | None
    user_id: int | None
    status: BloodPressureStatus | None
    leftover: bytes

    @classmethod
    def read(cls, value: bytes, names: tuple[str, str, str]) -> "_Layout":
        octets = Octets(value)
        flags = octets.u8("flags")
        first, second, third = names
        return cls(
            flags,
            (octets.sfloat(first), octets.sfloat(second), octets.sfloat(third)),
            octets.date_time("timestamp") if flags & FLAG_TIME else None,
            octets.sfloat("pulse") if flags & FLAG_PULSE else None,
            octets.u8("user_id") if flags & FLAG_USER else None,
            BloodPressureStatus(bits=octets.u16("status")) if flags & FLAG_STATUS else None,
            octets.rest(),
        )


def decode_blood_pressure(value: bytes) -> BloodPressureMeasurement:
    """Read 0x2A35. Raises ``DecodeError`` when it is cut short."""
    found = _Layout.read(value, ("systolic", "diastolic", "mean_arterial"))
    systolic, diastolic, mean_arterial = found.pressures
    return BloodPressureMeasurement(
        flags=found.flags,
        systolic=systolic,
        diastolic=diastolic,
        mean_arterial=mean_arterial,
        timestamp=found.timestamp,
        pulse=found.pulse,
        user_id=found.user_id,
        status=found.status,
        leftover=found.leftover,
    )


def decode_cuff_pressure(value: bytes) -> IntermediateCuffPressure:
    """Read 0x2A36. Raises ``DecodeError`` when it is cut short."""
    found = _Layout.read(value, ("cuff", "unused", "unused"))
    cuff, *unused = found.pressures
    return IntermediateCuffPressure(
        flags=found.flags,
        cuff=cuff,
        unused=(unused[0], unused[1]),
        timestamp=found.timestamp,
        pulse=found.pulse,
        user_id=found.user_id,
        status=found.status,
        leftover=found.leftover,
    )


def decode_feature(value: bytes) -> BloodPressureFeature:
    """Read 0x2A49. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    return BloodPressureFeature(bits=octets.u16("feature"), leftover=octets.rest())


def encode_blood_pressure(measurement: BloodPressureMeasurement) -> bytes:
    """Write 0x2A35. Raises ``ValueError`` where a flag and its field disagree."""
    m = measurement
    return _encode(m, (m.systolic, m.diastolic, m.mean_arterial))


def encode_cuff_pressure(pressure: IntermediateCuffPressure) -> bytes:
    """Write 0x2A36. Raises ``ValueError`` where a flag and its field disagree."""
    return _encode(pressure, (pressure.cuff, *pressure.unused))


def encode_feature(feature: BloodPressureFeature) -> bytes:
    """Write 0x2A49."""
    return feature.bits.to_bytes(2, "little") + feature.leftover


def _encode(cuff: _Cuff, pressures: tuple[Value, Value, Value]) -> bytes:
    present = (cuff.timestamp, cuff.pulse, cuff.user_id, cuff.status)
    said = sum(flag for flag, part in zip(_OPTIONAL, present, strict=True) if part is not None)
    if said != cuff.flags & sum(_OPTIONAL):
        msg = f"flags {cuff.flags:#04x} do not fit the fields that are there ({said:#04x})"
        raise ValueError(msg)
    parts = [bytes([cuff.flags]), *map(_sfloat, pressures)]
    if cuff.timestamp is not None:
        parts.append(cuff.timestamp.to_bytes())
    if cuff.pulse is not None:
        parts.append(_sfloat(cuff.pulse))
    if cuff.user_id is not None:
        parts.append(bytes([cuff.user_id]))
    if cuff.status is not None:
        parts.append(cuff.status.bits.to_bytes(2, "little"))
    return b"".join(parts) + cuff.leftover


_OPTIONAL: Final = (FLAG_TIME, FLAG_PULSE, FLAG_USER, FLAG_STATUS)


def _sfloat(value: Value) -> bytes:
    return encode_sfloat(value).to_bytes(2, "little")
