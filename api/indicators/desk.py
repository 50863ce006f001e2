"""One computation at a time, and its answer kept for some seconds.

A city takes a core for a second or two: ten supervisors who open the same page cost one of it,
and everybody else's pages go on meanwhile. What is kept belongs to what a principal sees, never
to another one's. Nothing is said to be newer than it is: ``computed_at`` comes along.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.auth.principal import Principal, Reach
from api.database import Database
from api.errors import UnavailableError
from api.indicators import queries
from api.indicators.periods import Span
from api.indicators.queries import TeamCounts
from api.indicators.settings import IndicatorSettings
from api.indicators.shown import SHOWN, Family, Shown
from api.local_days import local_day
from gateway.wire.times import Clock


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of all teams in sight, and when they were true."""

    counts: TeamCounts
    computed_at: datetime


@dataclass(frozen=True, slots=True)
class _Question:
    reach: Reach
    team_ids: frozenset[str]
    centre_ids: frozenset[str]
    period: str
    families: frozenset[Family]


class Desk:
    """Where figures are asked for."""

    def __init__(self, settings: IndicatorSettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._kept: OrderedDict[_Question, Counted] = OrderedDict()

    async def count(
        self, principal: Principal, span: Span, wanted: Iterable[Shown], *, anew: bool = False
    ) -> Counted:
        """Counts of these indicators, at most ``kept_s`` old; ``anew``: of this moment.

        Waits for its turn behind at most ``waiting_max`` others; cancelled, it gives its place up.

        Raises:
            UnavailableError: Too many wait, or the database does not answer in time.
        """
        question = _Question(
            reach=principal.reach,
            team_ids=principal.seen_team_ids,
            centre_ids=principal.seen_centre_ids,
            period=span.name,
            families=frozenset(shown.family for shown in wanted),
        )
        known = None if anew else self._recall(question)
        if known is not None:
            return known
        if self._waiting >= self._settings.waiting_max:
            msg = "figures are being computed for many others; try again"
            raise UnavailableError(msg, retry_after_s=self._settings.kept_s)
        self._waiting += 1
        try:
            async with self._turn:
                known = None if anew else self._recall(question)
                return known or await self._compute(principal, span, question)
        finally:
            self._waiting -= 1

    def _recall(self, question: _Question) -> Counted | None:
        kept = self._kept.get(question)
        young = timedelta(seconds=self._settings.kept_s)
        if kept is None or not timedelta() <= self._clock() - kept.computed_at < young:
            return None
        return kept

    async def _compute(self, principal: Principal, span: Span, question: _Question) -> Counted:
        wanted = [shown for shown in SHOWN.values() if shown.family in question.families]
        at = self._clock()
        async with self._database.reading(principal) as connection:
            await queries.bound(
                connection,
                statement_ms=self._settings.statement_ms_max,
                work_mem=f"{self._settings.sort_memory_kb}kB",
            )
            counts = await queries.count_by_team(connection, span, local_day(at), wanted)
        counted = Counted(counts, at)
        self._kept[question] = counted
        self._kept.move_to_end(question)
        while len(self._kept) > self._settings.answers_kept_max:
            self._kept.popitem(last=False)
        return counted
