"""Measurements as plain fields: what ``suifang gateway decode`` prints and vectors compare.

``*_fields`` use the words of the published byte vectors, and hold exactly what was sent: a field
that was not there is not there. ``*_remarks`` say what the bits mean and what is odd about them.
Numbers stay ``Decimal``; what is no number is its name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

from gateway.devices.gatt.blood_pressure import (
    BloodPressureMeasurement,
    IntermediateCuffPressure,
)
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.device import (
    BatteryLevel,
    CurrentTime,
    DeviceText,
    LocalTimeInformation,
    PnpId,
    SystemId,
)
from gateway.devices.gatt.exact_json import Json
from gateway.devices.gatt.glucose import OFFSETS_BEYOND, GlucoseMeasurement
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.devices.gatt.racp import RecordCount, RecordMessage, RecordRequest
from gateway.devices.gatt.sfloat import NotANumber, Value

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Bare(Generic[T_co]):
    """A value of a plain format, outside any characteristic."""

    value: T_co
    leftover: bytes = b""


class _Leaves(Protocol):
    @property
    def leftover(self) -> bytes: ...


class _Feature(_Leaves, Protocol):
    @property
    def bits(self) -> int: ...
    @property
    def words(self) -> tuple[str, ...]: ...


def leftover(found: _Leaves) -> dict[str, Json]:
    """The bytes that no field took, and how many."""
    return {"leftover": found.leftover.hex().upper(), "_trailing": len(found.leftover)}


def pressure_fields(found: BloodPressureMeasurement) -> dict[str, Json]:
    """0x2A35."""
    pressures = {
        "systolic": found.systolic,
        "diastolic": found.diastolic,
        "map": found.mean_arterial,
    }
    return {"unit": found.unit, **_numbers(pressures), **_cuff_fields(found)}


def cuff_pressure_fields(found: IntermediateCuffPressure) -> dict[str, Json]:
    """0x2A36; ``systolic`` is the layout's word for the pressure in the cuff."""
    return {"unit": found.unit, "systolic": _number(found.cuff), **_cuff_fields(found)}


def _cuff_fields(found: BloodPressureMeasurement | IntermediateCuffPressure) -> dict[str, Json]:
    status = None if found.status is None else found.status.bits
    return _present(
        {
            "timestamp": _text(found.timestamp),
            "pulse": None if found.pulse is None else _number(found.pulse),
            "user_id": found.user_id,
            "status": status,
        }
    )


def cuff_remarks(found: BloodPressureMeasurement | IntermediateCuffPressure) -> dict[str, Json]:
    """Of either pressure."""
    status = found.status
    return {
        **_problem("timestamp", found.timestamp),
        **({} if status is None else {"status_words": list(status.words)}),
        **_reserved("status", 0 if status is None else status.reserved),
        "flags": found.flags,
        **_reserved("flags", found.reserved_flags),
        **leftover(found),
    }


def cuff_pressure_remarks(found: IntermediateCuffPressure) -> dict[str, Json]:
    """0x2A36."""
    return {"is_reading": False, **cuff_remarks(found)}


def glucose_fields(found: GlucoseMeasurement) -> dict[str, Json]:
    """0x2A18."""
    status = None if found.status is None else found.status.bits
    concentration = None if found.concentration is None else _number(found.concentration)
    return _present(
        {
            "sequence": found.sequence,
            "base_time": str(found.base_time),
            "time_offset_min": found.time_offset_minutes,
            "unit": found.unit,
            "concentration": concentration,
            "type": _word(found.sample, found.sample_code),
            "location": _word(found.location, found.location_code),
            "status": status,
            "context_follows": found.context_follows,
        }
    )


def glucose_remarks(found: GlucoseMeasurement) -> dict[str, Json]:
    """0x2A18."""
    status = found.status
    beyond = found.time_offset_minutes in OFFSETS_BEYOND
    return {
        **_problem("base_time", found.base_time),
        **({"time_offset_problem": "beyond what can be written"} if beyond else {}),
        **({} if status is None else {"status_words": list(status.words)}),
        **_reserved("status", 0 if status is None else status.reserved),
        "control_solution": found.is_control_solution,
        "flags": found.flags,
        **_reserved("flags", found.reserved_flags),
        **leftover(found),
    }


def context_fields(found: GlucoseContext) -> dict[str, Json]:
    """0x2A34."""
    eaten, taken = found.carbohydrate, found.medication
    person, exercise = found.tester_health, found.exercise
    fields: dict[str, Json] = {"sequence": found.sequence, "ext_flags": found.extended_flags}
    if eaten is not None:
        fields |= {"carb_id": eaten.code, "carb_kg": _number(eaten.quantity)}
    fields["meal"] = _word(found.meal, found.meal_code)
    if person is not None:
        fields |= {"tester": person.tester, "health": person.health}
    if exercise is not None:
        fields |= {
            "exercise_s": exercise.duration_s,
            "exercise_pct": exercise.intensity_percent,
        }
    if taken is not None:
        fields |= {
            "med_id": taken.code,
            "med_unit": found.medication_unit,
            "med_value": _number(taken.quantity),
        }
    fields["hba1c_pct"] = None if found.hba1c_percent is None else _number(found.hba1c_percent)
    return _present(fields)


