"""From turns to figures: rates, ratios within a round, microseconds of each process."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from deploy.bench.lap import Lap
from deploy.bench.settings import PEERS


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median and most."""
    return {
        "min": round(min(values), 3),
        "median": round(median(values), 3),
        "max": round(max(values), 3),
    }


def figures_of(laps: Mapping[str, Sequence[Lap]], *, first: str) -> dict[str, Any]:
    """All figures of some contenders' turns.

    A ratio is the first one's rate by another's *in the same round*: above 1 the first is
    faster. Rounds alternate, so what slows the machine meanwhile slows both.

    Args:
        laps: By contender, in order of the rounds.
        first: Ours.
    """
    ours = laps[first]
    return {
        "readings_per_s": {
            name: spread([lap.readings_per_s for lap in turns]) for name, turns in laps.items()
        },
        "ratios": {
            name: spread(
                [
                    mine.readings_per_s / theirs.readings_per_s
                    for mine, theirs in zip(ours, turns, strict=False)
                ]
            )
            for name, turns in laps.items()
            if name in PEERS
        },
        "cpu_us_per_reading": {name: _median_cpu(turns) for name, turns in laps.items()},
        "laps": [lap.as_dict() for turns in laps.values() for lap in turns],
    }


def _median_cpu(turns: Sequence[Lap]) -> dict[str, float]:
    names = dict.fromkeys(name for lap in turns for name in lap.cpu)
    return {
        name: round(median([lap.cpu[name]["us"] for lap in turns if name in lap.cpu]), 2)
        for name in names
    }
