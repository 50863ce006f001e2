"""How a load is conducted: connect, send, listen to Ctrl-C, and leave a report behind in any case.

Whatever ends it, SIGINT, SIGTERM, a broker that goes away, a process behind it that ends: the lines
are closed, the ledger is whole, and the report says what was done and that it is partial.
"""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

from gateway.wire.times import Clock
from simulators.errors import LoadError
from simulators.ledger import Ledger
from simulators.load.capacity import Bound, Capacity, Search, run_search, sum_up
from simulators.load.display import LoadDisplay, opening
from simulators.load.fleet import LightFleet, LoadLimits, LoadRun
from simulators.load.lines import Lines
from simulators.load.live import LiveTraffic
from simulators.load.members import Member
from simulators.load.plan import LoadPlan, Outgoing
from simulators.load.sampling import Sampler
from simulators.load.target import Target, require_descriptors

Stop = Callable[[str], None]
_COLLECT_EVERY: Final = (20_000, 50, 100)
_SETTLE_S: Final = 1.0  # Between two steps.
_RECOVER_S_MAX: Final = 300.0  # After a step that was too much.


class Interrupts:
    """Turns SIGINT and SIGTERM into a stop; the second one ends at once."""

    def __init__(self) -> None:
        self.why: str | None = None
        self._stop: Stop | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def attach(self, stop: Stop) -> None:
        """What is to be stopped; at once when it was asked for already."""
        self._stop = stop
        if self.why is not None:
            stop(self.why)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.why is not None:
            raise KeyboardInterrupt
        self.why = f"stopped by {signal.Signals(number).name}"
        if self._stop is not None:
            self._stop(self.why)


@dataclass(slots=True)
class Conductor:
    """One target, its lines open. Made by ``conducting``."""

    target: Target
    lines: Lines
    members: list[Member]
    clock: Clock
    display: LoadDisplay
    interrupts: Interrupts
    ledger: Ledger | None = None
    limits: LoadLimits = field(default_factory=LoadLimits)
    _last: LightFleet | None = None

    def play(self, plan: LoadPlan, title: str) -> LoadRun:
        """Send one plan. A problem of the world is in ``partial``, with what was done before."""
        traffic = LiveTraffic(plan, self.target.sites, start=self.clock())
        return self.send(traffic.messages(), title)

    def send(self, messages: Iterator[Outgoing], title: str) -> LoadRun:
        """Send these; as ``play``."""
        self.display.begin(title)
        fleet = self._last = self._new_fleet()
        try:
            return fleet.run(self.lines, messages)
        except LoadError as error:
            fleet.result.partial = str(error)
            return fleet.result

    def find_capacity(
        self, plan: LoadPlan, bound: Bound, on_step: Callable[[Search, LoadRun], None]
    ) -> tuple[Capacity, LoadRun]:
        """Raise the rate from the plan's until it breaks.

        Also the last run; its ``partial`` says why the search ended before its time, if it did.
        """

        def play(rate: float, number: int) -> LoadRun:
            step = replace(plan, rate_per_s=rate, rehearsal=f"{plan.rehearsal}-{number}")
            return self.play(step, f"step {number}: {rate:,.0f} readings/s")

        search = Search(plan.rate_per_s, bound)
        run, why = run_search(search, bound, play=play, recover=self._recover, on_step=on_step)
        run.partial = why
        return sum_up(search, processors=os.cpu_count() or 1), run

    def _new_fleet(self) -> LightFleet:
        fleet = LightFleet(
            self.members,
            ledger=self.ledger,
            clock=self.clock,
            sampler=Sampler(self.target.watch),
            limits=self.limits,
            with_receipts=self.target.with_receipts,
            on_sample=lambda run: self._look(fleet, run),
        )
        self.interrupts.attach(fleet.stop)
        return fleet

    def _look(self, fleet: LightFleet, run: LoadRun) -> None:
        problem = self.target.problem()
        if problem is not None:
            fleet.stop(problem)
        self.display.show(run)

    def _recover(self, run: LoadRun) -> str | None:
        """Work off what waits after a step that was too much; why not, if it cannot be."""
        if run.counts.waiting and self._last is not None:
            self.display.say(f"waiting for {run.counts.waiting:,} readings to be worked off")
            try:
                why = self._last.settle(self.lines, within_s=_RECOVER_S_MAX)
            except LoadError as error:
                why = str(error)
            if why is not None:
                return why
        time.sleep(_SETTLE_S)
        return self.interrupts.why


@contextmanager
def conducting(
    target: Target,
    *,
    clock: Clock,
    display: LoadDisplay,
    ledger: Path | None,
    limits: LoadLimits | None = None,
) -> Iterator[Conductor]:
    """Every gateway connected. Raises ``LoadError``, ``LedgerError``."""
    require_descriptors(len(target.sites))
    members = [
        Member(site, login, with_receipts=target.with_receipts)
        for site, login in zip(target.sites, target.logins, strict=True)
    ]
    with (
        nullcontext() if ledger is None else Ledger(ledger) as book,
        Interrupts() as interrupts,
        Lines(members, target.host, target.port) as lines,
        ExitStack() as opened,
    ):
        lines.open(lambda: interrupts.why is not None, opening(display, len(members)))
        opened.enter_context(_rare_collections())
        yield Conductor(
            target,
            lines,
            members,
            clock,
            display,
            interrupts,
            ledger=book,
            limits=limits or LoadLimits(),
        )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles seldom: a load makes none, and looking cost 3 µs a reading, and pauses."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def machine_facts() -> Mapping[str, Any]:
    """On what it ran: without it no figure means anything."""
    return {"processors": os.cpu_count(), "load_average": [round(x, 2) for x in os.getloadavg()]}
