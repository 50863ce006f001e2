"""Whether alerts show what stands behind them: the value, the limit, its source, the profile.

A doctor acts by what stands beside an alert, so a right alert with a wrong limit is wrong. Compared
are alerts that both the system and the plain evaluator have; the others are told elsewhere
(``simulators.judged``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias

from simulators.holdings import ToldAlert
from simulators.oracle.alert import Alert

AlertKey: TypeAlias = tuple[str, str, str, str, str, date | None]
"""Resident, condition, code, status, severity, due."""


def compare_shown(
    wanted: Mapping[AlertKey, Sequence[Alert]], told: Sequence[ToldAlert], profile: str
) -> Counter[tuple[str, str, str]]:
    """What alerts show wrongly: resident, code, and what it is beside what it ought to be.

    Args:
        wanted: By what makes them one alert, the plain evaluator's.
        told: The system's.
        profile: By which everybody was judged.
    """
    wrong: Counter[tuple[str, str, str]] = Counter()
    held: dict[AlertKey, list[ToldAlert]] = {}
    for alert in told:
        held.setdefault(alert.key, []).append(alert)
    for key, mine in held.items():
        right = sorted(wanted.get(key, ()), key=lambda alert: alert.since)
        if len(right) != len(mine):
            continue  # Some of them ought not to be: which, nobody can say.
        mine.sort(key=lambda alert: alert.effective_at)
        for shown, ought in zip(mine, right, strict=True):
            for difference in _differences(shown, ought, profile):
                wrong[shown.resident_id, shown.code, difference] += 1
    return wrong


def _differences(shown: ToldAlert, ought: Alert, profile: str) -> list[str]:
    pairs = (
        ("threshold", shown.threshold, ought.limit.threshold),
        ("source", shown.source, ought.limit.source),
        ("profile", shown.profile, profile),
    )
    found = [f"{name} {is_!r}, not {right!r}" for name, is_, right in pairs if is_ != right]
    if shown.observed not in ought.seen:
        right = " or ".join(map(repr, sorted(ought.seen)))
        found.append(f"observed {shown.observed!r}, not {right}")
    return found
