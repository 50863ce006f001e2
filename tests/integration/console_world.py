"""Two teams and their residents with months of readings, written by the real writer and judge.

Everything follows from a seed and the present day, so that pages have something to show today.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import Any, Final

from ingest.db.connections import Connection
from ingest.db.entities import ConditionName, Contract, Package, Sex
from ingest.db.residents import (
    Centre,
    DatedCondition,
    GatewayRecord,
    Population,
    Resident,
    Team,
    load,
)
from tests.builders import Literal, a_batch, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import JudgeBench
from tests.integration.writer_bench import receipts_of
from tests.roles import prepare_ingest

TEAM: Final = "east-1"
OTHER_TEAM: Final = "east-2"
TEAMS: Final = (TEAM, OTHER_TEAM)
CENTRE: Final = "east"
HISTORY_DAYS: Final = 1_020  # Of the first resident; the others have ``RECENT_DAYS``.
RECENT_DAYS: Final = 120
STEP_DAYS: Final = 10
JUDGED_DAYS: Final = (720, 420, 120, 30, 20, 10, 0)  # Ago: what was measured since is judged.
SEEN_DAYS: Final = (720, 420, 120, 30)  # People were seen, what was referred was followed up.


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented, by a pseudonym: what they have and where their values lie."""

    name: str
    born: date
    sex: Sex
    team: str
    conditions: tuple[ConditionName, ...]
    systolic: int  # Usual, mmHg; the last readings tend to ``systolic_now``.
    systolic_now: int
    glucose: float | None = None  # Usual, mmol/L.
    glucose_now: float | None = None

    @property
    def id(self) -> str:
        """A pseudonym as gateways make them."""
        return f"r-{sha256(self.name.encode()).hexdigest()[:24]}"


PEOPLE: Final = (
    Person(
        *("both, long", date(1957, 4, 2), "female", TEAM, ("hypertension", "diabetes")),
        *(136, 147, 6.6, 7.6),
    ),
    Person("referred", date(1949, 9, 12), "male", TEAM, ("hypertension",), 152, 158),
    Person("controlled", date(1962, 1, 30), "female", TEAM, ("hypertension",), 128, 126),
    Person("sugar", date(1966, 7, 8), "male", TEAM, ("diabetes",), 124, 124, 7.4, 8.3),
    Person("screened", date(1980, 11, 21), "male", TEAM, (), 131, 146),
    Person("rising", date(1971, 3, 3), "female", TEAM, ("hypertension",), 131, 144),
    Person(
        *("both, better", date(1954, 12, 1), "male", TEAM, ("hypertension", "diabetes")),
        *(148, 133, 7.9, 6.4),
    ),
    Person("quiet", date(1959, 5, 17), "female", TEAM, ("hypertension",), 122, 122),
    Person("low sugar", date(1968, 8, 24), "female", TEAM, ("diabetes",), 126, 126, 5.4, 4.4),
    Person("high at home", date(1975, 2, 9), "male", TEAM, ("hypertension",), 137, 143),
    Person("of the others", date(1960, 6, 6), "male", OTHER_TEAM, ("hypertension",), 150, 156),
    Person("others' sugar", date(1963, 10, 10), "female", OTHER_TEAM, ("diabetes",), 125, 125, 8.0),
)
LONG: Final = PEOPLE[0]
REFERRED: Final = PEOPLE[1]
STRANGER: Final = PEOPLE[-2]
SCREENED: Final = PEOPLE[4]


def population(today: date) -> Population:
    """Places, people and contracts."""
    begun = today - timedelta(days=HISTORY_DAYS + 30)
    return Population(
        centres=[Centre(id=CENTRE, name="East")],
        teams=[
            Team(id=team, centre_id=CENTRE, name=f"Team {n + 1}") for n, team in enumerate(TEAMS)
        ],
        gateways=[GatewayRecord(id="gw-1", centre_id=CENTRE)],
        packages=[Package(id="bp", name="高血压管理包", followups_per_year=6)],
        residents=[
            Resident(
                id=person.id,
                team_id=person.team,
                birth_date=person.born,
                sex=person.sex,
                enrolled_on=today - timedelta(days=60),
                conditions=[DatedCondition(condition=c, since=begun) for c in person.conditions],
            )
            for person in PEOPLE
        ],
        contracts=[
            Contract(
                id=f"contract-{person.id}",
                resident_id=person.id,
                package_id="bp",
                since=date(today.year, 1, 1),
                until=date(today.year, 12, 31),
                signed_on=date(today.year, 1, 1),
            )
            for person in PEOPLE
        ],
    )


def readings_at(person: Person, at: datetime, share: float, chance: Random) -> Iterator[Any]:
    """One measuring session: two pressures, and glucose for whom it is asked."""
    systolic = round(person.systolic + (person.systolic_now - person.systolic) * share)
    systolic += chance.randint(-5, 5)
    for minute in (0, 2):
        yield a_blood_pressure(
            str(systolic + chance.randint(-3, 3)),
            str(round(systolic * 0.61) + chance.randint(-3, 3)),
            at=at + timedelta(minutes=minute),
            resident_id=person.id,
            pulse=Literal(str(chance.randint(62, 88))),
        )
    if person.glucose is not None:
        now = person.glucose_now or person.glucose
        fasting = person.glucose + (now - person.glucose) * share + chance.uniform(-0.5, 0.5)
        yield a_glucose(f"{fasting:.1f}", at=at + timedelta(minutes=5), resident_id=person.id)
        yield a_glucose(
            f"{fasting + chance.uniform(1.4, 3.2):.1f}",
            at=at + timedelta(hours=2),
            resident_id=person.id,
            meal_context="postprandial_2h",
        )


async def build_world(connection: Connection, database: Database, now: datetime) -> JudgeBench:
    """Fill a fresh database up to ``now``; the bench goes on from there."""
    chance = Random(7)  # noqa: S311 - the same world each time
    clock = TestClock(now - timedelta(days=HISTORY_DAYS + 10))
    await load(connection, population(now.astimezone(UTC).date()), at=clock.now)
    await connection.execute("DELETE FROM due_mark")
    await prepare_ingest(connection)
    bench = JudgeBench(connection, database, clock)
    for earlier, days in pairwise((HISTORY_DAYS + STEP_DAYS, *JUDGED_DAYS)):
        sent: list[dict[str, Any]] = []
        for back in range(earlier - STEP_DAYS, days - 1, -STEP_DAYS):
            at = now - timedelta(days=back, hours=4)
            for person in PEOPLE if back <= RECENT_DAYS else PEOPLE[:1]:
                all_days = HISTORY_DAYS if person is LONG else RECENT_DAYS
                share = (1 - min(back, all_days) / all_days) ** 3
                when = at + timedelta(minutes=chance.randint(0, 60))
                sent += readings_at(person, when, share, chance)
        clock.now = now - timedelta(days=days, minutes=30)
        settled = await bench.store(a_batch(*sent), at=clock.now)
        assert not any(receipt.quarantined for receipt in receipts_of(settled))
        await bench.settle(minutes=12)
        for person in PEOPLE if days in SEEN_DAYS else ():
            await bench.record("visit", resident_id=person.id, mode="clinic")
            if person is not REFERRED:
                await bench.record("referral_followup", resident_id=person.id, outcome="followed")
        await bench.settle(minutes=1)
    clock.now = now
    return bench
