"""The one place that starts tasks: terminals -> intake -> spool -> publisher -> broker.

    TcpListener --capture--> Intake --put--> Spool <--take, confirm-- Publisher <--> Session
     (event loop)          (event loop)    (own thread)             (event loop)   (paho's thread)
                                    StatusReporter --status--> Session --commands--> Commander

One TaskGroup. A spool that cannot be written ends it, and with it the process: a gateway
that cannot keep its promise says so instead of running on. Stopping: no new lines, replies
that are due, disconnect, close; each within ``stop_s_max``. The spool keeps the rest.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from gateway.card_sessions import CardDesk
from gateway.clocks import ClockState, Timekeeper, machine_sources
from gateway.devices import Capture, Surroundings
from gateway.devices.running import Running, build_devices
from gateway.devices.tcp import TcpListener
from gateway.enrolment.renewal import require_own_identity, start_renewer
from gateway.errors import GatewayError
from gateway.fetched import Mark
from gateway.fleet import Fleet
from gateway.housekeeping import Housekeeping
from gateway.identity import load_key
from gateway.intake import Intake
from gateway.logs import LogRotation
from gateway.operations import Operations, Parts
from gateway.prompts import PromptRouter
from gateway.publisher import Publisher
from gateway.session import Session
from gateway.settings import GatewaySettings
from gateway.spool_thread import SpoolThread, open_spool
from gateway.wire.service_manager import Notifier
from gateway.wire.times import Clock

_LOG = logging.getLogger(__name__)
_Part = TypeVar("_Part")


class Gateway:
    """One running gateway; many fit into one process (each has its own spool and thread).

    ``async with Gateway(settings, clock) as gateway`` runs it for the length of the block.
    A failure inside (``SpoolError``, ``LinkError``) cancels the block and is raised from it.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        clock: Clock,
        *,
        log: LogRotation | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings
        self.fleet = Fleet(
            settings.devices,
            expected=[
                *(device.id for device in settings.ble.known),
                *(adapter.id for adapter in settings.adapters),
            ],
            devices_max=settings.devices_max,
        )
        self._clock = clock
        self._log = log or LogRotation()
        self._notifier = notifier or Notifier({})
        self._prompts = PromptRouter(
            age_s_max=settings.card_prompt_s_max, monotonic_s=time.monotonic
        )
        self._stack = AsyncExitStack()
        self._listener: TcpListener | None = None
        self._intake: Intake | None = None
        self._spool: SpoolThread | None = None
        self._timekeeper: Timekeeper | None = None

    @property
    def address(self) -> str:
        """Where terminals connect, ``host:port``. Only while it runs."""
        return self._running(self._listener).address

    @property
    def capture(self) -> Capture:
        """The way in for a device in this process. Only while it runs."""
        return self._running(self._intake).capture

    @property
    def waiting_rows(self) -> int:
        """Readings without a receipt. Only while it runs."""
        return self._running(self._spool).waiting_rows

    @property
    def clock_state(self) -> ClockState:
        """What is known of the time. Only while it runs."""
        return self._running(self._timekeeper).state()

    @property
    def spool_path(self) -> Path:
        """The spool, for ``counters.read_counters``, which may read it at any time."""
        return self.settings.spool

    async def __aenter__(self) -> Self:
        require_own_identity(self.settings)
        await self._stack.enter_async_context(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        key = self._load_key()
        async with open_spool(self.settings) as self._spool:
            self._timekeeper = await self._recall_time(self._spool)
            publisher = Publisher(
                self._spool,
                self.settings,
                self._timekeeper.present,
                on_prompts=self._prompts.deliver,
                on_link=lambda: housekeeping.wake(),  # noqa: PLW0108 - it is made below
            )
            self._intake = Intake(
                self._spool,
                self.settings,
                self._timekeeper,
                key=key,
                connected=lambda: session.connected,
                on_taken=publisher.on_taken,
                on_heard=self.fleet.hear,
            )
            operations = self._operations(self._timekeeper, self._spool, self._intake, publisher)
            session = Session(self.settings, operations.listener, operations.describe_offline)
            housekeeping = Housekeeping(
                self._spool,
                self._timekeeper,
                self.settings,
                connected=lambda: session.connected,
                on_released=publisher.on_taken,
            )
            desk = self._desk(key, self._timekeeper)
            self._listener = TcpListener(self.settings, desk)
            await self._listener.open(self._intake.capture)
            try:
                async with asyncio.TaskGroup() as tasks:
                    session.start()
                    running = (
                        tasks.create_task(self._intake.run(), name="intake"),
                        tasks.create_task(publisher.run(session), name="publisher"),
                        tasks.create_task(housekeeping.run(), name="housekeeping"),
                        *operations.start(tasks, session, self._notifier),
                        *start_renewer(tasks, self.settings, self._clock, session.reconnect),
                    )
                    instruments = self._start_devices(desk, tasks)
                    try:
                        yield
                    finally:
                        await self._close_doors(instruments)
                        for task in running:
                            task.cancel()
            except ExceptionGroup as group:
                if isinstance(group.exceptions[0], GatewayError):
                    raise group.exceptions[0] from group
                raise
            finally:
                await session.close()
                await self._listener.close()

    async def _close_doors(self, instruments: Running) -> None:
        """Nothing new comes in; what has come in is answered, while the intake still runs."""
        await instruments.stop(self.settings.stop_s_max)
        await self._running(self._listener).close()

    def _operations(
        self, timekeeper: Timekeeper, spool: SpoolThread, intake: Intake, publisher: Publisher
    ) -> Operations:
        return Operations(
            Parts(
                settings=self.settings,
                timekeeper=timekeeper,
                spool=spool,
                intake=intake,
                publisher=publisher,
                fleet=self.fleet,
                log=self._log,
            )
        )

    def _desk(self, key: bytes | None, timekeeper: Timekeeper) -> CardDesk:
        return CardDesk(key, self.settings, timekeeper.present, time.monotonic, self._prompts)

    def _load_key(self) -> bytes | None:
        file = self.settings.pseudonym_key_file
        return load_key(file) if file else None

    async def _recall_time(self, spool: SpoolThread) -> Timekeeper:
        memory = await spool.run(spool.spool.recall_clock)
        return Timekeeper(machine_sources(self._clock), self.settings, memory)

    def _start_devices(self, desk: CardDesk, tasks: asyncio.TaskGroup) -> Running:
        spool, timekeeper = self._running(self._spool), self._running(self._timekeeper)
        intake = self._running(self._intake)

        async def recall(device_id: str) -> list[Mark]:
            return await spool.run(spool.spool.recall_marks, device_id)

        surroundings = Surroundings(
            clock=timekeeper.present,
            clock_known=lambda: timekeeper.known,
            recall=recall,
            seen=self.fleet.seen,
        )
        devices = build_devices(self.settings.ble, self.settings.adapters, surroundings)
        return Running(devices, desk.claiming(intake.capture), tasks)

    @staticmethod
    def _running(part: _Part | None) -> _Part:
        if part is None:
            msg = "the gateway does not run yet: use it inside its `async with` block"
            raise RuntimeError(msg)
        return part


async def run_gateway(
    settings: GatewaySettings,
    clock: Clock,
    announce: Callable[[str], None],
    *,
    log: LogRotation | None = None,
) -> None:
    """Run one gateway until SIGTERM or SIGINT; ``announce`` gets its address when it listens.

    Raises:
        GatewayError: It cannot start, or cannot go on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier(os.environ)
    async with Gateway(settings, clock, log=log, notifier=notifier) as gateway:
        announce(gateway.address)
        notifier.say(READY="1", STATUS=f"listens on {gateway.address}")
        _LOG.info("gateway %s listens on %s", settings.id, gateway.address)
        await stop.wait()
        notifier.say(STOPPING="1")
        _LOG.info("stopping; %d readings wait in the spool", gateway.waiting_rows)
