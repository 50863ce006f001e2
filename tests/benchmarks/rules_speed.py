"""How fast the rules are and how much memory they need, beside polars and duckdb.

``make bench`` runs this; ``make bench ARGS="--residents 20000"`` a smaller one. It prints a table
and writes ``.suifang/bench/rules.json``. Nothing is asserted about time; that all contenders come
to the same result is, before any time is told.

Each contender of a step is a process of its own with one thread. They take turns (engine, polars,
duckdb, engine, ...), so that whatever else the machine does meets all of them, and a ratio is
taken within a round. The population is seeded (``population.py``). What the two others can express
is in ``inputs.py``; the case machine is not, and has the engine alone.

What bounds the engine. *Flagging*: memory; a few passes over columns of eight bytes. *Assessing*:
the same once a block of residents fits the cache, plus a search of a few rows for runs that are
too long. *Judging*: nearly half the time is the fold, whose steps are a hundred small column
operations each, as many steps as the busiest resident of a block has events; the later steps
have few residents and are bound by the interpreter. *Memory*: the readings (86 bytes each), the
judgement, and one block. *Live batches*: one block, so the fold's steps with long histories; a
checkpoint leaves out what is folded. Freed memory is kept, as in the judge (``ingest/allocator``):
without, a fifth of such a batch is page faults.

Reckon with ten minutes and 8 GB for the whole run: three contenders hold a population each. Take it
on a machine that does nothing else; ``cpu_seconds`` far from ``seconds`` in the file says it did.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console

from tests.benchmarks.figures import Run, figures_of, require_agreement
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.steps import Sizes, Step, list_steps
from tests.benchmarks.table import show
from tests.benchmarks.worker import Lap, Prepared

ROOT: Final = Path(__file__).parents[2]
ONE_THREAD: Final = dict.fromkeys(
    ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
_WIDTH: Final = 100  # A table cut to 80 columns says nothing.


class Worker:
    """A contender's process, as the one who asks sees it."""

    def __init__(self, step: Step, contender: str, sizes: Sizes, ending: ExitStack) -> None:
        self._name = f"{contender} of {step.name}"
        command = [sys.executable, "-m", "tests.benchmarks.worker", step.name, contender]
        self._process = subprocess.Popen(
            [*command, json.dumps(asdict(sizes))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
        )
        ending.enter_context(self._process)
        ending.callback(self._process.terminate)  # Before the context waits for it.

    def prepare(self) -> Prepared:
        """Wait until it has done the step once."""
        return Prepared(**self._hear())

    def do_again(self) -> Lap:
        """Have it do the step once more."""
        asks = self._pipe(self._process.stdin)
        asks.write("\n")
        asks.flush()
        return Lap(**self._hear())

    def _hear(self) -> dict[str, Any]:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            msg = f"{self._name} ended with {self._process.wait()}; see above"
            raise RuntimeError(msg)
        said: dict[str, Any] = json.loads(line)
        return said

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def measure(step: Step, sizes: Sizes, rounds: int) -> dict[str, Run]:
    """Let the contenders of a step take turns.

    Args:
        step: The step.
        sizes: Of the populations.
        rounds: How often each has its turn, after having warmed up.
    """
    with ExitStack() as ending:
        workers, prepared = {}, {}
        for name in step.contenders:  # One after the other, so that nobody warms up in a crowd.
            workers[name] = Worker(step, name, sizes, ending)
            prepared[name] = workers[name].prepare()
        laps: dict[str, list[Lap]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                laps[name].append(worker.do_again())
    return {name: Run(prepared=prepared[name], laps=tuple(laps[name])) for name in workers}


def run_all(sizes: Sizes, rounds: int, only: list[str], console: Console) -> dict[str, Any]:
    """Every step chosen, as the file says it.

    Args:
        sizes: Of the populations.
        rounds: Turns of each contender.
        only: Names of steps; none: all.
        console: Where the table goes.
    """
    machine = describe_machine()
    steps: dict[str, Any] = {}
    digests: dict[str, str] = {}
    for step in list_steps(sizes):
        if only and step.name not in only:
            continue
        runs = measure(step, sizes, rounds)
        digests[step.name] = require_agreement(step, runs, digests)
        steps[step.name] = figures_of(step, runs)
        show(step.name, steps[step.name], console)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "sizes": asdict(sizes),
        "rounds": rounds,
        "steps": steps,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed and memory of the rules.")
    usual = Sizes()
    parser.add_argument("--residents", type=int, default=usual.residents)
    parser.add_argument("--readings", type=int, default=usual.readings_each, help="of each")
    parser.add_argument("--live-residents", type=int, default=usual.live_residents)
    parser.add_argument("--live-readings", type=int, default=usual.live_readings_each)
    parser.add_argument("--history-readings", type=int, default=usual.history_each)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument(
        "--step",
        action="append",
        default=[],
        choices=[step.name for step in list_steps(usual)],
        help="only this one; repeatable",
    )
    parser.add_argument("--out", type=Path, default=ROOT / ".suifang/bench/rules.json")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    given = _arguments()
    sizes = Sizes(
        residents=given.residents,
        readings_each=given.readings,
        live_residents=given.live_residents,
        live_readings_each=given.live_readings,
        history_each=given.history_readings,
    )
    console = Console()
    console.width = max(console.width, _WIDTH)
    report = run_all(sizes, given.rounds, given.step, console)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    console.print(f"written to {given.out}")


if __name__ == "__main__":
    main()
