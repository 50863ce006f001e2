"""Only times move: order and short intervals stay, long gaps shrink, the last is yesterday."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.series import move_series, yesterday
from simulators.settings import GAP_MAX

LAST_DAY = date(2026, 11, 22)
TIMES = st.datetimes(datetime(1938, 1, 1), datetime(2021, 12, 31)).map(  # noqa: DTZ001 - wall clock
    lambda at: at.replace(microsecond=0)
)


@given(st.lists(TIMES, min_size=1, max_size=40))
def test_order_and_intervals_survive_the_move(times: list[datetime]) -> None:
    moved = move_series(times, LAST_DAY)

    pairs = sorted(zip(times, moved, strict=True))
    for (before, moved_before), (after, moved_after) in pairwise(pairs):
        assert moved_after - moved_before == min(after - before, GAP_MAX)
    assert max(moved).date() == LAST_DAY
    assert all(at.utcoffset() == timedelta(hours=8) for at in moved)


@given(st.lists(TIMES, min_size=1, max_size=10))
def test_the_file_order_does_not_matter(times: list[datetime]) -> None:
    forwards = move_series(times, LAST_DAY)

    assert move_series(times[::-1], LAST_DAY) == forwards[::-1]


def test_an_unknown_time_comes_ninety_days_before_the_first_known() -> None:
    first = datetime(2014, 8, 4, 9)  # noqa: DTZ001 - wall clock

    moved = move_series([first, None, first + timedelta(minutes=30)], LAST_DAY)

    assert moved[0] - moved[1] == GAP_MAX
    assert moved[2] - moved[0] == timedelta(minutes=30)


def test_a_resident_without_any_time_still_ends_yesterday() -> None:
    assert [at.date() for at in move_series([None], LAST_DAY)] == [LAST_DAY]


def test_nobody_is_an_empty_series() -> None:
    assert move_series([], LAST_DAY) == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(datetime(2026, 11, 23, 15, 59, tzinfo=UTC), date(2026, 11, 22), id="before"),
        pytest.param(datetime(2026, 11, 23, 16, 0, tzinfo=UTC), date(2026, 11, 23), id="midnight"),
    ],
)
def test_yesterday_is_the_local_one(now: datetime, expected: date) -> None:
    assert yesterday(now) == expected
