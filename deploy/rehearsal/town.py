"""A year of a made-up town through the real pipeline: residents, terminals, doctors, figures.

    day by day   who is due (the database) ─▶ Diary ─▶ who comes ─▶ measured, recorded
                 readings of the town ─▶ gateways ─▶ broker ─▶ ingest ─▶ judge ─▶ feed
    at the end   figures of the year (``api.indicators``), reconcile

Virtual time passes in ``World``. What doctors record goes through the write functions that the
API uses; who is due is read from the cases that the judge wrote, never from the made-up truth.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import numpy as np

from api.indicators.health_checks import keep_health_check
from deploy.rehearsal.world import World
from gateway.identity import load_key, pseudonym
from gateway.wire.ids import new_id
from ingest.db.entities import Contract, Package
from ingest.db.records import Kind, Record
from ingest.db.residents import Population
from simulators.ledger import Truth
from simulators.people.columns import GLUCOSE, MEALS, DayReadings
from simulators.people.population import list_residents, rows_of_news
from simulators.people.practice import (
    NEVER,
    PACKAGES,
    REFERRAL,
    UNSIGNED,
    Agreed,
    Diary,
    Practice,
    agree,
)
from simulators.people.town import Town
from simulators.people.traits import BoolArray, IntArray
from simulators.planned import Expected, Numeral, PlannedReading, encode_line
from simulators.residents import build_places, team_of
from simulators.scenarios.happenings import Enrolled, GatewayStarted, Happening, Measured
from simulators.series import SHANGHAI
from simulators.sites import Kind as DeviceKind
from simulators.sites import Site, device_of, site_of

_CASES: Final = """
SELECT resident_id, condition, state, second_followup_due, referral_followup_due
FROM resident_case
WHERE second_followup_due IS NOT NULL OR referral_followup_due IS NOT NULL"""
_HIGH: Final = (
    *("second_followup_open", "second_followup_overdue", "referral_recommended"),
    *("emergency_referral", "referral_followup_overdue"),
)
_VISITS_AT: Final = timedelta(hours=18)
_REFERRALS_AT: Final = timedelta(
    hours=18, minutes=10
)  # At one instant ids, which are chance, decide.
_AUTHOR: Final = "doctor"


@dataclass(slots=True)
class TownCounts:
    """What the town did."""

    readings: int = 0
    visits: int = 0
    referral_followups: int = 0
    health_checks: int = 0
    contracts: int = 0
    real_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class TownYear:
    """Lets a town live in a world. ``begin``, then ``pass_day`` for each day in turn."""

    def __init__(self, town: Town, world: World, sites: Sequence[Site], practice: Practice) -> None:
        self.counts = TownCounts()
        self._town, self._world, self._sites = town, world, sites
        self._diary = Diary(town, practice)
        self._practice = practice
        self._seen_last: IntArray = np.zeros(0, np.int64)
        self._agreed: Agreed = agree(town, practice)
        self._cards: list[str] = town.traits.card_numbers.tolist()
        key = load_key(world.setting.folder / "pseudonym.key")
        self._names = [pseudonym(key, card) for card in self._cards]
        self._rows = {name: row for row, name in enumerate(self._names)}
        self._terminals = [self._terminals_of(card) for card in self._cards]
        self._sequences: defaultdict[str, int] = defaultdict(int)

    async def begin(self) -> None:
        """Everybody and every contract, as on the morning of the first day; gateways on."""
        began_s = time.monotonic()
        town, day = self._town, self._town.plan.first_day
        places = build_places(self._sites)
        contracts = self._contracts()
        self.counts.contracts = len(contracts)
        population = Population(
            centres=places.centres,
            teams=places.teams,
            gateways=places.gateways,
            devices=places.devices,
            residents=list_residents(
                town, day, name_of=self._names.__getitem__, team_of=self._team_of
            ),
            packages=[
                Package(id=name, name=name, followups_per_year=promised)
                for name, promised in zip(PACKAGES, self._practice.promised, strict=True)
            ],
            contracts=contracts,
        )
        at = self._world.clock()
        self._world.add_users([site.gateway_id for site in self._sites])
        happenings: list[Happening] = [Enrolled(at=at, population=population)]
        happenings += [GatewayStarted(at=at, site=site) for site in self._sites]
        await self._world.play(happenings, until=at + timedelta(minutes=1))
        await self._world.work()
        self.counts.real_s["begin"] += time.monotonic() - began_s

    async def pass_day(self, day: date) -> None:
        """One local day, from midnight to midnight."""
        began_s = time.monotonic()
        due, conditions, high = await self._read_cases()
        read_s = time.monotonic()
        self._diary.note(due, self._town.managed(day))
        self._change_doses(high, day)
        happenings = self._happenings_of(day, conditions)
        await self._say_health_checks(day)
        made_s = time.monotonic()
        midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), SHANGHAI)
        await self._world.play(happenings, until=midnight)
        self._world.end_day()
        for name, since, until in (
            ("read", began_s, read_s),
            ("people", read_s, made_s),
            ("play", made_s, time.monotonic()),
        ):
            self.counts.real_s[name] += until - since

    async def _read_cases(self) -> tuple[IntArray, dict[int, list[str]], BoolArray]:
        """Due days, the conditions of open referrals by row, and who is high now, (2, n)."""
        rows = await (await self._world.connection.execute(_CASES)).fetchall()
        due = np.full((2, len(self._town)), NEVER)
        referred: defaultdict[int, list[str]] = defaultdict(list)
        high = np.zeros((2, len(self._town)), np.bool_)
        for name, condition, state, *days in rows:
            row = self._rows.get(name)
            if row is None:
                continue
            for kind, wanted in enumerate(days):
                if wanted is not None:
                    due[kind, row] = min(due[kind, row], wanted.toordinal())
            if days[REFERRAL] is not None:
                referred[row].append(condition)
            high[0 if condition == "hypertension" else 1, row] |= state in _HIGH
        return due, referred, high

    def _change_doses(self, high: BoolArray, day: date) -> None:
        """Whom a doctor saw yesterday, and what was measured then is above the limit."""
        seen, town = self._seen_last, self._town
        stepped = self._diary.steps_up(high[:, seen])
        town.visit(
            seen,
            day,
            pressure=stepped[0] & town.diagnosed("hypertension", day)[seen],
            sugar=stepped[1] & town.diagnosed("diabetes", day)[seen],
        )

    def _happenings_of(self, day: date, referred: dict[int, list[str]]) -> list[Happening]:
        """What happens on this day, in its order."""
        town, diary = self._town, self._diary
        rows, for_what = diary.called(day)
        comes = diary.come(rows, day)
        rows, for_what = rows[comes], for_what[:, comes]
        basic = np.flatnonzero(self._agreed.basic_visit == day.toordinal())
        seen = np.union1d(rows, basic)
        readings = DayReadings.joined(
            [town.readings_of(day), town.readings_at_visit(seen, day)]
        ).by_time()
        diary.saw(seen, day)
        self._seen_last = seen
        self.counts.visits += len(seen)
        self.counts.readings += len(readings)
        midnight = datetime.combine(day, datetime.min.time(), SHANGHAI)
        at = midnight + _VISITS_AT
        records = [self._record("visit", row, at) for row in seen.tolist()]
        at = midnight + _REFERRALS_AT
        for row in rows[for_what[REFERRAL]].tolist():
            records += [self._record("referral_followup", row, at, c) for c in referred[row]]
        self.counts.referral_followups += len(records) - len(seen)
        news = rows_of_news(town, day) if day > town.plan.first_day else []
        residents = list_residents(
            town, day, name_of=self._names.__getitem__, team_of=self._team_of, rows=news
        )
        happenings: list[Happening] = [*self._measured(readings, midnight)]
        if residents:
            happenings.insert(0, Enrolled(at=midnight, population=Population(residents=residents)))
        if records:
            happenings.append(Enrolled(at=at, population=Population(records=records)))
        return sorted(happenings, key=lambda each: each.at)

    def _record(self, kind: Kind, row: int, at: datetime, condition: str | None = None) -> Record:
        wanted: Literal["hypertension", "diabetes"] | None = None
        if condition is not None:
            wanted = "diabetes" if condition == "diabetes" else "hypertension"
        return Record(
            id=new_id(at),
            resident_id=self._names[row],
            kind=kind,
            at=at,
            author=_AUTHOR,
            condition=wanted,
            outcome="seen at the hospital" if kind == "referral_followup" else None,
        )

    def _measured(self, readings: DayReadings, midnight: datetime) -> Iterator[Measured]:
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
            gateway_id, devices = self._terminals[row]
            device_id = devices[kind]
            self._sequences[device_id] += 1
            values: dict[str, object] = (
                {
                    "glucose": Numeral(Decimal(tenths).scaleb(-1)),
                    "unit": "mmol/L",
                    "meal_context": MEALS[meal],
                }
                if kind == GLUCOSE
                else {
                    "systolic": systolic,
                    "diastolic": diastolic,
                    "pulse": pulse,
                    "unit": "mmHg",
                }
            )
            values["setting"] = "office" if office else "home"
            line = encode_line(
                {
                    "device_id": device_id,
                    "device_sequence": self._sequences[device_id],
                    "boot_id": "town",
                    "card_number": self._cards[row],
                    "kind": "glucose" if kind == GLUCOSE else "blood_pressure",
                    "measured_at": at.isoformat(),
                }
                | values
            )
            reading = PlannedReading(
                gateway_id=gateway_id,
                device_id=device_id,
                card_number=self._cards[row],
                line=line,
                expected=Expected.STORED,
            )
            truth = Truth(resident_id=self._names[row], measured_at=at, fields=values)
            yield Measured(at=at, reading=reading, truth=truth)

    def _terminals_of(self, card: str) -> tuple[str, tuple[str, str]]:
        """The gateway, and cuff and meter there, of a resident."""
        gateway_id = site_of(card, self._sites).gateway_id
        kinds: tuple[DeviceKind, DeviceKind] = ("blood_pressure", "glucose")
        cuff, meter = (device_of(card, kind, gateway_id, counts=True) for kind in kinds)
        return gateway_id, (cuff, meter)

    def _team_of(self, row: int) -> str:
        return team_of(self._cards[row], self._sites)

    def _contracts(self) -> list[Contract]:
        """For a year, signed the day before it."""
        first = self._town.plan.first_day
        signed, last = first - timedelta(days=1), first + timedelta(days=365)
        return [
            Contract(
                id=f"contract-{row}",
                resident_id=self._names[row],
                package_id=PACKAGES[package],
                since=first,
                until=last,
                signed_on=signed,
            )
            for row, package in enumerate(self._agreed.package.tolist())
            if package != UNSIGNED
        ]

    async def _say_health_checks(self, day: date) -> None:
        rows = np.flatnonzero(self._agreed.health_check == day.toordinal()).tolist()
        at = datetime.combine(day, datetime.min.time(), SHANGHAI)
        async with self._world.connection.transaction():
            for row in rows:
                await keep_health_check(
                    self._world.connection, self._names[row], day, author=_AUTHOR, at=at
                )
        self.counts.health_checks += len(rows)
