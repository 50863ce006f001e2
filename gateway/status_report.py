"""How the gateway on this box is, from its files alone: it may be running, stuck or dead.

The state file says what it said last, the spool what waits now, and the process table whether
the process that wrote the one is still there. Nothing is changed, nothing is locked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from gateway.errors import SpoolError
from gateway.spool_depth import SpoolDepth, read_depth
from gateway.state_file import State, read_state, state_path
from gateway.wire.status import Status
from gateway.wire.times import Clock, format_instant

_LATE: Final = 3  # Intervals without a word from a process that is there.
_LATE_MORE: Final = timedelta(seconds=10)


class Life(StrEnum):
    """Whether it runs."""

    RUNNING = "running"
    SILENT = "silent"  # The process is there and has not reported for long.
    DEAD = "dead"
    NEVER = "never"  # Nothing was ever written beside this spool.


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What is known of the gateway of one spool."""

    spool_path: Path
    life: Life
    state: State | None
    reported_at: datetime | None
    depth: SpoolDepth | None
    spool_error: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it runs, says that all is well, and its spool can be read."""
        quiet = self.state is not None and not self.state.status.problems
        return self.life is Life.RUNNING and quiet and self.depth is not None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        depth, status = self.depth, self._status
        return {
            "life": str(self.life),
            "healthy": self.healthy,
            "pid": self.state.process.pid if self.state and self.life is not Life.DEAD else None,
            "reported_at": None if self.reported_at is None else format_instant(self.reported_at),
            "spool_path": str(self.spool_path),
            "spool_error": self.spool_error or None,
            "spool": None
            if depth is None
            else {
                "gateway": depth.gateway,
                "rows": depth.rows,
                "bytes": depth.bytes,
                "oldest_captured_at": None
                if depth.oldest_captured_at is None
                else format_instant(depth.oldest_captured_at),
                "counters": depth.counters,
            },
            "status": None
            if status is None
            else status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }

    @property
    def _status(self) -> Status | None:
        return None if self.state is None else self.state.status


def look_at_box(spool: Path, *, interval_s: int, clock: Clock) -> BoxReport:
    """Look at the gateway of a spool; ``interval_s`` is how often it should report."""
    path = state_path(spool)
    state = read_state(path)
    reported_at = _written_at(path)
    life = Life.NEVER
    if state is not None and reported_at is not None:
        patience = _LATE * timedelta(seconds=interval_s) + _LATE_MORE
        late = abs(clock() - reported_at) > patience
        life = (Life.SILENT if late else Life.RUNNING) if state.process.alive else Life.DEAD
    try:
        return BoxReport(spool, life, state, reported_at, read_depth(spool))
    except SpoolError as error:
        return BoxReport(spool, life, state, reported_at, None, str(error))


def _written_at(path: Path) -> datetime | None:
    """When the file was written, by the machine's clock as the reader's is."""
    try:
        seconds = path.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds).astimezone()
