"""What the gateway says of itself: gathered here, published retained, kept on disk for the box.

Published when it connects, when something that matters has changed, after a command, and every
``status_interval_s``. Nothing in it is personal: counts, times and devices, never a resident or
a value (``wire.status``). A state file that cannot be written, or a spool that cannot be read from
beside, is told once and otherwise ignored: whether the spool can be used is for those to say
who write it, and the readings come first.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import version
from typing import Final, Protocol

from gateway.enrolment.folder import Identity
from gateway.errors import SpoolError
from gateway.fleet import DeviceState, Fleet
from gateway.settings import GatewaySettings
from gateway.spool_depth import SpoolDepth
from gateway.state_file import state_path, write_state
from gateway.wire.status import (
    ClockStatus,
    CommandResult,
    DeviceStatus,
    SpoolStatus,
    Status,
    write_status,
)
from gateway.wire.times import Clock
from gateway.wire.topics import Channel

_LOG = logging.getLogger(__name__)
_LOOK_S: Final = 1.0  # How soon a change is seen.
_FILLING: Final = 0.8  # Of either limit.
_FILE_S_MAX: Final = 10.0


class StatusProblem(StrEnum):
    """What an operator should look at. Stable: dashboards and runbooks name it."""

    REFUSING = "refusing"  # Terminals are told busy.
    SPOOL_FILLING = "spool_filling"  # Four fifths of a limit.
    SPOOL_OLD = "spool_old"  # Something has waited for a receipt longer than ``spool_warn_h``.
    READINGS_LOST = "readings_lost"  # The disk did not keep some; see docs/gateway-spool.md.
    CLOCK_UNKNOWN = "clock_unknown"
    SPOOL_UNREADABLE = "spool_unreadable"
    UNHEARD = "unheard"  # The broker says that nobody reads the batches.
    CERTIFICATE_ENDING = "certificate_ending"  # It should have been renewed long ago.
    CERTIFICATE_ENDED = "certificate_ended"
    BATTERY_LOW = "battery_low"
    CALIBRATION_DUE = "calibration_due"  # Soon.
    CALIBRATION_OVERDUE = "calibration_overdue"


class Link(Protocol):
    """What the status needs of the session."""

    @property
    def connected(self) -> bool:
        """Whether a message published now leaves now."""

    def publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> int | None:
        """Hand over one message."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask. All but ``depth`` answer at once, in the event loop."""

    depth: Callable[[], Awaitable[SpoolDepth]]
    refusing: Callable[[], str | None]
    clock: Callable[[], ClockStatus]
    unheard: Callable[[], bool]
    identity: Callable[[], Identity | None]
    results: Callable[[], list[CommandResult]]
    fleet: Fleet


