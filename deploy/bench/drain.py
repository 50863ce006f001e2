"""The drain step: ingest comes back after an outage, to full spools and a full broker.

While it was away every gateway has sent what it may (four batches without a receipt); the rest
is in the spools. Live readings go on meanwhile, on their own topic and the same connections.
"""

from contextlib import ExitStack
from typing import Any, Final

import psycopg

from deploy.bench.contender import require_totals
from deploy.bench.display import Display
from deploy.bench.lap import PUBLISHER, Turn, plan_for
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack
from deploy.bench.suifang import Suifang
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from gateway.wire.times import Clock
from simulators.load.processors import memory_bytes, per_reading
from simulators.load.traffic import TrafficShape, to_milliseconds

_WINDOW: Final = 4  # GATEWAY_BATCHES_UNRECEIPTED_MAX, as shipped.
_READY_S_MAX: Final = 600.0
_OUTAGE_MS: Final = 3_600_000
_AFTER_S_MAX: Final = 60.0
_LIVE_GATEWAY_PER_S: Final = 200


def measure_drain(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    """Seconds until the last receipt of the backlog, and how long live readings took."""
    settings = stack.settings
    contender = Suifang(environment=settings.ingest)
    stack.forget_sessions(contender.client_ids())
    backlog, live = _backlog(stack, clock), _live(stack, clock)
    plan = plan_for(stack, backlog, receipts=True, mode="drain", live=live, unreceipted_max=_WINDOW)
    with ExitStack() as opened:
        database = opened.enter_context(stack.fresh_database("drain"))
        connection = opened.enter_context(psycopg.connect(database.dsn, autocommit=True))
        with contender.running(stack, database):
            pass  # Its session is made: from here on the broker keeps what comes.
        publisher = opened.enter_context(Program("publisher", PUBLISHER, folder=stack.folder))
        publisher.tell(plan.as_text())
        totals = publisher.wait_for("ready", within_s=_READY_S_MAX)["totals"]
        with display.lap(f"drain: {backlog.readings:,} readings wait"):
            programs = opened.enter_context(contender.running(stack, database))
            turn = Turn(stack, database, {**programs, "publisher": publisher})
            before = turn.times()
            publisher.tell("go")
            started_s = float(publisher.wait_for("started", within_s=_AFTER_S_MAX)["at_s"])
            said = publisher.wait_for("drained", within_s=settings.lap_s_max)
            after = turn.times()
            peak = memory_bytes(programs["ingest"].pid)["peak"]
            live_seen = publisher.wait_for("paced", within_s=settings.live_s_max + _AFTER_S_MAX)
        publisher.tell("stop")
        require_totals(connection, "reading", totals)
    stack.forget_sessions(contender.client_ids())
    seconds = float(said["at_s"]) - started_s
    return {
        "backlog": backlog.readings,
        "batches": backlog.messages,
        "seconds": round(seconds, 2),
        "readings_per_s": round(backlog.readings / seconds, 1),
        "live_per_s": _LIVE_GATEWAY_PER_S,
        "live_publish_to_receipt": live_seen["publish_to_receipt"],
        "live_unreceipted": live_seen["unreceipted"],
        "ingest_peak_bytes": peak,
        "cpu_us_per_reading": {
            name: used["us"] for name, used in per_reading(before, after, backlog.readings).items()
        },
    }


def _backlog(stack: BenchStack, clock: Clock) -> TrafficShape:
    settings = stack.settings
    size = min(READINGS_PER_BATCH_MAX, max(settings.backlog // settings.gateways, 1))
    messages = -(-settings.backlog // size)
    return TrafficShape(
        readings=settings.backlog,
        batch_size=size,
        gateways=settings.gateways,
        centres=settings.centres,
        residents=settings.residents,
        seed=settings.seed * 1_000 + 911,
        captured_ms=to_milliseconds(clock()) - _OUTAGE_MS,
        gap_ms=_OUTAGE_MS / messages,
    )


def _live(stack: BenchStack, clock: Clock) -> TrafficShape:
    settings = stack.settings
    return TrafficShape(
        readings=int(_LIVE_GATEWAY_PER_S * settings.live_s_max),
        gateways=settings.gateways,
        centres=settings.centres,
        residents=settings.residents,
        seed=settings.seed * 1_000 + 912,
        captured_ms=to_milliseconds(clock()),
        gap_ms=1_000 / _LIVE_GATEWAY_PER_S,
    )
