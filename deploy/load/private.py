"""The private stack of a load: its own home, its own gateways, a fresh database, all processes.

It is the benchmark's stack with as many gateways as the load has; ingest, judge and dispatcher run
as an operator starts them, beside the load on the same processors. Nothing of it is left running.
"""

import fcntl
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.enrolment.authority import CURVE, to_pem
from deploy.bench import stack as stacks
from deploy.bench.errors import BenchError
from deploy.bench.settings import BenchSettings
from deploy.bench.stack import BenchStack, Database
from deploy.bench.suifang import Suifang
from deploy.embedded.errors import StackError
from deploy.embedded.folders import make_home
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
from simulators.load.target import Target
from simulators.load.traffic import list_sites
from simulators.reconcile import reconcile
from simulators.report.model import Check, Words
from simulators.sites import Site

_USE: Final = "load"
Say = Callable[[str], None]


@dataclass(slots=True)
class PrivateStack:
    """Opens the target of a load, and judges its ledger while the database is still there."""

    plan: LoadPlan
    tls: bool
    say: Say
    _database: list[Database] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[Target]:
        """Everything running. Raises ``LoadError``."""
        home = Stack.of_checkout().home
        centres = max(-(-self.plan.gateways // GATEWAYS_PER_CENTRE), 1)
        settings = BenchSettings(
            home=home / _USE,
            checkout=home,
            gateways=self.plan.gateways,
            centres=centres,
            residents=self.plan.residents,
            seed=self.plan.seed,
        )
        sites = list_sites(settings.gateways, settings.centres)
        with ExitStack() as opened:
            try:
                make_home(home)
                make_home(settings.home)
                opened.enter_context(_only_one(home / f"{_USE}.lock"))
                Stack.of_checkout(settings.home).down()  # Of a load that was killed.
                stack = opened.enter_context(stacks.running(settings, utc_now, self.say))
                target = opened.enter_context(self._started(stack, sites))
            except (StackError, BenchError, DatabaseError, ProtocolError) as error:
                raise LoadError(str(error)) from error
            yield target

    @contextmanager
    def _started(self, stack: BenchStack, sites: Sequence[Site]) -> Iterator[Target]:
        suifang = Suifang(judge=True)
        stack.forget_sessions(suifang.client_ids())
        with ExitStack() as opened:
            database = opened.enter_context(stack.fresh_database(_USE))
            self.say("starting ingest, judge and dispatcher")
            programs = opened.enter_context(suifang.running(stack, database))
            self._database = [database]
            opened.callback(_forget_sessions, stack, suifang)
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="suifang-load-")))
            pids = {name: program.pid for name, program in programs.items()}
            pids["broker"] = stack.pid_of("broker")
            postmaster = stack.pid_of("postgres")

            def watch() -> dict[str, ProcessorTime]:
                used = {name: time_of(pid) for name, pid in pids.items()}
                return used | postgres_times(postmaster, database.name)

            def problem() -> str | None:
                try:
                    for program in programs.values():
                        program.require_running()
                except BenchError as error:
                    return str(error)
                return None

            yield Target(
                host=stack.host,
                port=stack.stack.broker_tls_port if self.tls else stack.port,
                sites=sites,
                logins=self._logins(stack, sites, folder, utc_now),
                watch=watch,
                problem=problem,
            )

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
        """The ledger against the database."""
        if ledger is None or run.counts.waiting:
            return []
        self.say("comparing ledger and database")
        found = reconcile([ledger], [], self._database[0].dsn)
        differences = "; ".join(f"{each.kind} {each.count}" for each in found.differences)
        return [
            Check(
                name=Words("ledger and database agree", "账本与数据库一致"),
                passed=found.agrees,
                detail=differences or f"{found.taken:,} readings, none lost, none doubled",
            )
        ]


@contextmanager
def _only_one(file: Path) -> Iterator[None]:
    """Two at once would take each other's readings, and each other's database."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = "another load runs in this checkout; wait for it, or stop it with Ctrl-C"
            raise LoadError(msg) from None
        yield


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
