"""Corrections, retractions and late contexts of a worked case as amendments of its readings."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rules.columns import ARM_CODES, KIND_BLOOD_PRESSURE, MEAL_CODES, SETTING_CODES
from rules.duplicates import find_duplicates
from rules.reported import NO_SEQUENCE, Amendments, Field, Reported
from rules.worked.events import (
    CaseEvents,
    as_columns,
    as_id,
    is_control_solution,
    status_bits,
    unit_code,
)
from rules.worked.fields import Fields

_TYPES: Final[dict[str, Any]] = {
    "target": "int64",
    "field": "int8",
    "value": "int64",
    "received_at": "datetime64[us]",
    "ids": "S16",
}


def to_amendments(found: CaseEvents, known: Reported, until: int) -> Amendments:
    """What was said, up to a moment, of the readings known at that moment.

    Args:
        found: The events of the case.
        known: Readings received until then; a target that is not among them waits.
        until: Microseconds since 1970.
    """
    duplicate, conflict = find_duplicates(known)
    order = np.argsort(duplicate, kind="stable")[::-1]  # Of one id the accepted row comes last.
    rows = {known.ids[row]: int(row) for row in order}
    said: list[dict[str, Any]] = []
    taken_back = retracted_ids(found, until)
    for amendment in found.amendments:
        target = rows.get(np.bytes_(as_id(amendment["target"])))
        if amendment["received_at"] > until or target is None:
            continue  # Not said yet, or of something else: a record, another amendment.
        if amendment["ids"] in taken_back and amendment["changes"] is not None:
            continue  # A retraction is final: it cannot be taken back.
        common = {name: amendment[name] for name in ("received_at", "ids")} | {"target": target}
        changes: Fields | None = amendment["changes"]
        if changes is None:
            said.append(common | {"field": int(Field.RETRACTED), "value": 1})
        else:
            kind = int(known.kind[target])
            said += [
                common | {"field": int(field), "value": value}
                for field, value in _changes(found, changes, kind)
            ]
    first = np.flatnonzero(~(duplicate | conflict) & (known.sequence != NO_SEQUENCE))
    first = first[np.lexsort((known.ids[first], known.received_at[first], known.resident[first]))]
    numbered: dict[tuple[int, int], int] = {}
    for row in first.tolist():  # Of the case's own resident the first that was received.
        numbered.setdefault((int(known.device[row]), int(known.sequence[row])), row)
    for context in found.contexts:
        target = numbered.get((context["device"], context["sequence"]))
        if context["ids"] in taken_back:
            continue
        if context["received_at"] <= until and target is not None:
            said.append(context | {"target": target, "field": int(Field.LATE_CONTEXT)})
    return Amendments(**as_columns(said, _TYPES))


def retracted_ids(found: CaseEvents, until: int) -> set[bytes]:
    """Everything that was taken back up to a moment: readings, records, corrections, contexts."""
    return {
        as_id(amendment["target"])
        for amendment in found.amendments
        if amendment["changes"] is None and amendment["received_at"] <= until
    }


def unmatched(found: CaseEvents) -> list[str]:
    """Corrections and retractions of something that is not in the file at all."""
    events = (*found.records, *found.amendments, *found.contexts)
    known = {as_id(name) for name in found.ids} | {event["ids"] for event in events}
    return [
        found.name_of(amendment["ids"])
        for amendment in found.amendments
        if as_id(amendment["target"]) not in known
    ]


def _changes(found: CaseEvents, changes: Fields, kind: int) -> list[tuple[Field, int]]:
    """Each field that a correction sets, in the scale or code of its column."""
    pressure = kind == KIND_BLOOD_PRESSURE
    content = changes.content

    def unit() -> int:
        return unit_code(content["unit"], pressure=pressure)

    def owner() -> int:
        return found.row_of(changes.text("resident"))

    readers: dict[str, tuple[Field, Callable[[], int]]] = {
        "sbp": (Field.SYSTOLIC, lambda: changes.scaled("sbp", 4)),
        "dbp": (Field.DIASTOLIC, lambda: changes.scaled("dbp", 4)),
        "value": (Field.GLUCOSE, lambda: changes.scaled("value", 7)),
        "unit": (Field.UNIT, unit),
        "context": (Field.MEAL_CONTEXT, lambda: changes.one_of("context", MEAL_CODES)),
        "arm": (Field.ARM, lambda: changes.one_of("arm", ARM_CODES)),
        "setting": (Field.SETTING, lambda: changes.one_of("setting", SETTING_CODES)),
        "status": (Field.STATUS, lambda: status_bits(changes, pressure=pressure)),
        "measured_at": (Field.MEASURED_AT, lambda: changes.instant("measured_at")),
        "resident": (Field.RESIDENT, owner),
        "sample_type": (Field.CONTROL_SOLUTION, lambda: int(is_control_solution(changes))),
    }
    unknown = sorted(set(content) - set(readers))
    if unknown:
        changes.refuse(unknown[0], f"cannot be corrected; fields are {', '.join(readers)}")
    return [(readers[name][0], readers[name][1]()) for name in content]
