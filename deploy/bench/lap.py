"""One turn of one contender: fresh database, own session, all messages, sums compared."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Final

import psycopg

from deploy.bench.contender import Contender, Watch, require_totals
from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.bench.publisher import Mode, Plan
from deploy.bench.stack import BenchStack, Database
from simulators.load.processors import (
    ProcessorTime,
    machine_seconds,
    memory_bytes,
    per_reading,
    postgres_times,
    time_of,
)
from simulators.load.traffic import TrafficShape

PUBLISHER: Final = (sys.executable, "-m", "deploy.bench.publisher")
_POLL_S: Final = 0.05
_POLL_NEAR_S: Final = 0.01
_NEAR: Final = 0.9
_PREPARE_S_MAX: Final = 600.0
_STALLED_S_MAX: Final = 60.0
_RECEIPTS_S_MAX: Final = 30.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """What one turn came to. ``cpu`` is microseconds of each process for one reading."""

    contender: str
    readings: int
    messages: int
    seconds: float
    readings_per_s: float
    acknowledged_s: float  # Until the broker had taken everything.
    cpu: dict[str, dict[str, float]]
    busy: float  # Share of the machine's processors that worked.
    peak_bytes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Turn:
    """What runs in one turn; ``times`` before and after say who worked how much."""

    stack: BenchStack
    database: Database
    programs: Mapping[str, Program]

    def times(self) -> dict[str, ProcessorTime]:
        """Processor time of every process so far."""
        return {
            **{name: time_of(program.pid) for name, program in self.programs.items()},
            "broker": time_of(self.stack.pid_of("broker")),
            **postgres_times(self.stack.pid_of("postgres"), self.database.name),
        }


def plan_for(
    stack: BenchStack,
    shape: TrafficShape,
    *,
    receipts: bool,
    unreceipted_max: int | None = None,
    mode: Mode = "burst",
    live: TrafficShape | None = None,
) -> Plan:
    """What the publisher is to do."""
    return Plan(
        host=stack.host,
        port=stack.port,
        passwords=stack.passwords,
        shape=asdict(shape),
        receipts=receipts,
        unreceipted_max=unreceipted_max,
        mode=mode,
        live=None if live is None else asdict(live),
    )


def run_lap(
    stack: BenchStack,
    contender: Contender,
    shape: TrafficShape,
    progress: Progress,
    *,
    database: Database | None = None,
) -> Lap:
    """Measure one turn, on a fresh database when none is given.

    Raises:
        BenchError: Not everything arrives, or not the same.
    """
    unreceipted_max = stack.settings.unreceipted_max if contender.receipts else None
    plan = plan_for(stack, shape, receipts=contender.receipts, unreceipted_max=unreceipted_max)
    stack.forget_sessions(contender.client_ids())
    opened = nullcontext(database) if database else stack.fresh_database(contender.name)
    try:
        with (
            opened as used,
            psycopg.connect(used.dsn, autocommit=True) as connection,
            contender.running(stack, used) as programs,
            Program("publisher", PUBLISHER, folder=stack.folder) as publisher,
        ):
            publisher.tell(plan.as_text())
            totals = publisher.wait_for("ready", within_s=_PREPARE_S_MAX)["totals"]
            watch = contender.watch(connection, shape.readings)
            turn = Turn(stack, used, {**programs, "publisher": publisher})
            lap = _measure(turn, contender, shape, watch, progress)
            require_totals(connection, contender.table, totals, since_ms=shape.captured_ms)
    finally:
        stack.forget_sessions(contender.client_ids())
    return lap


def _measure(
    turn: Turn, contender: Contender, shape: TrafficShape, watch: Watch, progress: Progress
) -> Lap:
    publisher = turn.programs["publisher"]
    before, machine_before = turn.times(), machine_seconds()
    publisher.tell("go")
    started_s = float(publisher.wait_for("started", within_s=_STALLED_S_MAX)["at_s"])
    _wait_visible(turn, watch, shape.readings, progress)
    seconds = watch.seen_at_s() - started_s
    after, machine_after = turn.times(), machine_seconds()
    acknowledged = publisher.wait_for("acknowledged", within_s=_STALLED_S_MAX)
    acknowledged_s = float(acknowledged["at_s"])
    if acknowledged["unheard"]:
        msg = f"nobody subscribed when {acknowledged['unheard']} messages came: {contender.name}"
        raise BenchError(msg)
    if contender.receipts:
        publisher.wait_for("receipted", within_s=_RECEIPTS_S_MAX)
    peaks = {name: memory_bytes(program.pid)["peak"] for name, program in turn.programs.items()}
    busy_s, idle_s = (now - then for now, then in zip(machine_after, machine_before, strict=True))
    return Lap(
        contender=contender.name,
        readings=shape.readings,
        messages=shape.messages,
        seconds=round(seconds, 4),
        readings_per_s=round(shape.readings / seconds, 1),
        acknowledged_s=round(acknowledged_s - started_s, 4),
        cpu=per_reading(before, after, shape.readings),
        busy=round(busy_s / ((busy_s + idle_s) or 1.0), 3),
        peak_bytes=peaks,
    )


def _wait_visible(turn: Turn, watch: Watch, readings: int, progress: Progress) -> None:
    began = moved_at = time.monotonic()
    seen = -1
    while True:
        now_seen = watch.visible()
        now = time.monotonic()
        progress(now_seen, readings)
        if now_seen >= readings:
            return
        if now_seen != seen:
            seen, moved_at = now_seen, now
        for program in turn.programs.values():
            program.require_running()
        if now - moved_at > _STALLED_S_MAX or now - began > turn.stack.settings.lap_s_max:
            msg = f"{now_seen} of {readings} readings are visible, and no more come; see the logs"
            raise BenchError(msg)
        time.sleep(_POLL_NEAR_S if now_seen > _NEAR * readings else _POLL_S)
