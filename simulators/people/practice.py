"""A year of a team's work in a town: whom it signs, calls, sees, refers. Columns, one row each.

The pipeline says who is due (``Due``); this says who is then seen on which day, and who comes.
Invariants: seeded like the town; no loop over residents; nothing is judged here.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from simulators.people.town import Town
from simulators.people.traits import BoolArray, IntArray

NEVER: Final = np.iinfo(np.int64).max
"""An ordinal day that does not come."""
_STREAM: Final = 6
_EPOCH: Final = date(1970, 1, 1).toordinal()
_CHILD_YEARS: Final = 7
_ELDERLY_YEARS: Final = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """How the teams work. Assumptions of ours, where they do not name the product brief.

    Attributes:
        on_time: Share of follow-ups planned for a day up to the due day; the others are planned
            later. Who does not come on the day is called again.
        early_days: Planned so many days before the due day, up to.
        late_days: Or so many after it, up to.
        again_days: Who did not come is called again so many days later, up to.
        routine_days: From one visit to the next (decision table 2.4).
        steps_up: Share of visits with a high value that end in one more dose.
        signs_key_group: Share with a contract (brief: 70.9 %).
        signs_other: Likewise, of everybody else.
        visits_basic: Share of those with the basic package who are seen, as it promises, once a
            year (so that fulfilment comes near the brief's 51 %).
        health_check: Share of the managed and the elderly with a health check.
        promised: Visits a year by package.
    """

    on_time: float = 0.88
    early_days: tuple[int, int, int] = (9, 8, 12)  # Of a second, a referral, a routine visit.
    late_days: int = 25
    again_days: int = 10
    routine_days: int = 90
    steps_up: float = 0.15
    signs_key_group: float = 0.709
    signs_other: float = 0.25
    visits_basic: float = 0.28
    health_check: float = 0.80
    promised: tuple[int, int, int] = (1, 4, 4)


PACKAGES: Final = ("basic", "hypertension", "diabetes")
UNSIGNED: Final = -1
SECOND, REFERRAL, ROUTINE = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What is settled when the year begins, shape (n,) each.

    Attributes:
        package: Index into ``PACKAGES``, or ``UNSIGNED``.
        basic_visit: Ordinal day of the one visit of the basic package, or ``NEVER``.
        health_check: Ordinal day of the health check, or ``NEVER``.
    """

    package: IntArray
    basic_visit: IntArray
    health_check: IntArray


def agree(town: Town, practice: Practice, *, days: int = 365) -> Agreed:
    """Sign contracts and plan what happens once a year."""
    random = np.random.default_rng([town.seed, _STREAM])
    first, size, traits = town.plan.first_day, len(town), town.traits
    pressure = town.diagnosed("hypertension", first)
    sugar = town.diagnosed("diabetes", first)
    elderly = traits.age_years >= _ELDERLY_YEARS
    mother = (traits.pregnant_since <= np.datetime64(first, "D")) & (
        traits.pregnant_until >= np.datetime64(first, "D")
    )
    key = pressure | sugar | elderly | mother | (traits.age_years < _CHILD_YEARS)
    signs = random.random(size) < np.where(key, practice.signs_key_group, practice.signs_other)
    package = np.select([sugar, pressure], [2, 1], 0)
    basic = signs & (package == 0) & (random.random(size) < practice.visits_basic)
    checked = (town.managed(first) | elderly) & (random.random(size) < practice.health_check)
    day = first.toordinal() + random.integers(0, days, (2, size))
    return Agreed(
        package=np.where(signs, package, UNSIGNED),
        basic_visit=np.where(basic, day[0], NEVER),
        health_check=np.where(checked, day[1], NEVER),
    )


class Diary:
    """When each resident is to be seen, and for what. Ordinal days, shape (3, n)."""

    def __init__(self, town: Town, practice: Practice) -> None:
        self._practice = practice
        self._comes = town.traits.comes
        self._random = np.random.default_rng([town.seed, _STREAM, 1])
        since = town.traits.enrolled_on
        enrolled = since.astype(np.int64) + _EPOCH
        self._seen = np.where(np.isnat(since), NEVER, enrolled)  # Or enrolled, at first.
        self._due = np.full((3, len(town)), NEVER)
        self._planned = np.full((3, len(town)), NEVER)

    def note(self, due: IntArray, managed: BoolArray) -> None:
        """Plan what has become due.

        Args:
            due: Due days as the pipeline has them now, by ``SECOND`` and ``REFERRAL``; ``NEVER``
                where nothing is; shape (2, n).
            managed: Who is in the programme, shape (n,): a routine visit is due some days after
                the last one, as the team itself knows.
        """
        practice, random = self._practice, self._random
        routine = np.where(managed, self._seen + practice.routine_days, NEVER)
        due = np.concatenate((due, routine[None, :]))
        kind, row = np.nonzero(due != self._due)
        early = np.array(practice.early_days)[kind]
        before = -np.floor(random.random(len(row)) * (early + 1)).astype(np.int64)
        after = random.integers(1, practice.late_days + 1, len(row))
        wait = np.where(random.random(len(row)) < practice.on_time, before, after)
        wanted = due[kind, row]
        self._planned[kind, row] = np.where(wanted == NEVER, NEVER, wanted + wait)
        self._due = due

    def saw(self, rows: IntArray, day: date) -> None:
        """A doctor saw these, whatever for."""
        self._seen[rows] = day.toordinal()

    def called(self, day: date) -> tuple[IntArray, BoolArray]:
        """Who is called on this day, and for which of the three, shape (c,) and (3, c)."""
        for_what = self._planned <= day.toordinal()
        rows = np.flatnonzero(for_what.any(axis=0))
        return rows, for_what[:, rows]

    def come(self, rows: IntArray, day: date) -> BoolArray:
        """Who of those called comes. All are called again later, unless nothing is due then."""
        comes: BoolArray = self._random.random(len(rows)) < self._comes[rows]
        again = day.toordinal() + self._random.integers(
            2, self._practice.again_days + 1, (3, len(rows))
        )
        waits = self._planned[:, rows] <= day.toordinal()
        self._planned[:, rows] = np.where(waits, again, self._planned[:, rows])
        return comes

    def steps_up(self, high: BoolArray) -> BoolArray:
        """Who of those with a high value gets one more dose."""
        chance: BoolArray = self._random.random(high.shape) < self._practice.steps_up
        return high & chance
