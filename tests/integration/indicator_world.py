"""A random city in the database, and the same written down plainly for the oracle.

Whether somebody is managed on a day is asked day by day here; nothing is computed by ranges.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from ingest.db import indicator_years
from ingest.db.connections import Connection
from ingest.indicator_years import mark_days
from rules.indicator_facts import merge_obligations
from tests.unit.rules.rules_indicators import BOTH, DM, HTN, World

TODAY: Final = date(2026, 9, 16)
NOW: Final = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai.
FIRST: Final = date(2025, 10, 1)
NAMES: Final = {HTN: "hypertension", DM: "diabetes"}
CENTRE_OF: Final = {"n1": "north", "n2": "north", "s1": "south"}
_DAY: Final = timedelta(days=1)


@dataclass
class City:
    """Residents by row number, as ``World`` numbers them."""

    ids: tuple[str, ...]
    team_of: dict[int, str | None]
    enrolled: dict[int, date | None] = field(default_factory=dict)
    conditions: list[tuple[int, int, date, date | None]] = field(default_factory=list)
    turns: list[tuple[int, str, datetime]] = field(default_factory=list)
    world: World = field(default_factory=World)

    def of_teams(self, teams: Iterable[str | None]) -> World:
        """Only what is about residents of these teams."""
        mine = {person for person, team in self.team_of.items() if team in set(teams)}
        world = World(face_to_face=4)
        for name in ("managed", "visits", "examinations", "outcomes", "obligations"):
            rows = [row for row in getattr(self.world, name) if row[0] in mine]
            setattr(world, name, rows)
        return world


def _is_closed(turns: list[tuple[str, date]], day: date) -> bool:
    """The day of a closure and that of a return are open; ``turns`` in order of time."""
    closed: date | None = None
    for kind, on in turns:
        if kind == "return" and on <= day:
            closed = None
        if kind == "closure" and on <= day and closed is None:
            closed = on
    return closed is not None and closed < day


def _day(random: Random) -> date:
    return FIRST + random.randrange((TODAY - FIRST).days + 40) * _DAY


def _past(random: Random) -> date:
    return FIRST + random.randrange((TODAY - FIRST).days + 1) * _DAY


def make_city(random: Random, people: int) -> City:
    """Residents of three teams and of none, with a year of everything."""
    teams = [*CENTRE_OF, None]
    city = City(
        ids=tuple(f"r-{number:04}" for number in range(people)),
        team_of={person: random.choice(teams) for person in range(people)},
    )
    visits, outcomes, owed, examined = [], [], [], set()
    for person in range(people):
        city.enrolled[person] = random.choice([None, date(2024, 1, 1), _day(random)])
        for condition in random.choice([(), (HTN,), (DM,), (HTN, DM)]):
            since = random.choice([date(2020, 1, 1), _day(random)])
            until = random.choice([None, None, since + random.randrange(300) * _DAY])
            city.conditions.append((person, condition, since, until))
            if until and random.random() < 0.3:
                city.conditions.append((person, condition, until + 20 * _DAY, None))
        city.turns += _turns(random, person)
        visits += [
            (person, random.choice([HTN, DM, BOTH]), _past(random), random.random() < 0.7)
            for _ in range(random.randrange(9))
        ]
        outcomes += [
            (person, random.choice([HTN, DM, BOTH]), _past(random), *_found(random))
            for _ in range(random.randrange(5))
        ]
        owed += [
            (person, random.choice([HTN, DM]), random.randrange(1, 4), *_owed(random))
            for _ in range(random.randrange(6))
        ]
        examined |= {(person, _past(random)) for _ in range(random.randrange(3))}
    city.world = World(
        visits=visits, outcomes=outcomes, examinations=sorted(examined), obligations=_once(owed),
        managed=_managed(city), face_to_face=4,
    )  # fmt: skip
    return city


def _found(random: Random) -> tuple[bool, bool]:
    """Controlled, lost."""
    return random.random() < 0.6, random.random() < 0.1


def _owed(random: Random) -> tuple[date, date | None]:
    """Due, answered; what is not due yet is not answered yet."""
    due = _day(random)
    answered = min(due + random.randrange(-20, 20) * _DAY, TODAY)
    return due, random.choice([None, answered]) if due < TODAY else None


def _turns(random: Random, person: int) -> list[tuple[int, str, datetime]]:
    kinds = random.choice(
        [[], [], [], ["closure"], ["closure", "return"], ["return"],
         ["closure", "closure", "return", "closure"]]
    )  # fmt: skip
    at = datetime(2025, 11, 1, 3, 0, tzinfo=UTC)
    turns = []
    for kind in kinds:
        at += timedelta(hours=random.randrange(1, 24 * 75))
        turns.append((person, kind, min(at, NOW)))
    return turns


def _once(owed: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What is due of a kind on one day is one follow-up; the oracle is given it so."""
    found = {row[:4]: row for row in owed}
    return [found[key] for key in sorted(found)]


def _managed(city: City) -> list[tuple[int, int, date, date]]:
    """Day by day, as runs of one day."""
    rows = []
    for person, enrolled in city.enrolled.items():
        mine = [row for row in city.conditions if row[0] == person]
        turns = [
            (kind, (at + timedelta(hours=8)).date())
            for who, kind, at in sorted(city.turns, key=lambda turn: turn[2])
            if who == person
        ]
        day = FIRST - 3 * _DAY
        while enrolled is not None and mine and day <= TODAY:
            day += _DAY
            if day < enrolled or _is_closed(turns, day):
                continue
            rows += [
                (person, condition, day, day)
                for _, condition, since, until in mine
                if since <= day and (until is None or day <= until)
            ]
    return rows


async def store_city(writer: Connection, city: City) -> None:
    """Write it as the register, people and the judge would have."""
    await writer.execute("INSERT INTO centre VALUES ('north', 'N'), ('south', 'S')")
    for team, centre in CENTRE_OF.items():
        await writer.execute("INSERT INTO team VALUES (%s, %s, %s)", (team, centre, team))
    at = datetime(2025, 10, 1, tzinfo=UTC)
    async with writer.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO resident (id, team_id, created_at, enrolled_on) VALUES (%s, %s, %s, %s)",
            [(city.ids[p], team, at, city.enrolled[p]) for p, team in city.team_of.items()],
        )
        await cursor.executemany(
            "INSERT INTO resident_condition VALUES (%s, %s, %s, %s)",
            [(city.ids[p], NAMES[c], since, until) for p, c, since, until in city.conditions],
        )
        await cursor.executemany(
            "INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings, author,"
            " reason) VALUES (%s, %s, %s, %s, %s, 'clinic', '{}', 'x', %s)",
            [
                (UUID(int=n), city.ids[p], kind, at, NOW, "moved" if kind == "closure" else None)
                for n, (p, kind, at) in enumerate(city.turns)
            ],
        )
        await cursor.executemany(
            "INSERT INTO health_check VALUES (%s, %s, 'x', %s)",
            [(city.ids[p], day, NOW) for p, day in city.world.examinations],
        )
    facts = city.world.facts()
    assert len(merge_obligations(facts.obligations)) == len(facts.obligations)
    await indicator_years.replace_rows(writer, mark_days(facts, city.ids), city.ids)
