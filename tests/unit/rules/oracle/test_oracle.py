"""The promise: the plain evaluator says what the worked cases say, in any order of events."""

import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.oracle.evaluate import evaluate_case
from simulators.oracle.person import CONDITIONS
from tests.unit.rules.oracle.histories import cases, random_case

_FILE = Path(__file__).parents[1] / "data" / "clinical_cases.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"), parse_float=Decimal)["cases"]
_NONE = {
    "state": "none",
    "consecutive_unsatisfied": 0,
    "second_followup_due": None,
    "referral_followup_due": None,
    "next_routine_due": None,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in _CASES])
def test_worked_case_comes_out_as_written(case: dict[str, Any]) -> None:
    expected, found = case["expected"], evaluate_case(case)

    assert len(found["alerts"]) == len(expected["alerts"])
    for wanted in expected["alerts"]:
        assert [each for each in found["alerts"] if wanted.items() <= each.items()], wanted
    for condition in CONDITIONS:
        wanted = expected["cases"].get(condition, _NONE)
        assert found["cases"].get(condition, _NONE) == wanted
    assert expected["dispositions"].items() <= found["dispositions"].items()
    for name, wanted in expected.get("normalized", {}).items():
        assert wanted.items() <= found["normalized"][name].items()
    assert found["needs_third_reading"] == case.get("needs_third_reading", [])


def test_all_forty_worked_cases_are_run() -> None:
    assert len(_CASES) == 40


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(30), shuffle=st.randoms(use_true_random=False))
def test_any_order_of_events_gives_the_same(case: dict[str, Any], shuffle: Random) -> None:
    events = list(case["events"])
    shuffle.shuffle(events)

    assert evaluate_case({**case, "events": events}) == evaluate_case(case)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(30), shuffle=st.randoms(use_true_random=False))
def test_what_is_delivered_again_changes_nothing(case: dict[str, Any], shuffle: Random) -> None:
    again = shuffle.sample(case["events"], len(case["events"]) // 2)

    found, once = evaluate_case({**case, "events": case["events"] + again}), evaluate_case(case)

    # Of a reading that comes again it is said that it did.
    told = {each["event_id"] for each in again if each["type"] == "reading"}
    for name in told & once["dispositions"].keys():  # Others came after ``as_of``.
        assert found["dispositions"].pop(name) == "duplicate"
        once["dispositions"].pop(name)
    assert found == once


@pytest.mark.parametrize("seed", range(4))
def test_a_long_history_is_the_same_in_any_order(seed: int) -> None:
    profile = ("wuzhou", "cn_nbphs_2017")[seed % 2]
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    case = random_case(random, events=220, profile=profile)
    events = list(case["events"])
    random.shuffle(events)

    found = evaluate_case(case)

    assert found == evaluate_case({**case, "events": events})
    known = {event["event_id"] for event in events} | {"R1"}
    keys = [(each["condition"], each["code"], each["anchor"]) for each in found["alerts"]]
    assert len(set(keys)) == len(keys)
    assert {anchor for _, _, anchor in keys} <= known
    assert all(each["page"] <= (not each["late"]) for each in found["alerts"])


def test_a_history_is_a_function_of_its_seed() -> None:
    one, two = (
        random_case(Random(7), events=50, profile="wuzhou")  # noqa: S311 - repeatable on purpose
        for _ in range(2)
    )

    assert one == two
    assert all(len(event["event_id"].encode("ascii")) <= 16 for event in one["events"])
