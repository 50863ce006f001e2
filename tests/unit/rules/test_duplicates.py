"""The promise: one measurement counts once, and two that contradict each other are seen."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from rules.duplicates import find_duplicates
from rules.reported import STATUS_TIME_FAULT
from tests.unit.rules.rules_builders import MINUTE, NOON, NOT_A_TIME, reported

SECOND_LATER: dict[str, Any] = {"received_at": [NOON, NOON + MINUTE]}
SECOND = np.timedelta64(1_000_000, "us")
EARLIEST = np.datetime64("2014-12-31T16:00", "us")  # 2015 began in China.


def tell(**columns: Any) -> list[str]:  # noqa: ANN401 - columns by name
    duplicate, conflict = find_duplicates(reported(**columns))
    assert not (duplicate & conflict).any()
    told = np.select([duplicate, conflict], ["duplicate", "conflict"], "own")
    return [str(each) for each in told]


@pytest.mark.parametrize(
    ("columns", "second"),
    [
        pytest.param({"sequence": 7}, "duplicate", id="same-sequence-same-values"),
        pytest.param({"sequence": 0}, "duplicate", id="sequence-0-is-one"),
        pytest.param({"sequence": [7, 8]}, "own", id="other-sequence"),
        pytest.param({"sequence": 7, "device": [0, 1]}, "own", id="other-device-or-boot"),
        pytest.param({"sequence": 7, "resident": [0, 1]}, "own", id="other-resident"),
        pytest.param({"sequence": 7, "systolic_e4": [1, 2]}, "conflict", id="other-systolic"),
        pytest.param({"sequence": 7, "diastolic_e4": [1, 2]}, "conflict", id="other-diastolic"),
        pytest.param({"sequence": 7, "glucose_e7": [1, 2]}, "conflict", id="other-glucose"),
        pytest.param({"sequence": 7, "unit": [1, 2]}, "conflict", id="other-unit"),
        pytest.param({"sequence": 7, "kind": [1, 2]}, "conflict", id="other-kind"),
        pytest.param({"sequence": 7, "arm": [1, 2]}, "own", id="other-arm"),
        pytest.param({"sequence": 7, "setting": [1, 2]}, "duplicate", id="setting-is-no-value"),
        pytest.param(
            {"sequence": 7, "measured_at": [NOON, NOT_A_TIME]}, "duplicate", id="time-is-no-value"
        ),
        pytest.param({}, "duplicate", id="same-time-same-values"),
        pytest.param({"device": [0, 1]}, "own", id="no-sequence-other-device"),
        pytest.param({"resident": [0, 1]}, "own", id="no-sequence-other-resident"),
        pytest.param({"measured_at": [NOON, NOON - SECOND]}, "own", id="no-sequence-other-time"),
        pytest.param({"arm": [1, 2]}, "own", id="no-sequence-other-arm"),
        pytest.param({"systolic_e4": [1, 2]}, "own", id="no-sequence-other-values"),
        pytest.param({"sequence": [7, -1]}, "own", id="one-has-a-sequence"),
        pytest.param({"measured_at": NOT_A_TIME}, "own", id="no-clock"),
        pytest.param({"measured_at": EARLIEST}, "duplicate", id="2015"),
        pytest.param({"measured_at": EARLIEST - SECOND}, "own", id="a-clock-before-2015"),
        pytest.param({"measured_at": NOON + 5 * MINUTE}, "duplicate", id="five-minutes-ahead"),
        pytest.param({"measured_at": NOON + 5 * MINUTE + SECOND}, "own", id="a-clock-ahead"),
        pytest.param({"status": STATUS_TIME_FAULT}, "own", id="a-clock-at-fault"),
        pytest.param({"ids": [b"a", b"a"], "sequence": [7, 8]}, "duplicate", id="same-id"),
        pytest.param(
            {"ids": [b"a", b"a"], "sequence": 7, "systolic_e4": [1, 2]},
            "duplicate",
            id="same-id-with-other-values",
        ),
    ],
)
def test_what_the_second_is(columns: dict[str, Any], second: str) -> None:
    assert tell(**SECOND_LATER, **columns) == ["own", second]


def test_the_first_to_be_received_stays() -> None:
    later = [NOON + MINUTE, NOON]

    assert tell(received_at=later, sequence=7) == ["duplicate", "own"]
    assert tell(received_at=later) == ["duplicate", "own"]
    assert tell(received_at=later, ids=[b"a", b"a"]) == ["duplicate", "own"]


@pytest.mark.parametrize("sequence", [7, -1])
def test_on_a_tie_the_smaller_id_stays(sequence: int) -> None:
    low, high = b"\x00\x00\x00\x00\x00\x00\x00\x01", b"\xff\x00"

    assert tell(ids=[high, low], sequence=sequence) == ["duplicate", "own"]
    eight = b"12345678"
    assert tell(ids=[eight + b"b", eight + b"a"], sequence=sequence) == ["duplicate", "own"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_all_are_compared_with_the_first(order: tuple[int, ...]) -> None:
    at = [[NOON, NOON + MINUTE, NOON + 2 * MINUTE][row] for row in order]
    values = [[1, 2, 1][row] for row in order]
    ids = [[b"a", b"b", b"c"][row] for row in order]

    told = tell(received_at=at, sequence=7, systolic_e4=values, ids=ids)

    assert [told[order.index(row)] for row in range(3)] == ["own", "conflict", "duplicate"]


def test_what_was_delivered_again_is_not_the_first_of_its_sequence() -> None:
    told = tell(
        ids=[b"a", b"a", b"b"],
        sequence=[7, 8, 8],
        received_at=[NOON, NOON + MINUTE, NOON + 2 * MINUTE],
    )

    assert told == ["own", "duplicate", "own"]


def test_nothing_is_told_of_nothing() -> None:
    duplicate, conflict = find_duplicates(reported().take(np.zeros(0, np.intp)))

    assert (duplicate.shape, conflict.shape) == ((0,), (0,))
