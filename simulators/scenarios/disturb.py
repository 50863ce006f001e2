"""What goes wrong on purpose: each kind reads its own fields, changes drafts or adds happenings.

Nothing here is hidden from the ledger: a changed draft keeps its truth, and what is made up says
that nobody was measured. Same seed, same disturbances.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import numpy as np

from gateway.wire.ids import new_id
from gateway.wire.times import format_instant
from simulators.planned import Numeral
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Garbled, Happening, LineBack, LineCut
from simulators.scenarios.scenario import Disturbance
from simulators.scenarios.table import Table
from simulators.sites import PAIRS_PER_GATEWAY, Kind, device_name

Fields: TypeAlias = dict[str, Any]
_YEAR: Final = timedelta(days=366)
_BATCHES_MAX: Final = 1_000
_COPIES_MAX: Final = 50
_IMPOSSIBLE: Final[Mapping[Kind, Sequence[Fields]]] = {
    "blood_pressure": (
        {"systolic": 400, "diastolic": 80, "unit": "mmHg"},
        {"systolic": 72, "diastolic": 81, "unit": "mmHg"},
        {"systolic": "high", "diastolic": 80, "unit": "mmHg"},
        {"systolic": 120, "diastolic": 80},
    ),
    "glucose": (
        {"glucose": 99, "unit": "mmol/L", "meal_context": "fasting"},
        {"glucose": "5,6", "unit": "mmol/L", "meal_context": "fasting"},
        {"glucose": Numeral("5.6"), "unit": "furlong", "meal_context": "fasting"},
    ),
}
_ALARMING: Final[Mapping[Kind, Fields]] = {
    "blood_pressure": {"systolic": 243, "diastolic": 141, "unit": "mmHg"},
    "glucose": {"glucose": Numeral("31.0"), "unit": "mmol/L", "meal_context": "random"},
}


def _nothing(_table: Table, _persons: list[str]) -> Fields:
    return {}


def _gateway_clock(table: Table, _persons: list[str]) -> Fields:
    ahead = _ahead(table)
    return {"ahead": ahead, "trusted": table.flag("trusted", default=False)}


def _device_clock(table: Table, _persons: list[str]) -> Fields:
    fields: Fields = {"share": table.number("share", 1.0, low=0, high=1)}
    if table.has("stands_at"):
        return fields | {"stands_at": table.moment("stands_at")}
    return fields | {"ahead": _ahead(table), "tells_now": table.flag("tells_now", default=False)}


def _ahead(table: Table) -> timedelta:
    ahead = table.span("ahead")
    if abs(ahead) > _YEAR:
        table.refuse("ahead", "is more than a year; write stands_at for a clock without a battery")
    return ahead


def _cards_swapped(table: Table, persons: list[str]) -> Fields:
    both = table.words("persons", persons)
    if len(both) != 2:  # noqa: PLR2004 - two people
        table.refuse("persons", f"is {both!r}; name the two whose cards were mixed up")
    return {"persons": both, "found": table.moment("found")}


def _duplicates(table: Table, _persons: list[str]) -> Fields:
    return {
        "share": table.number("share", 1.0, low=0, high=1),
        "copies": table.whole("copies", 1, low=1, high=_COPIES_MAX),
    }


def _corrupt_bytes(table: Table, _persons: list[str]) -> Fields:
    return {
        "batches_per_day": table.whole("batches_per_day", 0, high=_BATCHES_MAX),
        "lines": table.number("lines", 0.0, low=0, high=1),
    }


def _mad_device(table: Table, _persons: list[str]) -> Fields:
    return {
        "device": table.word("device", ("blood_pressure", "glucose")),
        "every": table.span("every", above=timedelta()),
        "alarming": table.number("alarming", 0.0, low=0, high=1),
        "found": table.moment("found"),
    }


def _flu(table: Table, _persons: list[str]) -> Fields:
    return {
        "attendance": table.number("attendance", low=0, high=20),
        "glucose": table.number("glucose", 0.0, low=-5, high=20),
        "systolic": table.number("systolic", 0.0, low=-50, high=80),
    }


def _growth(table: Table, _persons: list[str]) -> Fields:
    return {"starts_with": table.number("starts_with", low=0, high=1)}


KINDS: Final[Mapping[str, Callable[[Table, list[str]], Fields]]] = {
    "network_gone": _nothing,
    "gateway_clock": _gateway_clock,
    "device_clock": _device_clock,
    "cards_swapped": _cards_swapped,
    "duplicates": _duplicates,
    "corrupt_bytes": _corrupt_bytes,
    "mad_device": _mad_device,
    "flu": _flu,
    "growth": _growth,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day that is being disturbed."""

    begins_at: datetime
    gateways: Sequence[str]
    cards: Sequence[str]  # Of the town; without one, of those with a story.
    random: np.random.Generator

    def holds(self, at: datetime) -> bool:
        """Whether this moment lies in it."""
        return self.begins_at <= at < self.begins_at + timedelta(days=1)


