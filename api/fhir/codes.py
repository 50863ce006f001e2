"""Code systems and codes of what goes out and comes in. No code stands here without its source.

LOINC does not carry the unit, and a code that says "fasting" says nothing of the unit either
(clinical decision table 4): unit and meal context are always written beside the code. Where no
sourced code says as much as the reading does, a wider one is used and the context still stands in
a component of our own. Invariant: every table here is read in both directions, out and in.

Source: clinical decision table 4 (LOINC, SNOMED CT, UCUM, Chinese data elements).
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
DATA_ELEMENTS: Final = "urn:oid:2.16.156.10011.2.2.1"  # Chinese health data elements (DE…).
CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT_REASONS: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
BP_PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/bp"

# Our own: of ids, and of words that no public code of ours says exactly.
READING_IDS: Final = "urn:suifang:reading"
RESIDENT_IDS: Final = "urn:suifang:resident"
DEVICE_IDS: Final = "urn:suifang:device"
GATEWAY_IDS: Final = "urn:suifang:gateway"
TEAM_IDS: Final = "urn:suifang:team"
CENTRE_IDS: Final = "urn:suifang:centre"
ALERT_CODES: Final = "urn:suifang:alert-code"
FACTS: Final = "urn:suifang:observation"
"""Codes of components beside the measured value: meal-context, setting, posture, device-status."""

PANEL: Final = "85354-9"
OLD_PANEL: Final = "55284-4"  # Still in the field, in every Synthea bundle; taken, never written.
SYSTOLIC: Final = "8480-6"
DIASTOLIC: Final = "8462-4"
PULSE: Final = "8867-4"

SYSTOLIC_ELEMENT: Final = "DE04.10.174.00"
DIASTOLIC_ELEMENT: Final = "DE04.10.176.00"
FASTING_GLUCOSE_ELEMENT: Final = "DE04.50.102.00"  # Defined as fasting, mmol/L.

UCUM_OF_UNIT: Final[Mapping[str, str]] = {
    "mmHg": "mm[Hg]",
    "kPa": "kPa",
    "mmol/L": "mmol/L",
    "mg/dL": "mg/dL",
    "mol/L": "mol/L",
    "kg/L": "kg/L",
}
UNIT_OF_UCUM: Final[Mapping[str, str]] = {ucum: unit for unit, ucum in UCUM_OF_UNIT.items()}
PER_MINUTE: Final = "/min"
PRESSURE_UNITS: Final = ("mmHg", "kPa")
MOLAR_UNITS: Final = ("mmol/L", "mol/L")
GLUCOSE_UNITS: Final = (*MOLAR_UNITS, "mg/dL", "kg/L")

Specimen: TypeAlias = Literal["capillary", "plasma", "unsaid"]
SPECIMENS: Final[Mapping[str | None, Specimen]] = {
    None: "unsaid",
    "capillary_whole_blood": "capillary",
    "capillary_plasma": "capillary",
    "venous_plasma": "plasma",
    "arterial_plasma": "plasma",
    "undetermined_plasma": "plasma",
    "venous_whole_blood": "unsaid",
    "arterial_whole_blood": "unsaid",
    "undetermined_whole_blood": "unsaid",
}
"""What each of the wire's samples is to LOINC; a sample not named here has no code."""


class Sugar(NamedTuple):
    """What a glucose code says beyond glucose."""

    fasting: bool
    molar: bool
    specimen: Specimen


GLUCOSE_CODES: Final[Mapping[Sugar, str]] = {
    Sugar(fasting=True, molar=True, specimen="capillary"): "14770-2",
    Sugar(fasting=False, molar=True, specimen="capillary"): "14743-9",
    Sugar(fasting=True, molar=False, specimen="capillary"): "1556-0",
    Sugar(fasting=False, molar=False, specimen="capillary"): "41653-7",
    Sugar(fasting=True, molar=True, specimen="plasma"): "14771-0",
    Sugar(fasting=True, molar=False, specimen="plasma"): "1558-6",
    Sugar(fasting=False, molar=False, specimen="plasma"): "2345-7",
    Sugar(fasting=True, molar=True, specimen="unsaid"): "77145-1",
    Sugar(fasting=False, molar=True, specimen="unsaid"): "15074-8",
    Sugar(fasting=False, molar=False, specimen="unsaid"): "2339-0",
}
GLUCOSE_OF_CODE: Final[Mapping[str, Sugar]] = {code: sugar for sugar, code in GLUCOSE_CODES.items()}
GLUCOSE_NAMES: Final[Mapping[str, str]] = {
    "14770-2": "Fasting glucose [Moles/volume] in Capillary blood by Glucometer",
    "14743-9": "Glucose [Moles/volume] in Capillary blood by Glucometer",
    "1556-0": "Fasting glucose [Mass/volume] in Capillary blood",
    "41653-7": "Glucose [Mass/volume] in Capillary blood by Glucometer",
    "14771-0": "Fasting glucose [Moles/volume] in Serum or Plasma",
    "1558-6": "Fasting glucose [Mass/volume] in Serum or Plasma",
    "2345-7": "Glucose [Mass/volume] in Serum or Plasma",
    "77145-1": "Fasting glucose [Moles/volume] in Serum, Plasma or Blood",
    "15074-8": "Glucose [Moles/volume] in Blood",
    "2339-0": "Glucose [Mass/volume] in Blood",
}

CONDITION_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "hypertension": ("38341003", "Hypertensive disorder"),
    "diabetes": ("44054006", "Diabetes mellitus type 2"),
}


def glucose_code(sugar: Sugar) -> str | None:
    """The narrowest sourced code that says nothing false; None where there is none at all."""
    wider = (
        sugar,
        sugar._replace(specimen="unsaid"),
        sugar._replace(fasting=False),
        sugar._replace(fasting=False, specimen="unsaid"),
    )
    plasma_in_blood = sugar.specimen == "plasma"  # "in Blood" would be false of it.
    for candidate in wider:
        code = GLUCOSE_CODES.get(candidate)
        if code is not None and not (plasma_in_blood and code in ("15074-8", "2339-0")):
            return code
    return None


def sugars_of(code: str) -> list[Sugar]:
    """Every kind of glucose reading that goes out under this code."""
    every = [
        Sugar(fasting=fasting, molar=molar, specimen=specimen)
        for fasting in (True, False)
        for molar in (True, False)
        for specimen in ("capillary", "plasma", "unsaid")
    ]
    return [sugar for sugar in every if glucose_code(sugar) == code]


def coding(system: str, code: str, display: str | None = None) -> Json:
    """One Coding."""
    return {"system": system, "code": code, **({} if display is None else {"display": display})}


def concept(*codings: Json, text: str | None = None) -> Json:
    """A CodeableConcept of these codings."""
    return {
        **({"coding": list(codings)} if codings else {}),
        **({} if text is None else {"text": text}),
    }


def identifier(system: str, value: str) -> Json:
    """One Identifier."""
    return {"system": system, "value": value}
