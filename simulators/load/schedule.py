"""When readings are due: an open loop, drawn before anything is sent.

People do not wait for a server before they measure, so neither does the load: the times are a
Poisson process of the asked rate, known in advance. Latency is counted from them, so a system that
stalls is seen to stall and never slows the load that measures it (no coordinated omission).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = (
    512  # Drawn at once: bounds memory, and how long drawing keeps the sender from sending.
)


def poisson_times(
    rate_per_s: float, duration_s: float, random: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Send times in blocks, ascending seconds after the start, all below ``duration_s``.

    The same generator state gives the same times; a longer duration only adds to them.
    """
    start_s = 0.0
    while start_s < duration_s:
        times_s = start_s + np.cumsum(random.exponential(1 / rate_per_s, BLOCK))
        start_s = float(times_s[-1])
        if start_s >= duration_s:
            times_s = times_s[times_s < duration_s]
        if len(times_s):
            yield times_s
