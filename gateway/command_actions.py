"""What each remote command does. None of them can lose, change or invent a reading."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel

from gateway.commands import Action, Outcome
from gateway.errors import CommandError
from gateway.fleet import Fleet
from gateway.logs import LogRotation
from gateway.spool_depth import Found, find_all, find_batches, find_range
from gateway.spool_thread import SpoolThread
from gateway.wire.commands import CommandName, CommandRefusal, ResendArguments
from gateway.wire.status import ClockStatus

_GONE = (
    "what has left the spool was confirmed by ingest: it is stored or in quarantine there, "
    "and this box no longer has it"
)


@dataclass(frozen=True, slots=True)
class Actions:
    """The parts of a running gateway that commands reach."""

    spool: SpoolThread
    spool_path: Path
    resend_now: Callable[[Collection[UUID]], tuple[int, int]]
    measure_clock: Callable[[], ClockStatus]
    fleet: Fleet
    log: LogRotation

    def by_name(self) -> dict[CommandName, Action]:
        """All of them."""
        return {
            CommandName.REPORT_STATUS: self.report_status,
            CommandName.SYNC_TIME: self.sync_time,
            CommandName.RESEND: self.resend,
            CommandName.ROTATE_LOG: self.rotate_log,
        }

    async def report_status(self, _: BaseModel) -> Outcome:
        """The report that follows every command is the answer."""
        return Outcome("see this status")

    async def sync_time(self, _: BaseModel) -> Outcome:
        """Look at the clock again. Devices' clocks follow by themselves, at each visit."""
        found = self.measure_clock()
        figures = {"known": int(found.known)}
        if found.error_ms is not None:
            figures["error_ms"] = found.error_ms
        offsets = [s.clock_offset_s for s in self.fleet.states() if s.clock_offset_s is not None]
        if offsets:
            figures["device_offset_s_max"] = max(map(abs, offsets))
        if not found.known:
            return Outcome("the time is not known: is a time server in reach?", figures)
        return Outcome("the time is known; devices that allow it get it at each visit", figures)

    async def resend(self, arguments: BaseModel) -> Outcome:
        """Send batches again without waiting; only what still waits for its receipt."""
        assert isinstance(arguments, ResendArguments)  # noqa: S101 - ``ARGUMENTS`` says so
        found = await self.spool.run(_look_up, self.spool_path, arguments)
        named = bool(arguments.batches or arguments.readings)
        if named and not found.batches and not found.unbatched:
            raise CommandError(CommandRefusal.NOT_IN_SPOOL, _GONE)
        due, held = self.resend_now(found.batches)
        figures = {
            "batches": due,
            "in_flight": held,  # Between here and the broker: MQTT itself sends those again.
            "unbatched": found.unbatched,  # Will be sent for the first time.
            "not_in_spool": found.missing,
        }
        return Outcome(_GONE if found.missing else f"{due} batches are sent again", figures)

    async def rotate_log(self, _: BaseModel) -> Outcome:
        """Put the log file aside and begin a new one."""
        try:
            kept = self.log.rotate()
        except OSError as error:
            detail = f"the log file cannot be put aside: {error.strerror}"
            raise CommandError(CommandRefusal.OUT_OF_ORDER, detail) from error
        if kept is None:
            detail = "there is no log file: the system's journal keeps the log and rotates it"
            raise CommandError(CommandRefusal.NO_LOG_FILE, detail)
        return Outcome(f"a new log file is begun; {kept} old ones are kept", {"kept": kept})


def _look_up(path: Path, arguments: ResendArguments) -> Found:
    if arguments.batches or arguments.readings:
        return find_batches(path, arguments.batches, arguments.readings)
    if arguments.captured_from is None and arguments.captured_to is None:
        return find_all(path)
    return find_range(path, arguments.captured_from, arguments.captured_to)