def context_remarks(found: GlucoseContext) -> dict[str, Json]:
    """0x2A34: all eight flags are taken."""
    return {"flags": found.flags, **leftover(found)}


def feature_fields(found: _Feature) -> dict[str, Json]:
    """0x2A49, 0x2A51."""
    return {"feature": found.bits}


def feature_remarks(found: _Feature) -> dict[str, Json]:
    """0x2A49, 0x2A51."""
    return {"feature_words": list(found.words), **leftover(found)}


def record_access_fields(found: RecordMessage) -> dict[str, Json]:
    """0x2A52, either way."""
    if isinstance(found, RecordCount):
        return {"opcode": 5, "operator": 0, "number_of_records": found.records}
    if not isinstance(found, RecordRequest):
        return {
            "opcode": 6,
            "operator": 0,
            "request_opcode": found.request_code,
            "response_code": found.outcome_code,
        }
    names = ("value",) if len(found.bounds) == 1 else ("minimum", "maximum")
    bounds: Iterable[tuple[str, Json]] = zip(names, found.bounds, strict=False)
    operand = found.operand.hex().upper() or None
    return _present(
        {
            "opcode": int(found.opcode),
            "operator": int(found.operator),
            "filter_type": found.filter_type,
            **dict(bounds),
            "operand": operand,
        }
    )


def record_access_remarks(found: RecordMessage) -> dict[str, Json]:
    """0x2A52."""
    if isinstance(found, RecordCount):
        return {"count_bytes": found.width, "leftover": "", "_trailing": 0}
    if isinstance(found, RecordRequest):
        words = f"{found.opcode.name} {found.operator.name}".lower()
        return {"request": words, **leftover(found)}
    outcome = "reserved" if found.outcome is None else found.outcome.name.lower()
    return {"outcome": outcome, **leftover(found)}


def battery_fields(found: BatteryLevel) -> dict[str, Json]:
    """0x2A19."""
    return {"percent": found.percent}


def text_fields(found: DeviceText) -> dict[str, Json]:
    """0x2A24 to 0x2A29."""
    return {"text": found.text}


def system_id_fields(found: SystemId) -> dict[str, Json]:
    """0x2A23."""
    return {"system_id": str(found)}


def pnp_id_fields(found: PnpId) -> dict[str, Json]:
    """0x2A50."""
    return {
        "vendor_source": found.vendor_source,
        "vendor": found.vendor,
        "product": found.product,
        "version": found.version,
    }


def current_time_fields(found: CurrentTime) -> dict[str, Json]:
    """0x2A2B."""
    return {
        "value": str(found.date_time),
        "weekday": found.weekday,
        "fractions_256": found.fractions_256,
        "adjust_reason": found.adjust_reason,
    }


def current_time_remarks(found: CurrentTime) -> dict[str, Json]:
    """0x2A2B."""
    return {**_problem("value", found.date_time), **leftover(found)}


def local_time_fields(found: LocalTimeInformation) -> dict[str, Json]:
    """0x2A0F."""
    return {"zone_quarters": found.zone_quarters, "daylight": found.daylight_code}


def local_time_remarks(found: LocalTimeInformation) -> dict[str, Json]:
    """0x2A0F."""
    offset = found.utc_offset
    minutes = None if offset is None else int(offset.total_seconds()) // 60
    return {"utc_offset_minutes": minutes, **leftover(found)}


def bare_number_fields(found: Bare[Value]) -> dict[str, Json]:
    """SFLOAT, FLOAT32."""
    return {"value": _number(found.value)}


def date_time_fields(found: Bare[DateTime]) -> dict[str, Json]:
    """DATETIME, 0x2A08."""
    return {"value": str(found.value)}


def date_time_remarks(found: Bare[DateTime]) -> dict[str, Json]:
    """DATETIME, 0x2A08."""
    return {**_problem("value", found.value), **leftover(found)}


def _number(value: Value) -> Decimal | str:
    return value.value if isinstance(value, NotANumber) else value


def _numbers(values: Mapping[str, Value]) -> dict[str, Json]:
    return {name: _number(value) for name, value in values.items()}


def _text(moment: DateTime | None) -> str | None:
    return None if moment is None else str(moment)


def _word(word: str | None, code: int | None) -> str | None:
    """The word of a code; a reserved code keeps its number."""
    return f"reserved_{code}" if word is None and code is not None else word


def _present(fields: Mapping[str, Any]) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def _problem(field: str, moment: DateTime | None) -> dict[str, Json]:
    if moment is None or moment.problem is None:
        return {}
    return {f"{field}_problem": moment.problem}


def _reserved(field: str, bits: int) -> dict[str, Json]:
    return {f"{field}_reserved": bits} if bits else {}
