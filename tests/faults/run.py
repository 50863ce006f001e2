"""Runs schedules: the reference without faults first, then each schedule and its verdict."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.counters import read_counters
from simulators.balance import Kind, Report
from simulators.errors import SimulatorError
from simulators.reconcile import reconcile
from tests.faults.effects import count_signs
from tests.faults.fault import REGISTRY
from tests.faults.schedule import PlannedFault, Schedule
from tests.faults.stack import FaultStack
from tests.faults.verdict import (
    Outcome,
    compare,
    find_faults,
    find_untrue_receipts,
    read_outcome,
)
from tests.faults.world import NotQuietError, World, a_world

_FAULTS_S_MAX: Final = 120.0


@dataclass(slots=True, kw_only=True)
class Result:
    """One schedule and what became of it."""

    schedule: Schedule
    folder: Path
    problems: list[str]
    report: Report | None = None
    seen: Sequence[str] = ()  # What the faults saw of their own effect.
    felt: dict[str, int] = field(default_factory=dict)  # What our processes said of it.
    kills: int = 0
    exits: dict[str, list[int]] = field(default_factory=dict)  # Of ours, without being killed.
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Readings a gateway took that are nowhere."""
        return self._count(Kind.LOST)

    @property
    def doubled(self) -> int:
        """Readings with more than one disposition."""
        return self._count(Kind.DOUBLED)

    def _count(self, kind: Kind) -> int:
        differences = self.report.differences if self.report else ()
        return sum(each.count for each in differences if each.kind is kind)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seed": self.schedule.seed,
            "workload": self.schedule.workload_seed,
            "faults": [str(each) for each in self.schedule.faults],
            "problems": self.problems,
            "readings": self.report.taken if self.report else 0,
            "echoes": self.report.echoes if self.report else 0,
            "lost": self.lost,
            "doubled": self.doubled,
            "kills": self.kills,
            "unforced_exits": self.exits,
            "seen": list(self.seen),
            "felt": self.felt,
            "seconds": round(self.seconds, 1),
            "folder": str(self.folder),
        }


class Runner:
    """Runs schedules on one stack; keeps the outcome of each workload without faults."""

    def __init__(self, stack: FaultStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._references: dict[int, Outcome] = {}

    def refer(self, workload_seed: int) -> Outcome:
        """The outcome of a workload without faults.

        Raises:
            AssertionError: Not even that run is right.
        """
        if workload_seed not in self._references:
            result, outcome = asyncio.run(
                self._run(Schedule(-1, workload_seed), f"reference-{workload_seed}")
            )
            assert not result.problems, f"without any fault: {result.problems}"
            assert outcome.alerts, "a workload without alerts shows nothing"
            assert outcome.cases, "a workload without cases shows nothing"
            self._references[workload_seed] = outcome
        return self._references[workload_seed]

    def run(self, schedule: Schedule) -> Result:
        """Run one schedule and compare it with the run without faults."""
        reference = self.refer(schedule.workload_seed)
        result, outcome = asyncio.run(self._run(schedule, f"schedule-{schedule.seed}"))
        result.problems += compare(outcome, reference)
        (result.folder / "result.json").write_text(json.dumps(result.as_dict(), indent=1), "utf-8")
        return result

    async def _run(self, schedule: Schedule, name: str) -> tuple[Result, Outcome]:
        folder = self._folder / name
        result = Result(schedule=schedule, folder=folder, problems=[])
        with _timed(result):
            async with a_world(self._stack, folder, seed=schedule.seed) as world:
                try:
                    await live_through(world, schedule)
                except (NotQuietError, SimulatorError) as error:
                    result.problems.append(str(error))
                result.kills = world.kills
                result.seen = tuple(world.seen)
                result.exits = {
                    member.name: member.unforced_exits
                    for member in world.crew.members.values()
                    if member.unforced_exits
                }
                verdict = await asyncio.to_thread(judge, world)
        result.report = verdict.report
        result.felt = dict(count_signs(member.log for member in world.crew.members.values()))
        result.problems += verdict.problems
        result.problems += [f"{name} ended by itself: {c}" for name, c in result.exits.items()]
        return result, verdict.outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run left, and everything that is wrong with it by itself."""

    report: Report
    outcome: Outcome
    problems: list[str]


def judge(world: World) -> Verdict:
    """Look at ledger, spools and database. Changes nothing."""
    report = reconcile([world.folder / "ledger"], world.spools(), world.dsn)
    outcome = read_outcome(world.dsn)
    counters = [read_counters(spool) for spool in world.spools()]
    differences = [
        f"{each.kind}: {each.gateway_id} {each.detail} ({each.count}: {', '.join(each.examples)})"
        for each in report.differences
    ]
    problems = differences + find_untrue_receipts(report.gateways, counters) + find_faults(outcome)
    return Verdict(report, outcome, problems)


async def live_through(world: World, schedule: Schedule) -> None:
    """Send everything while the faults come and go; then heal and wait until nothing waits."""
    try:
        async with asyncio.timeout(_FAULTS_S_MAX), asyncio.TaskGroup() as tasks:
            tasks.create_task(world.send(schedule.workload_seed), name="terminals")
            for planned in schedule.faults:
                tasks.create_task(_befall(world, planned), name=str(planned))
    except TimeoutError as error:
        msg = f"terminals or faults did not come to an end in {_FAULTS_S_MAX:.0f} s"
        raise NotQuietError(msg) from error
    except ExceptionGroup as group:
        ours = group.subgroup(SimulatorError)
        if ours is None:
            raise
        raise SimulatorError(str(ours.exceptions[0])) from group
    finally:
        await world.heal()
    await world.wait_until_quiet()


async def _befall(world: World, planned: PlannedFault) -> None:
    await asyncio.sleep(planned.at_s)
    await REGISTRY[planned.name].apply(world, planned.target, planned.duration_s)


@contextmanager
def _timed(result: Result) -> Iterator[None]:
    started = time.monotonic()
    yield
    result.seconds = time.monotonic() - started
