"""Percentiles are right to 0.1 %, one by one or in bulk, in memory that does not grow."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.histogram import Histogram

SECONDS = st.floats(1e-6, 3_600)


@given(st.lists(SECONDS, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_right_to_a_thousandth(values: list[float], share: float) -> None:
    histogram = Histogram()
    histogram.record_many(values)
    exact = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    found = histogram.quantile(share)
    assert found is not None
    assert abs(found - exact) <= 0.001 * exact + 1e-6


@given(st.lists(SECONDS, max_size=100), st.lists(SECONDS, max_size=100))
def test_one_by_one_in_bulk_and_added_are_the_same(first: list[float], second: list[float]) -> None:
    single, bulk, other = Histogram(), Histogram(), Histogram()
    for value in first + second:
        single.record(value)
    bulk.record_many(first)
    other.record_many(second)
    bulk.add(other)
    assert np.array_equal(single._counts, bulk._counts)
    assert single.total == bulk.total == len(first) + len(second)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9], ids=["none", "negative", "for ever"])
def test_what_is_outside_counts_at_the_edge(seconds: float) -> None:
    histogram = Histogram()
    histogram.record(seconds)
    histogram.record_many([seconds])
    found = histogram.quantile(0.5)
    assert found is not None
    assert 1e-6 <= found <= 3_601


def test_nothing_has_no_percentile() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().as_dict()["p99_ms"] is None
    assert Histogram().spectrum() == []


def test_the_spectrum_ends_at_the_slowest() -> None:
    histogram = Histogram()
    histogram.record_many([0.001] * 999 + [2.0])
    spectrum = histogram.spectrum()
    assert spectrum[0]["ms"] == pytest.approx(1.0, rel=0.001)
    assert spectrum[-1] == {"share": 1.0, "ms": pytest.approx(2_000, rel=0.001)}
    assert [each["share"] for each in spectrum] == sorted(each["share"] for each in spectrum)
