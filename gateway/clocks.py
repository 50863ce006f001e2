"""The gateway's sense of time: what time it is, whether that is known, and ids in capture order.

The time is *known* while the kernel says that a time server is followed, and after that for as
long as the machine's own oscillator keeps it within ``clock_error_s_max``; it is reckoned from
the boot-time clock then, which no step of the wall clock moves. Before that (a box without a
battery starts in 1970 or on the day its system was built) there is a first guess only: never
before this release, nor before the latest capture that the spool remembers.

Invariants:
    A reading says ``clock_synchronised`` only when its ``captured_at`` was known, then or later.
    Ids sort in the order of capture, whatever the wall clock does, over restarts too, unless
    that would put an id more than a day ahead of the known time.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.freezer import Stamp
from gateway.kernel_time import KernelTime, read_kernel_time
from gateway.settings import ClockTrust, GatewaySettings
from gateway.spooled import ClockMemory, Hold, from_ms, to_ms
from gateway.wire.ids import new_id
from gateway.wire.times import Clock

_LOG = logging.getLogger(__name__)
NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)  # This release; a clock before it is wrong.
_GUESS_AHEAD_MAX: Final = timedelta(days=3_653)  # A box may lie on a shelf; not for ten years.
_ID_AHEAD_MAX: Final = timedelta(days=1)  # More than any zone that a clock was set in by mistake.
_DRIFT: Final = 500e-6  # The kernel's own bound for an oscillator (MAXFREQ, linux/timex.h).
_LOOK_MS: Final = 1_000
_MILLISECOND: Final = timedelta(milliseconds=1)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STEP_TOLD: Final = timedelta(seconds=2)
_RANDOM_STEP_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class TimeSources:
    """Where time comes from; a test brings its own."""

    wall: Clock
    boottime_ms: Callable[[], int]  # Since boot, standby included; no step moves it.
    kernel: Callable[[], KernelTime]
    boot: bytes  # Which boot; 16 bytes.


def machine_sources(wall: Clock) -> TimeSources:
    """This machine's, with the given wall clock."""
    return TimeSources(wall, _boottime_ms, read_kernel_time, _read_boot())


