"""The promise: judged live, step by step, everybody ends where one look at everything would end.

Two ways of looking: at the very moments at which something is due, and now and then. What is told
and not cancelled in the end is what the plain evaluator says at once; and the worked cases' own
way of looking agrees with the plain evaluator's in every field, lateness and cancelled ones too.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from rules.engine import judge
from tests.unit.rules.oracle.histories import START, cases, random_case
from tests.unit.rules.oracle.told import at, bp, later
from tests.unit.rules.rules_crowd import (
    CHOICES,
    LIMITS,
    CaseFile,
    Said,
    engine_says,
    gather,
    instant,
    oracle_says,
    read_member,
)
from tests.unit.rules.rules_live import LiveJudge
from tests.unit.rules.rules_questions import require_every_field

_SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def random_cases(seed: int, *, people: int, events: int) -> list[CaseFile]:
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    return [
        random_case(random, events=events, profile=random.choice(CHOICES)) for _ in range(people)
    ]


def require_the_end(live: LiveJudge, number: int, said: Said) -> None:
    """That what was told and not cancelled is what one look says; days are the clock's."""
    assert live.cases[number] == said["cases"]
    assert but_days(live.standing(number)) == but_days(said["alerts"])


def but_days(alerts: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {
        key: {name: value for name, value in alert.items() if name != "overdue_days"}
        for key, alert in alerts.items()
    }


@pytest.mark.parametrize("seed", range(2))
def test_looking_whenever_something_is_due(seed: int) -> None:
    told = random_cases(seed, people=6, events=14)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    live = LiveJudge([read_member(case) for case in told])

    live.look_whenever_due(as_of)

    for number, case in enumerate(told):
        require_the_end(live, number, oracle_says(case, as_of))


@pytest.mark.parametrize("hours", [7, 50])
def test_looking_now_and_then(hours: int) -> None:
    told = random_cases(hours, people=25, events=20)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    live = LiveJudge([read_member(case) for case in told])

    live.look_often(START, as_of, hours * HOUR)

    assert live.looks > 10
    for number, case in enumerate(told):
        require_the_end(live, number, oracle_says(case, as_of))


@pytest.mark.slow
def test_looking_now_and_then_at_histories_of_220_events() -> None:
    told = random_cases(220, people=12, events=220)
    as_of = max(datetime.fromisoformat(case["as_of"]) for case in told)
    live = LiveJudge([read_member(case) for case in told])

    live.look_often(START, as_of, DAY)

    for number, case in enumerate(told):
        require_the_end(live, number, oracle_says(case, as_of))


def test_looking_again_changes_nothing() -> None:
    told = random_cases(9, people=10, events=14)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    members = [read_member(case) for case in told]
    live, again = LiveJudge(members), LiveJudge(members)

    live.look_often(START, as_of, 3 * DAY)
    again.look_often(START, as_of, 3 * DAY)
    before = [dict(each) for each in again.alerts]
    again.look(as_of)

    assert again.alerts == before == live.alerts


def test_a_retraction_cancels_what_it_leaves_without_ground() -> None:
    events = [
        bp("e1", "03-02 09:00", 152, 94),
        bp("e2", "03-05 09:00", 152, 94),
        bp("e3", "03-06 09:00", 190, 100, setting="home"),
        later("retraction", "x1", "03-07 09:00", target="e1"),
        later("retraction", "x2", "03-08 09:00", target="e3"),
    ]
    resident = {"id": "R1", "birth_date": "1968-02-11", "conditions": ["hypertension"]}
    member = read_member({"id": "c", "profile": "wuzhou", "resident": resident, "events": events})
    live = LiveJudge([member])

    live.look_whenever_due(datetime.fromisoformat(at("03-09 09:00")))

    told = {(code, anchor): alert["status"] for (_, code, anchor), alert in live.alerts[0].items()}
    assert told == {
        ("BP_UNSATISFIED_1", "e1"): "cancelled",
        ("BP_UNSATISFIED_2", "e2"): "cancelled",
        ("BP_EMERGENCY", "e3"): "cancelled",
        ("BP_UNSATISFIED_1", "e2"): "active",
    }
    assert live.cases[0]["hypertension"]["state"] == "second_followup_open"


def test_nothing_changes_before_the_next_moment_but_the_count_of_days() -> None:
    told = random_cases(77, people=12, events=14)
    as_of = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], as_of)

    def say(moment: np.datetime64) -> tuple[Any, list[Said]]:
        found = judge(crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=moment)
        return found.next_tick[crowd.rows], engine_says(crowd, found)

    ticks, now = say(instant(as_of))

    for number, tick in enumerate(ticks):
        horizon = instant(as_of) + np.timedelta64(2000, "D") if np.isnat(tick) else tick
        assert horizon > instant(as_of)
        _, before = say(horizon - np.timedelta64(1, "us"))
        assert before[number]["cases"] == now[number]["cases"]
        assert but_days(before[number]["alerts"]) == but_days(now[number]["alerts"])
        if not np.isnat(tick):
            then, _ = say(tick)
            assert np.isnat(then[number]) or then[number] > tick


@pytest.mark.parametrize("seed", range(4))
def test_the_worked_way_of_looking_agrees_in_every_field(seed: int) -> None:
    require_every_field(random_case(Random(seed), events=14, profile=CHOICES[seed % 2]))  # noqa: S311


@_SETTINGS
@given(case=cases(8))
def test_the_worked_way_of_looking_agrees(case: CaseFile) -> None:
    require_every_field(case)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_worked_way_of_looking_agrees_on_220_events(seed: int) -> None:
    case = random_case(Random(seed), events=220, profile=CHOICES[seed % 2])  # noqa: S311

    assert len(case["events"]) >= 200
    require_every_field(case)
