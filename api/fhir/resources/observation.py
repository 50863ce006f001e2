"""One reading as an Observation: a pressure as the panel with its components, a glucose value.

Values keep the unit and the digits that the device reported; a correction replaces what it
corrects, and a retraction leaves everything and says so. It must never show a value without its
unit, nor a context only inside a code. It is its present owner's, as ``visible_reading`` has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from api.fhir import ids
from api.fhir.codes import (
    ABSENT_REASONS,
    BP_PROFILE,
    CATEGORIES,
    CENTRE_IDS,
    DATA_ELEMENTS,
    DEVICE_IDS,
    DIASTOLIC,
    DIASTOLIC_ELEMENT,
    FACTS,
    FASTING_GLUCOSE_ELEMENT,
    GLUCOSE_NAMES,
    INTERPRETATIONS,
    LOINC,
    MOLAR_UNITS,
    PANEL,
    PER_MINUTE,
    PULSE,
    READING_IDS,
    RESIDENT_IDS,
    SPECIMENS,
    SYSTOLIC,
    SYSTOLIC_ELEMENT,
    UCUM,
    UCUM_OF_UNIT,
    Json,
    Sugar,
    coding,
    concept,
    glucose_code,
    identifier,
)
from api.fhir.resources.meta import instant, meta, quantity

Status = Literal["final", "corrected", "entered-in-error"]
_TIME_NOT_BELIEVED: Final = "The device's clock was not believed: the time is that of the arrival."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A reading as it stands: what the device said, with what was said of it later."""

    row: Mapping[str, Any]
    changes: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Reading":
        """From a row of ``queries``."""
        return cls(row=row, changes=row["changes"] or {})

    @property
    def status(self) -> Status:
        """How far it can be relied on."""
        if self.row["retracted"]:
            return "entered-in-error"
        return "corrected" if self.changes else "final"

    @property
    def unit(self) -> str | None:
        """Of its value."""
        return self._text("unit")

    @property
    def meal_context(self) -> str:
        """A person's word over the meter's later one over the first."""
        said = self.changes.get("meal_context") or self.row["late_context"]
        return str(said or self.row["meal_context"] or "unknown")

    @property
    def effective_at(self) -> datetime:
        """When it was taken: corrected by a person, else by the clocks."""
        corrected = self.changes.get("measured_at")
        effective: datetime = self.row["effective_at"]
        return effective if corrected is None else datetime.fromisoformat(corrected)

    @property
    def flags(self) -> list[str]:
        """What the device said of itself."""
        return list(self.changes.get("status", self.row["status"]))

    def number(self, name: str) -> Decimal | None:
        """A measured value, exact."""
        changed = self.changes.get(name)
        found: Decimal | None = self.row[name]
        return found if changed is None else Decimal(changed)

    def text(self, name: str) -> str | None:
        """A word of the wire, as it stands."""
        return self._text(name)

    def _text(self, name: str) -> str | None:
        found = self.changes.get(name)
        found = self.row[name] if found is None else found
        return None if found is None else str(found)


def build(row: Mapping[str, Any]) -> Json:
    """The Observation of one row of ``queries``. Pure."""
    reading = Reading.of(row)
    measured = _pressure(reading) if row["kind"] == "blood_pressure" else _glucose(reading)
    in_mmhg = row["kind"] == "blood_pressure" and reading.unit == "mmHg"
    profile = BP_PROFILE if in_mmhg and row["resident_id"] is not None else None
    facts = [
        _fact(name, word)
        for name, words in (
            ("setting", [reading.text("setting")]),
            ("posture", [row["posture"]]),
            ("device-status", reading.flags),
        )
        for word in words
        if word is not None
    ]
    resource: Json = {
        "resourceType": "Observation",
        "id": str(row["id"]),
        "meta": meta(row["version"], row["updated_at"], profile),
        "identifier": [
            identifier(READING_IDS, str(row["id"])),
            *(identifier(system, value) for system, value in row["identifiers"] or ()),
        ],
        "status": reading.status,
        **_subject(reading),
        "effectiveDateTime": instant(reading.effective_at),
        "issued": instant(row["received_at"]),
        "performer": [
            {"type": "Organization", "identifier": identifier(CENTRE_IDS, row["centre_id"])}
        ],
        "device": _device(row),
        **measured,
    }
    resource["component"] = resource.get("component", []) + facts
    if reading.text("arm") is not None:
        resource["bodySite"] = {"text": f"{reading.text('arm')} arm"}
    if row["time_suspect"] and "measured_at" not in reading.changes:
        resource["note"] = [{"text": _TIME_NOT_BELIEVED}]
    return resource


