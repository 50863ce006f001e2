"""The promise: the engine says of every history what the plain evaluator says, judged together.

Residents of different lives, of both profiles, in any order of rows, in blocks of any size: none
of it changes what is said of anybody.
"""

from dataclasses import fields
from datetime import datetime
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import engine
from rules.judgement import Assessed, Judgement
from rules.limits import ProfileTable, tabulate
from rules.profiles import load_versions
from tests.unit.rules.oracle.histories import cases, random_case
from tests.unit.rules.rules_crowd import (
    CHOICES,
    LIMITS,
    CaseFile,
    Crowd,
    engine_says,
    gather,
    instant,
    oracle_disposes,
    oracle_says,
    read_member,
)

_SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judge(crowd: Crowd, as_of: datetime, limits: ProfileTable = LIMITS) -> Judgement:
    return engine.judge(
        crowd.readings, crowd.records, crowd.residents, limits, as_of=instant(as_of)
    )


def random_cases(seed: int, *, people: int, events: int, **fixed: str) -> list[CaseFile]:
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    return [
        random_case(random, events=events, profile=fixed.get("profile") or random.choice(CHOICES))
        for _ in range(people)
    ]


def require_agreement(told: list[CaseFile]) -> None:
    as_of = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], as_of)

    found = engine_says(crowd, judge(crowd, as_of))

    for case, said, dispositions in zip(told, found, crowd.dispositions, strict=True):
        assert said == oracle_says(case, as_of)
        assert dispositions == oracle_disposes(case, as_of)


@_SETTINGS
@given(told=st.lists(cases(16), min_size=1, max_size=5))
def test_engine_and_plain_evaluator_agree(told: list[CaseFile]) -> None:
    require_agreement(told)


@pytest.mark.parametrize("seed", range(3))
def test_many_short_histories_agree(seed: int) -> None:
    require_agreement(random_cases(seed, people=250, events=14))


def test_histories_of_220_events_agree() -> None:
    told = random_cases(100, people=24, events=220)

    assert min(len(case["events"]) for case in told) >= 200
    require_agreement(told)


@pytest.mark.parametrize("profile", CHOICES)
def test_one_profile_alone_says_the_same(profile: str) -> None:
    told = random_cases(200, people=80, events=14, profile=profile)
    for case in told:
        case["resident"].pop("profile", None)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    alone = tabulate([load_versions(profile)])
    crowd = gather([read_member(case) for case in told], as_of)

    found = engine_says(crowd, judge(crowd, as_of, alone))

    assert found == [oracle_says(case, as_of) for case in told]


@pytest.mark.parametrize("block", [1, 7])
def test_blocks_say_what_one_block_says(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told = random_cases(300, people=20, events=25)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], as_of)
    whole = judge(crowd, as_of)

    monkeypatch.setattr(engine, "RESIDENTS_PER_BLOCK", block)

    require_the_same(judge(crowd, as_of), whole)


def require_the_same(one: Any, other: Any) -> None:  # noqa: ANN401 - tables and columns
    if isinstance(one, Assessed):  # It has no order.
        one, other = in_order(one), in_order(other)
    for field in fields(one):
        mine, yours = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, yours)
        else:
            require_the_same(mine, yours)


def in_order(found: Assessed) -> Assessed:
    order = np.lexsort((found.controlled, found.day, found.condition, found.resident))
    return Assessed(**{field.name: getattr(found, field.name)[order] for field in fields(found)})


def test_each_alone_is_as_all_together() -> None:
    told = random_cases(400, people=12, events=30)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    members = [read_member(case) for case in told]
    crowd = gather(members, as_of)

    together = engine_says(crowd, judge(crowd, as_of))

    for member, said in zip(members, together, strict=True):
        alone = gather([member], as_of)
        assert engine_says(alone, judge(alone, as_of)) == [said]


@_SETTINGS
@given(case=cases(25), shuffle=st.randoms(use_true_random=False))
def test_order_and_repetition_of_events_change_nothing(case: CaseFile, shuffle: Random) -> None:
    events = case["events"] + shuffle.sample(case["events"], len(case["events"]) // 2)
    shuffle.shuffle(events)
    as_of = datetime.fromisoformat(case["as_of"])
    first, second = (
        gather([read_member(each)], as_of) for each in (case, {**case, "events": events})
    )

    assert engine_says(second, judge(second, as_of)) == engine_says(first, judge(first, as_of))


def test_order_of_rows_changes_nothing() -> None:
    told = random_cases(500, people=30, events=25)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], as_of)
    mixed = np.random.default_rng(5)
    readings = mixed.permutation(len(crowd.readings))
    records = mixed.permutation(len(crowd.records))

    judgement = engine.judge(
        crowd.readings.take(readings),
        crowd.records.take(records),
        crowd.residents,
        LIMITS,
        as_of=instant(as_of),
    )

    rows = [
        *readings,
        *(len(readings) + records),
        *range(len(readings) + len(records), len(crowd.names)),
    ]
    names = [crowd.names[row] for row in rows]
    moved = Crowd(
        readings=crowd.readings.take(readings),
        records=crowd.records.take(records),
        residents=crowd.residents,
        rows=crowd.rows,
        names=names,
        dispositions=crowd.dispositions,
    )
    assert engine_says(moved, judgement) == engine_says(crowd, judge(crowd, as_of))


def test_judging_twice_changes_nothing() -> None:
    told = random_cases(600, people=30, events=25)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], as_of)
    again = gather([read_member(case) for case in told], as_of)

    first, second = judge(crowd, as_of), judge(crowd, as_of)

    require_the_same(first, second)
    for name in ("readings", "records", "residents"):
        require_the_same(getattr(crowd, name), getattr(again, name))
