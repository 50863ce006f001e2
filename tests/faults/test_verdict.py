"""The judge of truth sees a reading stored twice, another case, and an alert told twice."""

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from gateway.counters import SpoolCounters
from simulators.balance import GatewayBalance
from tests.faults.verdict import Outcome, compare, find_faults, find_untrue_receipts

ALERT = UUID(int=1)
READING = ("cuff-1", "boot", 7)
RAISED = {"alert_id": str(ALERT), "status": "active"}
CASE = {"resident_id": "r-1", "condition": "hypertension", "state": "controlled"}
RIGHT = Outcome(
    stored=Counter([READING, ("cuff-1", "boot", 8)]),
    cases=Counter([(READING, "r-1", "hypertension", "controlled", 0)]),
    alerts=Counter([(READING, "r-1", "hypertension", "BP_UNSATISFIED_1", "active")]),
    statuses={ALERT: "active"},
    states={("r-1", "hypertension"): "controlled"},
    events=[(1, "alert.raised", RAISED), (2, "case.changed", CASE)],
)


def test_what_is_right_is_right() -> None:
    assert find_faults(RIGHT) == []
    assert compare(RIGHT, RIGHT) == []


def test_the_order_of_events_in_the_database_does_not_matter_to_a_comparison() -> None:
    other = replace(RIGHT, stored=Counter(reversed(list(RIGHT.stored.elements()))))

    assert compare(other, RIGHT) == []


@pytest.mark.parametrize(
    ("part", "rows", "problem"),
    [
        pytest.param("stored", [READING], "reading missing: cuff-1, boot, 8", id="lost"),
        pytest.param(
            "stored", [*RIGHT.stored, ("x", "b", 1)], "reading too much: x, b, 1", id="strange"
        ),
        pytest.param("cases", [], "case missing: ", id="no-case"),
        pytest.param(
            "cases",
            [(READING, "r-1", "hypertension", "controlled", 1)],
            "case too much: ('cuff-1', 'boot', 7), r-1, hypertension, controlled, 1",
            id="other-case",
        ),
        pytest.param("alerts", [], "alert missing: ", id="no-alert"),
        pytest.param("alerts", [*RIGHT.alerts] * 2, "alert too much: ", id="alert-twice"),
    ],
)
def test_a_difference_to_the_run_without_faults_is_found(
    part: str, rows: list[Any], problem: str
) -> None:
    changes: dict[str, Any] = {part: Counter(rows)}
    found = compare(replace(RIGHT, **changes), RIGHT)

    assert any(line.startswith(problem) for line in found), found


def test_a_reading_under_two_ids_is_found() -> None:
    twice = replace(RIGHT, stored=Counter([READING, READING]))

    assert find_faults(twice) == [f"stored twice: {READING}"]


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        pytest.param(
            [(1, "alert.raised", RAISED), (2, "alert.raised", RAISED)],
            f"alert {ALERT} raised 2 times",
            id="raised-twice",
        ),
        pytest.param([], f"alert {ALERT} was never raised", id="never-raised"),
        pytest.param(
            [(1, "alert.changed", RAISED), (2, "alert.raised", RAISED)],
            "changed before it was raised",
            id="changed-first",
        ),
        pytest.param(
            [(1, "alert.raised", {**RAISED, "status": "resolved"})],
            "is active, told last was resolved",
            id="told-otherwise",
        ),
        pytest.param(
            [(1, "alert.raised", {**RAISED, "alert_id": str(UUID(int=2))})],
            "is told and is not there",
            id="of-nothing",
        ),
        pytest.param([(1, "alert.raised", RAISED), (3, "x", {})], "without a gap", id="gap"),
        pytest.param([(1, "alert.raised", RAISED), (1, "x", {})], "without a gap", id="same"),
        pytest.param([(2, "alert.raised", RAISED)], "without a gap", id="begins-late"),
        pytest.param(
            [(1, "alert.raised", RAISED), (None, "x", {})], "1 events without", id="unnumbered"
        ),
        pytest.param([(1, "alert.raised", RAISED)], "told last was None", id="untold-case"),
    ],
)
def test_a_wrong_feed_is_found(events: list[Any], problem: str) -> None:
    found = find_faults(replace(RIGHT, events=events))

    assert any(problem in line for line in found), found


def _balance(**numbers: int) -> GatewayBalance:
    return GatewayBalance(
        gateway_id="gw-1", **{"stored": 5, "duplicate": 2, "quarantined": 1, **numbers}
    )


@pytest.mark.parametrize("name", ["stored", "duplicate", "quarantined"])
def test_a_gateway_that_was_told_something_else_is_found(name: str) -> None:
    counters = SpoolCounters(
        gateway="gw-1",
        accepted=8,
        confirmed_stored=5,
        confirmed_duplicate=2,
        confirmed_quarantined=1,
        lost=0,
        batches_sent=1,
        batches_resent=0,
        receipts_unknown=0,
        receipts_refused=0,
        waiting=0,
        batches_waiting=0,
    )

    assert find_untrue_receipts([_balance()], [counters]) == []
    (problem,) = find_untrue_receipts([_balance(**{name: 9})], [counters])
    assert problem.endswith(f"{name}, there are 9")
