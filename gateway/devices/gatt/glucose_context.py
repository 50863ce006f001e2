"""Glucose Measurement Context (0x2A34): what the user told the meter about one record.

It comes after its measurement, or without it; ``sequence`` joins them. Codes that nothing is
defined for stay numbers, their words are None: a meal nobody knows is no meal.

Source: Bluetooth GATT specification supplement, Glucose Measurement Context.
"""

from dataclasses import dataclass
from typing import Final

from gateway.devices.gatt.octets import Octets
from gateway.devices.gatt.sfloat import Value, encode_sfloat

FLAG_CARBOHYDRATE: Final = 1 << 0
FLAG_MEAL: Final = 1 << 1
FLAG_TESTER: Final = 1 << 2
FLAG_EXERCISE: Final = 1 << 3
FLAG_MEDICATION: Final = 1 << 4
FLAG_MEDICATION_LITRES: Final = 1 << 5
FLAG_HBA1C: Final = 1 << 6
FLAG_EXTENDED: Final = 1 << 7
_OPTIONAL: Final = (
    FLAG_EXTENDED,
    FLAG_CARBOHYDRATE,
    FLAG_MEAL,
    FLAG_TESTER,
    FLAG_EXERCISE,
    FLAG_MEDICATION,
    FLAG_HBA1C,
)

MEALS: Final = {1: "preprandial", 2: "postprandial", 3: "fasting", 4: "casual", 5: "bedtime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Something taken: which, and how much."""

    code: int
    quantity: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class TesterHealth:
    """Who measured (low four bits) and how the person was (high four bits)."""

    tester: int
    health: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """How long, and how hard in percent of the maximum. 65535 s: as long or longer."""

    duration_s: int
    intensity_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseContext:
    """One context record, as sent."""

    flags: int
    sequence: int
    extended_flags: int | None = None
    carbohydrate: Amount | None = None  # kg.
    meal_code: int | None = None
    tester_health: TesterHealth | None = None
    exercise: Exercise | None = None
    medication: Amount | None = None  # In ``medication_unit``.
    hba1c_percent: Value | None = None
    leftover: bytes = b""

    @property
    def meal(self) -> str | None:
        """The word of ``meal_code``; None where it is absent or reserved."""
        return None if self.meal_code is None else MEALS.get(self.meal_code)

    @property
    def medication_unit(self) -> str | None:
        """``kg`` or ``L``; None without a medication, whatever the flag says."""
        if self.medication is None:
            return None
        return "L" if self.flags & FLAG_MEDICATION_LITRES else "kg"


def decode_context(value: bytes) -> GlucoseContext:
    """Read 0x2A34. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    flags = octets.u8("flags")
    return GlucoseContext(
        flags=flags,
        sequence=octets.u16("sequence"),
        extended_flags=octets.u8("extended_flags") if flags & FLAG_EXTENDED else None,
        carbohydrate=_amount(octets, "carbohydrate") if flags & FLAG_CARBOHYDRATE else None,
        meal_code=octets.u8("meal") if flags & FLAG_MEAL else None,
        tester_health=_tester_health(octets) if flags & FLAG_TESTER else None,
        exercise=_exercise(octets) if flags & FLAG_EXERCISE else None,
        medication=_amount(octets, "medication") if flags & FLAG_MEDICATION else None,
        hba1c_percent=octets.sfloat("hba1c") if flags & FLAG_HBA1C else None,
        leftover=octets.rest(),
    )


def _amount(octets: Octets, field: str) -> Amount:
    return Amount(code=octets.u8(f"{field}_id"), quantity=octets.sfloat(field))


def _tester_health(octets: Octets) -> TesterHealth:
    both = octets.u8("tester_health")
    return TesterHealth(tester=both & 0xF, health=both >> 4)


def _exercise(octets: Octets) -> Exercise:
    return Exercise(
        duration_s=octets.u16("exercise_duration"),
        intensity_percent=octets.u8("exercise_intensity"),
    )


def encode_context(context: GlucoseContext) -> bytes:
    """Write 0x2A34. Raises ``ValueError`` where a flag and its field disagree."""
    parts = _optional_parts(context)
    said = sum(flag for flag, part in zip(_OPTIONAL, parts, strict=True) if part is not None)
    if said != context.flags & sum(_OPTIONAL):
        msg = f"flags {context.flags:#04x} do not fit the fields that are there ({said:#04x})"
        raise ValueError(msg)
    head = bytes([context.flags]) + context.sequence.to_bytes(2, "little")
    return head + b"".join(part for part in parts if part is not None) + context.leftover


def _optional_parts(context: GlucoseContext) -> tuple[bytes | None, ...]:
    """In the order of the bytes; None where there is no such field."""
    person, exercise = context.tester_health, context.exercise
    return (
        None if context.extended_flags is None else bytes([context.extended_flags]),
        _amount_bytes(context.carbohydrate),
        None if context.meal_code is None else bytes([context.meal_code]),
        None if person is None else bytes([person.health << 4 | person.tester]),
        None
        if exercise is None
        else exercise.duration_s.to_bytes(2, "little") + bytes([exercise.intensity_percent]),
        _amount_bytes(context.medication),
        None
        if context.hba1c_percent is None
        else encode_sfloat(context.hba1c_percent).to_bytes(2, "little"),
    )


def _amount_bytes(amount: Amount | None) -> bytes | None:
    if amount is None:
        return None
    return bytes([amount.code]) + encode_sfloat(amount.quantity).to_bytes(2, "little")
