"""A judge who looks now and then: whoever is due is judged on what is known, and told once.

What the live judge does with a database, without one. Due is who had something arrive since the
last look, and whose next moment (``Judgement.next_tick``) has come. An alert that is not found
again is cancelled and kept; one that is found again after that is active again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from rules.engine import judge
from tests.unit.rules.rules_crowd import LIMITS, Member, engine_says, gather, instant

_LONG_AGO = np.datetime64("1900-01-01", "us")


class LiveJudge:
    """Judges its members at each look, and keeps what it told."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.cases: list[dict[str, Any]] = [{} for _ in members]
        self.alerts: list[dict[tuple[str, str, str], dict[str, Any]]] = [{} for _ in members]
        self.looks = 0
        arrivals = [
            (arrival, number)
            for number, member in enumerate(members)
            for arrival in member.found.arrivals
        ]
        times, owners = zip(*sorted(arrivals), strict=True) if arrivals else ((), ())
        self._arrivals = np.array(times, dtype="datetime64[us]")
        self._owners = np.array(owners, dtype=np.int64)
        self._ticks = np.full(len(members), np.datetime64("NaT", "us"))
        self._before: np.datetime64 = _LONG_AGO

    def look(self, at: datetime) -> None:
        """Judge whoever is due at that moment."""
        now = instant(at)
        due = self._find_due(now)
        self._before = now
        if not len(due):
            return
        self.looks += 1
        crowd = gather([self.members[n] for n in due], at)
        judgement = judge(crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=now)
        for n, row, said in zip(due, crowd.rows, engine_says(crowd, judgement), strict=True):
            self.cases[n] = said["cases"]
            self._hear(self.alerts[n], said["alerts"])
            self._ticks[n] = judgement.next_tick[row]

    def look_often(self, since: datetime, until: datetime, every: timedelta) -> None:
        """Look at regular moments, the last one ``until``."""
        while since < until:
            self.look(since)
            since += every
        self.look(until)

    def look_whenever_due(self, until: datetime) -> None:
        """Look at the very moments at which something arrives or time changes something."""
        last = instant(until)
        while True:
            moments = np.concatenate([self._arrivals, self._ticks])
            moments = moments[(moments > self._before) & (moments < last)]  # NaT is neither.
            if not len(moments):
                break
            self.look(datetime.fromisoformat(f"{moments.min()}+00:00"))
        self.look(until)

    def standing(self, number: int) -> dict[tuple[str, str, str], dict[str, Any]]:
        """What was told of a member and not cancelled."""
        mine = self.alerts[number]
        return {key: alert for key, alert in mine.items() if alert["status"] != "cancelled"}

    def _find_due(self, now: np.datetime64) -> npt.NDArray[np.intp]:
        if self._before == _LONG_AGO:  # The clock alone can have made somebody due.
            return np.arange(len(self.members))
        low, high = np.searchsorted(self._arrivals, [self._before, now], side="right")
        came = np.zeros(len(self.members), dtype=np.bool_)
        came[self._owners[low:high]] = True
        return np.flatnonzero(came | (self._ticks <= now))

    @staticmethod
    def _hear(told: dict[Any, dict[str, Any]], found: dict[Any, dict[str, Any]]) -> None:
        for key in told.keys() - found.keys():
            told[key]["status"] = "cancelled"
        for key, alert in found.items():
            told[key] = {**told.get(key, {}), **alert}
