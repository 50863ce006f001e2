"""A scenario's TOML, read strictly. ``list_builtin`` names those that ship.

One line for what is wrong (``ScenarioError``): file, line, field, value, remedy. ``include`` adds
another file's persons, events, disturbances and expectations; town, days and seed are its own.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from importlib import resources
from pathlib import Path
from typing import Final

from gateway.clocks import NOT_BEFORE
from gateway.toml_lines import Document, TomlError, decode
from simulators.oracle.person import PROFILES
from simulators.people.practice import Practice
from simulators.scenarios.disturb import KINDS
from simulators.scenarios.errors import ScenarioError
from simulators.scenarios.events import CONDITIONS, read_event
from simulators.scenarios.expecting import read_expectation
from simulators.scenarios.scenario import (
    Disturbance,
    Event,
    Expectation,
    PersonPlan,
    Scenario,
    TownPlan,
)
from simulators.scenarios.table import NAME, Table
from simulators.series import SHANGHAI

BUILTIN: Final = Path(__file__).parent
RESIDENTS_MAX: Final = 100_000
GATEWAYS_MAX: Final = 200
DAYS_MAX: Final = 800
_INCLUDES_MAX: Final = 16
_HEAD: Final = (
    *("id", "title", "about", "seed", "begins", "days", "step_minutes", "profile"),
    *("town", "practice", "short"),
)
_WITHOUT: Final = {"flu": ("gateways",), "gateway_clock": ("from", "until")}
_WITHOUT_WHY: Final = {
    "flu": "everywhere; leave it out",
    "gateway_clock": "so from the gateway's start to the end; leave it out",
}
_OF_STRANGERS: Final = (
    *("per_day", "glucose", "peak", "peak_share", "peak_minutes", "emergencies", "followed_up"),
)
_NOT_PRACTISED: Final = ("growth", "flu")
_SHARES: Final = (
    *("on_time", "steps_up", "signs_key_group", "signs_other", "visits_basic", "health_check"),
)
_DAYS: Final = {"late_days": 1, "again_days": 2, "routine_days": 1}  # At least.
_YEARS_BEFORE: Final = timedelta(days=730)


def list_builtin() -> dict[str, Path]:
    """Name and file of every scenario that ships."""
    return {path.stem: path for path in sorted(BUILTIN.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a name that ships, or the file itself. Raises ``ScenarioError``."""
    builtin = list_builtin()
    if name in builtin:
        return builtin[name]
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return path
    msg = f"there is no scenario {name!r}; known: {', '.join(builtin)}, or give a .toml file"
    raise ScenarioError(msg)


def read_scenario(path: Path, *, short: bool = False, seed: int | None = None) -> Scenario:
    """Read one file and what it includes.

    Args:
        path: The file.
        short: Its shorter version: what ``[short]`` says wins.
        seed: In place of the file's.

    Raises:
        ScenarioError: Something in it is wrong.
    """
    return _Reading(path, short=short, seed=seed).scenario


