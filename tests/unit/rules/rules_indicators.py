"""People and what was done for them as a test writes it; indicators by a plain loop over people.

The loops are written from the formulas in ``docs/indicators.md``, not from the code.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, TypeAlias

import numpy as np

from rules.codes import Condition
from rules.columns import BOTH_CONDITIONS
from rules.indicator_catalogue import FollowUpKind
from rules.indicator_columns import (
    Examinations,
    Facts,
    Managed,
    Obligations,
    Outcomes,
    Visits,
)
from rules.indicators import Indicator, Parameters, Period, measure

HTN, DM, BOTH = int(Condition.HYPERTENSION), int(Condition.DIABETES), BOTH_CONDITIONS
SECOND, REFERRAL, ROUTINE = (int(kind) for kind in FollowUpKind)
LONG_AGO = date(2020, 1, 1)
NEW_YEAR, LEAP_DAY, YEAR_END = date(2028, 1, 1), date(2028, 2, 29), date(2028, 12, 31)
YEAR = Period.of_year(2028, as_of=YEAR_END)
PREFIXES = {HTN: "htn", DM: "t2dm"}
Rows: TypeAlias = Sequence[tuple[Any, ...]]


@dataclass(kw_only=True)
class World:
    """Rows as a test writes them, each in the order of the table's columns."""

    managed: Rows = ()
    visits: Rows = ()
    examinations: Rows = ()
    outcomes: Rows = ()
    obligations: Rows = ()
    estimated: dict[Condition, int] = field(default_factory=dict)
    face_to_face: int = 2

    def measure(self, period: Period = YEAR) -> dict[str, Indicator]:
        """All indicators."""
        parameters = Parameters(
            estimated_patients=self.estimated, face_to_face_per_year=self.face_to_face
        )
        return measure(self.facts(), period, parameters)

    def facts(self) -> Facts:
        """Everything as columns."""
        return Facts(
            managed=table_of(Managed, self.managed),
            visits=table_of(Visits, self.visits),
            examinations=table_of(Examinations, self.examinations),
            outcomes=table_of(Outcomes, self.outcomes),
            obligations=table_of(Obligations, self.obligations),
        )


def table_of(table: Any, rows: Rows) -> Any:  # noqa: ANN401 - one of five classes
    columns = {
        each.name: np.array([row[at] for row in rows], column.dtype)
        for at, each in enumerate(fields(table))
        for column in [getattr(table.none(), each.name)]
    }
    return table(**columns)


def persons(indicator: Indicator) -> list[int]:
    """Those behind the numerator."""
    return [int(person) for person in indicator.counted.numerator_persons]


def plainly_managed(world: World, condition: int, period: Period) -> set[int]:
    return {
        person
        for person, of, since, until in world.managed
        if of == condition
        and since <= min(period.last, period.as_of)
        and (until is None or until >= period.first)
    }


def plainly_standard(world: World, condition: int, period: Period) -> set[int]:
    last = min(period.last, period.as_of)
    seen = {
        (person, day)
        for person, of, day, face_to_face in world.visits
        if face_to_face and of in {condition, BOTH} and period.first <= day <= last
    }
    often = {p for p, n in Counter(p for p, _ in seen).items() if n >= world.face_to_face}
    examined = {person for person, day in world.examinations if period.first <= day <= last}
    return plainly_managed(world, condition, period) & often & examined


def plainly_controlled(world: World, condition: int, period: Period) -> set[int]:
    last = min(period.last, period.as_of)
    controlled = set()
    for person in plainly_managed(world, condition, period):
        mine = [
            (day, good and not lost)
            for who, of, day, good, lost in world.outcomes
            if who == person and of in {condition, BOTH} and period.first <= day <= last
        ]
        latest = max((day for day, _ in mine), default=None)
        if latest is not None and all(good for day, good in mine if day == latest):
            controlled.add(person)
    return controlled


def plain_answers(world: World, condition: int, kind: int, period: Period) -> dict[str, list[int]]:
    ended: dict[str, list[int]] = {"on_time": [], "late": [], "missed": [], "due": []}
    for person, of, what, due, answered in world.obligations:
        if (of, what) != (condition, kind) or not period.first <= due <= period.last:
            continue
        if due >= period.as_of:
            continue
        known = answered is not None and answered <= period.as_of
        word = ("on_time" if answered <= due else "late") if known else "missed"
        ended[word].append(person)
        ended["due"].append(person)
    return ended


def expect(world: World, period: Period) -> dict[str, tuple[int, int, list[int], list[int] | None]]:
    expected: dict[str, tuple[int, int, list[int], list[int] | None]] = {}
    for condition, prefix in PREFIXES.items():
        managed = sorted(plainly_managed(world, condition, period))
        estimate = world.estimated.get(Condition(condition), 0)
        expected[f"{prefix}.management_rate"] = (len(managed), estimate, managed, None)
        for name, plainly in (
            ("standard_management_rate", plainly_standard),
            ("control_rate", plainly_controlled),
        ):
            those = sorted(plainly(world, condition, period))
            expected[f"{prefix}.{name}"] = (len(those), len(managed), those, managed)
        for kind in FollowUpKind:
            ended = plain_answers(world, condition, kind, period)
            due = ended.pop("due")
            if kind is FollowUpKind.REFERRAL:
                ended["closure_rate"] = ended["on_time"] + ended["late"]
            for word, those in ended.items():
                name = f"{prefix}.{kind.name.lower()}_followup_{word}"
                expected[name.replace("followup_closure", "closure")] = (
                    *(len(those), len(due), sorted(set(those)), sorted(set(due))),
                )
    return expected
