"""The dated events of a person, as a scenario's file tells them; one word says which it is.

A reading may have a ``label``, by which ``claim`` (it is this person's) and ``retract`` (it is
none) name it later. ``every`` and ``times`` repeat an event.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from ingest.db import records
from simulators.scenarios.scenario import Event
from simulators.scenarios.table import NAME, Table

CONDITIONS: Final = ("hypertension", "diabetes")
_MODES: Final = ("clinic", "home", "phone")
_MEALS: Final = ("fasting", "postprandial_2h", "random", "preprandial", "bedtime", "unknown")
_SETTINGS: Final = ("office", "home")
_REASONS: Final = ("death", "moved", "contract_ended")
_TIMES_MAX: Final = 1_000
_PRESSURE_MAX: Final = 400


def _pressure(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.pair("pressure", low=1, high=_PRESSURE_MAX), {
        "setting": table.word("setting", _SETTINGS, "office")
    }


def _glucose(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.exact("glucose"), {"meal_context": table.word("meal", _MEALS, "fasting")}


def _visit(table: Table) -> tuple[Any, dict[str, Any]]:
    findings = table.words("findings", get_args(records.Finding))
    return table.word("visit", _MODES), {"findings": tuple(findings)} | _condition(table)


def _condition(table: Table) -> dict[str, Any]:
    return {"condition": table.word("condition", CONDITIONS) if table.has("condition") else None}


def _referral_followup(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.text("referral_followup"), _condition(table)


def _contact_attempt(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.text("contact_attempt"), _condition(table)


def _override(table: Table) -> tuple[Any, dict[str, Any]]:
    due = table.day("due") if table.has("due") else None
    return table.word("override", get_args(records.State)), {"due": due} | _condition(table)


def _closure(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.word("closure", _REASONS), {}


def _sign(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.text("sign", pattern=NAME, example="basic"), {}


def _diagnose(table: Table) -> tuple[Any, dict[str, Any]]:
    return table.word("diagnose", CONDITIONS), {}


_KINDS: Final[Mapping[str, Callable[[Table], tuple[Any, dict[str, Any]]]]] = {
    "pressure": _pressure,
    "glucose": _glucose,
    "visit": _visit,
    "referral_followup": _referral_followup,
    "contact_attempt": _contact_attempt,
    "override": _override,
    "closure": _closure,
    "sign": _sign,
    "diagnose": _diagnose,
}
_OF_LABELS: Final = ("claim", "retract")


def read_event(table: Table, persons: list[str], labels: dict[str, datetime]) -> Iterator[Event]:
    """One event, as often as it happens.

    Args:
        table: Its table; all of it is read.
        persons: Ids that are there.
        labels: Of readings so far, with the time of each; this one's is added.

    Raises:
        ScenarioError: What stands there is wrong.
    """
    there = [name for name in (*_KINDS, *_OF_LABELS) if table.has(name)]
    if len(there) != 1:
        table.refuse("", f"needs one of {', '.join((*_KINDS, *_OF_LABELS))}, and only one")
    what, label = there[0], None
    fields: dict[str, Any] = {}
    value: Any
    if what in _OF_LABELS:
        if not labels:
            table.refuse(what, "needs a reading: give an event above it a label, and name that")
        value = table.word(what, sorted(labels))
        if table.moment("at") <= labels[value]:
            taken = f"{labels[value]:%Y-%m-%dT%H:%M:%S}"
            table.refuse("at", f"is not after the reading {value!r} was taken ({taken})")
    else:
        value, fields = _KINDS[what](table)
    if what in {"pressure", "glucose"} and table.has("label"):
        label = table.text("label", pattern=NAME, example="first-high")
        labels[label] = table.moment("at")
    event = Event(
        at=table.moment("at"),
        person=table.word("person", persons),
        what=what,
        value=value,
        label=label,
        fields=fields,
    )
    times = table.whole("times", 1, low=1, high=_TIMES_MAX)
    every = table.span("every", timedelta())
    if times > 1 and every <= timedelta():
        table.refuse("every", 'is missing or not above zero; say how far apart, such as "7d"')
    table.done()
    for number in range(times):
        yield replace(event, at=event.at + number * every)
