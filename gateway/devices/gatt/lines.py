"""A decoded measurement -> the line that ``Capture`` takes.

Nothing is converted: kg/L and mol/L are units of the wire, and the digits are the device's.
Nothing is judged: what cannot be true is sent, and ingest quarantines it with the reason. Nothing
vanishes: what is no number is sent as its name (``"systolic":"NaN"`` is quarantined as
``not_a_number``), a record without a value as one without a value, bytes that no decoder takes
as their hexadecimal digits. What the wire has no field for goes beside it and is kept.

What is *not* sent: tester, health, meal size, exercise, medication and HbA1c of a glucose
context. No rule uses them, and they are a person's health data (docs/decisions/0016).

Invariants:
    An ``IntermediateCuffPressure`` cannot become a line.
    A control solution's line names no resident.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final, Literal, TypeAlias

from gateway.devices.gatt.blood_pressure import USER_UNKNOWN, BloodPressureMeasurement
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.exact_json import Json, write_json
from gateway.devices.gatt.glucose import CONTROL_SOLUTION, OFFSETS_BEYOND, GlucoseMeasurement
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.devices.gatt.sfloat import NotANumber, Value
from gateway.wire.readings import UNDECODABLE

MealContext: TypeAlias = Literal["fasting", "preprandial", "random", "bedtime", "unknown"]

# A meal that the meter calls "postprandial" may have been ten minutes ago; the wire's
# ``postprandial_2h`` has a limit of its own. ``random`` (at any time since a meal) is true of it.
_MEAL_CONTEXTS: Final[Mapping[str, MealContext]] = {
    "preprandial": "preprandial",
    "postprandial": "random",
    "fasting": "fasting",
    "casual": "random",
    "bedtime": "bedtime",
}
# What a meter says beside a value that is good all the same.
_HARMLESS: Final = frozenset({"battery_low"})
_TOO_HIGH: Final = "result_too_high"
_TOO_LOW: Final = "result_too_low"
_TIME_FAULT: Final = "time_fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose measurements a line tells of, and how that device's clock is to be read.

    ``owner`` holds ``card_number`` or ``resident_id``, or nothing: unclaimed.
    """

    device_id: str
    utc_offset: timedelta  # How far the device's wall clock is ahead of UTC.
    boot_id: str | None = None  # Changes when the device's sequence restarts.
    device_now: datetime | None = None  # The device's clock at this moment, aware.
    owner: Mapping[str, str] = field(default_factory=dict, repr=False)
    setting: Literal["office", "home", "ambulatory"] = "office"

    def __post_init__(self) -> None:
        if self.utc_offset % timedelta(minutes=1):
            msg = f"utc_offset is whole minutes, not {self.utc_offset}"
            raise ValueError(msg)
        if self.device_now is not None and self.device_now.utcoffset() is None:
            msg = "device_now needs an offset"
            raise ValueError(msg)


def blood_pressure_line(
    measurement: BloodPressureMeasurement, origin: Origin, *, stored_record: bool = False
) -> bytes:
    """One JSON object of a finished measurement."""
    m = measurement
    words = () if m.status is None else m.status.words
    clock = _Clock.of(m.timestamp, origin, stored_record=stored_record)
    range_said = [word.removeprefix("pulse_") for word in words if word.startswith("pulse_")]
    status = [word for word in words if not word.startswith("pulse_")]
    status += ["pulse_out_of_range"] * bool(range_said)
    numeric_pulse = None if isinstance(m.pulse, NotANumber) else m.pulse
    return _line(
        origin.owner,
        {
            **_head("blood_pressure", origin, stored_record=stored_record),
            "systolic": _said(m.systolic),
            "diastolic": _said(m.diastolic),
            "unit": m.unit,
            "pulse": numeric_pulse,
            "status": [*status, *clock.status],
            "measured_at": clock.measured_at,
            "mean_arterial": _said(m.mean_arterial),
            "pulse_said": m.pulse.value if isinstance(m.pulse, NotANumber) else None,
            "pulse_range": range_said[0] if range_said else None,
            "device_user": None if m.user_id == USER_UNKNOWN else m.user_id,
            "status_reserved": (m.status.reserved or None) if m.status else None,
            **clock.remarks,
            **_oddities(m.reserved_flags, m.leftover),
        },
    )


