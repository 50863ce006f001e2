"""A town whose people measure by habit and whose teams work by plan, for a year and its figures.

    cases of the system ─▶ Diary ─▶ who comes ─▶ measured, recorded ─▶ … ─▶ figures of the year

Who is due is what the system says, never the made-up truth. The same seed is the same year to the
last reading, however fast the machine.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from gateway.wire.ids import new_id
from ingest.db.entities import Contract, Package
from ingest.db.records import Kind, Record
from ingest.db.residents import Population
from simulators.people.columns import GLUCOSE, MEALS, DayReadings
from simulators.people.population import list_residents, rows_of_news
from simulators.people.practice import (
    NEVER,
    PACKAGES,
    REFERRAL,
    SECOND,
    UNSIGNED,
    Agreed,
    Diary,
    Practice,
    agree,
)
from simulators.people.town import TownPlan, make_town
from simulators.people.traits import BoolArray, IntArray
from simulators.planned import Numeral
from simulators.residents import team_of
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Enrolled, Happening, HealthChecked
from simulators.scenarios.living import Lived, OpenCase
from simulators.scenarios.scenario import Scenario
from simulators.sites import site_of

_HIGH: Final = frozenset(
    {
        *("second_followup_open", "second_followup_overdue", "referral_recommended"),
        *("emergency_referral", "referral_followup_overdue"),
    }
)
_VISITS_AT: Final = timedelta(hours=18)
_REFERRALS_AT: Final = timedelta(
    hours=18, minutes=10
)  # At one instant ids, which are chance, decide.
_AUTHOR: Final = "doctor"
_CONTRACT: Final = timedelta(days=365)


class PractisingTown:
    """See the module."""

    def __init__(
        self, scenario: Scenario, practice: Practice, name_of: Callable[[str], str]
    ) -> None:
        """Args: ``name_of``: the pseudonym of a card."""
        plan = TownPlan(residents=scenario.town.residents, first_day=scenario.begins)
        self._people = make_town(plan, scenario.seed)
        self._practice = practice
        self._sites = scenario.town.sites
        self._diary = Diary(self._people, practice)
        self._agreed: Agreed = agree(self._people, practice)
        self._seen_last: IntArray = np.zeros(0, np.int64)
        self.cards: list[str] = self._people.traits.card_numbers.tolist()
        self.names = [name_of(card) for card in self.cards]
        self._rows = {name: row for row, name in enumerate(self.names)}
        self._gateways = [site_of(card, self._sites).gateway_id for card in self.cards]
        self.counts: Counter[str] = Counter()

    def population(self, rows: Sequence[int], today: date) -> Population:
        """These rows, with what they have signed."""
        contracts = list(self._contracts(rows))
        self.counts["contracts"] += len(contracts)
        return Population(
            residents=list_residents(
                self._people,
                today,
                name_of=self.names.__getitem__,
                team_of=self._team_of,
                rows=rows,
            ),
            packages=[
                Package(id=name, name=name, followups_per_year=promised)
                for name, promised in zip(PACKAGES, self._practice.promised, strict=True)
            ],
            contracts=contracts,
        )

    def pass_day(
        self, day: datetime, cases: Sequence[OpenCase], *, present: int, attendance: float
    ) -> Lived:
        """One local day. Nobody moves in, and people come as ever: the last two do not matter."""
        del present, attendance
        on, people = day.date(), self._people
        due, referred, high = self._sort(cases)
        self._diary.note(due, people.managed(on))
        self._change_doses(high, on)
        rows, for_what = self._diary.called(on)
        comes = self._diary.come(rows, on)
        rows, for_what = rows[comes], for_what[:, comes]
        basic = np.flatnonzero(self._agreed.basic_visit == on.toordinal())
        seen = np.union1d(rows, basic)
        readings = DayReadings.joined([people.readings_of(on), people.readings_at_visit(seen, on)])
        self._diary.saw(seen, on)
        self._seen_last = seen
        records = [self._record("visit", row, day + _VISITS_AT) for row in seen.tolist()]
        ended = [
            self._record("referral_followup", row, day + _REFERRALS_AT, condition)
            for row in rows[for_what[REFERRAL]].tolist()
            for condition in referred[row]
        ]
        self.counts["visits"] += len(records)
        self.counts["referral_followups"] += len(ended)
        happenings = [*self._news(day), *self._health_checks(day)]
        if records or ended:
            said = Population(records=[*records, *ended])
            happenings.append(Enrolled(at=day + _REFERRALS_AT, population=said))
        return Lived(happenings, list(self._drafts(readings.by_time(), day)))

    def _sort(
        self, cases: Sequence[OpenCase]
    ) -> tuple[IntArray, dict[int, list[OpenCase]], BoolArray]:
        """Due days, shape (2, n); open referrals by row; who is high now, shape (2, n)."""
        due = np.full((2, len(self._people)), NEVER)
        referred: defaultdict[int, list[OpenCase]] = defaultdict(list)
        high = np.zeros((2, len(self._people)), np.bool_)
        for case in sorted(cases, key=lambda each: each.condition):
            row = self._rows.get(case.resident_id)
            if row is None:
                continue  # Somebody with a story.
            if case.second_due is not None:
                due[SECOND, row] = min(due[SECOND, row], case.second_due.toordinal())
            if case.referral_due is not None:
                due[REFERRAL, row] = min(due[REFERRAL, row], case.referral_due.toordinal())
                referred[row].append(case)
            high[0 if case.condition == "hypertension" else 1, row] |= case.state in _HIGH
        return due, referred, high

    def _change_doses(self, high: BoolArray, day: date) -> None:
        """Whom a doctor saw yesterday, and what was measured then is above the limit."""
        seen, people = self._seen_last, self._people
        stepped = self._diary.steps_up(high[:, seen])
        people.visit(
            seen,
            day,
            pressure=stepped[0] & people.diagnosed("hypertension", day)[seen],
            sugar=stepped[1] & people.diagnosed("diabetes", day)[seen],
        )

    def _news(self, day: datetime) -> Iterator[Happening]:
        """Whom the contract system knows otherwise since this day."""
        if day.date() > self._people.plan.first_day:
            rows = rows_of_news(self._people, day.date())
            residents = list_residents(
                self._people,
                day.date(),
                name_of=self.names.__getitem__,
                team_of=self._team_of,
                rows=rows,
            )
            if residents:
                yield Enrolled(at=day, population=Population(residents=residents))

    def _health_checks(self, day: datetime) -> Iterator[Happening]:
        on = day.date()
        rows = np.flatnonzero(self._agreed.health_check == on.toordinal()).tolist()
        self.counts["health_checks"] += len(rows)
        if rows:
            names = [self.names[row] for row in rows]
            yield HealthChecked(at=day, resident_ids=names, on=on, author=_AUTHOR)

    def _record(self, kind: Kind, row: int, at: datetime, of: OpenCase | None = None) -> Record:
        return Record(
            id=new_id(at),
            resident_id=self.names[row],
            kind=kind,
            at=at,
            author=_AUTHOR,
            condition=None if of is None else of.condition,
            outcome=None if of is None else "seen at the hospital",
        )

    def _drafts(self, readings: DayReadings, midnight: datetime) -> Iterator[Draft]:
        columns = zip(
            readings.row.tolist(),
            readings.second.tolist(),
            readings.kind.tolist(),
            readings.systolic_mmhg.tolist(),
            readings.diastolic_mmhg.tolist(),
            readings.pulse_per_min.tolist(),
            readings.glucose_tenths.tolist(),
            readings.meal.tolist(),
            readings.office.tolist(),
            strict=True,
        )
        for row, second, kind, systolic, diastolic, pulse, tenths, meal, office in columns:
            at = midnight + timedelta(seconds=second)
            place: dict[str, Any] = {"setting": "office" if office else "home"}
            if kind == GLUCOSE:
                value = Numeral(Decimal(tenths).scaleb(-1))
                values = {"glucose": value, "unit": "mmol/L", "meal_context": MEALS[meal]}
            else:
                values = {"systolic": systolic, "diastolic": diastolic, "pulse": pulse}
                values["unit"] = "mmHg"
            yield Draft.honest(
                at,
                self.cards[row],
                self._gateways[row],
                "glucose" if kind == GLUCOSE else "blood_pressure",
                values | place,
            )

    def _team_of(self, row: int) -> str:
        return team_of(self.cards[row], self._sites)

    def _contracts(self, rows: Sequence[int]) -> Iterator[Contract]:
        """For a year, signed the day before it."""
        first = self._people.plan.first_day
        for row in rows:
            package = int(self._agreed.package[row])
            if package != UNSIGNED:
                yield Contract(
                    id=f"contract-{row}",
                    resident_id=self.names[row],
                    package_id=PACKAGES[package],
                    since=first,
                    until=first + _CONTRACT,
                    signed_on=first - timedelta(days=1),
                )