def disturb(disturbance: Disturbance, drafts: list[Draft], day: Day) -> list[Draft]:
    """The day's drafts as this disturbance leaves them."""
    change = _CHANGES.get(disturbance.kind)
    if change is not None:
        for draft in drafts:
            if disturbance.covers(draft.at, draft.gateway_id):
                change(disturbance, draft, day)
    if disturbance.kind == "mad_device":
        drafts = [*drafts, *_go_mad(disturbance, day)]
    return drafts


def _swap(disturbance: Disturbance, draft: Draft, _day: Day) -> None:
    one, other = [f"STORY-{name}" for name in disturbance.fields["persons"]]
    if draft.card in {one, other}:
        draft.label = label_of_swap(disturbance, draft.card)
        draft.card = other if draft.card == one else one


def label_of_swap(disturbance: Disturbance, card: str) -> str:
    """By which the readings of whoever truly holds this card are found again."""
    return f"swapped-{disturbance.since:%Y%m%d%H%M}-{card}"


def _repeat(disturbance: Disturbance, draft: Draft, day: Day) -> None:
    if day.random.random() < disturbance.fields["share"]:
        draft.copies = disturbance.fields["copies"]


def _mistime(disturbance: Disturbance, draft: Draft, day: Day) -> None:
    fields = disturbance.fields
    if day.random.random() >= fields["share"]:
        return
    if "stands_at" in fields:
        draft.measured_at = fields["stands_at"]
        return
    draft.measured_at = draft.at + fields["ahead"]
    if fields["tells_now"]:
        draft.device_now = draft.at + fields["ahead"]


def _spoil(disturbance: Disturbance, draft: Draft, day: Day) -> None:
    """The terminal's line is broken; then it sends the same measurement again, whole."""
    if day.random.random() < disturbance.fields["lines"]:
        draft.spoilt_before = True


def _have_flu(disturbance: Disturbance, draft: Draft, _day: Day) -> None:
    """A fever moves values; what is measured then is true."""
    fields = disturbance.fields
    if draft.kind == "glucose":
        tenths = round((float(draft.values["glucose"]) + fields["glucose"]) * 10)
        draft.values["glucose"] = Numeral(f"{tenths // 10}.{tenths % 10}")
    else:
        draft.values["systolic"] += round(fields["systolic"])


_CHANGES: Final[Mapping[str, Callable[[Disturbance, Draft, Day], None]]] = {
    "cards_swapped": _swap,
    "duplicates": _repeat,
    "device_clock": _mistime,
    "corrupt_bytes": _spoil,
    "flu": _have_flu,
}


