"""Everything of one run: a stack of its own, a database, proxies, our processes, terminals.

terminals -> [proxy] -> gateway ×3 -> [proxy] -> broker -> [proxy] -> ingest ×2
              ingest ×2 and judge -> [proxy] -> database <- dispatcher
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from deploy.embedded.processes import tail
from gateway.counters import read_counters
from ingest.db import residents
from ingest.db.connections import connect
from simulators.ledger import Ledger
from simulators.settings import TerminalLimits
from simulators.traffic import Traffic, run_terminals
from tests.faults.clock import RUN_BEGINS_AT, MovedClock, move_clock, shift_to_begin_now
from tests.faults.crew import Crew, Member
from tests.faults.proxy import FaultProxy
from tests.faults.stack import FaultStack
from tests.faults.workload import GATEWAYS, KEY, build_population, plan_workload
from tests.fix_ports import free_port

INGESTS: Final = ("ingest-0", "ingest-1")
# As in an installation, only faster: a run has seconds where an installation has minutes.
_GATEWAY: Final = {
    "GATEWAY_RESEND_S_MIN": "1",
    "GATEWAY_RESEND_S_MAX": "5",
    "GATEWAY_UNHEARD_S": "1",
    "GATEWAY_RECONNECT_S_MAX": "1",
    "GATEWAY_KEEPALIVE_S": "3",
    "GATEWAY_CLOCK_SYNCHRONISED": "true",
}
_INGEST: Final = {
    "INGEST_BROKER__KEEP_ALIVE_S": "5",
    "INGEST_BROKER__TIMEOUT_S": "3",
    "INGEST_BROKER__RECONNECT_S_MAX": "1",
    "INGEST_DATABASE_RETRY_S_MAX": "1",
}
_JUDGE: Final = {
    "JUDGE_SESSION_WAIT_S": "0.2",
    "JUDGE_POLL_MS": "50",
    "JUDGE_DATABASE_RETRY_S_MAX": "1",
}
_DISPATCHER: Final = {"DISPATCHER_IDLE_S_MAX": "3", "DISPATCHER_RETRY_MS_MAX": "1000"}
_TIMEOUTS: Final = (
    "-c lock_timeout=2s -c statement_timeout=8s -c idle_in_transaction_session_timeout=4s"
)
_TERMINALS: Final = TerminalLimits(
    window_max=16, connect_s_max=2, answer_s_max=3, backoff_s_max=0.5, unreachable_s_max=60
)
_QUIET_S_MAX: Final = 90.0
_LOOK_S: Final = 0.2
_READY_S_MAX: Final = 60.0
_READY: Final = (b'{"listening"', b'{"subscribed"')
_WAITING: Final = """
SELECT (SELECT count(*) FROM due_mark) + (SELECT count(*) FROM due_batch)
           + (SELECT count(*) FROM due_context),
       (SELECT count(*) FROM due_timer WHERE due_at <= %s),
       (SELECT count(*) FROM outbox WHERE number IS NULL)"""


class NotQuietError(Exception):
    """Everything was healed, and yet something still waits."""


@dataclass(slots=True, eq=False)
class World:
    """What faults act upon."""

    stack: FaultStack
    folder: Path
    database: str
    crew: Crew
    proxies: dict[str, FaultProxy]
    shift_s: float
    ports: dict[str, int] = field(  # Of each gateway, in all its lives.
        default_factory=lambda: {gateway: free_port() for gateway in GATEWAYS}
    )
    seen: list[str] = field(default_factory=list)  # What the faults report of themselves.
    kills: int = 0  # Of ours, the services, and the database's backends.

    @property
    def dsn(self) -> str:
        """The owner's, straight to the database."""
        return self.stack.dsn(self.database)

    def spools(self) -> list[Path]:
        """Of every gateway."""
        return [self.folder / f"{gateway}.spool" for gateway in GATEWAYS]

    def clock_file(self, name: str) -> Path:
        """What says a process the time."""
        return self.folder / f"{name}.clock"

    async def send(self, workload_seed: int) -> None:
        """Let the terminals send everything; returns when every reading is answered."""
        clock = MovedClock(self.clock_file("terminals"))
        plans = plan_workload(workload_seed)
        with Ledger(self.folder / "ledger") as ledger:
            await run_terminals(
                [
                    Traffic(
                        device_id=device,
                        address=("127.0.0.1", self._port_for(readings[0].gateway_id)),
                        readings=readings,
                    )
                    for device, readings in plans.items()
                ],
                ledger,
                clock=clock,
                limits=_TERMINALS,
            )

    async def heal(self) -> None:
        """Nothing is broken any longer."""
        for proxy in self.proxies.values():
            proxy.calm()
        await asyncio.to_thread(self.stack.heal)
        self.crew.heal()
        for name in self.crew.members:
            move_clock(self.clock_file(name), self.shift_s)

    async def wait_until_quiet(self) -> None:
        """Wait until spools are empty, due work is done and every event has its number.

        Raises:
            NotQuietError: Something still waits after a minute and a half.
        """
        deadline = asyncio.get_running_loop().time() + _QUIET_S_MAX
        while waiting := await asyncio.to_thread(self._waiting):
            if asyncio.get_running_loop().time() > deadline:
                msg = f"still waiting {_QUIET_S_MAX:.0f} s after everything was healed: {waiting}"
                raise NotQuietError(msg)
            await asyncio.sleep(_LOOK_S)

    def _waiting(self) -> dict[str, int]:
        """What waits, and how much of it."""
        found = {path.stem: read_counters(path).waiting for path in self.spools()}
        try:
            with psycopg.connect(self.dsn, connect_timeout=5) as connection:
                now = MovedClock(self.clock_file("judge"))()
                row = connection.execute(_WAITING, (now,)).fetchone()
        except psycopg.OperationalError:
            return found | {"database": 1}
        assert row is not None
        found |= dict(zip(("marks", "timers", "unnumbered"), row, strict=True))
        return {name: count for name, count in found.items() if count}

    def _port_for(self, gateway: str) -> int:
        return self.proxies[f"{gateway}-terminals"].port


