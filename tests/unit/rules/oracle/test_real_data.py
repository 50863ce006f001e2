"""The promise: every real reading is in one case, and their known faults are seen.

What the readings' own provenance says of them must be what the plain evaluator finds.
"""

from collections import Counter
from datetime import date, datetime
from typing import Any

import pytest

from simulators.oracle.evaluate import evaluate_case
from simulators.oracle.normal import know, moment, read_event
from simulators.oracle.person import SHANGHAI, local_day
from tests.unit.rules.oracle.real_data import real_cases

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=SHANGHAI)


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    return real_cases(NOW, "wuzhou")


def test_every_reading_is_in_one_case(cases: list[dict[str, Any]]) -> None:
    names = [event["event_id"] for case in cases for event in case["events"]]

    assert (len(cases), len(names), len(set(names))) == (1_917, 27_830, 27_830)
    assert max(map(len, names)) <= 16


def test_nothing_was_measured_after_yesterday(cases: list[dict[str, Any]]) -> None:
    last = {local_day(moment(case["events"][-1]["measured_at"])) for case in cases}

    assert max(last) == date(2026, 11, 19)


def test_the_known_faults_are_seen(cases: list[dict[str, Any]]) -> None:
    found: Counter[str] = Counter()
    for case in cases:
        name = case["resident"]["id"]
        known = know([read_event(event, name) for event in case["events"]], name, {})
        found.update(known.dispositions.values())

    assert found == {"accepted": 27_779, "duplicate": 49, "quarantined:implausible": 2}


def test_a_case_can_be_evaluated(cases: list[dict[str, Any]]) -> None:
    found = [evaluate_case(case) for case in cases[::100]]

    assert all(result["dispositions"] for result in found)
    assert any(result["alerts"] for result in found)