def _go_mad(disturbance: Disturbance, day: Day) -> Iterator[Draft]:
    """A terminal says what nobody has: impossible values, and alarming ones under real cards."""
    fields = disturbance.fields
    kind: Kind = fields["device"]
    at = max(disturbance.since, day.begins_at)
    while at < min(disturbance.until, day.begins_at + timedelta(days=1)) and day.cards:
        for gateway_id in disturbance.gateways or day.gateways[:1]:
            alarming = day.random.random() < fields["alarming"]
            impossible = _IMPOSSIBLE[kind]
            values = (
                _ALARMING[kind]
                if alarming
                else impossible[int(day.random.integers(len(impossible)))]
            )
            yield Draft(
                at=at,
                card=day.cards[int(day.random.integers(len(day.cards)))],
                gateway_id=gateway_id,
                kind=kind,
                values=dict(values),
                true_card=None,
                measured_at=at,
                device_id=device_name(gateway_id, kind, PAIRS_PER_GATEWAY - 1, counts=True),
                label=label_of_madness(disturbance) if alarming else None,
            )
        at += fields["every"]


def label_of_madness(disturbance: Disturbance) -> str:
    """By which what a mad device said is found again."""
    return f"mad-{disturbance.since:%Y%m%d%H%M}-{disturbance.fields['device']}"


def outages(
    disturbances: Sequence[Disturbance], started: Mapping[str, datetime], day: Day
) -> Iterator[Happening]:
    """When lines are cut and mended on this day.

    A line is back when the last of the disturbances that hold it is over, not the first.

    Args:
        disturbances: All of the scenario.
        started: Gateways, and since when they run; one that starts into an outage is cut at once.
        day: This one.
    """
    edges: dict[tuple[datetime, bool], list[str]] = {}
    for gateway_id, at in started.items():
        gone = [each for each in disturbances if each.kind == "network_gone"]
        spans = sorted(
            (max(each.since, at), each.until)
            for each in gone
            if each.until > at and gateway_id in (each.gateways or started)
        )
        for since, until in _merged(spans):
            edges.setdefault((since, False), []).append(gateway_id)
            edges.setdefault((until, True), []).append(gateway_id)
    for (at, back), gateway_ids in sorted(edges.items()):
        if day.holds(at):
            happening = LineBack if back else LineCut
            yield happening(at=at, gateway_ids=gateway_ids)


def _merged(
    spans: Sequence[tuple[datetime, datetime]],
) -> Iterator[tuple[datetime, datetime]]:
    """Ascending spans; those that overlap or touch as one."""
    whole: tuple[datetime, datetime] | None = None
    for since, until in spans:
        if whole is not None and since <= whole[1]:
            whole = (whole[0], max(whole[1], until))
            continue
        if whole is not None:
            yield whole
        whole = (since, until)
    if whole is not None:
        yield whole


def happenings_of(disturbance: Disturbance, day: Day) -> Iterator[Happening]:
    """What the disturbance does to gateways on this day."""
    gateways = list(disturbance.gateways or day.gateways)
    if disturbance.kind == "corrupt_bytes":
        for number in range(disturbance.fields["batches_per_day"]):
            at = day.begins_at + timedelta(seconds=float(day.random.uniform(6, 20)) * 3_600)
            if disturbance.since <= at < disturbance.until:
                gateway_id = gateways[number % len(gateways)]
                yield Garbled(at=at, gateway_id=gateway_id, payload=_corrupt(at, day.random))


def _corrupt(at: datetime, random: np.random.Generator) -> bytes:
    """A batch as it looks after a fault: cut short, bits flipped, of another version, no batch."""
    head = f'{{"schema":1,"batch":"{new_id(at)}","sent_at":"{format_instant(at)}","readings":['
    whole = bytearray(head.encode() + b'{"id":"x","kind":"blood_pressure"}]}')
    kind = int(random.integers(4))
    if kind == 0:
        return bytes(whole[: int(random.integers(60, len(whole) - 2))])
    if kind == 1:
        for _ in range(3):
            whole[int(random.integers(10, 60))] ^= 0x80
        return bytes(whole)
    if kind == 2:  # noqa: PLR2004 - the third of four
        return bytes(whole).replace(b'"schema":1', b'"schema":9')
    return b'{"batch": "' + random.bytes(8).hex().encode() + b'", "readings": "none"}'