@asynccontextmanager
async def a_world(stack: FaultStack, folder: Path, *, seed: int) -> AsyncIterator[World]:
    """Everything started; ended on leaving, the database included. The folder stays."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    database = f"faults_{folder.name.replace('-', '_')}"
    await asyncio.to_thread(stack.heal)
    await asyncio.to_thread(stack.make_database, database)
    world = World(stack, folder, database, Crew(), {}, shift_to_begin_now())
    try:
        await asyncio.to_thread(stack.forget_messages)
        async with await connect(world.dsn, application_name="faults") as connection:
            await residents.load(connection, build_population(), at=RUN_BEGINS_AT)
        await _open_proxies(world, seed)
        async with world.crew:
            await _start_all(world)
            await _await_ready(world)
            yield world
    finally:
        for proxy in world.proxies.values():
            await proxy.close()
        await asyncio.to_thread(stack.heal)
        await asyncio.to_thread(stack.drop_database, database)


async def _open_proxies(world: World, seed: int) -> None:
    broker, database = world.stack.broker_port, urlsplit(world.dsn).port
    assert database is not None
    for gateway, port in world.ports.items():
        world.proxies[f"{gateway}-terminals"] = FaultProxy(port, mqtt=False, seed=seed)
    for name in (*GATEWAYS, *INGESTS):
        world.proxies[f"{name}-broker"] = FaultProxy(broker, mqtt=name in INGESTS, seed=seed)
    for name in (*INGESTS, "judge"):
        world.proxies[f"{name}-database"] = FaultProxy(database, mqtt=False, seed=seed)
    for proxy in world.proxies.values():
        await proxy.open()


async def _start_all(world: World) -> None:
    key = world.folder / "pseudonym.key"
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    move_clock(world.clock_file("terminals"), world.shift_s)
    for name in INGESTS:
        broker = world.proxies[f"{name}-broker"].port
        settings = {
            "INGEST_DB_DSN": _dsn_through(world, name, "ingest"),
            "INGEST_BROKER__PORT": str(broker),
            "INGEST_BROKER_PASSWORD": world.stack.password_of("ingest"),
            "INGEST_BROKER__CLIENT_ID": name,
        }
        await _start(world, name, "ingest", _INGEST | settings)
    await _start(
        world, "judge", "judge", _JUDGE | {"JUDGE_DB_DSN": _dsn_through(world, "judge", "judge")}
    )
    dispatcher = _DISPATCHER | {
        "DISPATCHER_DB_DSN": world.stack.process_dsn("dispatcher", world.database)
    }
    await _start(world, "dispatcher", "dispatcher", dispatcher)
    for gateway, centre in GATEWAYS.items():
        settings = {
            "GATEWAY_ID": gateway,
            "GATEWAY_CENTRE": centre,
            "GATEWAY_BROKER_HOST": "127.0.0.1",
            "GATEWAY_BROKER_PORT": str(world.proxies[f"{gateway}-broker"].port),
            "GATEWAY_BROKER_PASSWORD": world.stack.password_of(gateway),
            "GATEWAY_LISTEN_PORT": str(world.ports[gateway]),
            "GATEWAY_SPOOL": str(world.folder / f"{gateway}.spool"),
            "GATEWAY_PSEUDONYM_KEY_FILE": str(key),
        }
        await _start(world, gateway, "gateway", _GATEWAY | settings)


async def _start(world: World, name: str, command: str, settings: dict[str, str]) -> None:
    clock = world.clock_file(name)
    move_clock(clock, world.shift_s)
    environment = settings | {"FAULTS_CLOCK": str(clock)}
    await world.crew.start(Member(name, command, environment, world.folder / f"{name}.log"))


async def _await_ready(world: World) -> None:
    """Wait until every gateway listens and every worker has subscribed: then faults may come.

    Raises:
        NotQuietError: Not within a minute; says who does not, and what it says itself.
    """
    deadline = asyncio.get_running_loop().time() + _READY_S_MAX
    logs = {name: world.crew.members[name].log for name in (*GATEWAYS, *INGESTS)}
    while unready := [name for name, log in logs.items() if not _is_ready(log)]:
        if asyncio.get_running_loop().time() > deadline:
            said = "\n".join(f"{name}: {tail(logs[name])}" for name in unready)
            msg = f"not ready {_READY_S_MAX:.0f} s after the start:\n{said}"
            raise NotQuietError(msg)
        await asyncio.sleep(_LOOK_S)


def _is_ready(log: Path) -> bool:
    said = log.read_bytes()
    return any(word in said for word in _READY)


def _dsn_through(world: World, name: str, process: str) -> str:
    port = world.proxies[f"{name}-database"].port
    dsn = world.stack.process_dsn(process, world.database)
    return make_conninfo(dsn, port=port, options=_TIMEOUTS, tcp_user_timeout=4_000)
