"""The people of a scenario nobody knows by name: ``simulators.people``, at a scenario's terminals.

Who they are and what their bodies do is the town's; when and how many come is the scenario's.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from ingest.db.residents import Population
from simulators.people.columns import (
    FASTING,
    GLUCOSE,
    MEALS,
    NO_GLUCOSE,
    RANDOM,
    DayReadings,
    Sittings,
)
from simulators.people.population import list_residents
from simulators.people.town import TownPlan, make_town
from simulators.people.traits import BoolArray, FloatArray, IntArray
from simulators.planned import Numeral
from simulators.residents import TEAMS_PER_CENTRE, team_id
from simulators.scenarios.doctors import answer
from simulators.scenarios.drafts import Draft
from simulators.scenarios.living import Lived, OpenCase
from simulators.scenarios.scenario import Scenario

_FIRST_HOUR, _LAST_HOUR = 6.0, 18.0
_FASTING_UNTIL_HOUR: Final = 10.0
_STREAM_DAY: Final = 2
_STREAM_DOCTORS: Final = 4
_GROWN_UP_YEARS: Final = 35  # Who comes to a terminal.
_SECOND_READING: Final = 0.5  # Share of sittings at a cuff.


class Town:
    """Residents by row; the first ones live there first while a district grows."""

    def __init__(self, scenario: Scenario, name_of: Callable[[str], str]) -> None:
        """Args: ``name_of``: the pseudonym of a card."""
        self.plan, self._seed = scenario.town, scenario.seed
        sites, size = self.plan.sites, self.plan.residents
        self._people = make_town(
            TownPlan(
                residents=size,
                first_day=scenario.begins,
                age_years_min=_GROWN_UP_YEARS,
                horizon_days=scenario.days,
            ),
            scenario.seed,
        )
        self.cards = [str(card) for card in self._people.traits.card_numbers]
        self.names = [name_of(card) for card in self.cards]
        self.counts: Counter[str] = Counter()
        self.sites = [sites[row % len(sites)] for row in range(size)]

    def population(self, rows: Sequence[int], today: date) -> Population:
        """Those rows as the contract system knows them today."""

        def team_of(row: int) -> str:
            return team_id(self.sites[row].centre_id, row % TEAMS_PER_CENTRE)

        residents = list_residents(
            self._people, today, name_of=self.names.__getitem__, team_of=team_of, rows=rows
        )
        return Population(residents=residents)

    def pass_day(
        self, day: datetime, cases: Sequence[OpenCase], *, present: int, attendance: float
    ) -> Lived:
        """One local day: who comes by themselves, and whom doctors see."""
        drafts = self.readings_of(day, present, attendance)
        random = np.random.default_rng([self._seed, _STREAM_DOCTORS, day.toordinal()])
        happenings, measured = answer(self, cases, day, random)
        return Lived(happenings, [*drafts, *measured])

    def readings_of(self, day: datetime, present: int, attendance: float) -> list[Draft]:
        """What the first ``present`` residents measure on a local day.

        Args:
            day: Its midnight, aware; days never go back.
            present: How many there are.
            attendance: How many times as many come as on an ordinary day.
        """
        random = np.random.default_rng([self._seed, _STREAM_DAY, day.toordinal()])
        times = random.poisson(self.plan.per_day * attendance, len(self.cards))[:present]
        rows = np.repeat(np.arange(present), times)
        hours = self._draw_hours(len(rows), random)
        sugar = random.random(len(rows)) < self.plan.glucose
        return self.measure(rows, hours, sugar, day, random)

    def measure(
        self,
        rows: IntArray,
        hours: FloatArray,
        sugar: BoolArray,
        day: datetime,
        random: np.random.Generator,
    ) -> list[Draft]:
        """Honest readings of these sittings in the centre: a glucose value or one or two pressures.

        Args:
            rows: Residents, shape (s,).
            hours: Local, since midnight.
            sugar: Who sits at a meter; the others at a cuff.
            day: Its midnight.
            random: Of this day.
        """
        twice = random.random(len(rows)) < _SECOND_READING
        meal = np.where(hours < _FASTING_UNTIL_HOUR, FASTING, RANDOM)
        sittings = Sittings(
            row=rows,
            hour=hours,
            office=np.ones(len(rows), np.bool_),
            pressures=np.where(sugar, 0, np.where(twice, 2, 1)),
            meal=np.where(sugar, meal, NO_GLUCOSE),
            manual=np.zeros(len(rows), np.bool_),
        )
        readings = self._people.measure(
            sittings, day.date(), random=random, severe_share=self.plan.emergencies
        )
        return [self._draft(readings, place, day) for place in range(len(readings))]

    def treat(self, row: int, condition: str, day: date) -> None:
        """A doctor gives one dose more; it takes effect within weeks."""
        yes, no = np.array([True]), np.array([False])
        pressure = condition == "hypertension"
        self._people.visit(
            np.array([row]), day, pressure=yes if pressure else no, sugar=no if pressure else yes
        )

    def _draft(self, readings: DayReadings, place: int, day: datetime) -> Draft:
        row = int(readings.row[place])
        at = day + timedelta(seconds=int(readings.second[place]))
        card, gateway_id = self.cards[row], self.sites[row].gateway_id
        if readings.kind[place] == GLUCOSE:
            tenths = int(readings.glucose_tenths[place])
            values = {
                "glucose": Numeral(f"{tenths // 10}.{tenths % 10}"),
                "unit": "mmol/L",
                "meal_context": MEALS[readings.meal[place]],
            }
            return Draft.honest(at, card, gateway_id, "glucose", values)
        return Draft.honest(
            at,
            card,
            gateway_id,
            "blood_pressure",
            {
                "systolic": int(readings.systolic_mmhg[place]),
                "diastolic": int(readings.diastolic_mmhg[place]),
                "unit": "mmHg",
                "setting": "office",
            },
        )

    def _draw_hours(self, number: int, random: np.random.Generator) -> FloatArray:
        plan = self.plan
        begins = plan.peak.hour + plan.peak.minute / 60
        peak = begins + random.random(number) * plan.peak_minutes / 60
        other = random.uniform(_FIRST_HOUR, _LAST_HOUR, number)
        hours: FloatArray = np.where(random.random(number) < plan.peak_share, peak, other)
        return hours
