"""What is known of one resident at a moment: decision table 2.2 (steps 1 to 6) and 2.6.

Events come as the worked cases write them. First the same measurement told twice is recognised,
on the values as first reported; then late context, corrections and retractions are applied; then
quality is judged; then the time is corrected and the unit is made one. Exact fractions only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Any, Final, TypeAlias

from simulators.oracle.person import SHANGHAI

Event: TypeAlias = Mapping[str, Any]

MINUTE: Final = timedelta(minutes=1)
PEOPLES: Final = {"visit", "referral_followup", "override", "reschedule", "closure", "reopening"}
_MMHG: Final = {"mm[Hg]": Fraction(1), "mmHg": Fraction(1), "kPa": Fraction("7.50061575846")}
_GLUCOSE_UNITS: Final = {"mmol/L", "mol/L", "mg/dL", "kg/L"}
_BAD_CUFF: Final = 0b100011  # Body movement, cuff loose, improper position.
_TOO_HIGH, _TOO_LOW, _TIME_FAULT = 1 << 5, 1 << 6, 1 << 11
_CONTROL_SOLUTION: Final = 10
_CONTROL_LOCATION: Final = 4
_LOWEST_MMOL_L: Final = Fraction("0.6")
_FIRST_CREDIBLE: Final = datetime(2015, 1, 1, tzinfo=SHANGHAI)


@dataclass(frozen=True)
class Reading:
    """One accepted measurement: mmHg or mmol/L, at its effective time.

    Attributes:
        glucose: None where the meter said no number, only ``beyond``: "HI" or "LO".
    """

    id: str
    kind: str
    at: datetime
    captured_at: datetime
    received_at: datetime
    setting: str
    arm: str | None
    context: str
    systolic: Fraction = Fraction(0)
    diastolic: Fraction = Fraction(0)
    glucose: Fraction | None = None
    beyond: str | None = None

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Readings follow each other by effective time, on a tie by capture, then by id."""
        return self.at, self.captured_at, self.id


@dataclass(frozen=True)
class Act:
    """What people recorded: a visit, a referral's follow-up, an override, a closure, a return."""

    id: str
    kind: str
    at: datetime
    condition: str | None  # None: both.
    told: Event


@dataclass(frozen=True)
class Knowledge:
    """Everything known at a moment. ``readings`` are those that count, in order."""

    readings: list[Reading]
    acts: list[Act]
    dispositions: dict[str, str]
    normalized: dict[str, Reading]


