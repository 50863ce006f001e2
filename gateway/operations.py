"""The parts of a gateway that tell of it and are told by its operators, put together.

Readings never wait for any of this: the spool is read from beside, and a report that fails for
another reason than the spool is logged and made again.
"""

import asyncio
from dataclasses import dataclass

from gateway.clocks import ClockState, Timekeeper
from gateway.command_actions import Actions
from gateway.commands import Commander
from gateway.enrolment.folder import Identity, IdentityFolder
from gateway.errors import EnrolmentError
from gateway.fleet import Fleet
from gateway.intake import Intake
from gateway.logs import LogRotation
from gateway.metrics import describe_metrics, serve_metrics
from gateway.publisher import Publisher
from gateway.session import Session
from gateway.settings import GatewaySettings
from gateway.spool_depth import SpoolDepth, read_depth
from gateway.spool_thread import SpoolThread
from gateway.state_file import read_state, state_path
from gateway.status import Sources, StatusReporter
from gateway.switchboard import Switchboard
from gateway.wire.service_manager import Notifier, run_watchdog
from gateway.wire.status import ClockStatus, Status


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a running gateway is told of, or told to do something."""

    settings: GatewaySettings
    timekeeper: Timekeeper
    spool: SpoolThread
    intake: Intake
    publisher: Publisher
    fleet: Fleet
    log: LogRotation


class Operations:
    """Status and commands of one gateway."""

    def __init__(self, parts: Parts) -> None:
        """Take up what the last run has left: results of commands, when devices were seen."""
        self._parts = parts
        state = read_state(state_path(parts.settings.spool))
        before = Status(online=False) if state is None else state.status
        for device in before.devices:
            if device.last_seen is not None:
                parts.fleet.restore(
                    device.id, device.last_seen, battery_percent=device.battery_percent
                )
        timekeeper = parts.timekeeper
        actions = Actions(
            spool=parts.spool,
            spool_path=parts.settings.spool,
            resend_now=parts.publisher.resend_now,
            measure_clock=self._measure_clock,
            fleet=parts.fleet,
            log=parts.log,
        )
        self._commander = Commander(
            actions.by_name(),
            timekeeper.present,
            waiting_max=parts.settings.commands_waiting_max,
            time_known=lambda: timekeeper.known,
            results=before.commands,
        )
        self._reporter = StatusReporter(
            parts.settings,
            Sources(
                depth=self._read_depth,
                refusing=lambda: parts.intake.refusing,
                clock=lambda: _describe_clock(timekeeper.state()),
                unheard=lambda: parts.publisher.unheard,
                identity=self._read_identity,
                results=self._commander.results,
                fleet=parts.fleet,
            ),
            timekeeper.present,
        )
        parts.fleet.on_change = self._reporter.wake
        self.describe_offline = self._reporter.describe_offline
        """For the session's farewell."""
        self.listener = Switchboard(parts.publisher, self._commander, self._reporter.wake)
        """For the session."""

    def start(
        self, tasks: asyncio.TaskGroup, session: Session, notifier: Notifier
    ) -> list[asyncio.Task[None]]:
        """Begin to report, to carry out commands and to tell the service manager."""

        async def report() -> None:
            await self._reporter.report(session)

        async def is_alive() -> bool:
            await self._parts.spool.run(_nothing)
            return session.alive

        def describe() -> str:
            connected = "connected" if session.connected else "not connected"
            return f"{self._parts.spool.waiting_rows} readings wait; {connected}"

        started = [
            tasks.create_task(self._reporter.run(session), name="status"),
            tasks.create_task(self._commander.run(session, report), name="commands"),
            tasks.create_task(run_watchdog(notifier, is_alive, describe), name="watchdog"),
        ]
        settings = self._parts.settings
        if settings.metrics_port:
            serving = serve_metrics(
                settings.metrics_host,
                settings.metrics_port,
                lambda: describe_metrics(self._reporter.latest),
            )
            started.append(tasks.create_task(serving, name="metrics"))
        return started

    def _measure_clock(self) -> ClockStatus:
        self._parts.timekeeper.look()
        return _describe_clock(self._parts.timekeeper.state())

    def _read_identity(self) -> Identity | None:
        folder = self._parts.settings.tls_identity_directory
        if folder is None:
            return None
        try:
            identity = IdentityFolder(folder).read()
        except EnrolmentError:  # Told by those who use it: the session and the renewer.
            return None
        aware = identity is not None and identity.valid_until.tzinfo and identity.valid_from.tzinfo
        return identity if aware else None  # A head that was written by hand, or is a foreign one.

    async def _read_depth(self) -> SpoolDepth:
        return await self._parts.spool.run(read_depth, self._parts.settings.spool)


def _describe_clock(state: ClockState) -> ClockStatus:
    return ClockStatus(
        known=state.known,
        synchronised=state.synchronised,
        error_ms=None if state.error_s is None else round(state.error_s * 1_000),
        offset_ms=round(state.wall_ahead_s * 1_000),
    )


def _nothing() -> None:
    """Asks the spool's thread whether it answers."""
