"""The latency step: 2,000 readings a second, open loop, with judge, dispatcher and API running."""

import time
from contextlib import ExitStack
from typing import Any, Final

import psycopg

from deploy.bench.contender import require_totals
from deploy.bench.display import Display
from deploy.bench.errors import BenchError
from deploy.bench.feed import Feed, watching
from deploy.bench.lap import PUBLISHER, Turn, plan_for
from deploy.bench.pacing import percentiles
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack, Database
from deploy.bench.suifang import COMMAND, Suifang
from gateway.wire.times import Clock
from simulators.load.processors import per_reading
from simulators.load.traffic import TrafficShape, to_milliseconds

_READY_S_MAX: Final = 600.0
_AFTER_S_MAX: Final = 90.0
_ALERTS_S_MAX: Final = 20.0
_ALERTS: Final = "SELECT count(*) FROM alert WHERE raised_by = 'ingest'"


def measure_latency(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    """Publish to receipt, and publish to alert on the feed. Raises ``BenchError``."""
    settings = stack.settings
    contender = Suifang(judge=True, environment=settings.ingest)
    stack.forget_sessions(contender.client_ids())
    with ExitStack() as opened:
        database = opened.enter_context(stack.fresh_database("latency"))
        connection = opened.enter_context(psycopg.connect(database.dsn, autocommit=True))
        programs = opened.enter_context(contender.running(stack, database))
        api = opened.enter_context(_start_api(stack, database))
        address = str(api.wait_for(None, within_s=_AFTER_S_MAX)["address"])
        publisher = opened.enter_context(Program("publisher", PUBLISHER, folder=stack.folder))
        shape = _shape(stack, clock)
        plan = plan_for(stack, shape, receipts=True, mode="paced")
        publisher.tell(plan.as_text())
        totals = publisher.wait_for("ready", within_s=_READY_S_MAX)["totals"]
        turn = Turn(stack, database, {**programs, "api": api, "publisher": publisher})
        feed = opened.enter_context(watching(address))
        with display.lap(f"latency: {settings.latency_rate:,}/s for {settings.seconds:g} s"):
            before = turn.times()
            publisher.tell("go")
            said = publisher.wait_for("paced", within_s=settings.seconds + _AFTER_S_MAX)
            after = turn.times()
        require_totals(connection, "reading", totals)
        alerts = _wait_for_alerts(connection, feed)
        publisher.tell("stop")
    stack.forget_sessions(contender.client_ids())
    urgent = said["urgent_s"]
    took = [at - urgent[reading] for reading, at in feed.seen_s.items() if reading in urgent]
    return {
        "readings_per_s": settings.latency_rate,
        "seconds": settings.seconds,
        "publish_to_receipt": said["publish_to_receipt"],
        "lag_ms_max": said["lag_ms_max"],
        "unreceipted": said["unreceipted"],
        "publish_to_alert": {**percentiles(took), "raised": alerts},
        "cpu_us_per_reading": {
            name: used["us"] for name, used in per_reading(before, after, shape.readings).items()
        },
    }


def _shape(stack: BenchStack, clock: Clock) -> TrafficShape:
    settings = stack.settings
    return TrafficShape(
        readings=max(int(settings.latency_rate * settings.seconds), 1),
        gateways=settings.gateways,
        centres=settings.centres,
        residents=settings.residents,
        seed=settings.seed * 1_000 + 901,
        captured_ms=to_milliseconds(clock()),
        gap_ms=1_000 / settings.latency_rate,
    )


def _start_api(stack: BenchStack, database: Database) -> Program:
    return Program(
        "api",
        [COMMAND, "api", "--json"],
        folder=stack.folder,
        environment={
            "API_DB_DSN": stack.stack.process_dsn("api", database.name),
            "API_PORT": "0",
            "API_AUTHENTICATION": "off",
        },
    )


def _wait_for_alerts(connection: "psycopg.Connection[tuple[object, ...]]", feed: Feed) -> int:
    """Until the feed has shown every alert that ingest has raised; how many that is."""
    deadline = time.monotonic() + _ALERTS_S_MAX
    while True:
        row = connection.execute(_ALERTS).fetchone()
        raised = int(str(row[0])) if row else 0
        if len(feed.seen_s) >= raised:
            return raised
        if time.monotonic() > deadline:
            msg = f"the feed has shown {len(feed.seen_s)} of {raised} alerts; see the logs"
            raise BenchError(msg)
        time.sleep(0.1)
