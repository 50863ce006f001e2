"""``suifang bench gateway``: what the edge process costs, and how fast it catches up.

The real process, the real broker, and the real ingest behind it. Three things are told: how long
from the start to the first batch at the broker; what a day without network takes to drain, a
reading being gone from the spool only on ingest's receipt; and what an ordinary day costs in memory
and processor time. Nothing is told of readings that were not stored.
"""

import json
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from deploy.bench import stack as stacks
from deploy.bench.connections import forget_session
from deploy.bench.display import Display
from deploy.bench.errors import BenchError
from deploy.bench.figures import spread
from deploy.bench.lap import Progress
from deploy.bench.machine import describe_machine
from deploy.bench.programs import Program
from deploy.bench.settings import BenchSettings
from deploy.bench.stack import BenchStack
from deploy.bench.suifang import COMMAND, Suifang
from gateway.counters import SpoolCounters, read_counters
from gateway.freezer import Stamp, freeze_reading
from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.wire.ids import new_id
from gateway.wire.times import Clock, format_instant
from simulators.load.processors import memory_bytes, time_of
from simulators.load.traffic import list_residents, list_sites
from simulators.sites import Site

_READY_S_MAX: Final = 60.0
_DRAIN_S_MAX: Final = 600.0
_LOOK_S: Final = 0.02
_ROWS: Final = 1_000  # Of one transaction while the spool is filled.
_SPOOL_MAX: Final = 2_000_000
_SPOOL_BYTES_MAX: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """What to measure: readings of a drain, rounds, and minutes of an ordinary day."""

    readings: int = 20_000
    rounds: int = 3
    minutes: float = 3.0
    per_minute: int = 10


@dataclass(slots=True)
class _Round:
    first_publish_s: list[float] = field(default_factory=list)
    drain_per_s: list[float] = field(default_factory=list)
    drain_cpu_us: list[float] = field(default_factory=list)
    drain_peak_bytes: list[int] = field(default_factory=list)


def measure_gateway(
    settings: BenchSettings, plan: GatewayPlan, clock: Clock, display: Display
) -> dict[str, Any]:
    """Rounds of start and drain, then the ordinary day.

    Args:
        settings: With one gateway more than there are rounds.
        plan: What to measure.
        clock: Stamps the readings that are spooled.
        display: Says what goes on.

    Raises:
        BenchError: A process ends, or something does not arrive.
    """
    with stacks.running(settings, clock, display.say) as stack:
        contender, found = Suifang(), _Round()
        stack.forget_sessions(contender.client_ids())
        # A gateway for each: ingest lets one send 20,000 at once and 1,000 a second after that.
        day_site, *sites = list_sites(settings.gateways, settings.centres)
        with (
            stack.fresh_database("gateway") as database,
            contender.running(stack, database),
            psycopg.connect(database.dsn, autocommit=True) as connection,
        ):
            for number, site in enumerate(sites, 1):
                spool = stack.folder / f"gateway-{number}.spool"
                _remove(spool)
                with display.lap(f"gateway, round {number}: filling the spool") as progress:
                    _fill(spool, site, plan.readings, clock, progress)
                _drain(stack, site, spool, found, display)
                display.say(
                    f"gateway, round {number}: {found.drain_per_s[-1]:,.0f} readings/s,"
                    f" first batch after {found.first_publish_s[-1]:.2f} s"
                )
            day = _live_through_day(stack, day_site, plan, clock, display)
            _require_stored(connection, plan.readings * plan.rounds + day["readings"])
        stack.forget_sessions(contender.client_ids())
        return {
            "started_at": clock().isoformat(),
            "machine": describe_machine(stack.stack),
            "readings": plan.readings,
            "rounds": plan.rounds,
            "start_to_first_publish_s": spread(found.first_publish_s),
            "drain_readings_per_s": spread(found.drain_per_s),
            "drain_cpu_us_per_reading": spread(found.drain_cpu_us),
            "drain_peak_bytes": max(found.drain_peak_bytes),
            "ordinary_day": day,
        }


def _fill(spool_file: Path, site: Site, readings: int, clock: Clock, progress: Progress) -> None:
    """What terminals said while there was no network, frozen as the gateway freezes it."""
    residents = list_residents(1_000)
    spool = Spool(
        spool_file, gateway=site.gateway_id, rows_max=_SPOOL_MAX, bytes_max=_SPOOL_BYTES_MAX
    )
    boot = f"b-{spool_file.stem}-{clock().timestamp():.0f}"
    try:
        for first in range(0, readings, _ROWS):
            rows = []
            for number in range(first, min(first + _ROWS, readings)):
                at = clock()
                line = _line(site, residents[number % len(residents)], boot, number, at.isoformat())
                stamp = Stamp(new_id(at), at, True)  # noqa: FBT003 - the operator's word
                rows.append(SpooledReading(stamp.id, at, freeze_reading(line, stamp, key=None)))
            spool.put(rows)
            progress(first + len(rows), readings)
    finally:
        spool.close()


def _line(site: Site, resident: str, boot: str, number: int, at: str) -> bytes:
    reading = {
        "kind": "blood_pressure",
        "device_id": f"{site.gateway_id}-bp-1",
        "resident_id": resident,
        "boot_id": boot,
        "device_sequence": number,
        "measured_at": at,
        "systolic": 118 + number % 20,
        "diastolic": 72 + number % 9,
        "pulse": 70,
        "unit": "mmHg",
        "setting": "office",
    }
    return json.dumps(reading, separators=(",", ":")).encode()


