"""What is asked, by whom and how often: the reads of an ordinary morning.

A doctor looks at the own team's work and at one of its residents; the contract system follows the
feed. Paths are drawn beforehand, so that the sender only sends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import md5
from random import Random
from typing import Final, NamedTuple
from urllib.parse import quote

from deploy.bench.city.plan import CityPlan

MACHINE: Final = "contract-system"
_YEAR: Final = timedelta(days=365)


class Ask(NamedTuple):
    """One request: a path, and whose token goes with it."""

    path: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where paths are drawn from."""

    plan: CityPlan
    today: date
    head: int  # Of the feed.

    def resident(self, number: int) -> str:
        """The pseudonym that ``fill`` gave."""
        return "r-" + md5(f"city:{number}".encode(), usedforsecurity=False).hexdigest()

    def resident_of(self, team: int, random: Random) -> str:
        """Somebody of a team who has a case."""
        return self.resident(team + self.plan.teams * random.randrange(self._managed_of(team)))

    def _managed_of(self, team: int) -> int:
        return max((self.plan.cases - team - 1) // self.plan.teams + 1, 1)


Draw = Callable[[Place, Random], Ask]


def _by_doctor(path: Callable[[Place, int, Random], str]) -> Draw:
    def draw(place: Place, random: Random) -> Ask:
        team = random.randrange(place.plan.teams)
        return Ask(path(place, team, random), f"t-{team}")

    return draw


def _year(place: Place, team: int, random: Random) -> str:
    since = quote(f"{place.today - _YEAR}T00:00:00+08:00")
    return f"/v1/residents/{place.resident_of(team, random)}/readings?from={since}&limit=500"


def _feed(place: Place, random: Random) -> Ask:
    return Ask(f"/v1/events?after={random.randrange(max(place.head - 100, 1))}&limit=100", MACHINE)


DRAWS: Final[Mapping[str, Draw]] = {
    "worklist": _by_doctor(lambda _place, _team, _random: "/v1/cases?sort=risk&limit=50"),
    "feed": _feed,
    "alerts": _by_doctor(lambda _place, _team, _random: "/v1/alerts?limit=50"),
    "resident_year": _by_doctor(_year),
    "timeline": _by_doctor(
        lambda place, t, random: f"/v1/residents/{place.resident_of(t, random)}/timeline?limit=100"
    ),
    "resident": _by_doctor(
        lambda place, t, random: f"/v1/residents/{place.resident_of(t, random)}"
    ),
}
"""By name, each as a page of its own is measured. A timeline's page is the newest of all kinds."""
WEIGHTS: Final[Mapping[str, int]] = {
    "worklist": 30,
    "alerts": 20,
    "resident_year": 20,
    "resident": 20,
    "feed": 10,
}
"""Of the mixed reads (assumption: a doctor opens the list, looks at alerts, then at people)."""


def draw_asks(name: str | None, count: int, place: Place, random: Random) -> list[tuple[str, Ask]]:
    """So many requests of one kind; of all kinds by weight, when none is named."""
    names = [name] * count if name else random.choices([*WEIGHTS], [*WEIGHTS.values()], k=count)
    return [(each, DRAWS[each](place, random)) for each in names]
