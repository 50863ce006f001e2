"""What a back-test found, for a chart: added follow-ups by team and ISO week."""

from collections import Counter
from typing import Any, Final

TEAMS_MAX: Final = 12
"""Drawn: those that change most; the table beside has all."""


def chart_of(result: dict[str, Any], nobody: str) -> dict[str, Any]:
    """JSON types only: ``extra[i][j]`` is of team i in week j, and may be below nothing.

    Args:
        result: As ``ingest.backtest.Comparison.as_record``.
        nobody: What to call residents whom no team has.
    """
    extra: Counter[tuple[str, str]] = Counter()
    changes: Counter[str] = Counter()
    for row in result["followups"]:
        team = row["team"] or nobody
        extra[team, row["week"]] += row["extra"]
        changes[team] += abs(row["extra"])
    teams = sorted(name for name, _ in changes.most_common(TEAMS_MAX))
    weeks = sorted({row["week"] for row in result["followups"]})
    return {
        "teams": teams,
        "weeks": weeks,
        "extra": [[extra[team, week] for week in weeks] for team in teams],
        "left_out": len(changes) - len(teams),
    }