def glucose_line(
    measurement: GlucoseMeasurement,
    origin: Origin,
    context: GlucoseContext | None = None,
    *,
    stored_record: bool = False,
) -> bytes:
    """One JSON object of a meter's record, with its context where that is known already.

    Args:
        measurement: Also one without a concentration: the test failed, and ingest says so.
        origin: Its ``owner`` is left out for a control solution.
        context: With the same sequence number.
        stored_record: Fetched from the meter's memory.

    Raises:
        ValueError: The context is another record's.
    """
    m = measurement
    if context is not None and context.sequence != m.sequence:
        msg = f"context {context.sequence} does not belong to record {m.sequence}"
        raise ValueError(msg)
    words = () if m.status is None else m.status.words
    clock = _Clock.of(
        m.base_time, origin, minutes=m.time_offset_minutes or 0, stored_record=stored_record
    )
    status = [word for word in words if word not in _HARMLESS and word != _TIME_FAULT]
    status += [_TIME_FAULT] if _TIME_FAULT in words or clock.status else []
    control = m.is_control_solution
    value = _glucose(m.concentration, words)
    return _line(
        {} if control else origin.owner,
        {
            **_head("glucose", origin, stored_record=stored_record),
            "device_sequence": m.sequence,
            "glucose": None if value is None else _said(value),
            "unit": None if value is None else m.unit,
            "meal_context": None if context is None else meal_context_of(context),
            "sample": CONTROL_SOLUTION if control else m.sample,
            "status": status,
            "measured_at": clock.measured_at,
            "glucose_said": _said(m.concentration) if value is None else None,
            "sample_code": m.sample_code if control or m.sample is None else None,
            "sample_location": m.location,
            "annunciations": [word for word in words if word in _HARMLESS] or None,
            "meal": None if context is None else context.meal,
            "status_reserved": (m.status.reserved or None) if m.status else None,
            **clock.remarks,
            **_oddities(m.reserved_flags, m.leftover),
        },
    )


def undecodable_line(
    characteristic: str, value: bytes, error: DecodeError, origin: Origin
) -> bytes:
    """One JSON object of bytes that are no measurement: kept whole, quarantined by ingest."""
    return _line(
        origin.owner,
        {
            **_head(UNDECODABLE, origin, stored_record=False),
            "characteristic": characteristic,
            "bytes": _hex(value),
            "decode_error": error.code.value,
            "decode_field": error.field,
            "decode_offset": error.offset,
        },
    )


def meal_context_of(context: GlucoseContext) -> MealContext:
    """The wire's word for the meal; ``unknown`` where none is said."""
    return "unknown" if context.meal is None else _MEAL_CONTEXTS[context.meal]


def _glucose(concentration: Value | None, words: tuple[str, ...]) -> Value | None:
    """The value to send; None where the meter says HI or LO and no number.

    A number stands beside HI or LO as it is. NaN and the overflow of the same side add nothing
    to HI or LO; the overflow of the other side contradicts it and goes on as what it is.
    """
    if not isinstance(concentration, NotANumber):
        return concentration
    agreeing = {
        _TOO_HIGH: {NotANumber.ABOVE, NotANumber.NAN, NotANumber.NRES},
        _TOO_LOW: {NotANumber.BELOW, NotANumber.NAN, NotANumber.NRES},
    }
    said = [concentration in agreeing[word] for word in words if word in agreeing]
    return None if said and all(said) else concentration


@dataclass(frozen=True, slots=True)
class _Clock:
    """The device's time on the wire: an instant, or the words it was told in and a flag."""

    measured_at: str | None
    status: tuple[str, ...]
    remarks: dict[str, Json]

    @classmethod
    def of(
        cls, said: DateTime | None, origin: Origin, *, minutes: int = 0, stored_record: bool
    ) -> "_Clock":
        if said is None:  # Taken just now, if it was not stored: then the arrival is its time.
            return cls(None, (_TIME_FAULT,) if stored_record else (), {})
        moment = None
        if minutes not in OFFSETS_BEYOND:
            moment = said.at(origin.utc_offset, minutes=minutes)
        if moment is not None:
            return cls(moment.isoformat(), (), {})
        remarks: dict[str, Json] = {
            "device_time": str(said),
            "device_time_problem": said.problem or "outside the calendar",
        }
        if minutes:
            remarks["device_time_offset_minutes"] = minutes
        return cls(None, (_TIME_FAULT,), remarks)


def _head(kind: str, origin: Origin, *, stored_record: bool) -> dict[str, Json]:
    now = origin.device_now
    shown = None if now is None else now.astimezone(timezone(origin.utc_offset)).isoformat()
    return {
        "device_id": origin.device_id,
        "boot_id": origin.boot_id,
        "kind": kind,
        "setting": origin.setting,
        "stored_record": stored_record or None,
        "device_now": shown,
    }


def _oddities(reserved_flags: int, leftover: bytes) -> dict[str, Json]:
    return {"flags_reserved": reserved_flags or None, "leftover": _hex(leftover) or None}


def _hex(value: bytes) -> str:
    """Byte by byte: eighteen digits in a row could be taken for a national number, and refused."""
    return value.hex(" ").upper()


def _said(value: Value | None) -> Json:
    return value.value if isinstance(value, NotANumber) else value


def _line(owner: Mapping[str, str], members: Mapping[str, Json]) -> bytes:
    """Members without a value are left out: absent and null are the same on the wire."""
    said = {name: value for name, value in members.items() if value not in (None, [])}
    return write_json({**owner, **said}).encode()
