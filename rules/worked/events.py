"""The events of a worked case as columns: readings, amendments, records, each with its arrival.

Nothing is judged here, and nothing is guessed: an unknown word is refused with its place.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules import reported as raw
from rules.codes import CaseState, ClosureReason, RecordKind
from rules.columns import (
    ARM_CODES,
    BOTH_CONDITIONS,
    KIND_BLOOD_PRESSURE,
    KIND_GLUCOSE,
    MEAL_CODES,
    SETTING_CODES,
    Records,
)
from rules.reported import NO_SEQUENCE, NO_UNIT, Field, Reported
from rules.units import GLUCOSE_UNIT_CODES, PRESSURE_UNIT_CODES
from rules.worked.fields import Fields
from rules.worked.people import CONDITIONS

_KINDS: Final = {
    "bp": KIND_BLOOD_PRESSURE,
    "blood_pressure": KIND_BLOOD_PRESSURE,
    "glucose": KIND_GLUCOSE,
}
_RECORDS: Final = {
    "visit": RecordKind.VISIT,
    "referral_followup": RecordKind.REFERRAL_FOLLOWUP,
    "override": RecordKind.OVERRIDE,
    "reschedule": RecordKind.RESCHEDULE,
    "closure": RecordKind.CLOSURE,
    "reopening": RecordKind.RETURN,
}
_STATES: Final = {state.name.lower(): int(state) for state in CaseState}
_REASONS: Final = {reason.name.lower(): int(reason) for reason in ClosureReason}
_REACTION: Final = ("adverse_drug_reaction",)
_COMPLICATION: Final = ("new_complication", "worse_complication")
_MODES: Final = {"clinic": 1, "home": 1, "phone": 0}
_PRESSURE_STATUS: Final = {
    0: raw.STATUS_BODY_MOVEMENT,
    1: raw.STATUS_CUFF_LOOSE,
    2: raw.STATUS_IRREGULAR_PULSE,
    5: raw.STATUS_IMPROPER_POSITION,
}
_GLUCOSE_STATUS: Final = {
    5: raw.STATUS_RESULT_TOO_HIGH,
    6: raw.STATUS_RESULT_TOO_LOW,
    11: raw.STATUS_TIME_FAULT,
}
_CONTROL_SAMPLE: Final = (10, "control_solution")
_SAMPLES: Final = (
    "capillary_whole_blood",
    "capillary_plasma",
    "venous_whole_blood",
    "venous_plasma",
    "arterial_whole_blood",
    "arterial_plasma",
    "undetermined_whole_blood",
    "undetermined_plasma",
    "interstitial_fluid",
    "control_solution",
)
_NAT: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class CaseEvents:
    """The events of one case. Lists are aligned within each group; times are microseconds."""

    readings: list[dict[str, Any]] = field(default_factory=list)
    amendments: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    devices: dict[str, int] = field(default_factory=dict)
    strangers: dict[str, int] = field(default_factory=dict)
    arrivals: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # Of readings, in order.
    resident: str = ""  # Who is asked about: row 0 of residents.
    long_names: dict[bytes, str] = field(default_factory=dict)

    def row_of(self, owner: str) -> int:
        """Row of the resident with this name; whoever is not asked about is a stranger."""
        if owner == self.resident:
            return 0
        return self.strangers.setdefault(owner, len(self.strangers) + 1)

    def name_of(self, id_: bytes) -> str:
        """An event's name from the id of a column."""
        return self.long_names.get(id_) or id_.decode()


_ID_BYTES: Final = 16


def as_id(name: str) -> bytes:
    """An event's name as the raw id of a column; a longer one by its digest."""
    raw = name.encode()
    if len(raw) <= _ID_BYTES:
        return raw
    return b"~" + blake2b(raw, digest_size=_ID_BYTES - 1).digest().replace(b"\0", b"\1")


