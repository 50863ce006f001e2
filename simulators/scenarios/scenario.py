"""A scenario as values: who lives there, what happens, what goes wrong, what must come of it.

Times are aware and local (Asia/Shanghai). ``reader`` makes them out of a file; nothing here has an
opinion on whether a scenario makes sense.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from simulators.people.practice import Practice
from simulators.series import SHANGHAI
from simulators.sites import Site, sites_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TownPlan:
    """People nobody knows by name, and how they come to measure.

    Attributes:
        residents: How many; 0: none.
        gateways: In all; spread over the centres in turn.
        per_day: Sittings of one resident a day, in the mean.
        glucose: Share of the sittings at a meter; the others are at a cuff.
        peak: When most come, peak_share of them within peak_minutes; the others 06:00 to 18:00.
        emergencies: Share of readings beyond the limits of an emergency.
        followed_up: Share of due follow-ups that are kept, each day that they are due.
    """

    residents: int = 0
    centres: int = 1
    gateways: int = 1
    per_day: float = 0.2
    glucose: float = 0.25
    peak: time = time(8)
    peak_share: float = 0.3
    peak_minutes: int = 120
    emergencies: float = 0.0
    followed_up: float = 0.0

    @property
    def sites(self) -> list[Site]:
        """Where terminals stand."""
        names = [f"gateway-{number + 1}" for number in range(self.gateways)]
        return sites_of(names, min(self.centres, self.gateways))


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPlan:
    """Somebody with a story."""

    id: str
    born: date
    sex: str
    conditions: Sequence[str]
    since: date  # Of the diagnoses.
    enrolled: date | None
    gateway: str

    @property
    def card_number(self) -> str:
        """An opaque code."""
        return f"STORY-{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One dated event of somebody; ``what`` says which, ``fields`` the rest."""

    at: datetime
    person: str
    what: str
    value: Any
    label: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something that goes wrong on purpose, or comes over the town, from then until then."""

    kind: str
    since: datetime
    until: datetime
    gateways: Sequence[str] = ()
    fields: dict[str, Any] = field(default_factory=dict)

    def covers(self, at: datetime, gateway_id: str) -> bool:
        """Whether it concerns what happens there and then."""
        return self.since <= at < self.until and (not self.gateways or gateway_id in self.gateways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must have come of it; ``where`` is file and line, for whoever has to look.

    Attributes:
        what: ``alert``, ``case``, ``quarantined``, ``refused``, ``readings`` or ``figure``.
        value: The code, the condition, the reason, the disposition or the indicator.
        at_least: Bounds of the count, inclusive; of a figure, in percent.
        at_most: None: no bound.
    """

    where: str
    what: str
    value: str
    person: str | None = None
    status: str | None = None
    since: datetime | None = None
    by: datetime | None = None
    due: date | None = None
    state: str | None = None
    on: datetime | None = None
    at_least: float = 1
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All of a file. With a ``practice``, teams work by plan and people measure by habit."""

    id: str
    title: str
    about: str
    file: Path
    seed: int
    begins: date
    days: int
    step: timedelta
    profile: str
    town: TownPlan
    practice: Practice | None = None
    persons: Sequence[PersonPlan] = ()
    events: Sequence[Event] = ()
    disturbances: Sequence[Disturbance] = ()
    expectations: Sequence[Expectation] = ()

    @property
    def begins_at(self) -> datetime:
        """Midnight before the first day."""
        return datetime.combine(self.begins, time(), tzinfo=SHANGHAI)

    @property
    def ends_at(self) -> datetime:
        """Midnight after the last day."""
        return self.begins_at + timedelta(days=self.days)