@dataclass(frozen=True, slots=True)
class ClockState:
    """What to tell about the clock."""

    known: bool
    synchronised: bool  # The kernel's word (or the operator's) at the last look.
    error_s: float | None  # How far the time may be off; None: nobody knows.
    wall_ahead_s: float  # The machine's clock against the time that stamps are given.


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A moment at which the time was known."""

    boottime_ms: int
    at: datetime
    error_s: float

    def reckon(self, boottime_ms: int) -> datetime:
        return self.at + (boottime_ms - self.boottime_ms) * _MILLISECOND

    def error_at_s(self, boottime_ms: int) -> float:
        return self.error_s + abs(boottime_ms - self.boottime_ms) / 1_000 * _DRIFT


class Timekeeper:
    """Stamps captures. One for each gateway, used in the event loop only."""

    def __init__(
        self, sources: TimeSources, settings: GatewaySettings, memory: ClockMemory
    ) -> None:
        self._sources = sources
        self._trust = settings.clock_synchronised
        self._error_s_max = settings.clock_error_s_max
        self._memory = memory
        self._anchor: _Anchor | None = None
        if memory.boot == sources.boot and self._trust is ClockTrust.AUTO:
            at = from_ms(memory.wall_ms)
            self._anchor = _Anchor(memory.boottime_ms, at, memory.error_ms / 1_000)
        self._floor = max(NOT_BEFORE, from_ms(memory.newest_ms))
        self._opened_ms = sources.boottime_ms()
        self._last_id = memory.id_ms << 80 | 2**80 - 1 if memory.id_ms else 0
        self._looked_ms = self._opened_ms - _LOOK_MS
        self._synchronised = False
        self._was_known: bool | None = None
        self.look()

    def present(self) -> datetime:
        """The time, or the best guess. A ``Clock``."""
        return self._time_at(self._look_if_due())

    @property
    def known(self) -> bool:
        """Whether ``present`` is the time."""
        return self._is_known_at(self._look_if_due())

    def stamp(self, *, may_hold: bool) -> tuple[Stamp, Hold | None]:
        """Stamp one capture, now; a hold when the time is to be said later.

        Args:
            may_hold: Whether the reading cannot be sent at once anyway.
        """
        boottime_ms = self._look_if_due()
        known = self._is_known_at(boottime_ms)
        at = self._time_at(boottime_ms)
        held = may_hold and not known and self._trust is not ClockTrust.NO
        hold = Hold(self._sources.boot, boottime_ms) if held else None
        return Stamp(self._next_id(at, known=known), at, clock_synchronised=known), hold

    def restore(self, hold: Hold) -> datetime | None:
        """When a held reading was captured; None: nobody knows."""
        anchor = self._anchor
        if anchor is None or hold.boot != self._sources.boot:
            return None
        if anchor.error_at_s(hold.boottime_ms) > self._error_s_max:
            return None
        return anchor.reckon(hold.boottime_ms)

    def held_for_s(self, hold: Hold) -> float | None:
        """How long ago a held reading was captured; None: before this boot."""
        if hold.boot != self._sources.boot:
            return None
        return (self._sources.boottime_ms() - hold.boottime_ms) / 1_000

    def memory(self) -> ClockMemory | None:
        """What the spool should remember for after a restart of the process; None: nothing."""
        if self._anchor is None:
            return None
        wall_ms = to_ms(self._anchor.at)
        error_ms = round(self._anchor.error_s * 1_000)
        return ClockMemory(
            boot=self._sources.boot,
            boottime_ms=self._anchor.boottime_ms,
            wall_ms=wall_ms,
            error_ms=error_ms,
        )

    def state(self) -> ClockState:
        """For the status message and the log."""
        boottime_ms = self._look_if_due()
        error_s = self._anchor.error_at_s(boottime_ms) if self._anchor else None
        ahead = self._sources.wall() - self._time_at(boottime_ms)
        known = self._is_known_at(boottime_ms)
        return ClockState(known, self._synchronised, error_s, ahead.total_seconds())

    def look(self) -> None:
        """Ask the kernel now."""
        self._looked_ms = boottime_ms = self._sources.boottime_ms()
        wall = self._sources.wall()
        error_s = self._believed_error_s(wall)
        self._synchronised = error_s is not None
        if error_s is not None:
            self._tell_step(wall, boottime_ms)
            self._anchor = _Anchor(boottime_ms, wall, error_s)
        known = self._is_known_at(boottime_ms)
        if known != self._was_known:
            _LOG.log(*((logging.INFO, _KNOWN) if known else (logging.WARNING, _UNKNOWN)))
            self._was_known = known

    def _look_if_due(self) -> int:
        boottime_ms = self._sources.boottime_ms()
        if boottime_ms - self._looked_ms >= _LOOK_MS or self._trust is ClockTrust.YES:
            self.look()
        return boottime_ms

    def _believed_error_s(self, wall: datetime) -> float | None:
        """How far the wall clock may be off; None: it is not to be believed."""
        if wall < NOT_BEFORE or self._trust is ClockTrust.NO:
            return None
        if self._trust is ClockTrust.YES:
            return 0.0 if wall >= self._floor - _ID_AHEAD_MAX else None
        kernel = self._sources.kernel()
        believed = kernel.synchronised and kernel.error_s <= self._error_s_max
        return kernel.error_s if believed else None

    def _tell_step(self, wall: datetime, boottime_ms: int) -> None:
        if self._anchor is not None:
            step = wall - self._anchor.reckon(boottime_ms)
            if abs(step) > _STEP_TOLD:
                _LOG.warning("the clock was set by %+.0f s", step.total_seconds())

    def _is_known_at(self, boottime_ms: int) -> bool:
        anchor = self._anchor
        return anchor is not None and anchor.error_at_s(boottime_ms) <= self._error_s_max

    def _time_at(self, boottime_ms: int) -> datetime:
        if self._anchor is not None:
            return self._anchor.reckon(boottime_ms)
        wall = self._sources.wall()
        if self._floor <= wall <= self._floor + _GUESS_AHEAD_MAX:
            return wall
        return self._floor + (boottime_ms - self._opened_ms) * _MILLISECOND

    def _next_id(self, at: datetime, *, known: bool) -> UUID:
        """A UUIDv7 after the last one, of this time where that is possible."""
        fresh = new_id(at)
        ahead_ms = (self._last_id >> 80) - (fresh.int >> 80)
        if known and self._last_id and ahead_ms * _MILLISECOND > _ID_AHEAD_MAX:
            _LOG.warning("the clock goes back by %d s: ids start again there", ahead_ms // 1_000)
        elif fresh.int <= self._last_id:
            fresh = _after(self._last_id)
        self._last_id = fresh.int
        return fresh


_KNOWN: Final = "the time is known: readings are stamped with it"
_UNKNOWN: Final = (
    "the time is not known: readings taken now are stamped when it is, or are sent as not "
    "synchronised. Is a time server in reach (GATEWAY_CLOCK_SYNCHRONISED)?"
)


def _after(last: int) -> UUID:
    """The next UUIDv7: a random step on (RFC 9562, 6.2, method 2), fixed bits kept."""
    random_a, random_b = last >> 64 & 0xFFF, last & (1 << 62) - 1
    tail = (random_a << 62 | random_b) + 1 + int.from_bytes(os.urandom(_RANDOM_STEP_BITS // 8))
    milliseconds = (last >> 80) + (tail >> 74)
    tail &= (1 << 74) - 1
    value = milliseconds << 80 | 7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    return UUID(int=value)


def _boottime_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _read_boot() -> bytes:
    """The kernel's id of this boot; where there is none, each process counts as a boot."""
    try:
        return UUID(_BOOT_ID.read_text("ascii").strip()).bytes
    except (OSError, ValueError):
        return os.urandom(16)