class StatusReporter:
    """Gathers, publishes and keeps the status of one gateway."""

    def __init__(
        self,
        settings: GatewaySettings,
        sources: Sources,
        clock: Clock,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._started_at = clock()
        self._started_s = monotonic_s()
        self._latest = Status(online=False)
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._told: set[str] = set()  # What cannot be read or written, told once.

    def describe_offline(self) -> bytes:
        """The farewell: the last status, offline. Any thread. The will before the first one."""
        return write_status(self._latest.model_copy(update={"online": False}))

    @property
    def latest(self) -> Status:
        """What was gathered last; ``at`` is None before the first time."""
        return self._latest

    def wake(self) -> None:
        """Something has changed: tell it soon."""
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Report for ever. Cancelled at any point, the last report stands."""
        while True:
            self._wake.clear()
            await self.report(link)
            told, told_s = self._news(), self._monotonic_s()
            while not self._wake.is_set() and self._news() == told:
                left_s = told_s + self._settings.status_interval_s - self._monotonic_s()
                if left_s <= 0:
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, _LOOK_S)):
                        await self._wake.wait()

    async def report(self, link: Link) -> None:
        """Gather, keep and publish it now."""
        async with self._one_at_a_time:
            found = await self._gather()
            self._latest = found.model_copy(update={"online": link.connected})
            await self._keep()
            if link.connected:  # Perhaps only since then.
                said = found.model_copy(update={"online": True})
                link.publish("status", write_status(said), retain=True)

    def _news(self) -> tuple[object, ...]:
        """What is told at once when it changes."""
        sources = self._sources
        return sources.refusing(), sources.clock().known, sources.unheard()

    async def _gather(self) -> Status:
        sources = self._sources
        depth = await self._read_depth()
        now = self._clock()
        clock = sources.clock()
        identity = sources.identity()
        states = sources.fleet.states()
        status = Status(
            online=False,
            at=now,
            version=_version(),
            started_at=self._started_at,
            uptime_s=int(self._monotonic_s() - self._started_s),
            refusing=sources.refusing(),
            spool=None if depth is None else self._describe_spool(depth, now),
            clock=clock,
            certificate_until=None if identity is None else identity.valid_until,
            counters={} if depth is None else depth.counters,
            devices=[_describe_device(state) for state in states],
            devices_unlisted=sources.fleet.unlisted,
            commands=sources.results(),
        )
        found = (
            *self._find_problems(status),
            *_find_certificate_problems(identity, now),
            *self._find_device_problems(states, now.date()),
        )
        problems = [str(problem) for problem in found]
        return status.model_copy(update={"problems": problems})

    def _describe_spool(self, depth: SpoolDepth, now: datetime) -> SpoolStatus:
        oldest = depth.oldest_captured_at
        return SpoolStatus(
            rows=depth.rows,
            bytes=depth.bytes,
            rows_max=self._settings.spool_rows_max,
            bytes_max=self._settings.spool_bytes_max,
            oldest_captured_at=oldest,
            oldest_age_s=None if oldest is None else max(int((now - oldest).total_seconds()), 0),
        )

    def _find_problems(self, status: Status) -> Iterator[StatusProblem]:
        spool = status.spool
        if status.refusing is not None:
            yield StatusProblem.REFUSING
        if spool is None:
            yield StatusProblem.SPOOL_UNREADABLE
        elif max(spool.rows / spool.rows_max, spool.bytes / spool.bytes_max) >= _FILLING:
            yield StatusProblem.SPOOL_FILLING
        if spool is not None and (spool.oldest_age_s or 0) > self._settings.spool_warn_h * 3_600:
            yield StatusProblem.SPOOL_OLD
        if status.counters.get("lost"):
            yield StatusProblem.READINGS_LOST
        if status.clock is not None and not status.clock.known:
            yield StatusProblem.CLOCK_UNKNOWN
        if self._sources.unheard():
            yield StatusProblem.UNHEARD

    def _find_device_problems(
        self, devices: list[DeviceState], today: date
    ) -> Iterator[StatusProblem]:
        low = self._settings.battery_low_percent
        if any(d.battery_percent is not None and d.battery_percent <= low for d in devices):
            yield StatusProblem.BATTERY_LOW
        due = [d.calibration_due for d in devices if d.calibration_due is not None]
        soon = today + timedelta(days=self._settings.calibration_warn_days)
        if any(today <= day <= soon for day in due):
            yield StatusProblem.CALIBRATION_DUE
        if any(day < today for day in due):
            yield StatusProblem.CALIBRATION_OVERDUE

    async def _keep(self) -> None:
        try:
            async with asyncio.timeout(_FILE_S_MAX):
                await asyncio.to_thread(write_state, state_path(self._settings.spool), self._latest)
        except (OSError, TimeoutError) as error:
            self._tell_once("the status cannot be written beside the spool", error)
        else:
            self._told.discard("the status cannot be written beside the spool")

    async def _read_depth(self) -> SpoolDepth | None:
        try:
            depth = await self._sources.depth()
        except SpoolError as error:
            self._tell_once("the status is without the spool", error)
            return None
        self._told.discard("the status is without the spool")
        return depth

    def _tell_once(self, what: str, error: Exception) -> None:
        if what not in self._told:
            _LOG.warning("%s: %s", what, error)
        self._told.add(what)


def _find_certificate_problems(identity: Identity | None, now: datetime) -> Iterator[StatusProblem]:
    """Renewal is tried from ``renewal_due`` on; half of what is left then is patience enough."""
    if identity is None:
        return
    if now >= identity.valid_until:
        yield StatusProblem.CERTIFICATE_ENDED
    elif now >= identity.renewal_due + (identity.valid_until - identity.renewal_due) / 2:
        yield StatusProblem.CERTIFICATE_ENDING


def _describe_device(state: DeviceState) -> DeviceStatus:
    return DeviceStatus(
        id=state.id,
        name=state.name,
        last_seen=state.last_seen,
        battery_percent=state.battery_percent,
        clock_offset_s=state.clock_offset_s,
        calibration_due=state.calibration_due,
    )


@lru_cache(maxsize=1)
def _version() -> str:
    return version("suifang")
