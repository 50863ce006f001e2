"""The private stack of a load: its own home, its own gateways, a fresh database, all processes.

It is the benchmark's stack with as many gateways as the load has; ingest, judge and dispatcher run
as an operator starts them, beside the load on the same processors. Nothing of it is left running.
"""

import shutil
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.enrolment.authority import CURVE, to_pem
from deploy.bench import stack as stacks
from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.bench.settings import BenchSettings
from deploy.bench.stack import BenchStack, Database
from deploy.bench.suifang import Suifang
from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack
from gateway.tls import TlsFiles, build_context
from gateway.wire.times import Clock, utc_now
from ingest.db.errors import DatabaseError
from simulators.errors import LoadError
from simulators.load.fleet import LoadRun
from simulators.load.link import Login
from simulators.load.packets import ProtocolError
from simulators.load.plan import GATEWAYS_PER_CENTRE, LoadPlan
from simulators.load.processors import ProcessorTime, postgres_times, time_of
from simulators.load.sampling import Watch, watch_processes
from simulators.load.target import Problem, Target
from simulators.load.traffic import list_sites
from simulators.reconcile import reconcile
from simulators.report.model import Check, Words
from simulators.sites import Site

_USE: Final = "load"
Say = Callable[[str], None]


@dataclass(slots=True)
class PrivateStack:
    """Opens the target of a load, and judges its ledger while the database is still there.

    Attributes:
        plan: How many gateways there are.
        say: Told each step.
        tls: A certificate for each gateway instead of a password.
        with_receipts: Ingest, judge, dispatcher and database; without: the broker alone.
    """

    plan: LoadPlan
    say: Say
    tls: bool = False
    with_receipts: bool = True
    _database: list[Database] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[Target]:
        """Everything running. Raises ``LoadError``."""
        home = Stack.of_checkout().home
        settings = BenchSettings(
            home=home / _USE,
            checkout=home,
            gateways=self.plan.gateways,
            centres=max(-(-self.plan.gateways // GATEWAYS_PER_CENTRE), 1),
            residents=self.plan.residents,
            seed=self.plan.seed,
        )
        with ExitStack() as opened:
            try:
                stack = opened.enter_context(
                    stacks.running(settings, utc_now, self.say, afresh=True)
                )
                target = opened.enter_context(self._started(stack))
            except (StackError, BenchError, DatabaseError, ProtocolError) as error:
                raise LoadError(str(error)) from error
            yield target

    @contextmanager
    def _started(self, stack: BenchStack) -> Iterator[Target]:
        sites = list_sites(stack.settings.gateways, stack.settings.centres)
        with ExitStack() as opened:
            if self.with_receipts:
                watch, problem = opened.enter_context(self._processes(stack))
            else:
                stack.stack.stop("postgres")
                watch = watch_processes({"broker": stack.pid_of("broker")})
                problem = _problem_of(stack, {})
            folder = opened.enter_context(_certificates(stack.settings.home))
            yield Target(
                host=stack.host,
                port=stack.stack.broker_tls_port if self.tls else stack.port,
                sites=sites,
                logins=self._logins(stack, sites, folder, utc_now),
                watch=watch,
                problem=problem,
                with_receipts=self.with_receipts,
            )

    @contextmanager
    def _processes(self, stack: BenchStack) -> Iterator[tuple[Watch, Problem]]:
        """What is behind the broker, and how it is."""
        suifang = Suifang(judge=True)
        stack.forget_sessions(suifang.client_ids())
        with ExitStack() as opened:
            database = opened.enter_context(stack.fresh_database(_USE))
            self.say("starting ingest, judge and dispatcher")
            programs = opened.enter_context(suifang.running(stack, database))
            self._database = [database]
            opened.callback(_forget_sessions, stack, suifang)
            pids = {name: program.pid for name, program in programs.items()}
            pids["broker"] = stack.pid_of("broker")
            postmaster = stack.pid_of("postgres")

            def watch() -> dict[str, ProcessorTime]:
                used = {name: time_of(pid) for name, pid in pids.items()}
                return used | postgres_times(postmaster, database.name)

            yield watch, _problem_of(stack, programs)

    def _logins(
        self, stack: BenchStack, sites: Sequence[Site], folder: Path, clock: Clock
    ) -> list[Login]:
        if not self.tls:
            return [Login(site.gateway_id, stack.passwords[site.gateway_id]) for site in sites]
        self.say(f"signing {len(sites):,} certificates")
        return [
            Login(site.gateway_id, tls=_context(stack.stack, site, folder, clock)) for site in sites
        ]

    def judge(self, run: LoadRun, ledger: Path | None) -> list[Check]:
        """The ledger against the database, if there is one."""
        if ledger is None or run.counts.waiting or not self.with_receipts:
            return []
        self.say("comparing ledger and database")
        found = reconcile([ledger], [], self._database[0].dsn)
        differences = "; ".join(f"{each.kind} {each.count}" for each in found.differences)
        return [
            Check(
                name=Words("ledger and database agree", "账本与数据库一致"),
                passed=found.agrees,
                detail=differences
                or Words(
                    f"{found.taken:,} readings, none lost, none doubled",
                    f"{found.taken:,} 条读数，无丢失，无重复",
                ),
            )
        ]


def _problem_of(stack: BenchStack, programs: Mapping[str, Program]) -> Problem:
    """Says what of it has ended: with it gone nothing is learnt by waiting."""
    services = ["broker", "postgres"] if programs else ["broker"]

    def problem() -> str | None:
        try:
            stack.require_running(services)
            for program in programs.values():
                program.require_running()
        except BenchError as error:
            return str(error)
        return None

    return problem


@contextmanager
def _certificates(home: Path) -> Iterator[Path]:
    """A folder for keys; those of a load that was killed are gone before there are new ones."""
    folder = home / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _forget_sessions(stack: BenchStack, suifang: Suifang) -> None:
    """At the end: a broker that is gone has none, and must not hide what the load has to say."""
    with suppress(ProtocolError):
        stack.forget_sessions(suifang.client_ids())


def _context(stack: Stack, site: Site, folder: Path, clock: Clock) -> ssl.SSLContext:
    """A certificate of the stack's authority, as an enrolment would leave it."""
    key = ec.generate_private_key(CURVE())
    signed = stack.authority.load().sign_gateway(site.gateway_id, key.public_key(), at=clock())
    file = folder / f"{site.gateway_id}.pem"
    file.touch(mode=0o600)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(secret + to_pem(signed).encode())
    return build_context(TlsFiles(stack.authority.certificate, file))
