"""The demo from empty to proven: services, people, replay, live fleet, drain, reconcile.

Everything is the real thing: real readings go through virtual terminals into gateway
processes, the broker, ingest, TimescaleDB, the judge, and out of the API. It must never say
``conserved`` without having compared ledger, spools and database id by id.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from api.auth.permissions import Role
from deploy.demo.enrolment import enrol_sites, identity_of
from deploy.demo.errors import DemoError
from deploy.demo.observer import Observer, percentiles
from deploy.demo.people import PEOPLE
from deploy.demo.report import read_database
from deploy.demo.scenarios import list_played, offer_scenarios
from deploy.demo.sessions import forget_session
from deploy.demo.settings import DemoSettings
from deploy.demo.supervisor import Supervisor
from deploy.demo.telling import IS_ANYBODY_WAITING, LOOPBACK, Telling, list_staff
from deploy.embedded.issuer import Issuer
from deploy.embedded.stack import Stack
from gateway.counters import read_counters
from gateway.identity import load_key
from gateway.wire.times import Clock
from ingest.db import migrate, residents
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseError, translated
from ingest.settings import BrokerSettings
from simulators.fleet import FleetPlan, build_fleet_population, run_fleet
from simulators.ledger import Ledger
from simulators.reconcile import reconcile
from simulators.recordings import builtin_recording
from simulators.replay import plan_replay, run_replay
from simulators.residents import build_population
from simulators.series import SHANGHAI
from simulators.sites import Site, sites_of
from simulators.tally import Tally
from simulators.terminals.tcp import Address

_COUNT = """
SELECT coalesce(sum(stored), 0), coalesce(sum(quarantined), 0),
       (SELECT count(*) FROM alert WHERE status <> 'cancelled'),
       (SELECT count(*) FROM resident_case
         WHERE state NOT IN ('none', 'controlled', 'referral_closed', 'closed'))