def read_events(case: str, resident: str, events: list[Any]) -> CaseEvents:
    """Read all events.

    Raises:
        CaseFileError: An event or field that cannot be read.
    """
    found = CaseEvents(resident=resident)
    for number, content in enumerate(events):
        if not isinstance(content, dict):
            place = Fields(case, "case", {})
            place.refuse(f"events[{number}]", f"is {content!r}; write an object")
        name = content.get("event_id")
        fields = Fields(case, str(name or f"events[{number}]"), content)
        if not isinstance(name, str) or not name or "\0" in name:
            fields.refuse("event_id", f"is {name!r}; write a text")
        if len(name.encode()) > _ID_BYTES:
            found.long_names[as_id(name)] = name
        kind = fields.text("type")
        if kind == "reading":
            _read_reading(found, fields)
        elif kind in {"correction", "retraction"}:
            _read_amendment(found, fields, kind)
        elif kind == "context":
            _read_context(found, fields)
        elif kind in _RECORDS:
            _read_record(found, fields, _RECORDS[kind])
        else:
            fields.refuse("type", f"is {kind!r}; this type of event is not known")
    for told in (found.amendments, found.contexts, found.records):
        _keep_first(told)
    return found


def _keep_first(told: list[dict[str, Any]]) -> None:
    """What is told twice under one id counts once, as it was first received.

    Readings stay as they come: which of them are duplicates the rules say themselves.
    """
    first: dict[bytes, dict[str, Any]] = {}
    for event in told:
        before = first.setdefault(event["ids"], event)
        if event["received_at"] < before["received_at"]:
            first[event["ids"]] = event
    told[:] = first.values()


def _read_reading(found: CaseEvents, fields: Fields) -> None:
    kind = fields.one_of("kind", _KINDS)
    pressure = kind == KIND_BLOOD_PRESSURE
    received = fields.instant("received_at")
    owner = fields.content.get("resident", found.resident)
    row = found.row_of(f"unclaimed {fields.name}" if owner is None else str(owner))
    device = fields.text("device", "unknown") + f" {fields.content.get('boot_id')}"
    gateway = fields.clock("gateway_now")
    found.arrivals.append(received)
    found.ids.append(fields.name)
    found.readings.append(
        {
            "resident": row,
            "ids": as_id(fields.name),
            "kind": kind,
            "systolic_e4": fields.scaled("sbp", 4) if pressure else -1,
            "diastolic_e4": fields.scaled("dbp", 4) if pressure else -1,
            "glucose_e7": -1 if pressure else fields.scaled("value", 7),
            "unit": unit_code(fields.content.get("unit"), pressure=pressure),
            "status": status_bits(fields, pressure=pressure),
            "setting": fields.one_of("setting", SETTING_CODES, "office"),
            "arm": fields.one_of("arm", ARM_CODES),
            "meal_context": fields.one_of("context", MEAL_CODES),
            "control_solution": is_control_solution(fields),
            "stored_record": fields.flag("stored_record"),
            "device": found.devices.setdefault(device, len(found.devices)),
            "sequence": fields.whole("seq", NO_SEQUENCE),
            "measured_at": _or_nat(fields.clock("measured_at")),
            "device_now": _NAT if gateway is None else _or_nat(fields.clock("device_now")),
            "captured_at": received if gateway is None else gateway,
            "arrived_at": received,
            "received_at": received,
        }
    )


def _or_nat(instant: int | None) -> int:
    return _NAT if instant is None else instant


def unit_code(name: Any, *, pressure: bool) -> int:  # noqa: ANN401 - whatever the file says
    """A unit that is missing or of nothing measured here is no unit: quarantined, not guessed."""
    known = PRESSURE_UNIT_CODES if pressure else GLUCOSE_UNIT_CODES
    if not isinstance(name, str):
        return NO_UNIT
    return known.get("mmHg" if name == "mm[Hg]" else name, NO_UNIT)


def is_control_solution(fields: Fields) -> bool:
    """Sample type 10 of the glucose profile, or its name; an unknown word is refused."""
    sample = fields.content.get("sample_type")
    if isinstance(sample, str) and sample not in _SAMPLES:
        fields.refuse("sample_type", f"is {sample!r}; expected a number, or {', '.join(_SAMPLES)}")
    return sample in _CONTROL_SAMPLE


def status_bits(fields: Fields, *, pressure: bool) -> int:
    """The status bits of the device that the rules know; others say nothing to them."""
    bits = fields.whole("status", 0)
    meaning = _PRESSURE_STATUS if pressure else _GLUCOSE_STATUS
    return sum(ours for bit, ours in meaning.items() if bits >> bit & 1)


