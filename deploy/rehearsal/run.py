"""One scenario from its file to its verdict: days of a world, then reconcile and expectations.

However it ends, the report says how far it came; the ledger beside it says what was truly sent.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from deploy.embedded.stack import Stack
from deploy.rehearsal.figures import compute_figures
from deploy.rehearsal.world import LEDGER, Setting, World, running
from gateway.identity import load_key
from ingest.db.connections import Connection
from ingest.db.errors import translated
from simulators.ledger import read_ledger
from simulators.reconcile import reconcile
from simulators.scenarios.expectations import Verdict, judge_expectations
from simulators.scenarios.living import OpenCase
from simulators.scenarios.outcome import FigureSeen, Outcome, read_outcome
from simulators.scenarios.scenario import Scenario
from simulators.scenarios.script import Script

INTERRUPTED: Final = "interrupted"
_DAY: Final = timedelta(days=1)
_CASES: Final = """
SELECT resident_id, condition, state, second_followup_due, referral_followup_due
FROM resident_case
WHERE second_followup_due IS NOT NULL OR referral_followup_due IS NOT NULL"""


@dataclass(slots=True, kw_only=True)
class Run:
    """One run. ``report`` can be asked for at any time."""

    scenario: Scenario
    stack: Stack
    dsn: str
    folder: Path
    short: bool = False
    keep: bool = False  # The database, for a look.
    on_day: Callable[["Run"], None] = lambda _: None
    days_played: int = 0
    world: World | None = None
    script: Script | None = None
    figures: dict[str, FigureSeen] = field(default_factory=dict)
    spools: list[Path] = field(default_factory=list)
    problem: str | None = None
    played_s: float = 0.0
    names: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    conservation: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None

    @property
    def ledger(self) -> Path:
        """What was truly sent."""
        return self.folder / LEDGER

    @property
    def passed(self) -> bool:
        """Whether it came to its end and everything is as it must be."""
        whole = self.days_played == self.scenario.days and self.problem is None
        return whole and bool(self.verdicts) and all(verdict.met for verdict in self.verdicts)

    async def play(self) -> None:
        """Play all days, or until ``stop``. Cancelled, it ends what it started at once."""
        scenario = self.scenario
        setting = Setting(
            stack=self.stack,
            dsn=self.dsn,
            folder=self.folder,
            begins_at=scenario.begins_at,
            step=scenario.step,
            profile=scenario.profile,
        )
        async with running(setting) as world:
            self.world = world
            script = self.script = Script(scenario, load_key(self.folder / "pseudonym.key"))
            self.names = {person.id: script.name_of(person.id) for person in scenario.persons}
            world.add_users([site.gateway_id for site in scenario.town.sites])
            began_s = time.monotonic()
            try:
                await self._play_days(world, script)
                await self._compute_figures(world)
            finally:
                self.played_s = time.monotonic() - began_s
                self.spools = world.gateways.spools

    async def _play_days(self, world: World, script: Script) -> None:
        begins_at = self.scenario.begins_at
        for happening in script.opening():
            await world.happen(happening)
        for number in range(self.scenario.days):
            midnight = begins_at + number * _DAY
            cases = await self._ask(world.connection)
            await world.play(script.play_day(midnight, cases), until=midnight + _DAY)
            world.end_day()
            if world.stopping:
                self.problem = INTERRUPTED
                return
            self.days_played += 1
            self.on_day(self)

    async def _ask(self, connection: Connection) -> list[OpenCase]:
        """What the cases ask the teams for, when some of it is kept."""
        if not self.scenario.town.followed_up and self.scenario.practice is None:
            return []
        with translated():
            rows = await (await connection.execute(_CASES)).fetchall()
        return [
            OpenCase(
                resident_id=resident_id,
                condition=condition,
                state=state,
                second_due=second,
                referral_due=referral,
            )
            for resident_id, condition, state, second, referral in rows
        ]

    async def _compute_figures(self, world: World) -> None:
        """Those that somebody expects something of; a run that was stopped has none."""
        wanted = {each.value: None for each in self.scenario.expectations if each.what == "figure"}
        if wanted and not world.stopping:
            self.figures = await compute_figures(self.dsn, list(wanted), at=world.clock())

    def stop(self) -> None:
        """End with the step it is in; what was played by then is judged as ever."""
        if self.world is not None:
            self.world.stopping = True

    def judge(self) -> None:
        """Compare with the ledger and with what the scenario expects. Blocks."""
        entries = read_ledger(self.ledger)
        refused = sum(entry.refused is not None for entry in entries)
        report = reconcile([self.ledger], self.spools, self.dsn)
        self.conservation = report.as_dict()
        outcome = self.outcome = read_outcome(
            self.dsn, sent=len(entries), refused=refused, figures=self.figures
        )
        lost = "; ".join(
            f"{each.kind.value} {each.count} at {each.gateway_id or '-'}: {each.detail}"
            for each in report.differences
        )
        conserved = Verdict(
            where="every scenario",
            expected="nothing lost or doubled; everybody judged as truly measured, and in time",
            seen=lost or "so",
            met=report.agrees,
            look=f"suifang reconcile --ledger {self.ledger} and the spools beside it,"
            f" in {self._database}",
        )
        told = judge_expectations(
            self.scenario.expectations, outcome, self.names, database=self._database
        )
        self.verdicts = [conserved, *told]

    @property
    def _database(self) -> str:
        """Which one to look into; a deployment's knows nothing of all this."""
        kept = f"--database {self.dsn}" if self.keep else "gone now; play it again with --keep"
        return f"the rehearsal's own database ({kept})"

    def report(self) -> dict[str, Any]:
        """All of it, for people and programs."""
        scenario, world = self.scenario, self.world
        counts = None if world is None else world.counts
        return {
            "scenario": scenario.id,
            "short": self.short,
            "seed": scenario.seed,
            "profile": scenario.profile,
            "begins": scenario.begins.isoformat(),
            "days": scenario.days,
            "days_played": self.days_played,
            "seconds": round(self.played_s, 2),
            "virtual_days_per_minute": round(self.days_played / self.played_s * 60, 1)
            if self.played_s
            else None,
            "steps": counts and counts.steps,
            "judged": counts and counts.judged,
            "storing_seconds": counts and round(counts.storing_s, 2),
            "judging_seconds": counts and round(counts.judging_s, 2),
            "readings": None if world is None else world.gateways.captured,
            "town": {} if self.script is None else dict(self.script.town.counts),
            "figures": {
                code: figure._asdict()
                | {"percent": None if figure.percent is None else str(figure.percent)}
                for code, figure in self.figures.items()
            },
            "passed": self.passed,
            "problem": self.problem,
            "expectations": [verdict.as_dict() for verdict in self.verdicts],
            "conservation": self.conservation,
            "alerts": _by_code(self.outcome),
            "quarantined": dict(self.outcome.reasons) if self.outcome else {},
            "ledger": str(self.ledger),
        }


def _by_code(outcome: Outcome | None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for alert in outcome.alerts if outcome else ():
        by_status = found.setdefault(alert.code, {})
        by_status[alert.status] = by_status.get(alert.status, 0) + 1
    return dict(sorted(found.items()))
