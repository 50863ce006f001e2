"""Samples of the flow as points of two charts: how much a minute, and how long something waits."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from psycopg.rows import DictRow

_KINDS: Final = ("stored", "duplicate", "quarantined")
_MINUTE_S: Final = 60


def points_of(samples: Sequence[DictRow]) -> dict[str, Any]:
    """JSON types only: times in ms, rates a minute, waiting in seconds.

    Totals are those of a UTC day and begin anew with it. A replay that moves readings out of the
    quarantine takes them from its total; a rate is never below nothing.
    """
    rates = []
    for before, now in pairwise(samples):
        seconds = (now["at"] - before["at"]).total_seconds()
        same_day = now["day"] == before["day"]
        new = [now[name] - (before[name] if same_day else 0) for name in _KINDS]
        rates.append([_ms(now), *(round(max(0, n) * _MINUTE_S / seconds, 1) for n in new)])
    waiting = [
        [_ms(each), round(each["spool_oldest_s"], 1), round(each["feed_oldest_s"], 1)]
        for each in samples
    ]
    return {"rates": rates, "waiting": waiting, "kinds": list(_KINDS)}


def _ms(sample: DictRow) -> int:
    return int(sample["at"].timestamp() * 1_000)
