"""The promise: before a checkpoint at rest nothing is open, and one may be taken after another.

Then the readings before it can be let go: what is told of the tail rests on the tail alone.
"""

from datetime import datetime
from random import Random
from typing import Any

import numpy as np
import pytest

from rules.carried import Carried, join_carried, nothing_carried
from rules.checkpoint import take_checkpoint
from rules.codes import AlertCode
from rules.lanes import NEVER
from rules.machine import IS_QUIET
from tests.unit.rules.oracle.told import at as local
from tests.unit.rules.oracle.told import bp, recorded, visit
from tests.unit.rules.rules_crowd import LIMITS, Crowd, gather, instant, read_member
from tests.unit.rules.test_checkpoint import cuts, judge, random_crowd, require_the_same

START_OF_TIME = np.datetime64("0001-01-01", "us")


def rest(crowd: Crowd, before: datetime, as_of: datetime, start: Carried | None = None) -> Carried:
    return take_checkpoint(
        crowd.readings,
        crowd.records,
        crowd.residents,
        LIMITS,
        before=instant(before),
        as_of=instant(as_of),
        start=start,
        at_rest=True,
    )


@pytest.mark.parametrize("seed", range(10))
def test_one_checkpoint_after_another_says_what_all_says(seed: int) -> None:
    crowd, as_of = random_crowd(seed, people=20, events=(20, 60)[seed % 2])
    edges = sorted(cuts(crowd, Random(seed), as_of, 2))  # noqa: S311 - repeatable on purpose

    start = None
    for before in edges:
        later = rest(crowd, before, as_of, start)
        if start is not None:
            assert (later.until >= start.until).all()
        start = later
        require_the_same(crowd, start, as_of)


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_open_before_it(seed: int) -> None:
    crowd, as_of = random_crowd(seed, people=30, events=40)
    before = max(cuts(crowd, Random(seed), as_of, 1))  # noqa: S311 - repeatable on purpose

    start = rest(crowd, before, as_of)

    assert not len(start.alerts.code)
    assert IS_QUIET[start.lanes.state].all()
    assert (start.lanes.due == NEVER).all()
    whole = judge(crowd, as_of).alerts
    places = np.concatenate(
        [
            crowd.readings.effective_at,
            crowd.records.at,
            np.full(len(crowd.residents), instant(as_of)),
        ]
    )
    timed = whole.code == AlertCode.ROUTINE_OVERDUE
    until = start.until[whole.resident]
    begun = (places[whole.anchor] < until) & ~timed
    assert (whole.resolved_by[begun] >= 0).all()
    assert (places[whole.resolved_by[begun]] < until[begun]).all()


@pytest.mark.parametrize(
    ("events", "until"),
    [
        pytest.param([bp("e1", "03-01 09:00", 120, 70)], "03-05 00:00", id="controlled"),
        pytest.param([bp("e1", "03-01 09:00", 152, 94)], "03-01 09:00", id="waits-for-a-second"),
        pytest.param(
            [bp("e1", "02-01 09:00", 152, 94), bp("e2", "02-05 09:00", 152, 94)],
            "02-01 09:00",
            id="second-goes-back-to-the-first",
        ),
        pytest.param(
            [bp("e1", "02-01 09:00", 152, 94), bp("e2", "02-05 09:00", 120, 70)],
            "03-05 00:00",
            id="answered-before",
        ),
        pytest.param(
            [bp("e1", "03-01 09:00", 152, 94), bp("e2", "03-05 09:00", 120, 70)],
            "03-01 09:00",
            id="answered-after",
        ),
        pytest.param(
            [bp("e1", "03-01 09:00", 150, 90, setting="home")], "03-01 09:00", id="advisory"
        ),
        pytest.param(
            [
                bp("e1", "03-01 09:00", 190, 100),
                recorded("closure", "x1", "03-02 09:00", reason="moved"),
            ],
            "03-05 00:00",
            id="closed",
        ),
        pytest.param([visit("v1", "03-01 09:00")], "03-05 00:00", id="visited"),
    ],
)
def test_it_goes_back_to_where_nobody_waited(events: list[dict[str, Any]], until: str) -> None:
    resident = {"id": "R1", "birth_date": "1968-02-11", "conditions": ["hypertension"]}
    case = {"id": "c", "profile": "wuzhou", "resident": resident, "events": events}
    now = datetime.fromisoformat(local("03-06 12:00"))

    start = rest(
        gather([read_member(case)], now), datetime.fromisoformat(local("03-05 00:00")), now
    )

    assert start.until.tolist() == [instant(datetime.fromisoformat(local(until))).item()]


def test_parts_put_together_say_what_the_whole_says() -> None:
    crowd, as_of = random_crowd(3, people=12, events=40)
    before = cuts(crowd, Random(3), as_of, 1)[0]  # noqa: S311 - repeatable on purpose
    start = take_checkpoint(
        crowd.readings,
        crowd.records,
        crowd.residents,
        LIMITS,
        before=instant(before),
        as_of=instant(as_of),
    )

    joined = join_carried([start.of(row, row + 1)[0] for row in range(len(crowd.residents))])

    require_the_same(crowd, joined, as_of)
    assert join_carried([nothing_carried(1)] * 2).until.tolist() == [START_OF_TIME.item()] * 2
