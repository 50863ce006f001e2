"""What runs while a city is asked: the private stack, its database, API processes, dispatcher."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import psycopg

from api.auth.permissions import Role
from api.local_days import local_day
from deploy.bench.city.asking import MACHINE, Place
from deploy.bench.city.fill import fill_city, is_filled
from deploy.bench.city.plan import CityPlan
from deploy.bench.display import Display
from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.bench.settings import BenchSettings
from deploy.bench.suifang import COMMAND
from deploy.embedded.issuer import Issuer
from deploy.embedded.sole import sole_stack
from deploy.embedded.stack import Stack
from gateway.wire.times import Clock
from ingest.db import migrate
from simulators.load.processors import ProcessorTime, postgres_times, time_of

_READY_S_MAX: Final = 60.0
_TOKEN: Final = timedelta(hours=20)
_HEAD: Final = "SELECT coalesce(max(number), 0) FROM outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A filled database on a running stack."""

    plan: CityPlan
    stack: Stack
    dsn: str
    folder: Path  # Of logs.
    filled_s: float  # 0: it was there.
    place: Place
    tokens: Mapping[str, str]  # By who asks.
    listeners: Sequence[str]  # A token for each.

    def started(self, module: str) -> Program:
        """One of our helpers as a child."""
        name = module.rpartition(".")[2]
        return Program(name, [sys.executable, "-m", module], folder=self.folder)

    def times(self, programs: Mapping[str, Program]) -> dict[str, ProcessorTime]:
        """Processor time so far, by part."""
        services = {each.name: each.pid for each in self.stack.status().services}
        return {
            **{name: time_of(program.pid) for name, program in programs.items()},
            **postgres_times(services["postgres"] or 0, self.plan.database),
        }

    @contextmanager
    def api(self, processes: int, **more: str) -> Iterator["Served"]:
        """API processes, each with an address of its own, and the dispatcher."""
        settings = {
            "API_DB_DSN": self.stack.process_dsn("api", self.plan.database),
            "API_PORT": "0",
            # One contract system asks for all: a limit is not what is measured.
            "API_LIMITS__PERSON_PER_S": "1000000",
            "API_LIMITS__PERSON_BURST": "1000000",
            **Issuer(self.stack.home).environment(),
            **more,
        }
        with ExitStack() as opened:
            programs, addresses = {}, []
            for number in range(processes):
                program = Program(
                    f"api-{number}",
                    [COMMAND, "api", "--json"],
                    folder=self.folder,
                    environment=settings,
                )
                programs[program.name] = opened.enter_context(program)
                said = urlsplit(str(program.wait_for(None, within_s=_READY_S_MAX)["address"]))
                addresses.append((said.hostname or "", said.port or 0))
                _await_ready(said.geturl())
            dispatcher = Program(
                "dispatcher",
                [COMMAND, "dispatcher"],
                folder=self.folder,
                environment={
                    "DISPATCHER_DB_DSN": self.stack.process_dsn("dispatcher", self.plan.database)
                },
            )
            programs["dispatcher"] = opened.enter_context(dispatcher)
            yield Served(programs, addresses)


@dataclass(frozen=True, slots=True)
class Served:
    """API processes and where they are."""

    programs: dict[str, Program]
    addresses: list[tuple[str, int]]


def _await_ready(address: str) -> None:
    """Until the feed follows the database."""
    deadline = time.monotonic() + _READY_S_MAX
    while httpx.get(f"{address}/readyz", timeout=_READY_S_MAX).status_code != httpx.codes.OK:
        if time.monotonic() > deadline:
            msg = f"{address} is not ready; see the logs of the API"
            raise BenchError(msg)
        time.sleep(0.1)


@contextmanager
def opened_city(
    settings: BenchSettings, plan: CityPlan, clock: Clock, display: Display
) -> Iterator[City]:
    """The stack up and the city in it, filled unless an earlier run kept it."""
    with sole_stack(settings.home, checkout=settings.checkout, report=display.say) as stack:
        there = plan.database in stack.list_databases()
        dsn = stack.dsn(plan.database)
        filled_s = 0.0
        if not there or not is_filled(dsn):
            stack.drop_database(plan.database)
            migrate.upgrade(stack.create_database(plan.database))
            filled_s = fill_city(dsn, plan, clock(), display)
        folder = settings.home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        tokens, listeners = _issue_tokens(stack, plan, clock)
        try:
            yield City(
                plan=plan,
                stack=stack,
                dsn=dsn,
                folder=folder,
                filled_s=round(filled_s, 1),
                place=Place(plan=plan, today=local_day(clock()), head=_head(dsn)),
                tokens=tokens,
                listeners=listeners,
            )
        finally:
            if not plan.keep:
                stack.drop_database(plan.database)


def _head(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(_HEAD).fetchone()
    return int(row[0]) if row else 0


def _issue_tokens(stack: Stack, plan: CityPlan, clock: Clock) -> tuple[dict[str, str], list[str]]:
    """A doctor for each team and the contract system by name; listeners who see everybody."""
    issuer, at = Issuer(stack.home), clock()

    def issue(subject: str, role: Role, *teams: str) -> str:
        return issuer.issue(subject=subject, roles=[role], teams=teams, at=at, lifetime=_TOKEN)

    readers = {
        f"t-{team}": issue(f"doctor-{team}", Role.DOCTOR, f"t-{team}") for team in range(plan.teams)
    }
    readers[MACHINE] = issue(MACHINE, Role.CONTRACT_SYSTEM)
    listeners = [issue(f"listener-{n}", Role.SUPERVISOR) for n in range(plan.listeners)]
    return readers, listeners
