"""Glucose Service: measurement (0x2A18), feature (0x2A51); its context is in ``glucose_context``.

The unit is kg/L or mol/L, never mg/dL or mmol/L: 0.001 kg/L is 100 mg/dL. The user's time is
base time + time offset, minutes of any number. A record without a concentration is one too: the
meter tells that a test failed.

Source: Bluetooth GATT specification supplement, Glucose Measurement, Glucose Feature; Glucose
Service 1.0.1.
"""

from dataclasses import dataclass
from typing import Final

from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.flags import reserved_of, words_of
from gateway.devices.gatt.octets import Octets
from gateway.devices.gatt.sfloat import Value, encode_sfloat

FLAG_OFFSET: Final = 1 << 0
FLAG_CONCENTRATION: Final = 1 << 1
FLAG_MOL: Final = 1 << 2
FLAG_STATUS: Final = 1 << 3
FLAG_CONTEXT: Final = 1 << 4
_FLAGS_KNOWN: Final = 5

# Source: Glucose Service, time offset: the two ends of the range mean "beyond it".
OFFSETS_BEYOND: Final = frozenset({0x7FFF, -0x8000})

CONTROL_SOLUTION: Final = "control_solution"
SAMPLES: Final = {
    1: "capillary_whole_blood",
    2: "capillary_plasma",
    3: "venous_whole_blood",
    4: "venous_plasma",
    5: "arterial_whole_blood",
    6: "arterial_plasma",
    7: "undetermined_whole_blood",
    8: "undetermined_plasma",
    9: "interstitial_fluid",
    10: CONTROL_SOLUTION,
}
LOCATIONS: Final = {
    1: "finger",
    2: "alternate_site",
    3: "earlobe",
    4: CONTROL_SOLUTION,
    15: "not_available",
}
STATUS_WORDS: Final = (
    "battery_low",
    "sensor_malfunction",
    "sample_insufficient",
    "strip_insertion_error",
    "strip_type_error",
    "result_too_high",
    "result_too_low",
    "temperature_too_high",
    "temperature_too_low",
    "read_interrupted",
    "general_fault",
    "time_fault",
)
FEATURE_WORDS: Final = (
    "battery_low_detection",
    "sensor_malfunction_detection",
    "sample_size_detection",
    "strip_insertion_detection",
    "strip_type_detection",
    "result_range_detection",
    "temperature_detection",
    "read_interrupt_detection",
    "general_fault_detection",
    "time_fault_detection",
    "multiple_bonds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseStatus:
    """The sensor status annunciation, 16 bits."""

    bits: int

    @property
    def words(self) -> tuple[str, ...]:
        """What is said, in the order of the bits."""
        return words_of(self.bits, STATUS_WORDS)

    @property
    def reserved(self) -> int:
        """Bits that nothing is defined for."""
        return reserved_of(self.bits, len(STATUS_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseMeasurement:
    """One record of a meter, as sent."""

    flags: int
    sequence: int  # Unique in the device until its counter restarts (65,536 records).
    base_time: DateTime
    time_offset_minutes: int | None
    concentration: Value | None  # In ``unit``.
    sample_code: int | None  # 0 to 15; ``sample`` is the word.
    location_code: int | None
    status: GlucoseStatus | None
    leftover: bytes = b""

    @property
    def unit(self) -> str | None:
        """``kg/L`` or ``mol/L``; None without a concentration, whatever the flag says."""
        if self.concentration is None:
            return None
        return "mol/L" if self.flags & FLAG_MOL else "kg/L"

    @property
    def context_follows(self) -> bool:
        """The meter promises a context with the same sequence number."""
        return bool(self.flags & FLAG_CONTEXT)

    @property
    def reserved_flags(self) -> int:
        """Flags that nothing is defined for."""
        return reserved_of(self.flags, _FLAGS_KNOWN)

    @property
    def sample(self) -> str | None:
        """The word of ``sample_code``; None where it is absent or reserved."""
        return None if self.sample_code is None else SAMPLES.get(self.sample_code)

    @property
    def location(self) -> str | None:
        """The word of ``location_code``; None where it is absent or reserved."""
        return None if self.location_code is None else LOCATIONS.get(self.location_code)

    @property
    def is_control_solution(self) -> bool:
        """A test of the meter and no resident's value: said by the type or by the location.

        Source: clinical decision table 2.2 step 4 (type 10 or location 4).
        """
        return CONTROL_SOLUTION in {self.sample, self.location}


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseFeature:
    """What the meter can detect, 16 bits."""

    bits: int
    leftover: bytes = b""

    @property
    def words(self) -> tuple[str, ...]:
        """What is said, in the order of the bits."""
        return words_of(self.bits, FEATURE_WORDS)


def decode_glucose(value: bytes) -> GlucoseMeasurement:
    """Read 0x2A18. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    flags = octets.u8("flags")
    sequence = octets.u16("sequence")
    base_time = octets.date_time("base_time")
    offset = octets.i16("time_offset") if flags & FLAG_OFFSET else None
    concentration, kinds = None, None
    if flags & FLAG_CONCENTRATION:
        concentration, kinds = octets.sfloat("concentration"), octets.u8("type_and_location")
    return GlucoseMeasurement(
        flags=flags,
        sequence=sequence,
        base_time=base_time,
        time_offset_minutes=offset,
        concentration=concentration,
        sample_code=None if kinds is None else kinds & 0xF,
        location_code=None if kinds is None else kinds >> 4,
        status=GlucoseStatus(bits=octets.u16("status")) if flags & FLAG_STATUS else None,
        leftover=octets.rest(),
    )


def encode_glucose(measurement: GlucoseMeasurement) -> bytes:
    """Write 0x2A18. Raises ``ValueError`` where a flag and its field disagree."""
    m = measurement
    present = (m.time_offset_minutes, m.concentration, m.status)
    said = sum(flag for flag, part in zip(_OPTIONAL, present, strict=True) if part is not None)
    kinds = None
    if m.sample_code is not None and m.location_code is not None:
        kinds = m.location_code << 4 | m.sample_code
    if said != m.flags & sum(_OPTIONAL) or (kinds is None) != (m.concentration is None):
        msg = f"flags {m.flags:#04x} do not fit the fields that are there ({said:#04x})"
        raise ValueError(msg)
    parts = [bytes([m.flags]), m.sequence.to_bytes(2, "little"), m.base_time.to_bytes()]
    if m.time_offset_minutes is not None:
        parts.append(m.time_offset_minutes.to_bytes(2, "little", signed=True))
    if m.concentration is not None and kinds is not None:
        parts.append(encode_sfloat(m.concentration).to_bytes(2, "little") + bytes([kinds]))
    if m.status is not None:
        parts.append(m.status.bits.to_bytes(2, "little"))
    return b"".join(parts) + m.leftover


_OPTIONAL: Final = (FLAG_OFFSET, FLAG_CONCENTRATION, FLAG_STATUS)


def decode_feature(value: bytes) -> GlucoseFeature:
    """Read 0x2A51. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    return GlucoseFeature(bits=octets.u16("feature"), leftover=octets.rest())


def encode_feature(feature: GlucoseFeature) -> bytes:
    """Write 0x2A51."""
    return feature.bits.to_bytes(2, "little") + feature.leftover
