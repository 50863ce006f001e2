"""The promise: every indicator counts as a plain loop over people would, and names them.

Random days lie around both ends of a leap year and its 29 February.
"""

import random
from datetime import date
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.codes import Condition
from rules.indicator_catalogue import Unit
from rules.indicators import Indicator, Period
from tests.unit.rules.rules_indicators import (
    BOTH,
    DM,
    HTN,
    LEAP_DAY,
    NEW_YEAR,
    PREFIXES,
    REFERRAL,
    ROUTINE,
    SECOND,
    YEAR_END,
    Rows,
    World,
    expect,
    persons,
)

DAYS = (
    *(date(2027, 12, 30), date(2027, 12, 31), NEW_YEAR, date(2028, 1, 2), date(2028, 2, 28)),
    *(LEAP_DAY, date(2028, 3, 1), date(2028, 12, 30), YEAR_END, date(2029, 1, 1)),
)


def _rows(*columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.lists(st.tuples(st.integers(0, 3), *columns), max_size=12)


_DAY = st.sampled_from(DAYS)
_ONE, _ANY = st.sampled_from((HTN, DM)), st.sampled_from((HTN, DM, BOTH))
_MANAGED = _rows(_ONE, _DAY, st.none() | _DAY).map(
    lambda rows: [row for row in rows if row[3] is None or row[2] <= row[3]]
)
WORLDS = st.builds(
    World,
    managed=_MANAGED,
    visits=_rows(_ANY, _DAY, st.booleans()),
    examinations=_rows(_DAY),
    outcomes=_rows(_ANY, _DAY, st.booleans(), st.sampled_from((False, False, True))),
    obligations=_rows(_ONE, st.sampled_from((SECOND, REFERRAL, ROUTINE)), _DAY, st.none() | _DAY),
    estimated=st.dictionaries(st.sampled_from(Condition), st.integers(0, 5)),
    face_to_face=st.integers(1, 3),
)
PERIODS = st.builds(
    lambda ends, as_of: Period(first=min(ends), last=max(ends), as_of=as_of),
    st.tuples(_DAY, _DAY),
    _DAY,
)


def as_tuples(found: dict[str, Indicator]) -> dict[str, Any]:
    return {
        name: (
            each.counted.numerator,
            each.counted.denominator,
            persons(each),
            None
            if each.counted.denominator_persons is None
            else each.counted.denominator_persons.tolist(),
        )
        for name, each in found.items()
    }


@given(WORLDS, PERIODS)
def test_every_indicator_counts_as_a_plain_loop_over_people_does(
    world: World, period: Period
) -> None:
    assert as_tuples(world.measure(period)) == expect(world, period)


@given(WORLDS, PERIODS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_a_row_said_twice_changes_anything(
    world: World, period: Period, chance: random.Random
) -> None:
    def stirred(rows: Rows, *, twice: bool = True) -> Rows:
        more = [*rows, *rows] if twice else list(rows)
        return chance.sample(more, len(more))

    other = World(
        managed=stirred(world.managed),
        visits=stirred(world.visits),
        examinations=stirred(world.examinations),
        outcomes=stirred(world.outcomes),
        obligations=stirred(world.obligations, twice=False),  # Each row is one that was owed.
        estimated=world.estimated,
        face_to_face=world.face_to_face,
    )
    assert as_tuples(other.measure(period)) == as_tuples(world.measure(period))


@given(WORLDS, PERIODS)
def test_on_time_and_late_and_missed_are_all_that_was_due(world: World, period: Period) -> None:
    found = world.measure(period)
    for prefix in PREFIXES.values():
        for kind in ("second", "referral", "routine"):
            three = [
                found[f"{prefix}.{kind}_followup_{word}"].counted
                for word in ("on_time", "late", "missed")
            ]
            assert sum(each.numerator for each in three) == three[0].denominator
            behind = {p for each in three for p in each.numerator_persons.tolist()}
            assert three[0].denominator_persons is not None
            assert behind == set(three[0].denominator_persons.tolist())


@given(WORLDS, PERIODS)
def test_the_persons_of_a_numerator_are_among_those_of_its_denominator(
    world: World, period: Period
) -> None:
    for each in world.measure(period).values():
        counted = each.counted
        if counted.denominator_persons is not None:
            assert set(persons(each)) <= set(counted.denominator_persons.tolist())
        if each.definition.unit is Unit.PERSONS:
            assert counted.numerator == len(persons(each))
        assert persons(each) == sorted(set(persons(each)))
        assert counted.numerator_persons.dtype == np.int64
