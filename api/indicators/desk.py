"""One computation at a time, and its answer kept for some seconds.

A city takes a core for seconds: ten supervisors who open the same page cost one of it, and
everybody else's pages go on meanwhile. Who asks again a little later gets the last answer at once
and has it computed anew for the next. What is kept belongs to what a principal sees, never to
another one's. Nothing is said to be newer than it is: ``computed_at`` comes along.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from api.auth.principal import Principal, Reach
from api.database import Database
from api.errors import ApiError, UnavailableError
from api.indicators import queries
from api.indicators.periods import Span
from api.indicators.queries import TeamCounts
from api.indicators.settings import IndicatorSettings
from api.indicators.shown import SHOWN, Family, Shown
from api.local_days import local_day
from gateway.wire.times import Clock

_LOG = structlog.get_logger()


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
        # To be computed anew, each question once; no more of them than answers are kept.
        self._stale: dict[_Question, tuple[Principal, Span]] = {}
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Compute anew what was answered from an older answer. Ends when cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._stale:
                question, (principal, span) = next(iter(self._stale.items()))
                try:
                    async with self._turn:
                        await self._compute(principal, span, question)
                except ApiError as error:
                    _LOG.warning("figures_not_refreshed", problem=str(error))
                finally:
                    self._stale.pop(question, None)

    async def count(
        self, principal: Principal, span: Span, wanted: Iterable[Shown], *, anew: bool = False
    ) -> Counted:
        """Counts of these indicators, at most ``stale_s`` old; ``anew``: of this moment.

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
        known = None if anew else self._recall(question, self._settings.kept_s)
        if known is not None:
            return known
        known = None if anew else self._recall(question, self._settings.stale_s)
        if known is not None:
            self._stale.setdefault(question, (principal, span))
            self._asked.set()
            return known
        if self._waiting >= self._settings.waiting_max:
            msg = "figures are being computed for many others; try again"
            raise UnavailableError(msg, retry_after_s=self._settings.kept_s)
        self._waiting += 1
        try:
            async with self._turn:
                known = None if anew else self._recall(question, self._settings.kept_s)
                return known or await self._compute(principal, span, question)
        finally:
            self._waiting -= 1

    def _recall(self, question: _Question, age_s: int) -> Counted | None:
        """The last answer, if it is younger than that and of the same local day."""
        kept, now = self._kept.get(question), self._clock()
        if kept is None or local_day(kept.computed_at) != local_day(now):
            return None
        age = now - kept.computed_at
        return kept if timedelta() <= age < timedelta(seconds=age_s) else None

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
