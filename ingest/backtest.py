"""Two profiles on the same stored history: what would change if one took the other's place.

Everybody is judged by the one profile, then by the other, as the clock would stand after the
last day asked about; nothing is written. Alerts are compared by what makes them one: resident,
condition, code and anchor. A follow-up is an alert that asks for somebody to act by a day.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from ingest.db import residents, retention
from ingest.db.connections import Connection
from ingest.db.errors import translated
from ingest.histories import Loaded, load_histories
from ingest.profiles import Profiles
from rules.codes import AlertCode
from rules.columns import DateArray, Periods, Readings
from rules.engine import judge
from rules.judgement import Alerts
from rules.limits import ProfileTable
from rules.local_time import local_date, local_midnight
from rules.normalise import normalise

RESIDENTS_PER_PAGE: Final = 2_000
_REPEATS: Final = frozenset(
    {AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE, AlertCode.ROUTINE_OVERDUE}
)
NO_TEAM: Final = ""
"""Team of residents whom no team has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which profiles, and which alerts: those that became true on a local day from..to."""

    before: Profiles
    after: Profiles
    first: date
    last: date


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What was found so far.

    By ISO week: of an alert that of the day on which it became true, of a follow-up that of the day
    by which somebody must act.
    """

    since: date | None = None  # Older readings may be gone: what they came to is taken as it was.
    residents: int = 0
    readings: int = 0
    alerts_before: Counter[str] = field(default_factory=Counter)
    alerts_after: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)  # Only the second profile raises them.
    lost: Counter[str] = field(default_factory=Counter)
    affected: set[str] = field(default_factory=set)
    raised_before: Counter[tuple[str, str]] = field(default_factory=Counter)  # Team, week.
    raised_after: Counter[tuple[str, str]] = field(default_factory=Counter)
    followups_before: Counter[tuple[str, str]] = field(default_factory=Counter)  # Team, week.
    followups_after: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_record(self, question: Question) -> dict[str, Any]:
        """JSON types only. Residents by pseudonym."""
        return {
            "profile": question.before.id,
            "against": question.after.id,
            "from": question.first.isoformat(),
            "to": question.last.isoformat(),
            "since": self.since and self.since.isoformat(),
            "residents": self.residents,
            "readings": self.readings,
            "residents_affected": len(self.affected),
            "affected": sorted(self.affected),
            "alerts": [
                {
                    "code": code,
                    "before": self.alerts_before[code],
                    "after": self.alerts_after[code],
                    "new": self.new[code],
                    "lost": self.lost[code],
                }
                for code in sorted({*self.alerts_before, *self.alerts_after})
            ],
            "alerts_by_week": _by_week(self.raised_before, self.raised_after),
            "followups": _by_week(self.followups_before, self.followups_after),
        }


def _by_week(
    before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]
) -> list[dict[str, Any]]:
    """One row a team and week, in that order; ``extra`` may be below nothing."""
    return [
        {
            "team": team or None,
            "week": week,
            "before": before[team, week],
            "after": after[team, week],
            "extra": after[team, week] - before[team, week],
        }
        for team, week in sorted({*before, *after})
    ]


async def backtest(
    connection: Connection,
    question: Question,
    progress: Callable[[int], None],
) -> Comparison:
    """Compare two profiles on everybody's history. Reads one snapshot; writes nothing.

    Args:
        connection: In autocommit mode, outside a transaction.
        question: Profiles and days.
        progress: Told how many residents have been looked at since it was told last.

    Raises:
        DatabaseUnavailableError: Ask again; nothing was changed.

    Cost: one page of residents in memory at a time; retention drops nothing meanwhile.
    """
    found = Comparison()
    with translated():
        async with retention.chunks_kept(connection), connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            edge = await retention.fetch_edge(connection)
            found.since = None if edge == retention.NO_EDGE else edge.date()
            last = ""
            while ids := await residents.list_after(connection, last, RESIDENTS_PER_PAGE):
                compare(await load_histories(connection, ids, question.before), question, found)
                progress(len(ids))
                last = ids[-1]
    return found


def compare(loaded: Loaded, question: Question, found: Comparison) -> None:
    """Judge these residents by both profiles and add what differs to ``found``."""
    readings = normalise(loaded.reported, loaded.amendments, deduplicate=False).readings
    both = (question.before.limits, question.after.limits)
    told = [_judge_by(limits, loaded, readings, question) for limits in both]
    found.residents += len(loaded.ids)
    found.readings += len(readings)
    codes = (found.alerts_before, found.alerts_after)
    raised = (found.raised_before, found.raised_after)
    followups = (found.followups_before, found.followups_after)
    keys: list[dict[tuple[int, ...], int]] = []
    for limits, alerts, by_code, by_day, by_due in zip(
        both, told, codes, raised, followups, strict=True
    ):
        by_code.update(_names(alerts))
        became_true_on = local_date(alerts.became_true_at, limits.utc_offset)
        asks = ~np.isnat(alerts.due) & ~np.isin(alerts.code, list(_REPEATS))
        by_day.update(_weeks(alerts, became_true_on, loaded))
        by_due.update(_weeks(alerts.take(asks), alerts.due[asks], loaded))
        keys.append({_key(alerts, row): row for row in range(len(alerts))})
    for alerts, mine, other, counter in (
        (told[1], keys[1], keys[0], found.new),
        (told[0], keys[0], keys[1], found.lost),
    ):
        rows = [mine[key] for key in mine.keys() - other.keys()]
        counter.update(AlertCode(alerts.code[row]).name for row in rows)
        found.affected.update(loaded.ids[alerts.resident[row]] for row in rows)


def _judge_by(
    limits: ProfileTable, loaded: Loaded, readings: Readings, question: Question
) -> Alerts:
    """Alerts that became true on the days asked about, with one profile for everybody.

    What a checkpoint has folded was judged by the profile of its time, and stays so.
    """
    start = None if loaded.pasts is None else loaded.pasts.carried.judged_by_row(0)
    after = np.array([question.last + timedelta(days=1)], dtype="datetime64[D]")
    alerts = judge(
        readings,
        loaded.records,
        replace(loaded.residents, profiles=Periods.none()),
        limits,
        as_of=local_midnight(after, limits.utc_offset)[0],
        start=start,
    ).alerts
    day = local_date(alerts.became_true_at, limits.utc_offset)
    first, last = np.datetime64(question.first, "D"), np.datetime64(question.last, "D")
    return alerts.take((first <= day) & (day <= last))


def _key(alerts: Alerts, row: int) -> tuple[int, ...]:
    return (
        int(alerts.resident[row]),
        int(alerts.condition[row]),
        int(alerts.code[row]),
        int(alerts.anchor[row]),
    )


def _names(alerts: Alerts) -> list[str]:
    return [AlertCode(code).name for code in alerts.code.tolist()]


def _weeks(alerts: Alerts, days: DateArray, loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Team and ISO week of a day of each alert."""
    each_day: list[date] = days.astype("datetime64[D]").tolist()
    for resident, day in zip(alerts.resident.tolist(), each_day, strict=True):
        person = loaded.people.get(loaded.ids[resident])
        year, week, _ = day.isocalendar()
        team = NO_TEAM if person is None else person.team_id or NO_TEAM
        yield team, f"{year}-W{week:02d}"
