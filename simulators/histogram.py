"""How long things took: a histogram of durations in memory that does not grow.

The buckets are those of an HdrHistogram with three significant digits between 1 µs and an hour:
each is at most 0.1 % wide, so a percentile is right to 0.1 %. Source: G. Tene, HdrHistogram. It is
written with numpy because the package has no wheels for arm64, and because a load of 20,000
readings a second counts arrays, not values.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

_SUB_BITS: Final = 11  # 2,048 buckets of one width: three significant digits.
_HALF: Final = 1 << (_SUB_BITS - 1)
_UNITS_PER_S: Final = 1_000_000
_HIGHEST: Final = 3_600 * _UNITS_PER_S
SHARES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}


class Histogram:
    """Counts durations. Below 1 µs counts as 1 µs, above an hour as an hour."""

    def __init__(self) -> None:
        self._counts = np.zeros((_HIGHEST.bit_length() - _SUB_BITS + 2) * _HALF, np.int64)
        self.total = 0

    def record(self, seconds: float) -> None:
        """Count one duration."""
        value = min(max(round(seconds * _UNITS_PER_S), 1), _HIGHEST)
        bucket = max(value.bit_length() - _SUB_BITS, 0)
        self._counts[bucket * _HALF + (value >> bucket)] += 1
        self.total += 1

    def record_many(self, seconds: Sequence[float]) -> None:
        """Count many durations."""
        values = np.clip(np.rint(np.asarray(seconds) * _UNITS_PER_S), 1, _HIGHEST).astype(np.int64)
        bits = np.frexp(values.astype(np.float64))[1]  # As ``int.bit_length``: below 2^53 exact.
        buckets = np.maximum(bits - _SUB_BITS, 0)
        np.add.at(self._counts, buckets * _HALF + (values >> buckets), 1)
        self.total += len(values)

    def add(self, other: "Histogram") -> None:
        """Count everything that the other has counted."""
        self._counts += other._counts  # noqa: SLF001 - of the same class
        self.total += other.total

    def quantile(self, share: float) -> float | None:
        """The duration in seconds that this share does not exceed; None without any."""
        if not self.total:
            return None
        wanted = max(int(np.ceil(share * self.total)), 1)
        return _highest_of(int(np.searchsorted(np.cumsum(self._counts), wanted)))

    @property
    def longest_s(self) -> float | None:
        """The longest duration, to 0.1 %; None without any."""
        return self.quantile(1.0)

    def as_dict(self) -> dict[str, float | None]:
        """p50, p90, p99, p999 and the most, in milliseconds."""
        values = {name: self.quantile(share) for name, share in SHARES.items()}
        values["max_ms"] = self.longest_s
        return {
            name: None if value is None else round(value * 1_000, 3)
            for name, value in values.items()
        }

    def spectrum(self) -> list[dict[str, Any]]:
        """Duration by share, denser towards the slowest: what the percentile plot shows."""
        shares = [share for share in _SPECTRUM if 1 - share >= 1 / max(self.total, 1)]
        points = [(share, self.quantile(share)) for share in [*shares, 1.0]]
        return [{"share": share, "ms": at * 1_000} for share, at in points if at is not None]


_SPECTRUM: Final = tuple(
    1 - step * 10.0**-decade for decade in range(1, 7) for step in (10, 7, 5, 3, 2, 1.5)
)


def _highest_of(index: int) -> float:
    """The longest duration, in seconds, that falls into this bucket."""
    bucket = max(index // _HALF - 1, 0)
    sub = index - bucket * _HALF
    return (((sub + 1) << bucket) - 1 if bucket else sub) / _UNITS_PER_S
