"""The people of a scenario nobody knows by name: who they are, and what they measure on a day."""

from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from ingest.db.entities import ConditionName
from ingest.db.residents import DatedCondition, Resident
from simulators.physiology import draw_blood_pressure, draw_glucose, make_people
from simulators.planned import Numeral
from simulators.residents import TEAMS_PER_CENTRE, team_id
from simulators.scenarios.drafts import Draft
from simulators.scenarios.scenario import TownPlan
from simulators.sites import Kind

_FIRST_HOUR, _LAST_HOUR = 6.0, 18.0
_STREAM_PEOPLE, _STREAM_DAY = 1, 2
_CONDITIONS: Final[tuple[ConditionName, ...]] = ("hypertension", "diabetes")
_YEAR: Final = timedelta(days=365)
_TREATED_MMHG: Final = 9.0  # A visit with a dose more takes about that much off (assumption).
_TREATED_MMOL_L: Final = 1.0  # The same of glucose.


class Town:
    """Residents as columns; ``present`` says who lives there yet."""

    def __init__(self, plan: TownPlan, seed: int) -> None:
        self.plan = plan
        self._seed = seed
        self.people = make_people(
            max(plan.residents, 1), np.random.default_rng([seed, _STREAM_PEOPLE])
        )
        sites = plan.sites
        self.cards = [f"TOWN-{row:06d}" for row in range(plan.residents)]
        self.sites = [sites[row % len(sites)] for row in range(plan.residents)]
        self.rows = {card: row for row, card in enumerate(self.cards)}

    def resident(self, row: int, name: str, today: date) -> Resident:
        """As the contract system knows one."""
        people, centre = self.people, self.sites[row].centre_id
        conditions = [
            DatedCondition(condition=condition, since=today - _YEAR)
            for condition in _CONDITIONS
            if getattr(people, condition)[row]
        ]
        return Resident(
            id=name,
            team_id=team_id(centre, row % TEAMS_PER_CENTRE),
            birth_date=today - timedelta(days=int(people.age_years[row] * 365.25)),
            sex="female" if people.female[row] else "male",
            conditions=conditions,
        )

    def treat(self, row: int, condition: str) -> None:
        """A doctor gives more: from now on the values are lower."""
        if condition == "hypertension":
            self.people.systolic_mmhg[row] -= _TREATED_MMHG
            self.people.diastolic_mmhg[row] -= _TREATED_MMHG / 2
        else:
            usual = self.people.glucose_mmol_l[row]
            self.people.glucose_mmol_l[row] = max(usual - _TREATED_MMOL_L, min(usual, 5.2))

    def readings_of(self, day: datetime, present: int, attendance: float) -> list[Draft]:
        """What the first ``present`` residents measure on a local day.

        Args:
            day: Its midnight, aware.
            present: How many there are.
            attendance: How many times as many come as on an ordinary day.
        """
        random = np.random.default_rng([self._seed, _STREAM_DAY, day.toordinal()])
        rate = self.plan.per_day * attendance
        times = random.poisson(rate, len(self.cards))[:present]
        return [
            draft
            for row in np.repeat(np.arange(present), times).tolist()
            for draft in self._sit(row, day, random)
        ]

    def _sit(self, row: int, day: datetime, random: np.random.Generator) -> list[Draft]:
        hour = self._draw_hour(random)
        at = day + timedelta(hours=hour)
        if random.random() < self.plan.glucose:
            return [self.measure(row, "glucose", at, random)]
        first = self.measure(row, "blood_pressure", at, random)
        if random.random() < 0.5:  # noqa: PLR2004 - every other measures twice
            return [first]
        return [first, self.measure(row, "blood_pressure", at + timedelta(minutes=2), random)]

    def measure(
        self,
        row: int,
        kind: Kind,
        at: datetime,
        random: np.random.Generator,
    ) -> Draft:
        """One honest reading of one resident."""
        hour = at.hour + at.minute / 60
        share = self.plan.emergencies
        values: dict[str, Any]
        if kind == "glucose":
            glucose, meal = draw_glucose(self.people, row, hour, random, emergency_rate=share)
            values = {"glucose": Numeral(glucose), "unit": "mmol/L", "meal_context": meal}
        else:
            systolic, diastolic = draw_blood_pressure(
                self.people, row, hour, random, emergency_rate=share
            )
            values = {
                "systolic": systolic,
                "diastolic": diastolic,
                "unit": "mmHg",
                "setting": "office",
            }
        return Draft.honest(at, self.cards[row], self.sites[row].gateway_id, kind, values)

    def _draw_hour(self, random: np.random.Generator) -> float:
        plan = self.plan
        if random.random() < plan.peak_share:
            begin = plan.peak.hour + plan.peak.minute / 60
            return float(begin + random.random() * plan.peak_minutes / 60)
        return float(random.uniform(_FIRST_HOUR, _LAST_HOUR))
