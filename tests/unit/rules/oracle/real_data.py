"""The 27,830 real readings as cases of the worked cases' form, one per resident.

Only times move, as a replay moves them (``simulators.replay``): each resident's series ends on
the day before ``now``, gaps above 90 days become 90 days. Every reading is received 5 seconds
after it was measured. Values go through as the source wrote them; the dirty rows are left out.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final

from gateway.identity import pseudonym
from ingest.db.residents import Resident
from simulators import data
from simulators.recordings import RecordedReading, builtin_recording
from simulators.replay import move_recording
from simulators.residents import build_population
from simulators.series import yesterday
from simulators.sites import sites_of

TRAVEL: Final = timedelta(seconds=5)
_KEY: Final = bytes(32)
_SITES: Final = sites_of(["gateway-1"])
_CONDITIONS: Final = {"diabetes": "diabetes_t2"}
_UNITS: Final = {"mmHg": "mm[Hg]"}


def real_cases(now: datetime, profile: str) -> list[dict[str, Any]]:
    """Cases in the order of ``real_residents``; residents without readings have none.

    Args:
        now: Aware; the ``as_of`` of every case.
        profile: Name of the rule profile.
    """
    recording = builtin_recording()
    people = {
        person.id: person
        for person in build_population(now, _SITES, key=_KEY, recording=recording).residents
    }
    events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    sequences: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
    for at, reading in move_recording(recording, yesterday(now)):
        if at is not None and not reading.dirty:
            events[reading.card_number].append(_event(at, reading, sequences))
    cards = [row["resident"] for row in data.read_rows("real_residents")]
    return [
        {
            "id": card,
            "profile": profile,
            "resident": _resident(card, people[pseudonym(_KEY, card)]),
            "events": events[card],
            "as_of": now.isoformat(),
        }
        for card in cards
        if card in events
    ]


def _event(
    at: datetime, reading: RecordedReading, sequences: Mapping[str, "count[int]"]
) -> dict[str, Any]:
    is_pressure = reading.kind == "blood_pressure"
    device = f"{'BP' if is_pressure else 'GL'}-{reading.card_number}"
    values = reading.values
    event = {
        "type": "reading",
        "event_id": f"r{reading.row}",
        "resident": reading.card_number,
        "device": device,
        "seq": next(sequences[device]) if reading.counts else None,
        "kind": "bp" if is_pressure else "glucose",
        "measured_at": at.isoformat(),
        "received_at": (at + TRAVEL).isoformat(),
        "unit": _UNITS.get(str(values.get("unit")), values.get("unit")),
    }
    if is_pressure:
        pressure = {"sbp": _number(values["systolic"]), "dbp": _number(values["diastolic"])}
        return event | pressure | {"setting": values["setting"]}
    return event | {"value": _number(values["glucose"]), "context": values["meal_context"]}


def _number(literal: object) -> Decimal:
    return Decimal(str(literal))


def _resident(card: str, person: Resident) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": card,
        "birth_date": person.birth_date.isoformat() if person.birth_date else None,
        "sex": person.sex,
        "conditions": [],
    }
    for dated in person.conditions:
        since = dated.since.isoformat()
        if dated.condition == "pregnant":
            until = dated.until.isoformat() if dated.until else None
            told["pregnant"] = {"since": since, "until": until}
        else:
            name = _CONDITIONS.get(dated.condition, dated.condition)
            told["conditions"].append({"condition": name, "since": since})
    return told
