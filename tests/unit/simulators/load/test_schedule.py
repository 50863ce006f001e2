"""Send times are drawn beforehand: the same for the same seed, ascending, of the asked rate."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.load.schedule import BLOCK, poisson_times

RATES = st.floats(0.1, 50_000)
READINGS = st.integers(0, 4 * BLOCK)
SEEDS = st.integers(0, 2**32 - 1)


def _times(rate_per_s: float, duration_s: float, seed: int) -> list[float]:
    blocks = list(poisson_times(rate_per_s, duration_s, np.random.default_rng(seed)))
    assert all(0 < len(block) <= BLOCK for block in blocks)
    return [at for block in blocks for at in block.tolist()]


@given(RATES, READINGS, SEEDS)
def test_times_ascend_within_the_duration_and_repeat(rate: float, size: int, seed: int) -> None:
    duration_s = size / rate
    times = _times(rate, duration_s, seed)
    assert times == sorted(times)
    assert all(0 < at < duration_s for at in times)
    assert times == _times(rate, duration_s, seed)


@given(RATES, READINGS, SEEDS)
def test_a_longer_run_begins_as_the_shorter(rate: float, size: int, seed: int) -> None:
    short, long = _times(rate, size / rate, seed), _times(rate, 2 * size / rate, seed)
    assert long[: len(short)] == short


@given(st.floats(1, 50_000), SEEDS)
def test_as_many_come_as_asked_and_gaps_are_exponential(rate: float, seed: int) -> None:
    wanted = 8 * BLOCK
    times = np.array(_times(rate, wanted / rate, seed))
    assert abs(len(times) - wanted) < 7 * wanted**0.5  # Seven sigma of a Poisson number.
    gaps = np.diff(times) * rate
    assert abs(np.mean(gaps > 1) - np.exp(-1)) < 0.08  # A fixed pace would have 0 or 1.