def _subject(reading: Reading) -> Json:
    resident = reading.row["resident_id"]
    return {} if resident is None else {"subject": ids.reference("Patient", resident, RESIDENT_IDS)}


def _device(row: Mapping[str, Any]) -> Json:
    found = ids.reference("Device", row["device_id"], DEVICE_IDS)
    if not row["device_known"]:  # Nothing is at that address.
        found.pop("reference", None)
    return found


def _category(code: str) -> list[Json]:
    return [concept(coding(CATEGORIES, code))]


def _pressure(reading: Reading) -> Json:
    unit = reading.unit or ""
    components = [
        {
            "code": concept(
                coding(LOINC, code, display), coding(DATA_ELEMENTS, element, text), text=display
            ),
            **_value(reading.number(name), unit),
        }
        for name, code, display, element, text in (
            ("systolic", SYSTOLIC, "Systolic blood pressure", SYSTOLIC_ELEMENT, "收缩压"),
            ("diastolic", DIASTOLIC, "Diastolic blood pressure", DIASTOLIC_ELEMENT, "舒张压"),
        )
    ]
    pulse = reading.row["pulse"]
    if pulse is not None:
        components.append(
            {
                "code": concept(coding(LOINC, PULSE, "Heart rate"), text="Pulse"),
                "valueQuantity": quantity(pulse, PER_MINUTE, PER_MINUTE),
            }
        )
    panel = coding(LOINC, PANEL, "Blood pressure panel with all children optional")
    return {
        "category": _category("vital-signs"),
        "code": concept(panel, text="Blood pressure"),
        "component": components,
    }


def _glucose(reading: Reading) -> Json:
    context, unit = reading.meal_context, reading.unit
    return {
        "category": _category("laboratory"),
        "code": _glucose_concept(reading),
        **_glucose_value(reading, unit),
        "component": [
            _fact("meal-context", context),
            *([_fact("sample", reading.row["sample"])] if reading.row["sample"] else []),
        ],
    }


def _glucose_concept(reading: Reading) -> Json:
    fasting = reading.meal_context == "fasting"
    specimen = SPECIMENS.get(reading.row["sample"])
    molar = reading.unit in MOLAR_UNITS
    codings = []
    if specimen is not None:
        code = glucose_code(Sugar(fasting=fasting, molar=molar, specimen=specimen))
        if code is not None:
            codings.append(coding(LOINC, code, GLUCOSE_NAMES[code]))
    if fasting and reading.unit == "mmol/L":
        codings.append(coding(DATA_ELEMENTS, FASTING_GLUCOSE_ELEMENT, "空腹血糖值"))
    return concept(*codings, text="Fasting glucose" if fasting else "Glucose")


def _glucose_value(reading: Reading, unit: str | None) -> Json:
    """The value; else which way it is beyond the meter's range."""
    found: Json = {}
    beyond = {"result_too_high": (">", "Off scale high"), "result_too_low": ("<", "Off scale low")}
    for flag, (code, display) in beyond.items():
        if flag in reading.flags:
            found["interpretation"] = [concept(coding(INTERPRETATIONS, code, display))]
    value = reading.number("glucose")
    if value is not None and unit is not None:
        return {**_value(value, unit), **found}
    reason = "positive-infinity" if "result_too_high" in reading.flags else "negative-infinity"
    return {"dataAbsentReason": concept(coding(ABSENT_REASONS, reason)), **found}


def _value(value: Decimal | None, unit: str) -> Json:
    if value is None:
        return {"dataAbsentReason": concept(coding(ABSENT_REASONS, "unknown"))}
    return {
        "valueQuantity": {
            "value": value,
            "unit": unit,
            "system": UCUM,
            "code": UCUM_OF_UNIT[unit],
        }
    }


def _fact(name: str, word: str) -> Json:
    return {
        "code": concept(coding(FACTS, name)),
        "valueCodeableConcept": concept(coding(f"urn:suifang:{name}", word), text=word),
    }
