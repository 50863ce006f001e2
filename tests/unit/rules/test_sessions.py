"""The promise: sessions are cut, held back and averaged exactly, one arm or the other deciding.

Means are compared as fractions are, although their sums would leave 64 bits crosswise.
"""

from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.columns import Records
from rules.limits import tabulate
from rules.profiles import load_versions
from rules.scene import Scene, set_scene
from rules.sessions import (
    READINGS_PER_SESSION_MAX,
    Sessions,
    _difference_of_means,
    _mean_is_higher,
    ask_third,
    begin_sessions,
    hold_back,
    sum_sessions,
)
from tests.unit.rules.rules_builders import MINUTE, MMHG, NOON, readings, residents

LIMITS = tabulate([load_versions("wuzhou")])
LEFT, RIGHT = 1, 2
MICROSECOND = np.timedelta64(1, "us")
_HIGHEST = 300 * MMHG
_COUNT = st.integers(1, READINGS_PER_SESSION_MAX)


def at_minutes(*minutes: float) -> list[np.datetime64]:
    return [NOON + np.timedelta64(int(each * 60_000_000), "us") for each in minutes]


def a_scene(**columns: Any) -> Scene:  # noqa: ANN401 - columns by name
    columns.setdefault("received_at", columns.get("arrived_at", NOON))
    people = residents(1 + max(columns.get("resident", [0])))
    return set_scene(readings(**columns), Records.none(), people, LIMITS)


def sessions_of(**columns: Any) -> Sessions:  # noqa: ANN401 - columns by name
    scene = a_scene(**columns)
    rows = np.arange(len(scene.ordered))
    return sum_sessions(scene, rows, begin_sessions(scene, rows))


def is_higher(total: int, count: int, other: int, other_count: int) -> bool:
    columns = [np.array([value], dtype=np.int64) for value in (total, count, other, other_count)]
    return bool(_mean_is_higher(*columns)[0])


@given(_COUNT, _COUNT, st.integers(0, _HIGHEST), st.integers(-2_000, 2_000))
def test_means_are_compared_as_fractions_are(
    count: int, other_count: int, mean: int, offset: int
) -> None:
    total, other = max(0, mean * count + offset), mean * other_count

    expected = Fraction(total, count) > Fraction(other, other_count)

    assert is_higher(total, count, other, other_count) == expected


def test_thirds_and_halves_of_the_smallest_unit_are_told_apart() -> None:
    assert is_higher(1, 2, 1, 3)
    assert not is_higher(1, 3, 1, 2)
    assert not is_higher(2, 6, 1, 3)


@given(_COUNT, _COUNT, st.integers(50 * MMHG, _HIGHEST), st.integers(-21 * MMHG, 21 * MMHG))
def test_the_difference_of_means_is_cut_to_the_smallest_unit(
    count: int, other_count: int, mean: int, apart: int
) -> None:
    left, right = mean * count + apart, mean * other_count
    columns = [
        tuple(np.array([value], np.int64) for value in side)
        for side in ((left, 0, count), (right, 0, other_count))
    ]

    expected = abs(Fraction(left, count) - Fraction(right, other_count))

    assert _difference_of_means(*columns).tolist() == [int(expected)]
    assert _difference_of_means(*columns[::-1]).tolist() == [int(expected)]


@given(
    minutes=st.lists(st.sampled_from([0, 1, 9, 10, 11, 30, 59]), min_size=1, max_size=25),
    resident=st.integers(0, 1),
)
def test_sessions_are_cut_as_a_loop_would_cut_them(minutes: list[int], resident: int) -> None:
    times = np.cumsum(minutes).tolist()
    expected = [0]
    for row in range(1, len(times)):
        far = times[row] - times[row - 1] > 10 or times[row] - times[expected[-1]] > 60
        expected += [row] if far else []

    found = sessions_of(effective_at=at_minutes(*times), resident=[resident] * len(times))

    assert found.first.tolist() == expected
    assert found.last.tolist() == [*(row - 1 for row in expected[1:]), len(times) - 1]
    assert found.taken.tolist() == np.diff([*expected, len(times)]).tolist()


