"""An Observation of another system as a reading of the wire contract. Pure.

Values keep their digits and their unit: nothing is converted, and a unit is read from its UCUM
code only, never from a text. A code that says more than the rest of the resource, or something
else, is refused, and so is whatever would change the meaning of the value (comparators,
modifiers, a time without an offset). What is not judged is kept in ``extra``.

Source: docs/fhir.md, the mapping table; clinical decision table 4.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from api.fhir.codes import (
    DIASTOLIC,
    FACTS,
    GLUCOSE_OF_CODE,
    GLUCOSE_UNITS,
    LOINC,
    MOLAR_UNITS,
    OLD_PANEL,
    PANEL,
    PRESSURE_UNITS,
    PULSE,
    SYSTOLIC,
    UCUM,
    UNIT_OF_UCUM,
    Json,
    Specimen,
)
from api.fhir.incoming.elements import Element, Unmappable
from api.fhir.resources.meta import EXACT
from gateway.wire.ids import new_id
from gateway.wire.limits import TEXT_CHARACTERS_MAX

SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)  # Decision table 2.2 step 5, as for a device.
AHEAD_MAX: Final = timedelta(minutes=5)  # The same.
_STATUSES: Final = ("final", "amended", "corrected")
_PER_MINUTE: Final = re.compile(r"(?:\{[A-Za-z]+\})?/min")  # UCUM: an annotation says nothing.
_SAMPLES: Final[Mapping[Specimen, str | None]] = {
    "capillary": "capillary_whole_blood",
    "plasma": "undetermined_plasma",
    "unsaid": None,
}
_VALUES: Final = (
    *("valueString", "valueBoolean", "valueInteger", "valueRange", "valueRatio", "valueTime"),
    *("valueSampledData", "valueDateTime", "valuePeriod", "valueCodeableConcept"),
)


class Draft(NamedTuple):
    """A reading that is not stored yet."""

    fields: Json  # Of the wire, without id.
    identifiers: list[tuple[str, str]]
    measured_at: datetime

    def seal(self, gateway: str) -> tuple[UUID, bytes]:
        """Its id and its bytes: the same for the same content of the same sender, for ever."""
        content = EXACT.encode(self.fields)
        digest = hashlib.sha256(gateway.encode() + b"\x00" + content).digest()
        random = int.from_bytes(digest) & (1 << 62) - 1
        high = int.from_bytes(digest[:2]) & 0xFFF
        timed = new_id(self.measured_at).int >> 80 << 80
        id_ = UUID(int=timed | 7 << 76 | high << 64 | 0b10 << 62 | random)
        return id_, EXACT.encode({"id": str(id_), **self.fields})


def map_observation(resource: Element, *, resident_id: str, gateway: str, now: datetime) -> Draft:
    """The reading that an Observation says. Raises ``Unmappable``.

    Args:
        resource: The Observation.
        resident_id: Whom ``subject`` names; that is for the caller to find out.
        gateway: The sender, whose devices these are.
        now: The clock.
    """
    resource.refuse(
        *("modifierExtension", "implicitRules", "dataAbsentReason", "effectivePeriod"),
        *("effectiveTiming", *_VALUES),
        remedy="changes what the rest means, and is not understood here",
    )
    if resource.need("status") not in _STATUSES:
        allowed = ", ".join(_STATUSES)
        raise Unmappable(
            path=f"{resource.path}.status", value=resource.text("status"), remedy=f"not {allowed}"
        )
    measured_at = _measured(resource, now)
    code = _code(resource)
    sugar = GLUCOSE_OF_CODE.get(code)
    measured = _pressure(resource) if sugar is None else _glucose(resource, code)
    effective = "effectiveDateTime" if resource.has("effectiveDateTime") else "effectiveInstant"
    issued = resource.text("issued")
    if issued is not None:
        resource.instant("issued")
    fields: Json = {
        "kind": "blood_pressure" if sugar is None else "glucose",
        "device_id": _device(resource, gateway),
        "resident_id": resident_id,
        "measured_at": resource.need(effective),
        "captured_at": issued or resource.need(effective),
        "setting": _fact(resource, "setting") or "office",
        **measured,
        "extra_fhir": _kept(resource),
    }
    return Draft(fields, resource.identifiers(), measured_at)


def _measured(resource: Element, now: datetime) -> datetime:
    names = [n for n in ("effectiveDateTime", "effectiveInstant") if resource.has(n)]
    if len(names) != 1:
        path = f"{resource.path}.effectiveDateTime"
        raise Unmappable(path=path, value="", remedy="one date with time and offset is needed")
    at = resource.instant(names[0])
    if not SINCE <= at <= now + AHEAD_MAX:
        path = f"{resource.path}.{names[0]}"
        remedy = f"must lie between {SINCE:%Y-%m-%d} and now: no time is guessed instead"
        raise Unmappable(path=path, value=resource.text(names[0]), remedy=remedy)
    return at


def _code(resource: Element) -> str:
    """The one code that says what was measured."""
    code = resource.element("code")
    found = code.codes(LOINC)
    known = {one for one in found if one in (PANEL, OLD_PANEL) or one in GLUCOSE_OF_CODE}
    pressures = known & {PANEL, OLD_PANEL}
    if not known or (pressures and known - pressures) or (not pressures and len(known) > 1):
        said = ", ".join(found)
        raise Unmappable(
            path=f"{code.path}.coding", value=said, remedy="no one LOINC code of docs/fhir.md"
        )
    return min(known)


class _Quantity(NamedTuple):
    value: int | Decimal
    unit: str


def _quantity(owner: Element, units: tuple[str, ...]) -> _Quantity:
    owner.refuse("dataAbsentReason", *_VALUES, remedy="a valueQuantity is needed")
    quantity = owner.element("valueQuantity")
    quantity.refuse("comparator", "modifierExtension", remedy="an exact value is needed")
    value = quantity.number("value")
    code = quantity.need("code")
    if quantity.text("system") != UCUM:
        path = f"{quantity.path}.system"
        raise Unmappable(
            path=path,
            value=quantity.text("system") or "",
            remedy=f"must be {UCUM}: no unit is guessed",
        )
    unit = UNIT_OF_UCUM.get(code)
    if unit not in units:
        wanted = ", ".join(ucum for ucum, name in UNIT_OF_UCUM.items() if name in units)
        raise Unmappable(
            path=f"{quantity.path}.code", value=code, remedy=f"must be one of {wanted}"
        )
    return _Quantity(value, unit)


def _pressure(resource: Element) -> Json:
    resource.refuse("valueQuantity", remedy="belongs into the components of a panel")
    values = {name: _component(resource, code) for name, code in _PARTS.items()}
    systolic, diastolic = (
        _quantity(_there(resource, values[name], code), PRESSURE_UNITS)
        for name, code in (("systolic", SYSTOLIC), ("diastolic", DIASTOLIC))
    )
    if systolic.unit != diastolic.unit:
        raise Unmappable(
            path=f"{resource.path}.component",
            value=diastolic.unit,
            remedy="both need the same unit",
        )
    pulse = values["pulse"]
    return {
        "systolic": systolic.value,
        "diastolic": diastolic.value,
        "unit": systolic.unit,
        **({} if pulse is None else {"pulse": _pulse(pulse)}),
    }


_PARTS: Final = {"systolic": SYSTOLIC, "diastolic": DIASTOLIC, "pulse": PULSE}


def _component(resource: Element, code: str, system: str = LOINC) -> Element | None:
    found = [
        one
        for one in resource.elements("component")
        if one.has("code") and code in one.element("code").codes(system)
    ]
    if len(found) > 1:
        raise Unmappable(
            path=f"{resource.path}.component", value=code, remedy="is there more than once"
        )
    return found[0] if found else None


def _there(resource: Element, component: Element | None, code: str) -> Element:
    if component is None:
        raise Unmappable(
            path=f"{resource.path}.component", value=code, remedy="this component is needed"
        )
    return component


def _pulse(component: Element) -> int | Decimal:
    quantity = component.element("valueQuantity")
    quantity.refuse("comparator", "modifierExtension", remedy="an exact value is needed")
    code = quantity.need("code")
    if quantity.text("system") != UCUM or not _PER_MINUTE.fullmatch(code):
        raise Unmappable(path=f"{quantity.path}.code", value=code, remedy="must be /min of UCUM")
    return quantity.number("value")


def _glucose(resource: Element, code: str) -> Json:
    sugar = GLUCOSE_OF_CODE[code]
    value = _quantity(resource, GLUCOSE_UNITS)
    if (value.unit in MOLAR_UNITS) != sugar.molar:
        path = f"{resource.path}.valueQuantity.code"
        raise Unmappable(
            path=path, value=value.unit, remedy=f"contradicts {code}, which is of another property"
        )
    said = _fact(resource, "meal-context")
    if sugar.fasting and said not in (None, "fasting"):
        raise Unmappable(
            path=f"{resource.path}.component",
            value=said,
            remedy=f"contradicts {code}, which is fasting",
        )
    sample = _fact(resource, "sample") or _SAMPLES[sugar.specimen]
    return {
        "glucose": value.value,
        "unit": value.unit,
        "meal_context": "fasting" if sugar.fasting else said or "unknown",
        **({} if sample is None else {"sample": sample}),
    }


def _fact(resource: Element, name: str) -> str | None:
    """A word of our own, as we write it ourselves."""
    component = _component(resource, name, FACTS)
    if component is None:
        return None
    words = component.element("valueCodeableConcept").codes(f"urn:suifang:{name}")
    if len(words) != 1:
        raise Unmappable(
            path=f"{component.path}.valueCodeableConcept", value="", remedy="one code is needed"
        )
    return words[0]


def _device(resource: Element, gateway: str) -> str:
    """The sender's device, under the sender's name: another sender's is another one."""
    if not resource.has("device"):
        return f"{gateway}/unspecified"
    device = resource.element("device")
    named = device.element("identifier").text("value") if device.has("identifier") else None
    name = f"{gateway}/{named or device.text('reference') or device.text('display')}"
    if len(name) <= TEXT_CHARACTERS_MAX and name.isprintable():
        return name
    return f"{gateway[:30]}/{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _kept(resource: Element) -> Json:
    """What is not judged, but says where it comes from."""
    code = resource.element("code")
    kept: Json = {"code": code.codes(LOINC)}
    if resource.has("device"):
        device = resource.element("device")
        said = {name: device.text(name) for name in ("reference", "display")}
        kept["device"] = {name: text for name, text in said.items() if text is not None}
    return kept
