"""What a back-test found, for a chart: added alerts, or follow-ups, by team and ISO week."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

TEAMS_MAX: Final = 12
"""Drawn: those that change most; the table beside has all."""
_WEEK: Final = timedelta(days=7)


def chart_of(rows: Sequence[Mapping[str, Any]], nobody: str) -> dict[str, Any]:
    """JSON types only: ``extra[i][j]`` is of team i in week j, and may be below nothing.

    Every week from the first to the last is there: one in which nothing changes is a gap that one
    sees.

    Args:
        rows: ``alerts_by_week`` or ``followups`` of ``ingest.backtest.Comparison.as_record``.
        nobody: What to call residents whom no team has.
    """
    extra: Counter[tuple[str, str]] = Counter()
    changes: Counter[str] = Counter()
    for row in rows:
        team = row["team"] or nobody
        extra[team, row["week"]] += row["extra"]
        changes[team] += abs(row["extra"])
    teams = sorted(name for name, _ in changes.most_common(TEAMS_MAX))
    weeks = _through({row["week"] for row in rows})
    return {
        "teams": teams,
        "weeks": weeks,
        "extra": [[extra[team, week] for week in weeks] for team in teams],
        "left_out": len(changes) - len(teams),
    }


def _through(weeks: set[str]) -> list[str]:
    """The weeks from the first to the last, as ``2026-W53`` is followed by ``2027-W01``."""
    if not weeks:
        return []
    monday, last = (date.fromisoformat(f"{week}-1") for week in (min(weeks), max(weeks)))
    found = []
    while monday <= last:
        year, week, _ = monday.isocalendar()
        found.append(f"{year}-W{week:02d}")
        monday += _WEEK
    return found