def test_a_session_is_of_one_resident() -> None:
    found = sessions_of(
        effective_at=at_minutes(0, 1, 2), resident=[0, 0, 1], systolic=[120, 130, 140]
    )

    assert found.resident.tolist() == [0, 1]
    assert (found.systolic_sum // MMHG).tolist() == [250, 140]
    assert found.count.tolist() == [2, 1]


def test_a_session_of_more_readings_than_one_sum_holds_is_cut() -> None:
    many = READINGS_PER_SESSION_MAX + 1
    times = [NOON + row * np.timedelta64(1, "ms") for row in range(many)]

    found = sessions_of(effective_at=times, systolic=[300] * many)

    assert found.taken.tolist() == [READINGS_PER_SESSION_MAX, 1]
    assert (found.systolic_sum // MMHG).tolist() == [300 * READINGS_PER_SESSION_MAX, 300]


@pytest.mark.parametrize(
    ("arms", "systolic", "diastolic", "decides", "difference"),
    [
        pytest.param([LEFT, LEFT], [130, 150], [70, 80], (280, 150, 2), -1, id="one-arm"),
        pytest.param([0, 0], [130, 150], [70, 80], (280, 150, 2), -1, id="unknown-arms"),
        pytest.param([LEFT, 0], [130, 150], [70, 80], (280, 150, 2), -1, id="one-arm-unknown"),
        pytest.param([LEFT, RIGHT], [130, 150], [70, 80], (150, 80, 1), 20, id="right-is-higher"),
        pytest.param([LEFT, RIGHT], [150, 130], [70, 80], (150, 70, 1), 20, id="left-is-higher"),
        pytest.param([RIGHT, LEFT], [150, 130], [70, 80], (150, 70, 1), 20, id="right-first"),
        pytest.param([LEFT, RIGHT], [140, 140], [80, 85], (140, 85, 1), 0, id="tie-right"),
        pytest.param([LEFT, RIGHT], [140, 140], [85, 80], (140, 85, 1), 0, id="tie-left"),
        pytest.param([LEFT, RIGHT], [140, 140], [85, 85], (140, 85, 1), 0, id="tie-on-both"),
        pytest.param(
            [LEFT, LEFT, RIGHT], [130, 130, 150], [80, 80, 80], (150, 80, 1), 20, id="by-mean"
        ),
        pytest.param(
            [LEFT, 0, RIGHT],
            [150, 190, 130],
            [80, 99, 80],
            (150, 80, 1),
            20,
            id="unknown-drops-out",
        ),
    ],
)
def test_the_arm_with_the_higher_mean_decides(
    arms: list[int],
    systolic: list[int],
    diastolic: list[int],
    decides: tuple[int, int, int],
    difference: int,
) -> None:
    times = at_minutes(*range(len(arms)))

    found = sessions_of(arm=arms, systolic=systolic, diastolic=diastolic, effective_at=times)

    sums = (found.systolic_sum[0] // MMHG, found.diastolic_sum[0] // MMHG, found.count[0])
    assert sums == decides
    assert found.taken.tolist() == [len(arms)]
    apart = difference * MMHG if difference >= 0 else -1
    assert found.arm_difference.tolist() == [apart]


def test_only_sessions_with_both_arms_are_changed() -> None:
    found = sessions_of(
        resident=[0, 0, 1, 1, 2],
        arm=[LEFT, LEFT, LEFT, RIGHT, RIGHT],
        systolic=[130, 140, 120, 150, 128],
        effective_at=at_minutes(0, 1, 0, 1, 0),
    )

    assert (found.systolic_sum // MMHG).tolist() == [270, 150, 128]
    assert found.count.tolist() == [2, 1, 1]
    assert (found.arm_difference // MMHG).tolist() == [-1, 30, -1]


def test_a_session_knows_of_its_emergency() -> None:
    found = sessions_of(systolic=[190, 120, 120], effective_at=at_minutes(0, 1, 30))

    assert found.emergency.tolist() == [True, False]


def test_third_readings_are_asked_for_by_the_first() -> None:
    scene = a_scene(
        resident=[0, 0, 1, 1, 2, 2, 2, 3],
        systolic=[120, 131, 120, 130, 120, 150, 140, 120],
        effective_at=at_minutes(0, 1, 0, 1, 0, 1, 2, 0),
    )
    rows = np.arange(8)

    assert ask_third(sum_sessions(scene, rows, begin_sessions(scene, rows)), scene).tolist() == [0]


def held(minutes: list[float], arrived: list[float], now: np.datetime64, **columns: Any) -> Any:  # noqa: ANN401
    scene = a_scene(effective_at=at_minutes(*minutes), arrived_at=at_minutes(*arrived), **columns)
    rows = np.arange(len(minutes))
    return hold_back(scene, rows, begin_sessions(scene, rows), now)


@pytest.mark.parametrize(
    ("arrived", "waiting", "closes"),
    [
        pytest.param([0, 5], [True, True], 15, id="one-cluster"),
        pytest.param([0, 10], [True, True], 20, id="a-gap-of-ten-joins"),
        pytest.param([0, 10.01], [False, True], 20.01, id="a-longer-gap-does-not"),
        pytest.param([10.01, 0], [True, False], 20.01, id="in-order-of-arrival"),
        pytest.param([0, 300], [False, True], 310, id="hours-late"),
    ],
)
def test_a_reading_waits_until_its_arrival_cluster_closes(
    arrived: list[float], waiting: list[bool], closes: float
) -> None:
    (end,) = at_minutes(closes)

    rows, cluster = held([0, 1], arrived, end - MICROSECOND)
    assert rows.tolist() == waiting
    assert cluster.closes_at.tolist() == [end.item()]
    assert cluster.resident.tolist() == [0]

    rows, cluster = held([0, 1], arrived, end)
    assert rows.tolist() == [False, False]
    assert len(cluster.resident) == len(cluster.closes_at) == 0


def test_residents_wait_each_for_their_own() -> None:
    rows, cluster = held([0, 0, 1], [0, 5, 1], NOON + 11 * MINUTE, resident=[0, 1, 0])

    assert rows.tolist() == [False, False, True]
    assert cluster.resident.tolist() == [1]
    assert cluster.closes_at.tolist() == [(NOON + 15 * MINUTE).item()]


@given(arrived=st.lists(st.integers(0, 60), min_size=1, max_size=9), now=st.integers(0, 75))
def test_waiting_is_what_a_loop_over_arrivals_finds(arrived: list[int], now: int) -> None:
    order = sorted(range(len(arrived)), key=lambda row: arrived[row])
    clusters: list[list[int]] = []
    for row in order:
        if clusters and arrived[row] - arrived[clusters[-1][-1]] <= 10:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    open_ = [each for each in clusters if arrived[each[-1]] + 10 > now]

    minutes: list[float] = [row / 10 for row in range(len(arrived))]
    rows, cluster = held(minutes, [float(each) for each in arrived], NOON + now * MINUTE)

    assert np.flatnonzero(rows).tolist() == sorted(row for each in open_ for row in each)
    ends = [(NOON + (arrived[each[-1]] + 10) * MINUTE).item() for each in open_]
    assert sorted(cluster.closes_at.tolist()) == ends


def test_order_of_rows_does_not_matter() -> None:
    random = Random(3)  # noqa: S311 - repeatable on purpose
    minutes = [random.randint(0, 200) for _ in range(40)]
    owners = [random.randint(0, 2) for _ in range(40)]
    systolic = [random.randint(100, 180) for _ in range(40)]
    mixed = random.sample(range(40), 40)

    def tell(order: list[int]) -> list[list[int]]:
        found = sessions_of(
            ids=[b"%02d" % row for row in order],
            effective_at=[at_minutes(minutes[row])[0] for row in order],
            resident=[owners[row] for row in order],
            systolic=[systolic[row] for row in order],
        )
        return [found.resident.tolist(), found.systolic_sum.tolist(), found.count.tolist()]

    assert tell(mixed) == tell(list(range(40)))
