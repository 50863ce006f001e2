"""Runs many virtual terminals at once and counts what they do."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.wire.times import Clock
from simulators.errors import SimulatorError
from simulators.ledger import Ledger
from simulators.planned import PlannedReading
from simulators.settings import TerminalLimits
from simulators.tally import Tally
from simulators.terminals.tcp import Address, Terminal

_PROGRESS_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one terminal sends, and to which gateway. ``readings`` may be lazy."""

    device_id: str
    address: Address
    readings: Iterable[PlannedReading]


async def run_terminals(
    traffic: Sequence[Traffic],
    ledger: Ledger,
    *,
    clock: Clock,
    limits: TerminalLimits,
    stop_at: float | None = None,
    planned: int | None = None,
    on_progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Run every terminal until all is answered, or until ``drain_s_max`` after ``stop_at``.

    One task and one connection a terminal. Cancelled, all of them end.

    Raises:
        SimulatorError: The first problem of any terminal; the others are then stopped.
    """
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    tally = Tally(planned=planned)
    terminals = [
        Terminal(
            part.device_id, part.address, ledger=ledger, tally=tally, clock=clock, limits=limits
        )
        for part in traffic
    ]
    ticker = asyncio.create_task(_tick(tally, started_at, on_progress), name="progress")
    try:
        async with asyncio.timeout_at(None if stop_at is None else stop_at + limits.drain_s_max):
            async with asyncio.TaskGroup() as group:
                for terminal, part in zip(terminals, traffic, strict=True):
                    run = terminal.run(part.readings, started_at=started_at, stop_at=stop_at)
                    group.create_task(run, name=f"terminal {part.device_id}")
    except TimeoutError:
        tally.unanswered = sum(terminal.owed for terminal in terminals)
    except BaseExceptionGroup as problems:
        ours, others = problems.split(SimulatorError)
        if others is not None or ours is None:
            raise
        raise _first(ours) from problems
    finally:
        ticker.cancel()
        tally.elapsed_s = loop.time() - started_at
    if on_progress is not None:
        on_progress(tally)
    return tally


def _first(problems: BaseExceptionGroup[SimulatorError]) -> SimulatorError:
    problem = problems.exceptions[0]
    return _first(problem) if isinstance(problem, BaseExceptionGroup) else problem


async def _tick(
    tally: Tally, started_at: float, on_progress: Callable[[Tally], None] | None
) -> None:
    while on_progress is not None:
        tally.elapsed_s = asyncio.get_running_loop().time() - started_at
        on_progress(tally)
        await asyncio.sleep(_PROGRESS_S)
