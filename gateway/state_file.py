"""The gateway's last status on its own disk, beside the spool: for ``suifang gateway status``.

It also keeps the results of commands, so that one delivered again after a crash is answered
and not carried out twice, and when each device was last seen. It is never needed: without it
the gateway starts, and nothing of a reading is in it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from gateway.wire.status import Status, parse_status, write_status

_BYTES_MAX: Final = 1_048_576
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STARTED: Final = 19  # Field 22 of /proc/PID/stat, counted after the name in brackets (proc(5)).


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """Which process: a number is used again, a start time of a boot is not."""

    pid: int
    started: str  # Clock ticks since boot.
    boot: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return bool(self.started) and mark_of(self.pid) == self


@dataclass(frozen=True, slots=True)
class State:
    """What the file says."""

    status: Status
    process: ProcessMark


def state_path(spool: Path) -> Path:
    """Where the state of a spool's gateway lies."""
    return spool.with_name(f"{spool.name}.status.json")


def write_state(path: Path, status: Status) -> None:
    """Replace the file: it is the old one or the new one, whole, on disk. Raises ``OSError``."""
    mark = mark_of(os.getpid())
    process = {"pid": mark.pid, "started": mark.started, "boot": mark.boot}
    text = json.dumps({"process": process, "status": json.loads(write_status(status))})
    fresh = path.with_name(f"{path.name}.new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(path)


def read_state(path: Path) -> State | None:
    """The last state; None when there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_BYTES_MAX))
        process = ProcessMark(**found["process"])
        return State(parse_status(json.dumps(found["status"]).encode()), process)
    except (OSError, ValueError, TypeError, KeyError, ValidationError):
        return None


def mark_of(pid: int) -> ProcessMark:
    """The mark of a process; one that is not there has no start."""
    try:
        boot = _BOOT_ID.read_text("ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
        return ProcessMark(pid, stat.rpartition(")")[2].split()[_STARTED], boot)
    except (OSError, IndexError):
        return ProcessMark(pid, "", "")