@lru_cache(maxsize=100_000)
def moment(text: str) -> datetime:
    """An instant; without an offset it is the time of the one zone there is."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)


@dataclass(frozen=True, eq=False)
class Told:
    """An event as it came in, and what tells a reading apart from another.

    Attributes:
        sequence: Key of a numbered reading, or of the context that belongs to one.
        key: What makes two ids one measurement; None: only the id does.
        values: As first reported.
    """

    event: Event
    id: str
    arrival: datetime
    sequence: object = None
    key: object = None
    values: object = None


Judged: TypeAlias = tuple[str, Reading | None, bool]
"""Disposition, the normalised reading if it was accepted, and whether it counts."""
Memory: TypeAlias = dict[object, Judged]
"""Readings judged before, by id and changed fields: so that no step does it again."""


def read_event(event: Event, resident_id: str) -> Told:
    """An event of a case, ready to be known."""
    arrival = moment(event["at"] if event["type"] in PEOPLES else event["received_at"])
    name, sequence = event["event_id"], _sequence_key(event, resident_id)
    if event["type"] != "reading":
        return Told(event, name, arrival, sequence)
    key = sequence or _time_key(event, resident_id)
    return Told(event, name, arrival, sequence, key, _values(event))


def know(events: Iterable[Told], resident_id: str, memory: Memory) -> Knowledge:
    """What these events say together; their order does not matter."""
    first_told: dict[str, Told] = {}
    delivered_again = set()
    for told in sorted(events, key=lambda each: (each.arrival, each.id)):
        if first_told.setdefault(told.id, told) is not told and told.event["type"] == "reading":
            delivered_again.add(told.id)
    of_type: dict[str, list[Told]] = {name: [] for name in _TYPES}
    for told in first_told.values():
        of_type[told.event["type"]].append(told)
    retracted = {told.event["target"] for told in of_type["retraction"]}
    for name in {"context", "correction", *PEOPLES}:
        of_type[name] = [told for told in of_type[name] if told.id not in retracted]
    accepted, dispositions = _tell_apart(of_type["reading"])
    changes = _changes(accepted, of_type)
    readings, normalized = [], {}
    for told in accepted:
        dispositions[told.id], reading, counts = (
            ("retracted", None, False)
            if told.id in retracted
            else _judge(told.event, changes[told.id], resident_id, memory)
        )
        if reading is not None:
            normalized[told.id] = reading
        if reading is not None and counts:
            readings.append(reading)
    dispositions |= dict.fromkeys(delivered_again, "duplicate")
    acts = [
        Act(told.id, name, told.arrival, told.event.get("condition"), told.event)
        for name in PEOPLES
        for told in of_type[name]
    ]
    return Knowledge(
        sorted(readings, key=lambda each: each.order),
        sorted(acts, key=lambda each: (each.at, each.id)),
        dispositions,
        normalized,
    )


_TYPES: Final = {"reading", "context", "correction", "retraction", *PEOPLES}


def _tell_apart(events: list[Told]) -> tuple[list[Told], dict[str, str]]:
    """2.6: the readings that are not told for the second time, and what the others are."""
    accepted: list[Told] = []
    others: dict[str, str] = {}
    first_values: dict[object, object] = {}
    for told in events:
        if told.key is None or told.key not in first_values:
            accepted.append(told)
            if told.key is not None:
                first_values[told.key] = told.values
        else:
            same = first_values[told.key] == told.values
            others[told.id] = "duplicate" if same else "conflict"
    return accepted, others


def _changes(accepted: list[Told], of_type: Mapping[str, list[Told]]) -> dict[str, dict[str, Any]]:
    """Late context, then corrections; of each field the latest received wins."""
    changes: dict[str, dict[str, Any]] = {told.id: {} for told in accepted}
    numbered: dict[object, str] = {}
    for told in accepted:
        numbered.setdefault(_but_arm(told.sequence), told.id)
    for told in of_type["context"]:
        target = numbered.get(_but_arm(told.sequence)) if told.sequence else None
        if target is not None:
            changes[target]["context"] = told.event["context"]
    for told in of_type["correction"]:
        changes.get(told.event["target"], {}).update(told.event["set"])
    return changes


def _but_arm(sequence: object) -> object:
    """A context does not know the arm: it joins the first reading accepted under its sequence."""
    return sequence[:-1] if isinstance(sequence, tuple) else None


def _judge(event: Event, changes: dict[str, Any], resident_id: str, memory: Memory) -> Judged:
    key = event["event_id"], tuple(sorted(changes.items()))
    if key not in memory:
        fields = {**event, **changes}
        disposition = _quality(fields)
        reading = normalise(fields) if disposition == "accepted" else None
        memory[key] = disposition, reading, _counts(fields, resident_id)
    return memory[key]


def _sequence_key(event: Event, resident_id: str) -> object:
    if event.get("seq") is None or event.get("device") is None:
        return None
    resident = event.get("resident") or resident_id
    arm = event.get("arm")
    return "sequence", resident, event["device"], event.get("boot_id"), event["seq"], arm


def _time_key(event: Event, resident_id: str) -> object:
    """Only a clock that says *when* makes two readings one; one stuck at 1970 does not."""
    if not event.get("device") or not _clock_is_credible(event):
        return None
    at = moment(event["measured_at"])
    resident = event.get("resident") or resident_id
    return "time", resident, event["device"], at, _values(event)


def _values(event: Event) -> tuple[object, ...]:
    """What was measured; 7.0 and 7.00 are the same value, another arm is another value."""
    names = ("sbp", "dbp", "value")
    numbers = [number(event.get(name)) for name in names]
    texts = [
        None if number is not None else str(event.get(name))
        for name, number in zip(names, numbers, strict=True)
    ]
    unit = "mm[Hg]" if event.get("unit") == "mmHg" else event.get("unit")
    beyond = _beyond(event) if event["kind"] == "glucose" else None
    return event["kind"], *numbers, *texts, unit, event.get("arm"), beyond


def number(value: object) -> Fraction | None:
    """A JSON number, exactly; None for null, text, NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return _exact(str(value))


@lru_cache(maxsize=100_000)
def _exact(text: str) -> Fraction | None:
    exact = Decimal(text)
    return Fraction(exact) if exact.is_finite() else None


@lru_cache(maxsize=100_000)
def mmol_l(value: Fraction, unit: str) -> Fraction:
    """mmol/L as sent; amounts of mass are rounded half up to 0.1 first."""
    if unit == "mmol/L":
        return value
    if unit == "mol/L":
        return value * 1000
    mg_dl = value if unit == "mg/dL" else value * 100_000
    return Fraction(floor(mg_dl / Fraction("18.0156") * 10 + Fraction(1, 2)), 10)


