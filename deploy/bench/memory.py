"""The memory step: what ingest holds over minutes of full load."""

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import psycopg

from deploy.bench.contender import Watch
from deploy.bench.display import Display
from deploy.bench.lap import PUBLISHER, Progress, plan_for
from deploy.bench.programs import Program
from deploy.bench.rate import shape_for
from deploy.bench.stack import BenchStack
from deploy.bench.suifang import Suifang
from gateway.wire.times import Clock
from simulators.load.processors import memory_bytes

_EVERY_S: Final = 2.0
_READY_S_MAX: Final = 600.0
_STOP_S_MAX: Final = 60.0
_WINDOW: Final = 500  # Messages of one gateway without a receipt: 100,000 wait at the broker.


def measure_memory(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    """The peak, and whether the last quarter held more than the second one."""
    settings = stack.settings
    contender = Suifang(environment=settings.ingest)
    stack.forget_sessions(contender.client_ids())
    shape = shape_for(stack, clock, number=921, batch_size=settings.batch_size)
    plan = plan_for(stack, shape, receipts=True, mode="endless", unreceipted_max=_WINDOW)
    with (
        stack.fresh_database("memory") as database,
        psycopg.connect(database.dsn, autocommit=True) as connection,
        contender.running(stack, database) as programs,
        Program("publisher", PUBLISHER, folder=stack.folder) as publisher,
        display.lap(f"memory: {settings.minutes:g} minutes of full load") as progress,
    ):
        publisher.tell(plan.as_text())
        publisher.wait_for("ready", within_s=_READY_S_MAX)
        watch = contender.watch(connection, shape.readings)
        publisher.tell("go")
        seen = _sample(watch, programs["ingest"], publisher, settings.minutes * 60, progress)
        peak = memory_bytes(programs["ingest"].pid)["peak"]
        publisher.tell("stop")
        publisher.wait_for("stopped", within_s=_STOP_S_MAX)
    stack.forget_sessions(contender.client_ids())
    samples, rates = seen.resident_bytes, seen.rates
    quarter = max(len(samples) // 4, 1)
    second, last = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    return {
        "minutes": settings.minutes,
        "readings": seen.readings,
        "readings_per_s": round(seen.readings / seen.seconds, 1),
        "readings_per_s_last_quarter": round(median(rates[-quarter:]), 1),
        "peak_bytes": peak,
        "second_quarter_bytes": int(median(second)),
        "last_quarter_bytes": int(median(last)),
        "growth": round(median(last) / median(second) - 1, 4),
        "samples_bytes": samples[:: max(len(samples) // 60, 1)],
    }


@dataclass(slots=True)
class _Samples:
    readings: int = 0
    seconds: float = 0.0
    resident_bytes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def _sample(
    watch: Watch, ingest: Program, publisher: Program, seconds: float, progress: Progress
) -> _Samples:
    """Look every few seconds at what ingest holds and has stored."""
    found, began = _Samples(), time.monotonic()
    while found.seconds < seconds:
        time.sleep(min(_EVERY_S, seconds / 10))
        ingest.require_running()
        publisher.require_running()
        readings, elapsed_s = watch.visible(), time.monotonic() - began
        found.rates.append((readings - found.readings) / (elapsed_s - found.seconds))
        found.readings, found.seconds = readings, elapsed_s
        found.resident_bytes.append(memory_bytes(ingest.pid)["resident"])
        progress(int(elapsed_s), int(seconds))
    return found
