"""The promise: means are compared exactly, although their sums would leave 64 bits crosswise."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.sessions import READINGS_PER_SESSION_MAX, _mean_is_higher

_HIGHEST = 300 * 10**13
_COUNT = st.integers(1, READINGS_PER_SESSION_MAX)


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
