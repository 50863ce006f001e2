"""What doctors and residents do about a reading: who is called, who comes, who gets more.

Two users: a scenario, where the real pipeline says who is due, and ``rehearse`` here, a year of
plain arithmetic without any pipeline, by which the people are fitted. The comparison with the
limits below is for that fitting alone; nothing else may use it, judging is the business of
``rules``.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import numpy as np

from simulators.people.columns import BLOOD_PRESSURE, FASTING, GLUCOSE, DayReadings
from simulators.people.town import Town
from simulators.people.traits import BoolArray, FloatArray, IntArray

# The default profile's, for fitting only. Source: clinical decision table, B1 and G1 (wuzhou).
_SYSTOLIC_MAX_MMHG: Final = 140.0
_DIASTOLIC_MAX_MMHG: Final = 90.0
_FASTING_MAX_TENTHS: Final = 70.0
_STREAM: Final = 5
_ASKED_MAX: Final = 2
_NEVER: Final = np.iinfo(np.int64).max  # Ordinal day.


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How a team works. Every number is an assumption of ours but where it says otherwise.

    Attributes:
        routine_days: After a visit the next is planned so many days later, from and to.
        second_days: A second follow-up is planned so many days after the high value, from and
            to: mostly within the two weeks of the norm.
        again_days: Who does not come is called again so many days later, from and to.
        steps_up: Share of visits with a value above the limit that end in one more dose
            (therapeutic inertia: about 13 %, recalled).
    """

    routine_days: tuple[int, int] = (70, 95)
    second_days: tuple[int, int] = (5, 16)
    again_days: tuple[int, int] = (14, 28)
    steps_up: float = 0.15


@dataclass(slots=True)
class Year:
    """What a rehearsed year left; columns of shape (n,), -1: never.

    Attributes:
        visits: Days with a doctor.
        pressure: Last office session of the year: 1 under control, 0 not.
        sugar: Last fasting value, likewise.
        planned: Sittings that managed residents planned by themselves, in all,
        happened: and those that took place.
        readings: Of each day.
    """

    visits: IntArray
    pressure: IntArray
    sugar: IntArray
    planned: int = 0
    happened: int = 0
    readings: list[DayReadings] = field(default_factory=list)

    def note(self, readings: DayReadings) -> tuple[IntArray, IntArray]:
        """Keep the readings of a day, and how the last of each person was; who has a new value."""
        self.readings.append(readings)
        rows, systolic, diastolic = session_means(readings)
        self.pressure[rows] = (systolic <= _SYSTOLIC_MAX_MMHG) & (diastolic <= _DIASTOLIC_MAX_MMHG)
        fasting = readings.take((readings.kind == GLUCOSE) & (readings.meal == FASTING))
        self.sugar[fasting.row] = fasting.glucose_tenths <= _FASTING_MAX_TENTHS
        return rows, np.unique(fasting.row)


class _Calls:
    """When each is called next: by routine, and for a second follow-up. Ordinal days."""

    def __init__(self, town: Town, care: Care, random: np.random.Generator) -> None:
        self._care, self._random = care, random
        since = town.traits.enrolled_on
        enrolled = since.astype(np.int64) + date(1970, 1, 1).toordinal()
        self.routine = np.where(np.isnat(since), _NEVER, enrolled)
        self.routine = self._in_days(self.routine, care.routine_days)
        self.second = np.full((2, len(town)), _NEVER)  # Of pressure, of sugar.
        self._asked = np.zeros((2, len(town)), np.int64)  # For how many high values in a row.

    def due(self, managed: BoolArray, today: int) -> IntArray:
        second = (self.second <= today).any(axis=0)
        return np.flatnonzero(managed & ((self.routine <= today) | second))

    def call_again(self, rows: IntArray, today: int) -> None:
        later = self._in_days(np.full(len(rows), today), self._care.again_days)
        self.routine[rows] = np.maximum(self.routine[rows], later)
        second = self.second[:, rows]
        self.second[:, rows] = np.where(second == _NEVER, _NEVER, np.maximum(second, later))

    def saw(self, rows: IntArray, today: int) -> None:
        today_ = np.full(len(rows), today)
        self.routine[rows] = self._in_days(today_, self._care.routine_days)
        self.second[:, rows] = _NEVER

    def heard(self, what: int, rows: IntArray, high: BoolArray, today: int) -> None:
        """A new value of each: a high one asks for a second follow-up, the next for a referral's.

        What is high after that is left to the hospital until a value is not.
        """
        self.second[what, rows[~high]] = _NEVER
        self._asked[what, rows] = np.where(high, self._asked[what, rows] + 1, 0)
        new = rows[high & (self._asked[what, rows] <= _ASKED_MAX)]
        self.second[what, new] = self._in_days(np.full(len(new), today), self._care.second_days)

    def _in_days(self, since: IntArray, days: tuple[int, int]) -> IntArray:
        wait = self._random.integers(days[0], days[1] + 1, len(since))
        later: IntArray = np.where(since == _NEVER, _NEVER, since + wait)
        return later


def rehearse(town: Town, care: Care, *, days: int = 365) -> Year:
    """Let days pass: people measure, are called when high or due, come or not, get more or not."""
    size, first = len(town), town.plan.first_day
    random = np.random.default_rng([town.seed, _STREAM])
    year = Year(np.zeros(size, np.int64), np.full(size, -1), np.full(size, -1))
    calls = _Calls(town, care, random)
    for day in (first + timedelta(days=number) for number in range(days)):
        today = day.toordinal()
        managed = town.managed(day)
        called = calls.due(managed, today)
        comes = random.random(len(called)) < town.traits.comes[called]
        calls.call_again(called[~comes], today)
        seen = called[comes]
        own = town.readings_of(day)
        readings = DayReadings.joined([own, town.readings_at_visit(seen, day)])
        measured = year.note(readings)
        year.planned += int(town.plans(day).sum())
        year.happened += int(managed[np.unique(own.row)].sum())
        year.visits[seen] += 1
        pressure = town.diagnosed("hypertension", day) & (year.pressure == 0)
        sugar = town.diagnosed("diabetes", day) & (year.sugar == 0)
        more = random.random((2, len(seen))) < care.steps_up
        town.visit(seen, day, pressure=pressure[seen] & more[0], sugar=sugar[seen] & more[1])
        calls.saw(seen, today)
        for what, (rows, high) in enumerate(zip(measured, (pressure, sugar), strict=True)):
            mine = rows[managed[rows]]
            calls.heard(what, mine, high[mine], today)
    return year


def session_means(readings: DayReadings) -> tuple[IntArray, FloatArray, FloatArray]:
    """Each resident's office pressures of the day as one: rows, systolic, diastolic, mmHg."""
    office = readings.take((readings.kind == BLOOD_PRESSURE) & readings.office)
    rows, at, count = np.unique(office.row, return_inverse=True, return_counts=True)
    systolic = np.bincount(at, office.systolic_mmhg, len(rows)) / count
    diastolic = np.bincount(at, office.diastolic_mmhg, len(rows)) / count
    return rows, systolic, diastolic