def _read_amendment(found: CaseEvents, fields: Fields, kind: str) -> None:
    received = fields.instant("received_at")
    found.arrivals.append(received)
    common = {
        "target": fields.text("target"),
        "received_at": received,
        "ids": as_id(fields.name),
    }
    if kind == "retraction":
        found.amendments.append(common | {"field": int(Field.RETRACTED), "changes": None})
        return
    changes = fields.content.get("set")
    if not isinstance(changes, dict) or not changes:
        fields.refuse("set", f"is {changes!r}; name the fields that change")
    inner = Fields(fields.case, f"{fields.name}.set", changes)
    found.amendments.append(common | {"field": None, "changes": inner})


def _read_context(found: CaseEvents, fields: Fields) -> None:
    received = fields.instant("received_at")
    found.arrivals.append(received)
    device = fields.text("device") + f" {fields.content.get('boot_id')}"
    if fields.content.get("seq") is None:
        fields.refuse("seq", "is missing; a context names its reading by device and sequence")
    found.contexts.append(
        {
            "device": found.devices.setdefault(device, len(found.devices)),
            "sequence": fields.whole("seq", NO_SEQUENCE),
            "value": fields.one_of("context", MEAL_CODES),
            "received_at": received,
            "ids": as_id(fields.name),
        }
    )


def _read_record(found: CaseEvents, fields: Fields, kind: RecordKind) -> None:
    at = fields.instant("at")
    received = fields.clock("received_at")
    findings = fields.content.get("findings") or []
    known = (*_REACTION, *_COMPLICATION)
    if not isinstance(findings, list) or any(item not in known for item in findings):
        fields.refuse("findings", f"is {findings!r}; expected a list of {', '.join(known)}")
    about = fields.content.get("condition")
    override, closure = kind == RecordKind.OVERRIDE, kind == RecordKind.CLOSURE
    found.arrivals.append(at if received is None else received)
    found.records.append(
        {
            "resident": 0,
            "ids": as_id(fields.name),
            "kind": int(kind),
            "condition": BOTH_CONDITIONS
            if about is None
            else fields.one_of("condition", CONDITIONS | {"diabetes": CONDITIONS["diabetes_t2"]}),
            "at": at,
            "received_at": at if received is None else received,
            "adverse_reaction": any(item in _REACTION for item in findings),
            "complication": any(item in _COMPLICATION for item in findings),
            "face_to_face": bool(fields.one_of("mode", _MODES, "clinic")),
            "state": fields.one_of("state", _STATES) if override else 0,
            "due": fields.day("due"),
            "reason": fields.one_of("reason", _REASONS) if closure else 0,
        }
    )


def as_columns(rows: list[dict[str, Any]], types: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Rows as columns of the given types."""
    return {
        name: np.array([row[name] for row in rows], dtype="int64").view(dtype)
        if np.dtype(dtype).kind == "M" and dtype != "datetime64[D]"
        else np.array([row[name] for row in rows], dtype=dtype)
        for name, dtype in types.items()
    }


_INSTANTS: Final = ("measured_at", "device_now", "captured_at", "arrived_at", "received_at")
_REPORTED: Final[dict[str, Any]] = {
    "resident": "int64",
    "ids": "S16",
    "kind": "int8",
    **dict.fromkeys(("systolic_e4", "diastolic_e4", "glucose_e7"), "int64"),
    "unit": "int8",
    "status": "int64",
    **dict.fromkeys(("setting", "arm", "meal_context"), "int8"),
    **dict.fromkeys(("control_solution", "stored_record"), "bool"),
    **dict.fromkeys(("device", "sequence"), "int64"),
    **dict.fromkeys(_INSTANTS, "datetime64[us]"),
}
_RECORD: Final[dict[str, Any]] = {
    "resident": "int64",
    "ids": "S16",
    **dict.fromkeys(("kind", "condition", "state", "reason"), "int8"),
    **dict.fromkeys(("at", "received_at"), "datetime64[us]"),
    **dict.fromkeys(("adverse_reaction", "complication", "face_to_face"), "bool"),
    "due": "datetime64[D]",
}


def to_reported(found: CaseEvents) -> Reported:
    """The readings, in the order of the file."""
    return Reported(**as_columns(found.readings, _REPORTED))


def to_records(found: CaseEvents) -> Records:
    """What people recorded, in the order of the file."""
    return Records(**as_columns(found.records, _RECORD))