class _Reading:
    """One scenario while it is read."""

    def __init__(self, path: Path, *, short: bool, seed: int | None) -> None:
        self._short = short
        self._persons: dict[str, PersonPlan] = {}
        self._events: list[Event] = []
        self._labels: dict[str, datetime] = {}
        self._disturbances: list[Disturbance] = []
        self._expectations: list[Expectation] = []
        self._included: set[Path] = set()
        top = _open(path)
        shorter = top.table("short")
        self._begins = top.day("begins", low=NOT_BEFORE.date() + timedelta(days=1))
        self._days = self._either(
            top, shorter, lambda table: table.whole("days", low=1, high=DAYS_MAX), "days"
        )
        self._practice = _read_practice(top.table("practice")) if top.has("practice") else None
        self._town = _read_town(
            top.table("town"), shorter if short else None, practised=self._practice is not None
        )
        self._parts(top, path)
        for name in ("residents", "days"):
            shorter.has(name)
        shorter.done()
        self.scenario = Scenario(
            id=top.text("id", pattern=NAME, example=path.stem),
            title=top.text("title"),
            about=top.text("about", "", pattern=r".{0,2000}"),
            file=path,
            seed=top.whole("seed", 1, high=2**31) if seed is None else seed,
            begins=self._begins,
            days=self._days,
            step=timedelta(minutes=top.whole("step_minutes", 15, low=1, high=1_440)),
            profile=_read_profile(top),
            town=self._town,
            practice=self._practice,
            persons=list(self._persons.values()),
            events=sorted(self._events, key=lambda event: event.at),
            disturbances=self._disturbances,
            expectations=self._expectations,
        )
        top.has("seed")
        top.done()

    def _either(self, top: Table, shorter: Table, read: Callable[[Table], int], name: str) -> int:
        value = read(top)
        return read(shorter) if self._short and shorter.has(name) else value

    def _parts(self, top: Table, path: Path) -> None:
        """What may stand in an included file, too."""
        self._included.add(path.resolve())
        for name in top.words("include", None):
            other = path.parent / name
            if other.resolve() in self._included or len(self._included) > _INCLUDES_MAX:
                top.refuse("include", f"names {name!r} once more; each file once")
            if not other.is_file():
                top.refuse("include", f"names {name!r}, which is not beside this file")
            included = _open(other)
            self._parts(included, other)
            for own in _HEAD:
                included.has(own)
            included.done()
        for table in top.tables("person"):
            self._read_person(table)
        for table in top.tables("event"):
            self._read_event(table)
        for table in top.tables("disturbance"):
            self._read_disturbance(table)
        for table in top.tables("expect"):
            self._read_expectation(table)

    @property
    def _ends_at(self) -> datetime:
        return self._begins_at + timedelta(days=self._days)

    @property
    def _begins_at(self) -> datetime:
        return datetime.combine(self._begins, time(), tzinfo=SHANGHAI)

    @property
    def _gateways(self) -> list[str]:
        return [site.gateway_id for site in self._town.sites]

    def _inside(self, table: Table, name: str, at: datetime) -> datetime:
        """A moment of the scenario's time; a short version may end before it."""
        if at < self._begins_at or (at > self._ends_at and not self._short):
            table.refuse(name, f"is {at:%Y-%m-%dT%H:%M}, outside of the scenario's days")
        return at

    def _read_person(self, table: Table) -> None:
        name = table.text("id", pattern=NAME, example="resident-a")
        if name in self._persons:
            table.refuse("id", f"is {name!r}, which stands here twice; give another id")
        self._persons[name] = PersonPlan(
            id=name,
            born=table.day("born", high=self._begins),
            sex=table.word("sex", ("female", "male")),
            conditions=table.words("conditions", (*CONDITIONS, "pregnant")),
            since=table.day("since", self._begins - _YEARS_BEFORE),
            enrolled=table.day("enrolled") if table.has("enrolled") else None,
            gateway=table.word("gateway", self._gateways, self._gateways[0]),
        )
        table.done()

    def _read_event(self, table: Table) -> None:
        for event in read_event(table, list(self._persons), self._labels):
            self._inside(table, "at", event.at)
            if event.at < self._ends_at:
                self._events.append(event)

    def _read_disturbance(self, table: Table) -> None:
        kind = table.word("kind", list(KINDS))
        if self._practice is not None and kind in _NOT_PRACTISED:
            table.refuse("kind", f"is {kind!r}, which a town with a [practice] cannot have")
        for name in _WITHOUT.get(kind, ()):
            if table.has(name):
                table.refuse(name, f"means nothing for {kind}, which is {_WITHOUT_WHY[kind]}")
        since = self._inside(table, "from", table.moment("from", self._begins_at))
        until = table.moment("until", self._ends_at)
        if until <= since:
            table.refuse("until", f"is {until:%Y-%m-%dT%H:%M}, not after from; give a later time")
        found = Disturbance(
            kind=kind,
            since=since,
            until=min(until, self._ends_at),
            gateways=table.words("gateways", self._gateways),
            fields=KINDS[kind](table, list(self._persons)),
        )
        if "found" in found.fields:
            self._inside(table, "found", found.fields["found"])
            if found.fields["found"] <= since:
                table.refuse("found", "is not after from; it cannot be found before it is mad")
        table.done()
        if since < self._ends_at:
            self._disturbances.append(found)

    def _read_expectation(self, table: Table) -> None:
        version = table.word("in", ("full", "short", "both"), "both")
        found = read_expectation(table, list(self._persons))
        if version == "both" or (version == "short") is self._short:
            self._expectations.append(found)


def _read_profile(top: Table) -> str:
    """One that ships and that the plain evaluator can judge by: or nobody would be judged again."""
    found = (each.name for each in resources.files("rules.profiles").iterdir())
    known = sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))
    name = top.word("profile", known, "wuzhou")
    if name not in PROFILES:
        told = f"is {name!r}, which the plain evaluator has no numbers of, only of"
        told += f" {', '.join(sorted(PROFILES))}; write them into simulators/oracle/person.py"
        top.refuse("profile", told)
    return name


def _open(path: Path) -> Table:
    try:
        document = Document(decode(path.read_bytes()))
    except OSError as error:
        msg = f"{path}: {error.strerror}; name a scenario that ships or a readable .toml file"
        raise ScenarioError(msg) from error
    except TomlError as error:
        msg = f"{path}, {error}"
        raise ScenarioError(msg) from error
    return Table(path, document, (), document.values)


def _read_practice(table: Table) -> Practice:
    usual = Practice()
    shares = {name: table.number(name, getattr(usual, name), low=0, high=1) for name in _SHARES}
    days = {
        name: table.whole(name, getattr(usual, name), low=low, high=DAYS_MAX)
        for name, low in _DAYS.items()
    }
    table.done()
    return replace(usual, **shares, **days)  # type: ignore[arg-type]


def _read_town(table: Table, shorter: Table | None, *, practised: bool) -> TownPlan:
    for name in _OF_STRANGERS:
        if practised and table.has(name):
            table.refuse(name, "means nothing beside [practice]: people come by their habits")
    peak = table.text("peak", "08:00", pattern=r"([01]\d|2[0-3]):[0-5]\d", example="08:00")
    residents = table.whole("residents", 0, low=int(practised), high=RESIDENTS_MAX)
    if shorter is not None and shorter.has("residents"):
        residents = shorter.whole("residents", low=int(practised), high=RESIDENTS_MAX)
    plan = TownPlan(
        residents=residents,
        centres=table.whole("centres", 1, low=1, high=GATEWAYS_MAX),
        gateways=table.whole("gateways", 1, low=1, high=GATEWAYS_MAX),
        per_day=table.number("per_day", 0.2, low=0, high=24),
        glucose=table.number("glucose", 0.25, low=0, high=1),
        peak=time.fromisoformat(peak),
        peak_share=table.number("peak_share", 0.3, low=0, high=1),
        peak_minutes=table.whole("peak_minutes", 120, low=1, high=720),
        emergencies=table.number("emergencies", 0.0, low=0, high=1),
        followed_up=table.number("followed_up", 0.0, low=0, high=1),
    )
    table.done()
    return plan
