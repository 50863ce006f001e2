"""``suifang bench api``: the API before a city's database, as readers and listeners see it.

Every kind of read alone for its latency, then all mixed for how many a second; then the live feed
with thousands of idle listeners. The API runs as shipped, authentication on, readers as the
doctors of their teams: row-level security and the audit log are part of what is measured. Reader,
API and database share the machine's cores.
"""

import asyncio
import json
import time
from dataclasses import asdict
from random import Random
from statistics import median
from typing import Any, Final

from deploy.bench.city.asking import DRAWS, draw_asks
from deploy.bench.city.plan import CityPlan
from deploy.bench.city.running import City, Served, opened_city
from deploy.bench.display import Display
from deploy.bench.errors import BenchError
from deploy.bench.machine import describe_machine
from deploy.bench.programs import Program
from deploy.bench.settings import BenchSettings
from gateway.wire.times import Clock
from ingest.db import outbox
from ingest.db.connections import connect
from simulators.load.processors import memory_bytes, per_reading

_READY_S_MAX: Final = 60.0
_AFTER_S_MAX: Final = 60.0
_OPEN_S_MAX: Final = 120.0
_PART: Final = 1 / 3  # Of ``seconds``, for each kind of read alone.
_WARM_S: Final = 2.0
_ALONE: Final = 2  # Connections: latency without a queue of readers.
_ASKS: Final = 20_000
_EVENTS: Final = 10
_SETTLE_S: Final = 3.0


def measure_city(
    settings: BenchSettings, plan: CityPlan, clock: Clock, display: Display
) -> dict[str, Any]:
    """Fill unless it is filled, then measure. Raises ``BenchError``."""
    report: dict[str, Any] = {"started_at": clock().isoformat(), "city": asdict(plan)}
    with opened_city(settings, plan, clock, display) as city:
        report |= {"machine": describe_machine(city.stack), "filled_s": city.filled_s}
        with city.api(plan.processes) as served, city.started("deploy.bench.city.reader") as reader:
            reader.wait_for("ready", within_s=_READY_S_MAX)
            asked = _Reader(city, served, reader, settings.seed, display)
            report["reads"] = {name: asked.read(name) for name in DRAWS}
            report["mixed"] = asked.read(None)
        report["listeners"] = _measure_listeners(city, clock, display)
    report["finished_at"] = clock().isoformat()
    return report


class _Reader:
    """Tells the reader what to ask, and what that cost."""

    def __init__(
        self, city: City, served: Served, program: Program, seed: int, display: Display
    ) -> None:
        self._city, self._served, self._program = city, served, program
        self._random = Random(seed)  # noqa: S311 - which paths are asked, not a secret
        self._display = display

    def read(self, name: str | None) -> dict[str, Any]:
        """One kind alone, or all mixed."""
        plan = self._city.plan
        seconds = plan.seconds * _PART if name else plan.seconds
        connections = _ALONE if name else plan.connections
        asks = [
            (kind, ask.path, self._city.tokens[ask.who])
            for kind, ask in draw_asks(name, _ASKS, self._city.place, self._random)
        ]
        order = {"asks": asks, "connections": connections, "addresses": self._served.addresses}
        self._ask({**order, "seconds": _WARM_S})
        programs = {**self._served.programs, "reader": self._program}
        with self._display.lap(f"city: {name or 'mixed'}"):
            before = self._city.times(programs)
            said = self._ask({**order, "seconds": seconds})
            after = self._city.times(programs)
        cpu = per_reading(before, after, max(int(said["answered"]), 1))
        self._display.say(f"{name or 'mixed'}: {said['requests_per_s']:,} requests/s")
        return {
            **{key: value for key, value in said.items() if key != "event"},
            "cpu_us_per_request": {part: used["us"] for part, used in cpu.items()},
        }

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._program.tell(json.dumps(order))
        said = self._program.wait_for("read", within_s=order["seconds"] + _AFTER_S_MAX)
        if said["refused"]:
            msg = f"not all was answered by 200: {said['refused']}; see the logs of the API"
            raise BenchError(msg)
        return said


def _measure_listeners(city: City, clock: Clock, display: Display) -> dict[str, Any]:
    """What thousands of idle listeners hold, and how soon an alert is at all of them."""
    plan = city.plan
    more = {
        "API_FEED__LISTENERS_MAX": str(plan.listeners + 100),
        "API_CONNECTIONS_MAX": str(plan.listeners + 200),
    }
    with city.api(1, **more) as served, city.started("deploy.bench.city.listeners") as crowd:
        pid, (host, port) = served.programs["api-0"].pid, served.addresses[0]
        before = memory_bytes(pid)["resident"]
        order = {"host": host, "port": port, "path": "/v1/alerts/stream"}
        crowd.tell(json.dumps({**order, "tokens": city.listeners}))
        with display.lap(f"city: {plan.listeners:,} listeners"):
            crowd.wait_for("open", within_s=_OPEN_S_MAX)
            time.sleep(_SETTLE_S)
            idle = memory_bytes(pid)["resident"]
            took_s = asyncio.run(_tell(city, clock, crowd))
        return {
            "listeners": plan.listeners,
            "bytes_before": before,
            "bytes_idle": idle,
            "bytes_each": (idle - before) // max(plan.listeners, 1),
            "peak_bytes": memory_bytes(pid)["peak"],
            "alert_everywhere_s": {
                "median": round(median(took_s), 3),
                "max": round(max(took_s), 3),
                "count": len(took_s),
            },
        }


async def _tell(city: City, clock: Clock, crowd: Program) -> list[float]:
    """Seconds from the commit of an event until the last listener has it, some times."""
    took_s = []
    async with await connect(city.dsn, application_name="bench-city", autocommit=True) as writer:
        for number in range(_EVENTS):
            event = outbox.Event("alert.raised", _payload(city, number))
            await outbox.insert(writer, [event], at=clock())
            committed_s = time.monotonic()
            said = await asyncio.to_thread(crowd.wait_for, "everywhere", within_s=_AFTER_S_MAX)
            took_s.append(float(said["last_s"]) - committed_s)
            await asyncio.sleep(1.0)
    return took_s


def _payload(city: City, number: int) -> dict[str, Any]:
    return {
        "alert_id": f"00000000-0000-7000-8000-{number:012}",
        "resident_id": city.place.resident(number),
        "code": "BP_EMERGENCY",
        "severity": "critical",
        "status": "active",
        "observed": "192/114 mmHg",
        "threshold": ">= 180/110 mmHg",
        "team_id": None,
        "centre_id": None,
    }
