"""Rehearse a year of a town, and report: figures as the API computes them, conservation, time.

Whatever happens to it, what was played is in the report: it is filled in as days pass.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from api.indicators.computing import compute_for_owner
from api.indicators.schemas import FiguresOut
from api.indicators.shown import SHOWN
from deploy.embedded.stack import Stack
from deploy.rehearsal.town import TownCounts, TownYear
from deploy.rehearsal.world import LEDGER, Counts, Setting, World, running
from simulators.people.practice import Practice
from simulators.people.town import TownPlan, make_town
from simulators.reconcile import reconcile
from simulators.series import SHANGHAI
from simulators.sites import sites_of

_STEP: Final = timedelta(days=1)
_GATEWAYS: Final = ("gateway-1", "gateway-2")
_TOLD_DAYS: Final = 30
HEADLINES: Final = (
    *("htn.control_rate", "t2dm.control_rate"),
    *("htn.standard_management_rate", "t2dm.standard_management_rate"),
    *("htn.second_followup_on_time", "t2dm.second_followup_on_time"),
    *("htn.referral_followup_on_time", "htn.referral_closure_rate"),
    *("htn.routine_followup_on_time", "t2dm.routine_followup_on_time"),
    *("signing.all", "signing.key", "fulfilment.all", "fulfilment.key"),
)
"""What a supervisor asks for first, by the code of the indicator."""


@dataclass(slots=True, kw_only=True)
class YearReport:
    """What came of it.

    Attributes:
        residents: Of the town.
        seed: Of the town.
        days: Played so far.
        seconds: Of the whole year, real ones.
        counts: What the town did.
        engine: What the engine did.
        figures: Of the calendar year, of the whole town; None: not computed.
        lost: Differences between ledger, spools and database; None: not compared.
        judged_again: Residents whom the plain evaluator judged once more; None: not compared.
    """

    residents: int
    seed: int
    days: int = 0
    seconds: float = 0.0
    counts: TownCounts = field(default_factory=TownCounts)
    engine: Counts = field(default_factory=Counts)
    figures: FiguresOut | None = None
    lost: int | None = None
    judged_again: int | None = None

    def percent(self, code: str) -> str | None:
        """One figure as text; None: over 0, or not computed."""
        items = self.figures.items if self.figures is not None else []
        return next((each.figures[0].percent for each in items if each.code == code), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "residents": self.residents,
            "seed": self.seed,
            "days": self.days,
            "seconds": round(self.seconds, 1),
            "readings": self.counts.readings,
            "visits": self.counts.visits,
            "referral_followups": self.counts.referral_followups,
            "health_checks": self.counts.health_checks,
            "contracts": self.counts.contracts,
            "judged": self.engine.judged,
            "real_s": {name: round(spent, 1) for name, spent in self.counts.real_s.items()},
            "storing_s": round(self.engine.storing_s, 1),
            "judging_s": round(self.engine.judging_s, 1),
            "differences": self.lost,
            "judged_again": self.judged_again,
            "figures": {
                each.code: each.figures[0].model_dump(mode="json", exclude={"centre_id", "team_id"})
                for each in (self.figures.items if self.figures is not None else [])
            },
        }


async def rehearse_year(
    stack: Stack,
    dsn: str,
    folder: Path,
    report: YearReport,
    *,
    first_day: date,
    days: int = 365,
    practice: Practice | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Play it, and fill in the report. Cancelled anywhere, nothing of the installation is left.

    Args:
        stack: Up; its broker serves no other ingest meanwhile.
        dsn: Of a migrated database of its own, as the owner.
        folder: New or empty.
        report: Names the town; useful however this ends.
        first_day: Local; the figures are of its calendar year.
        days: How many to play.
        practice: How the teams work.
        say: Is told how far it is.

    Raises:
        RehearsalError: Something of the installation ended by itself.
        DatabaseUnavailableError: The database is gone.
    """
    began_s = time.monotonic()
    town = make_town(TownPlan(residents=report.residents, first_day=first_day), report.seed)
    setting = Setting(
        stack=stack,
        dsn=dsn,
        folder=folder,
        begins_at=datetime.combine(first_day, datetime.min.time(), SHANGHAI),
        step=_STEP,
    )
    async with running(setting) as world:
        year = TownYear(town, world, sites_of(_GATEWAYS, 1), practice or Practice())
        report.counts, report.engine = year.counts, world.counts
        await year.begin()
        for number in range(days):
            await year.pass_day(first_day + timedelta(days=number))
            report.days = number + 1
            report.seconds = time.monotonic() - began_s
            if report.days % _TOLD_DAYS == 0:
                say(f"day {report.days} of {days} after {report.seconds:.0f} s")
        report.figures = await _compute(dsn, first_day, world)
        spools = world.gateways.spools
    found = await asyncio.to_thread(reconcile, [folder / LEDGER], spools, dsn)
    report.lost = sum(each.count for each in found.differences)
    report.judged_again = found.judged
    report.seconds = time.monotonic() - began_s


async def _compute(dsn: str, first_day: date, world: World) -> FiguresOut:
    async with await AsyncConnection.connect(dsn, row_factory=dict_row) as connection:
        return await compute_for_owner(
            connection, str(first_day.year), "city", list(SHOWN.values()), at=world.clock()
        )
