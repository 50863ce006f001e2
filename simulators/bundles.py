"""Synthea's FHIR R4 bundles as rows of a recording: blood pressure and glucose, nothing else.

Names and addresses of the simulated people are not read; who somebody is becomes a short code of
the reference. Codes are those the API takes (``api.fhir.codes``, which simulators cannot import; a
test compares them). Numbers keep their digits.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from simulators.errors import RecordingError

LOINC: Final = "http://loinc.org"
PANELS: Final = frozenset({"85354-9", "55284-4"})  # The second: in every older Synthea bundle.
COMPONENTS: Final = {"8480-6": "systolic", "8462-4": "diastolic"}
GLUCOSE_CODES: Final = frozenset({"14743-9", "41653-7", "2345-7", "15074-8", "2339-0"})
FASTING_CODES: Final = frozenset({"14770-2", "1556-0", "14771-0", "1558-6", "77145-1"})
_STATES: Final = frozenset({"final", "amended", "corrected"})
_CODE_DIGITS: Final = 12  # Fewer than a national number has.


def read_bundle(path: Path, skipped: Counter[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The readings of one bundle: where each stands, and its columns (``recordings``).

    Args:
        path: The file.
        skipped: Where other observations are counted, by why they are no readings.

    Raises:
        RecordingError: No bundle, or an observation without a status, a patient, a time or values.
    """
    try:
        bundle = json.loads(path.read_text("utf-8"), parse_float=str, parse_int=str)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        msg = f"{path} is no JSON: {error}; give a FHIR bundle"
        raise RecordingError(msg) from error
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        msg = f"{path} is no FHIR bundle: its resourceType is not Bundle"
        raise RecordingError(msg)
    entries = bundle.get("entry") or []
    if not isinstance(entries, list):
        msg = f"{path} is no FHIR bundle: its entry is no list; correct the bundle"
        raise RecordingError(msg)
    for number, entry in enumerate(entries, start=1):
        where = f"entry {number}"
        try:
            resource = entry.get("resource") or {}
            if resource.get("resourceType") != "Observation":
                continue
            where += f" (Observation {resource.get('id', 'without an id')})"
            row = _read_observation(resource, skipped)
        except (KeyError, TypeError, AttributeError) as error:
            what = error.args[0] if isinstance(error, KeyError) else "a member of another type"
            msg = f"{path}, {where}: {what!r} is missing or no FHIR; correct the bundle"
            raise RecordingError(msg) from error
        if row is not None:
            yield where, row


def _kind_of(codes: frozenset[str]) -> tuple[str | None, str]:
    """Of which kind an observation is, and the meal its code speaks of."""
    if codes & PANELS:
        return "bp", ""
    if codes & FASTING_CODES:
        return "glucose", "fasting"
    return ("glucose", "") if codes & GLUCOSE_CODES else (None, "")


def _codes(element: Mapping[str, Any]) -> frozenset[str]:
    codings = (element.get("code") or {}).get("coding") or []
    return frozenset(str(coding.get("code")) for coding in codings if coding.get("system") == LOINC)


def _read_observation(resource: Mapping[str, Any], skipped: Counter[str]) -> dict[str, str] | None:
    if resource["status"] not in _STATES:
        skipped["not final"] += 1
        return None
    kind, context = _kind_of(_codes(resource))
    if kind is None:
        skipped["of no code read here"] += 1
        return None
    row = {
        "resident": _person(str(resource["subject"]["reference"])),
        "timestamp": str(resource["effectiveDateTime"]),
        "kind": kind,
        "context": context,
        "source": "synthea_r4",
    }
    if kind == "glucose":
        quantity = resource["valueQuantity"]
        return row | {"glucose": str(quantity["value"]), "unit": _unit(quantity)}
    for component in resource["component"]:
        for code in _codes(component) & COMPONENTS.keys():
            quantity = component["valueQuantity"]
            row |= {COMPONENTS[code]: str(quantity["value"]), "unit": _unit(quantity)}
    return row


def _unit(quantity: Mapping[str, Any]) -> str:
    return str(quantity.get("code") or quantity.get("unit") or "")


def _person(reference: str) -> str:
    """A code for a reference; a UUID has so many digits that it looks like a national number."""
    return f"FHIR-{sha256(reference.encode()).hexdigest()[:_CODE_DIGITS]}"