def _beyond(fields: Event) -> str | None:
    """HI or LO, where the meter says so and says no number; "both" is no answer."""
    status = fields.get("status") or 0
    if number(fields.get("value")) is not None or not status & (_TOO_HIGH | _TOO_LOW):
        return None
    if status & _TOO_HIGH and status & _TOO_LOW:
        return "both"
    return "HI" if status & _TOO_HIGH else "LO"


def _quality(fields: Event) -> str:
    """2.2 step 4: accepted, or why a reading is stored and shown but not judged."""
    if fields["kind"] == "bp":
        return _quality_of_pressure(fields)
    return _quality_of_glucose(fields)


def _quality_of_pressure(fields: Event) -> str:
    factor = _MMHG.get(fields.get("unit") or "")
    if factor is None:
        return "quarantined:missing_unit"
    high, low = number(fields.get("sbp")), number(fields.get("dbp"))
    if high is None or low is None:
        return "quarantined:not_a_number"
    high, low = high * factor, low * factor
    if not 50 <= high <= 300 or not 20 <= low <= 200 or high <= low:
        return "quarantined:implausible"
    if (fields.get("status") or 0) & _BAD_CUFF:
        return "quarantined:device_status"
    return "accepted"


def _quality_of_glucose(fields: Event) -> str:
    beyond, value, unit = _beyond(fields), number(fields.get("value")), fields.get("unit")
    if beyond == "both":
        return "quarantined:device_status"
    if beyond is None:
        if unit not in _GLUCOSE_UNITS:
            return "quarantined:missing_unit"
        if value is None:
            return "quarantined:not_a_number"
        if not _LOWEST_MMOL_L <= mmol_l(value, unit) <= 55:
            return "quarantined:implausible"
    control = fields.get("sample_type") == _CONTROL_SOLUTION
    if control or fields.get("location") == _CONTROL_LOCATION:
        return "excluded:control_solution"
    return "accepted"


def effective_time(fields: Event) -> tuple[datetime, bool]:
    """2.2 step 5: when it was measured, and whether that had to be taken from the arrival."""
    received = moment(fields["received_at"])
    if fields["kind"] == "glucose" and (fields.get("status") or 0) & _TIME_FAULT:
        return received, True
    if fields.get("measured_at") is None:
        return received, False  # A device without a clock: nothing is wrong with it.
    try:
        at = moment(fields["measured_at"])
        if fields.get("gateway_now") and fields.get("device_now"):
            at += moment(fields["gateway_now"]) - moment(fields["device_now"])
    except (ValueError, OverflowError):  # The year 0; no time at all.
        return received, True
    if _FIRST_CREDIBLE <= at <= received + 5 * MINUTE:
        return at, False
    return received, True


def _clock_is_credible(event: Event) -> bool:
    """Whether the device's time, corrected where it can be, can be when it was."""
    told = {**event, "received_at": event.get("gateway_now") or event["received_at"]}
    return event.get("measured_at") is not None and not effective_time(told)[1]


def normalise(fields: Event) -> Reading:
    """Steps 5 and 6, of a reading that can be judged."""
    at, _ = effective_time(fields)
    received = moment(fields["received_at"])
    captured = moment(fields["gateway_now"]) if fields.get("gateway_now") else received
    numbers: dict[str, Any] = {}
    if fields["kind"] == "bp":
        high, low = number(fields["sbp"]), number(fields["dbp"])
        assert high is not None
        assert low is not None
        factor = _MMHG[fields["unit"]]
        numbers = {"systolic": high * factor, "diastolic": low * factor}
    else:
        value = number(fields.get("value"))
        numbers["beyond"] = _beyond(fields)
        numbers["glucose"] = None if value is None else mmol_l(value, fields["unit"])
    return Reading(
        id=fields["event_id"],
        kind=fields["kind"],
        at=at,
        captured_at=captured,
        received_at=received,
        setting=fields.get("setting") or "office",
        arm=fields.get("arm"),
        context=fields.get("context") or "unknown",
        **numbers,
    )


def _counts(fields: Event, resident_id: str) -> bool:
    """Not somebody else's, and not from the memory of a device whose clock is wrong."""
    if (fields.get("resident") or resident_id) != resident_id:
        return False
    return not (fields.get("stored_record") and effective_time(fields)[1])


def tell_normalized(reading: Reading) -> dict[str, object]:
    """A normalised value as the worked cases write it."""
    if reading.kind == "bp":
        return {
            "sbp": _decimal(reading.systolic),
            "dbp": _decimal(reading.diastolic),
            "unit": "mm[Hg]",
        }
    if reading.glucose is None:
        return {"value": reading.beyond, "unit": None}
    return {"value": _decimal(reading.glucose), "unit": "mmol/L"}


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
