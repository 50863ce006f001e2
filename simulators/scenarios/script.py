"""A scenario as dated happenings, day by day: what whoever plays it has to do.

Lazy: a day is drawn when it is played, because doctors answer what the system has said by then.
Invariants: the same scenario, seed, key and answers give the same happenings; within a day they are
sorted; every reading's truth is what was measured, whatever a disturbance made of it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import numpy as np

from gateway.wire.pseudonyms import pseudonym
from ingest.db.amendments import Changes
from ingest.db.residents import Population
from simulators.residents import build_places
from simulators.scenarios.disturb import (
    Day,
    disturb,
    happenings_of,
    label_of_madness,
    label_of_swap,
    outages,
)
from simulators.scenarios.drafts import Draft, Terminals
from simulators.scenarios.happenings import Amended, Enrolled, GatewayStarted, Happening
from simulators.scenarios.living import Living, OpenCase
from simulators.scenarios.practising import PractisingTown
from simulators.scenarios.scenario import Disturbance, Scenario
from simulators.scenarios.stories import tell_day, to_resident
from simulators.scenarios.town import Town
from simulators.series import SHANGHAI
from simulators.sites import Site

_STREAM_DISTURBANCES: Final = 3
_DAY: Final = timedelta(days=1)
_NEVER: Final = datetime.max.replace(tzinfo=SHANGHAI)
_DESK: Final = "data desk"


class Script:
    """One scenario, to be played once."""

    def __init__(self, scenario: Scenario, key: bytes) -> None:
        self.scenario = scenario
        name_of = partial(pseudonym, key)
        self.town: Living = (
            Town(scenario, name_of)
            if scenario.practice is None
            else PractisingTown(scenario, scenario.practice, name_of)
        )
        self._sites = scenario.town.sites
        self._started: dict[str, datetime] = {}  # Gateways, and since when they run.
        self._enrolled: dict[str, datetime] = {}  # Likewise residents of the town, by card.
        self._present = 0
        self.names = dict(zip(self.town.cards, self.town.names, strict=True))
        self.names |= {each.card_number: name_of(each.card_number) for each in scenario.persons}
        self._terminals = Terminals(f"{scenario.id}-{scenario.seed}", self.names)

    def name_of(self, person: str) -> str:
        """The pseudonym of somebody with a story."""
        return self.names[f"STORY-{person}"]

    def opening(self) -> Iterator[Happening]:
        """Before the first day: places, and people with a story."""
        at = self.scenario.begins_at
        places = build_places(self._sites)
        yield Enrolled(
            at=at,
            population=Population(
                centres=places.centres,
                teams=places.teams,
                gateways=places.gateways,
                devices=places.devices,
                residents=[
                    to_resident(person, self.names[person.card_number], self._site(person.gateway))
                    for person in self.scenario.persons
                ],
            ),
        )

    def _site(self, gateway_id: str) -> Site:
        return next(site for site in self._sites if site.gateway_id == gateway_id)

    def play_day(self, begins_at: datetime, cases: Sequence[OpenCase]) -> list[Happening]:
        """What happens on one local day, in order.

        Args:
            begins_at: Its midnight; each day once, in order.
            cases: What the system asks the teams for on this morning.
        """
        scenario = self.scenario
        random = np.random.default_rng([scenario.seed, _STREAM_DISTURBANCES, begins_at.toordinal()])
        grown = list(self._grow(begins_at))
        told, drafts = tell_day(scenario, begins_at, self.names)
        attendance = self._attendance(begins_at)
        lived = self.town.pass_day(begins_at, cases, present=self._present, attendance=attendance)
        drafts = [draft for draft in (*drafts, *lived.drafts) if self._is_there(draft)]
        day = Day(
            begins_at=begins_at,
            gateways=sorted(self._started),
            cards=self.town.cards[: self._present]
            or [person.card_number for person in scenario.persons],
            random=random,
        )
        others: list[Happening] = [*grown, *told, *lived.happenings]
        others += outages(scenario.disturbances, self._started, day)
        for disturbance in scenario.disturbances:
            drafts = disturb(disturbance, drafts, day)
            others += happenings_of(disturbance, day)
            others += self._put_right(disturbance, day)
        ready = sorted(drafts, key=lambda draft: draft.at)
        sent = [measured for draft in ready for measured in self._terminals.send(draft)]
        return sorted([*others, *sent], key=lambda happening: happening.at)

    def _is_there(self, draft: Draft) -> bool:
        """Whether terminal and resident are in use by then, while a district grows."""
        enrolled = self._enrolled.get(draft.card, draft.at)
        return enrolled <= draft.at and self._started.get(draft.gateway_id, _NEVER) <= draft.at

    def _attendance(self, at: datetime) -> float:
        noon = at + _DAY / 2
        factors = [
            each.fields["attendance"]
            for each in self.scenario.disturbances
            if each.kind == "flu" and each.covers(noon, "")
        ]
        return float(np.prod(factors)) if factors else 1.0

    def _put_right(self, disturbance: Disturbance, day: Day) -> Iterator[Happening]:
        """What somebody finds and corrects on this day."""
        found = disturbance.fields.get("found")
        if found is None or not day.holds(found):
            return
        if disturbance.kind == "mad_device":
            yield Amended(at=found, label=label_of_madness(disturbance), author=_DESK)
        if disturbance.kind == "cards_swapped":
            for person in disturbance.fields["persons"]:
                card = f"STORY-{person}"
                changes = Changes(resident_id=self.names[card])
                label = label_of_swap(disturbance, card)
                yield Amended(at=found, label=label, author=_DESK, changes=changes)

    def _grow(self, begins_at: datetime) -> Iterator[Happening]:
        """Gateways that are switched on today, and residents who are enrolled."""
        growth = [each for each in self.scenario.disturbances if each.kind == "growth"]
        steps = [begins_at] if not growth or not self._started else []
        if growth:
            hours = (begins_at + timedelta(hours=hour) for hour in range(24))
            steps += [hour for hour in hours if growth[0].since <= hour <= growth[0].until]
        total = len(self.town.cards)
        for at in steps:  # Ascending.
            share = _share(growth[0], at) if growth else 1.0
            yield from self._start(at, max(1, round(share * len(self._sites))))
            present = round(share * total)
            if present > self._present:
                rows = range(self._present, present)
                self._present = present
                self._enrolled |= dict.fromkeys((self.town.cards[row] for row in rows), at)
                yield Enrolled(at=at, population=self.town.population(rows, at.date()))

    def _start(self, at: datetime, number: int) -> Iterator[Happening]:
        for site in self._sites[:number]:
            if site.gateway_id in self._started:
                continue
            self._started[site.gateway_id] = at
            clocks = [
                each
                for each in self.scenario.disturbances
                if each.kind == "gateway_clock"
                and (not each.gateways or site.gateway_id in each.gateways)
            ]
            ahead = sum((each.fields["ahead"] for each in clocks), timedelta())
            trusted = all(each.fields["trusted"] for each in clocks)
            yield GatewayStarted(at=at, site=site, clock_ahead=ahead, clock_trusted=trusted)


def _share(growth: Disturbance, at: datetime) -> float:
    """How much of everything is there at a moment."""
    begun: float = growth.fields["starts_with"]
    passed = (at - growth.since) / (growth.until - growth.since)
    return begun + (1 - begun) * min(max(passed, 0.0), 1.0)
