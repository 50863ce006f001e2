"""One installation under virtual time: broker, database, ingest, judge, dispatcher, gateways.

Everything but the clock is the real thing: the broker and the database are services of the private
stack, and ingest, judge, dispatcher and gateways are the classes that their processes run, here in
one process. Invariants: nothing happens by itself while the clock stands still, so a run is a
sequence of ``advance``; whatever ends a rehearsal, no process, thread or session of it is left.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiomqtt
import structlog
from pydantic import SecretStr

from api.dispatcher import number_round
from api.indicators.health_checks import keep_health_check
from api.settings import DispatcherSettings
from deploy.demo.sessions import forget_session
from deploy.embedded.folders import write_private
from deploy.embedded.stack import Stack
from deploy.rehearsal.clock import VirtualClock
from deploy.rehearsal.errors import RehearsalError
from deploy.rehearsal.gateways import Broker, Gateways
from gateway.wire.ids import new_id
from gateway.wire.topics import Topic
from ingest.db import amendments, records, residents
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import translated
from ingest.judge import Judge
from ingest.pipeline import Pipeline
from ingest.profiles import Profiles
from ingest.settings import BrokerSettings, IngestSettings, JudgeSettings, ThrottleSettings
from simulators.ledger import Ledger
from simulators.scenarios.happenings import (
    Amended,
    Enrolled,
    Garbled,
    GatewayStarted,
    Happening,
    HealthChecked,
    LineBack,
    LineCut,
    Measured,
    Recorded,
)
from simulators.sites import Site

SESSION_WAIT: Final = timedelta(minutes=10)  # Of every profile that ships.
_NO_THROTTLE: Final = ThrottleSettings(readings_per_s=1e9, burst_readings=1_000_000_000)
_DUE: Final = """
SELECT min(due_at), EXISTS (SELECT FROM due_mark) OR EXISTS (SELECT FROM due_batch)
FROM due_timer"""
_IS_FILED: Final = "SELECT FROM quarantine WHERE payload = %s"
_BROKER: Final = BrokerSettings()
_KEY_BYTES: Final = 32
_PASSWORD_BYTES: Final = 16
_LIVE_S_MIN: Final = 60
_START_S_MAX: Final = 60.0
_STOP_S_MAX: Final = 15.0
_QUARANTINE_S_MAX: Final = 60.0
_POLL_S: Final = 0.002
LEDGER: Final = "rehearsal.ledger"


@dataclass(slots=True, kw_only=True)
class Setting:
    """Where a rehearsal runs.

    Attributes:
        stack: Up; its broker serves no other ingest meanwhile.
        dsn: Of a migrated database of its own, as the owner.
        folder: New or empty: ledger, spools, the pseudonym key.
        begins_at: Aware.
        step: How far the clock moves between two looks of the judge.
        profile: Of the deployment.
    """

    stack: Stack
    dsn: str
    folder: Path
    begins_at: datetime
    step: timedelta = timedelta(minutes=15)
    profile: str = "wuzhou"


@dataclass(slots=True)
class Counts:
    """What has happened so far."""

    happenings: int = 0
    judged: int = 0  # Residents, every time.
    steps: int = 0  # Those in which something was to do.
    storing_s: float = 0.0  # Real seconds until all receipts were there.
    judging_s: float = 0.0  # Real seconds of judge and dispatcher.


@dataclass(slots=True, kw_only=True)
class World:
    """A running installation. Made by ``running``."""

    setting: Setting
    clock: VirtualClock
    ledger: Ledger
    service: "asyncio.Task[None]"
    judging: Connection
    numbering: Connection
    connection: Connection  # The owner's, in autocommit mode: for looking at anything.
    counts: Counts = field(default_factory=Counts)
    stopping: bool = False  # Set it, and ``play`` ends with the step it is in.
    gateways: Gateways = field(init=False)
    _judge: Judge = field(init=False)
    _judged_max: int = field(init=False)
    _dispatcher: DispatcherSettings = field(init=False)
    _passwords: dict[str, str] = field(default_factory=dict)
    _sites: dict[str, Site] = field(default_factory=dict)
    _due_at: datetime | None = None

    def __post_init__(self) -> None:
        setting, dsn = self.setting, SecretStr(self.setting.dsn)
        judging = JudgeSettings(db_dsn=dsn, profile=setting.profile)
        self._judge = Judge(judging, Profiles(setting.profile), self.clock)
        self._judged_max = judging.residents_max
        self._dispatcher = DispatcherSettings(db_dsn=dsn)
        broker = Broker(
            setting.stack.broker_host, setting.stack.broker_port, self._passwords.__getitem__
        )
        live_s = max(_LIVE_S_MIN, round(setting.step.total_seconds()))
        self.gateways = Gateways(broker, setting.folder, self.clock, self.ledger, live_s=live_s)

    # --- time ----------------------------------------------------------------------------------

    async def play(self, happenings: Iterable[Happening], *, until: datetime) -> None:
        """Let these happen, in their order, and time pass until then.

        Args:
            happenings: Sorted by ``at``; may be lazy.
            until: Aware; what is due by then is judged when this returns. Earlier where
                ``stopping`` is set; then what is due by the clock.
        """
        waiting = iter(happenings)
        following = next(waiting, None)
        while self.clock() < until and not self.stopping:
            end = min(self.clock() + self.setting.step, until)
            busy = following is not None and following.at < end
            while following is not None and following.at < end:
                self.clock.move_to(following.at)
                await self.happen(following)
                following = next(waiting, None)
            self.clock.move_to(end)
            if busy or (self._due_at is not None and self._due_at <= end):
                await self.work()
            await asyncio.sleep(0)  # Ctrl-C is heard in empty times, too.

    def end_day(self) -> None:
        """Write down that all that is due by now has been judged; ``reconcile`` judges it again."""
        step_s = round(self.setting.step.total_seconds())
        self.ledger.record_end(self.clock(), profile=self.setting.profile, step_s=step_s)

    async def work(self) -> None:
        """Let ingest, judge and dispatcher do all that is due now."""
        began_s = time.monotonic()
        await self._require_service(self.gateways.settle())
        stored_s = time.monotonic()
        while (judged := await self._judge.judge_once(self.judging)) >= self._judged_max:
            self.counts.judged += judged
        self.counts.judged += judged
        while await number_round(self.numbering, self._dispatcher) == self._dispatcher.rows_max:
            pass
        self.counts.storing_s += stored_s - began_s
        self.counts.judging_s += time.monotonic() - stored_s
        self.counts.steps += 1
        self._due_at = await self._find_due()

    async def _find_due(self) -> datetime | None:
        """When there is something to do again by time alone."""
        with translated():
            row = await (await self.judging.execute(_DUE)).fetchone()
        timer, marks = row or (None, False)
        waits = self.clock() + SESSION_WAIT if marks else None
        return min((due for due in (timer, waits) if due is not None), default=None)

    async def _require_service(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for something that ingest has to do; its failure is ours."""
        task = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait({task, self.service}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.service.result()
                msg = "ingest has ended by itself"
                raise RehearsalError(msg)
            task.result()
        finally:
            task.cancel()

    # --- what happens --------------------------------------------------------------------------

    async def happen(self, happening: Happening) -> None:
        """Do one thing, now."""
        self.counts.happenings += 1
        match happening:
            case Measured():
                await self.gateways.send(happening)
            case Enrolled():
                await self._enrol(happening)
            case Recorded():
                await self._record(happening)
            case HealthChecked():
                await self._note_health_checks(happening)
            case Amended():
                await self._amend(happening)
            case GatewayStarted():
                await self._start(happening)
            case LineCut():
                await self._require_service(self.gateways.settle())  # Sent before it was gone.
                await self.gateways.cut(happening.gateway_ids)
                self.ledger.record_line(happening.gateway_ids, self.clock(), back=False)
            case LineBack():
                self.gateways.mend(happening.gateway_ids)
                self.ledger.record_line(happening.gateway_ids, self.clock(), back=True)
            case Garbled():
                await self._garble(happening)

    async def _enrol(self, enrolled: Enrolled) -> None:
        self.ledger.record_people(enrolled.population.residents, self.clock())
        for record in enrolled.population.records:
            self.ledger.record_act(record, self.clock())
        async with self.connection.transaction():
            await residents.load(self.connection, enrolled.population, at=self.clock())

    async def _record(self, recorded: Recorded) -> None:
        self.ledger.record_act(recorded.record, self.clock())
        with translated():
            async with self.connection.transaction():
                await records.insert_new(self.connection, [recorded.record], at=self.clock())

    async def _note_health_checks(self, checked: HealthChecked) -> None:
        with translated():
            async with self.connection.transaction():
                for name in checked.resident_ids:
                    await keep_health_check(
                        self.connection, name, checked.on, author=checked.author, at=self.clock()
                    )

    async def _amend(self, amended: Amended) -> None:
        await self.gateways.settle()
        readings = self.gateways.labelled.get(amended.label, [])
        if not readings:
            msg = f"nothing was measured under the label {amended.label!r} that could be amended"
            raise RehearsalError(msg)
        said = [
            Amendment(
                id=new_id(self.clock()),
                kind="retraction" if amended.changes is None else "correction",
                author=amended.author,
                reading_id=reading,
                changes=amended.changes or Changes(),
            )
            for reading in readings
        ]
        with translated():
            async with self.connection.transaction():
                await amendments.insert_new(self.connection, said, at=self.clock())

    async def _start(self, started: GatewayStarted) -> None:
        name = started.site.gateway_id
        if name not in self._passwords:
            await asyncio.to_thread(self.add_users, [name])
        self._sites[name] = started.site
        await self.gateways.start(started)

    def add_users(self, names: Iterable[str]) -> None:
        """Make gateways' users at the broker; many at once are faster."""
        fresh = {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in names}
        self._passwords |= fresh
        self.setting.stack.set_broker_users(fresh)

    async def _garble(self, garbled: Garbled) -> None:
        """Publish as this gateway's user, and wait until ingest has dealt with it."""
        site = self._sites[garbled.gateway_id]
        async with aiomqtt.Client(
            self.setting.stack.broker_host,
            self.setting.stack.broker_port,
            identifier=f"garbler-{site.gateway_id}",
            username=site.gateway_id,
            password=self._passwords[site.gateway_id],
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as client:
            topic = str(Topic(site.centre_id, site.gateway_id, garbled.channel))
            await client.publish(topic, garbled.payload, qos=1)
        await self._require_service(self._await_quarantine(garbled.payload))

    async def _await_quarantine(self, payload: bytes) -> None:
        async with asyncio.timeout(_QUARANTINE_S_MAX):
            while True:
                with translated():
                    cursor = await self.connection.execute(_IS_FILED, (payload,))
                    if await cursor.fetchone() is not None:
                        return
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def running(setting: Setting) -> AsyncIterator[World]:
    """Start everything that a rehearsal needs; end all of it however the block ends.

    Raises:
        RehearsalError: Something of it ended by itself.
        DatabaseUnavailableError: The database is gone.
    """
    setting.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(setting.folder / "pseudonym.key", secrets.token_hex(_KEY_BYTES))
    for session in (*_BROKER.live_ids, _BROKER.backlog_id):
        await forget_session(setting.stack, session)
    clock = VirtualClock(setting.begins_at)
    async with AsyncExitStack() as stack:
        stack.enter_context(_quiet())
        ledger = stack.enter_context(Ledger(setting.folder / LEDGER))
        pipeline, service = _start_ingest(setting, clock)
        stack.push_async_callback(_stop_ingest, pipeline, service)
        async with asyncio.timeout(_START_S_MAX):
            for source in pipeline.sources:
                await source.connected.wait()

        async def open_one(name: str, role: ProcessRole | None) -> Connection:
            name = f"rehearsal-{name}"
            opened = await connect(setting.dsn, application_name=name, autocommit=True, role=role)
            return await stack.enter_async_context(opened)

        world = World(
            setting=setting,
            clock=clock,
            ledger=ledger,
            service=service,
            judging=await open_one("judge", ProcessRole.JUDGE),
            numbering=await open_one("dispatcher", ProcessRole.DISPATCH),
            connection=await open_one("hand", None),
        )
        await stack.enter_async_context(world.gateways)
        yield world


@contextmanager
def _quiet() -> Iterator[None]:
    """Errors only: a gateway would tell of a clock that jumps at every step."""
    before, gateway = structlog.get_config(), logging.getLogger("gateway")
    level = gateway.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    gateway.setLevel(logging.ERROR)
    try:
        yield
    finally:
        structlog.configure(**before)
        gateway.setLevel(level)


def _start_ingest(setting: Setting, clock: VirtualClock) -> tuple[Pipeline, "asyncio.Task[None]"]:
    settings = IngestSettings(
        db_dsn=SecretStr(setting.dsn),
        broker_password=SecretStr(setting.stack.broker_password("ingest")),
        broker=_BROKER.model_copy(
            update={"host": setting.stack.broker_host, "port": setting.stack.broker_port}
        ),
        throttle=_NO_THROTTLE,
        profile=setting.profile,
    )
    pipeline = Pipeline(settings, Profiles(setting.profile).limits, clock)
    return pipeline, asyncio.create_task(pipeline.run(), name="ingest")


async def _stop_ingest(pipeline: Pipeline, service: "asyncio.Task[None]") -> None:
    pipeline.stop()
    await asyncio.wait({service}, timeout=_STOP_S_MAX)
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