def _drain(stack: BenchStack, site: Site, spool: Path, found: _Round, display: Display) -> None:
    """Start on a full spool; until the first batch is out, and until the last has its receipt."""
    total = read_counters(spool).waiting
    began = time.monotonic()
    first_s = 0.0
    with _gateway(stack, site, spool) as gateway, display.lap("gateway: draining") as progress:
        gateway.wait_for(None, within_s=_READY_S_MAX)
        listening_s = time.monotonic()
        while (seen := read_counters(spool)).waiting:
            now_s = time.monotonic()
            if not first_s and _has_published(seen):
                first_s = now_s - began
            if now_s - began > _DRAIN_S_MAX:
                msg = f"{seen.waiting} readings still wait after {_DRAIN_S_MAX:.0f} s"
                raise BenchError(msg)
            gateway.require_running()
            progress(total - seen.waiting, total)
            time.sleep(_LOOK_S)
        ended_s = time.monotonic()
        used = time_of(gateway.pid)
        found.drain_peak_bytes.append(memory_bytes(gateway.pid)["peak"])
    found.first_publish_s.append(first_s or ended_s - began)
    found.drain_per_s.append(total / (ended_s - listening_s))
    found.drain_cpu_us.append((used.user_s + used.system_s) / total * 1e6)
    _forget(stack, site)


def _has_published(seen: SpoolCounters) -> bool:
    """A batch has its receipt, so it was published before: an upper bound of that instant."""
    return seen.confirmed_stored + seen.confirmed_duplicate + seen.confirmed_quarantined > 0


def _live_through_day(
    stack: BenchStack, site: Site, plan: GatewayPlan, clock: Clock, display: Display
) -> dict[str, Any]:
    """A terminal measures now and then; what the gateway holds and uses meanwhile."""
    spool = stack.folder / "gateway-day.spool"
    _remove(spool)
    resident = list_residents(1)[0]
    boot = f"b-day-{clock().timestamp():.0f}"
    readings = round(plan.minutes * plan.per_minute)
    with ExitStack() as parts:
        gateway = parts.enter_context(_gateway(stack, site, spool))
        host, _, port = str(gateway.wait_for(None, within_s=_READY_S_MAX)["listening"]).rpartition(
            ":"
        )
        stream = parts.enter_context(socket.create_connection((host, int(port)), _READY_S_MAX))
        progress = parts.enter_context(display.lap("gateway: an ordinary day"))
        time.sleep(2)  # The start is not the day.
        began, before = time.monotonic(), time_of(gateway.pid)
        samples: list[int] = []
        for number in range(readings):
            at = format_instant(clock())
            stream.sendall(_line(site, resident, boot, number, at) + b"\n")
            if b"taken" not in stream.recv(4_096):
                msg = "the gateway did not take a reading of the ordinary day"
                raise BenchError(msg)
            time.sleep(max(0.0, began + (number + 1) * 60 / plan.per_minute - time.monotonic()))
            samples.append(memory_bytes(gateway.pid)["resident"])
            progress(number + 1, readings)
        seconds, used = time.monotonic() - began, time_of(gateway.pid) - before
        peak = memory_bytes(gateway.pid)["peak"]
    _forget(stack, site)
    return {
        "minutes": round(seconds / 60, 2),
        "readings": readings,
        "resident_bytes": _spread_bytes(samples),
        "peak_bytes": peak,
        "share_of_a_core": round((used.user_s + used.system_s) / seconds, 5),
    }


def _spread_bytes(samples: Sequence[int]) -> dict[str, float]:
    return spread([float(each) for each in samples])


def _gateway(stack: BenchStack, site: Site, spool: Path) -> Program:
    return Program(
        "gateway",
        [COMMAND, "gateway"],
        folder=stack.folder,
        environment={
            "GATEWAY_ID": site.gateway_id,
            "GATEWAY_CENTRE": site.centre_id,
            "GATEWAY_BROKER_HOST": stack.host,
            "GATEWAY_BROKER_PORT": str(stack.port),
            "GATEWAY_BROKER_PASSWORD": stack.passwords[site.gateway_id],
            "GATEWAY_SPOOL": str(spool),
            "GATEWAY_SPOOL_ROWS_MAX": str(_SPOOL_MAX),
            "GATEWAY_SPOOL_BYTES_MAX": str(_SPOOL_BYTES_MAX),
            "GATEWAY_CLOCK_SYNCHRONISED": "true",
        },
    )


def _forget(stack: BenchStack, site: Site) -> None:
    """End the gateway's session, so that the next round begins without one."""
    forget_session(
        stack.host,
        stack.port,
        f"gateway-{site.gateway_id}",
        user=site.gateway_id,
        password=stack.passwords[site.gateway_id],
    )


def _remove(spool: Path) -> None:
    for file in spool.parent.glob(f"{spool.name}*"):
        file.unlink()


def _require_stored(connection: "psycopg.Connection[tuple[Any, ...]]", expected: int) -> None:
    row = connection.execute("SELECT count(*) FROM reading").fetchone()
    if row is None or row[0] != expected:
        msg = f"{expected} readings were sent, {row and row[0]} are stored"
        raise BenchError(msg)