FROM gateway_day"""
_DATABASE_PREFIX = "demo_"
_POLL_S = 0.5
_KEY_BYTES = 32


@dataclass(slots=True)
class Progress:
    """What a display may show while it runs."""

    step: str = "starting"
    replay: Tally = field(default_factory=Tally)
    fleet: Tally = field(default_factory=Tally)
    stored: int = 0
    quarantined: int = 0
    alerts: int = 0
    cases: int = 0
    api: str = ""


@dataclass(slots=True)
class Demo:
    """One run. ``report`` can be asked for at any time, also after a failure."""

    settings: DemoSettings
    stack: Stack
    clock: Clock
    progress: Progress = field(default_factory=Progress)
    database: str = ""
    folder: Path = field(init=False)
    sites: list[Site] = field(init=False)
    telling: Telling = field(init=False)
    addresses: dict[str, Address] = field(default_factory=dict)
    observer: Observer | None = None
    started_at: datetime = field(init=False)
    restarts: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False
    _api: str = ""
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        name = f"{_DATABASE_PREFIX}{self.started_at:%Y%m%d_%H%M%S}"
        self.folder = self.settings.home / "demo" / name
        self.sites = sites_of([f"gateway-{n + 1}" for n in range(self.settings.gateways)])

    # --- the run -------------------------------------------------------------------------------

    async def run(self, until_stopped: Callable[[], Awaitable[None]]) -> None:
        """Run to the end of sending and draining; then wait for ``until_stopped``.

        Cancelled at any point it ends every process it started.
        """
        self._prepare()
        async with self.telling.receiver, Supervisor(self.folder) as supervisor:
            await self._start_services(supervisor)
            watchers = await self._watch()
            try:
                await self._send()
                self.progress.step = "draining: waiting for the last receipts and judgements"
                await self._drain(supervisor)
                await until_stopped()
            finally:
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)
                self.restarts = {s.name: s.restarts for s in supervisor.services if s.restarts}

    def _prepare(self) -> None:
        """A fresh database of its own name, older demos' databases dropped."""
        self.progress.step = "making a fresh database"
        self.folder.mkdir(parents=True, mode=0o700)
        earlier = [d for d in self.stack.list_databases() if d.startswith(_DATABASE_PREFIX)]
        for name in sorted(earlier)[: -self.settings.databases_kept or None]:
            self.stack.drop_database(name)
        self.database = self.stack.create_database(self.folder.name)
        migrate.upgrade(self.database)
        key = self.folder / "pseudonym.key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(_KEY_BYTES))  # Text: a line end at the end is cut off.
        self.telling = Telling.make(self.folder)

    async def _start_services(self, supervisor: Supervisor) -> None:
        self.progress.step = "loading residents"
        await self._load_people()
        self.progress.step = "starting services"
        worker = BrokerSettings()
        for session in (*worker.live_ids, worker.backlog_id):
            await forget_session(self.stack, session)
        broker = {"HOST": self.stack.broker_host, "PORT": str(self.stack.broker_port)}
        await supervisor.start(
            "ingest",
            "ingest",
            environment={
                "INGEST_DB_DSN": self._dsn_of("ingest"),
                "INGEST_BROKER_PASSWORD": self.stack.broker_password("ingest"),
                **{f"INGEST_BROKER__{name}": value for name, value in broker.items()},
            },
            speaks=True,
        )
        judge = {
            "JUDGE_DB_DSN": self._dsn_of("judge"),
            "JUDGE_SESSION_WAIT_S": str(self.settings.session_wait_s),
        }
        await supervisor.start("judge", "judge", environment=judge, speaks=False)
        dispatcher = {"DISPATCHER_DB_DSN": self._dsn_of("dispatcher")}
        await supervisor.start("dispatcher", "dispatcher", environment=dispatcher, speaks=False)
        said = await supervisor.start(
            "api",
            *("api", "--json"),
            environment={
                "API_DB_DSN": self._dsn_of("api"),
                "API_PORT": str(self.settings.api_port),
                "API_WEBHOOKS__ALLOWED_NETWORKS": LOOPBACK,
                "API_CA_FILE": str(self.stack.authority.certificate),
                "API_CA_KEY_FILE": str(self.stack.authority.key),
                **Issuer(self.stack.home).environment(),
                **Issuer(self.stack.home).console_environment(PEOPLE),
                "API_OPERATIONS__BACKTEST_DSN": self._dsn_of("backtest"),
                "API_CONSOLE__SIMULATOR_FILE": str(
                    offer_scenarios(self.folder, self._fleet_plan(1), {})
                ),
            },
            speaks=True,
        )
        self._api = self.progress.api = str(said["address"])
        await self._start_telling(supervisor)
        await self._start_gateways(supervisor)

    async def _start_telling(self, supervisor: Supervisor) -> None:
        """Before the first reading, so that its alert is told."""
        await self.telling.subscribe(self._api, self._token, self._staff())
        for name, settings in (
            ("notify", self.telling.notify_settings(self._dsn_of("notify"))),
            ("deliver", self.telling.deliver_settings(self._dsn_of("deliver"))),
        ):
            await supervisor.start(name, name, environment=settings, speaks=False)

    def _staff(self) -> list[residents.Staff]:
        return list_staff(self.sites, self.started_at.astimezone(SHANGHAI).date())

    def _dsn_of(self, process: str) -> str:
        """As an operator should have it: each process with rights of its own."""
        return self.stack.process_dsn(process, self.folder.name)

    async def _start_gateways(self, supervisor: Supervisor) -> None:
        self.progress.step = "enrolling gateways"
        await enrol_sites(self.database, self._api, self.sites, self.folder, self.clock)
        for site in self.sites:
            said = await supervisor.start(
                site.gateway_id,
                "gateway",
                environment={
                    "GATEWAY_ID": site.gateway_id,
                    "GATEWAY_CENTRE": site.centre_id,
                    "GATEWAY_BROKER_HOST": self.stack.broker_host,
                    "GATEWAY_BROKER_PORT": str(self.stack.broker_tls_port),
                    "GATEWAY_TLS_IDENTITY_DIRECTORY": str(identity_of(self.folder, site)),
                    "GATEWAY_SPOOL": str(self._spool(site)),
                    "GATEWAY_PSEUDONYM_KEY_FILE": str(self.folder / "pseudonym.key"),
                    "GATEWAY_CLOCK_SYNCHRONISED": "true",
                },
                speaks=True,
            )
            host, _, port = str(said["listening"]).rpartition(":")
            self.addresses[site.gateway_id] = (host, int(port))
        offer_scenarios(self.folder, self._fleet_plan(1), self.addresses)

    async def _load_people(self) -> None:
        key = load_key(self.folder / "pseudonym.key")
        now = self.clock()
        populations = [
            build_population(now, self.sites, key=key),
            residents.Population(staff=self._staff()),
            build_fleet_population(
                self._fleet_plan(1), self.sites, key=key, today=now.astimezone(SHANGHAI).date()
            ),
        ]
        async with await connect(self.database, application_name="demo-load") as connection:
            for population in populations:
                await residents.load(connection, population, at=now)
        self.progress.step = "residents loaded"

    def _fleet_plan(self, duration_s: float) -> FleetPlan:
        return FleetPlan(
            terminals=self.settings.terminals,
            rate_per_s=self.settings.fleet_rate_per_s,
            duration_s=duration_s,
            seed=1,
            rehearsal=self.folder.name,
        )

    async def _watch(self) -> list["asyncio.Task[None]"]:
        password = self.stack.broker_password("probe")
        self.observer = Observer(self.stack.broker_host, self.stack.broker_port, password)
        watchers = [
            asyncio.create_task(self.observer.watch_broker(), name="watch broker"),
            asyncio.create_task(
                self.observer.watch_feed(self._api, self._token), name="watch feed"
            ),
            asyncio.create_task(self._count(), name="count"),
        ]
        async with asyncio.timeout(10):
            await self.observer.watching.wait()
        return watchers

    def _token(self, centres: Sequence[str] = ()) -> str:
        """A fresh token that sees every alert, or those of some centres."""
        return Issuer(self.stack.home).issue(
            subject="demo", roles=[Role.CONTRACT_SYSTEM], centres=centres, at=self.clock()
        )

    async def _send(self) -> None:
        """Replay, then the live fleet, until the time from the first message is over."""
        plan = plan_replay(
            self.clock(),
            builtin_recording(),
            self.sites,
            rate_per_s=self.settings.replay_rate_per_s,
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.progress.step = "replaying real readings"
        with Ledger(self._ledgers()[0]) as ledger:
            self.progress.replay = await run_replay(
                plan,
                self.addresses,
                ledger,
                clock=self.clock,
                stop_after_s=self.settings.seconds,
                on_progress=self._note_replay,
            )
        left_s = self.settings.fleet_seconds
        if self.settings.seconds is not None:
            left_s = self.settings.seconds - (loop.time() - began)
        if left_s <= 0:
            return
        self.progress.step = "live fleet"
        with Ledger(self._ledgers()[1]) as ledger:
            self.progress.fleet = await run_fleet(
                self._fleet_plan(left_s),
                self.sites,
                self.addresses,
                ledger,
                clock=self.clock,
                on_progress=self._note_fleet,
            )

    def _note_replay(self, tally: Tally) -> None:
        self.progress.replay = tally

    def _note_fleet(self, tally: Tally) -> None:
        self.progress.fleet = tally

    async def _drain(self, supervisor: Supervisor) -> None:
        """Wait until no spool, no due session and no unnumbered event is left."""
        deadline = asyncio.get_running_loop().time() + self.settings.drain_s_max
        while await asyncio.to_thread(self._is_waiting):
            supervisor.require_running()
            if asyncio.get_running_loop().time() > deadline:
                limit = f"{self.settings.drain_s_max:.0f} s"
                msg = f"not everything arrived within {limit}; see the logs in {self.folder}"
                raise DemoError(msg)
            await asyncio.sleep(_POLL_S)

    def _is_waiting(self) -> bool:
        if any(read_counters(self._spool(site)).waiting for site in self.sites):
            return True
        with psycopg.connect(self.database, connect_timeout=5) as connection:
            row = connection.execute(
                "SELECT exists(SELECT FROM due_mark UNION ALL SELECT FROM due_batch)"
                " OR exists(SELECT FROM outbox WHERE number IS NULL)"
            ).fetchone()
            untold = connection.execute(IS_ANYBODY_WAITING).fetchone()
        return row is None or untold is None or bool(row[0]) or bool(untold[0])

    # --- what is seen --------------------------------------------------------------------------

    async def _count(self) -> None:
        """Keep the numbers of the display fresh, over as many connections as it takes."""
        while True:
            with contextlib.suppress(DatabaseError):
                async with await connect(
                    self.database, application_name="demo-count", autocommit=True
                ) as connection:
                    while True:
                        await self._count_once(connection)
                        await asyncio.sleep(_POLL_S)
            await asyncio.sleep(_POLL_S)

    async def _count_once(self, connection: Connection) -> None:
        with translated():
            cursor = await connection.execute(_COUNT)
            row = await cursor.fetchone()
        if row is not None:
            progress = self.progress
            progress.stored, progress.quarantined = int(row[0]), int(row[1])
            progress.alerts, progress.cases = row[2], row[3]

    def report(self) -> dict[str, Any]:
        """Compare ledgers, spools and database, and put all figures together."""
        ledgers = [path for path in self._ledgers() if path.exists()]
        spools = [self._spool(site) for site in self.sites if self._spool(site).exists()]
        found = reconcile(ledgers, spools, self.database)
        seen = self.observer.seen if self.observer is not None else None
        return {
            "started_at": self.started_at.isoformat(),
            "finished_at": self.clock().isoformat(),
            "database": self.folder.name,
            "sent": found.sent,
            **read_database(self.database),
            "latency": {
                "publish_to_stored": percentiles(seen.stored_ms if seen else []),
                "publish_to_alert": percentiles(seen.alert_ms if seen else []),
            },
            "conserved": found.conserved and found.agrees,
            "reconcile": found.as_dict(),
            "first_stored_after_s": self._first_stored_after_s(),
            "told": self.telling.as_report(),
            "restarts": self.restarts,
            "interrupted": self.interrupted,
            "problem": None,
            "session_wait_s": self.settings.session_wait_s,
            "logs": str(self.folder),
        }

    def _first_stored_after_s(self) -> float | None:
        """From the start of the demo (the stack is up) to the first receipt."""
        at = self.observer.seen.first_stored_at if self.observer is not None else None
        return None if at is None else round(at - self._began_s, 1)

    def _spool(self, site: Site) -> Path:
        return self.folder / f"{site.gateway_id}.spool"

    def _ledgers(self) -> list[Path]:
        """Of the demo itself, and of what the console's page has played."""
        own = [self.folder / "replay.ledger", self.folder / "fleet.ledger"]
        return [*own, *list_played(self.folder)]
