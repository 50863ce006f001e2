"""Whose processor time it was: seconds of each process, out of ``/proc``. Linux only.

A measurement takes a reading before and one after; what a process used is the difference.
PostgreSQL is many processes: those that serve our connections are told apart from the rest.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
_KIB: Final = 1_024


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds on a processor, in the program itself and in the kernel for it."""

    user_s: float = 0.0
    system_s: float = 0.0

    def __add__(self, other: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(self.user_s + other.user_s, self.system_s + other.system_s)

    def __sub__(self, other: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(self.user_s - other.user_s, self.system_s - other.system_s)

    def per(self, items: int) -> dict[str, float]:
        """Microseconds for each of so many items."""
        user, system = (each / items * 1e6 for each in (self.user_s, self.system_s))
        return {
            "user_us": round(user, 2),
            "system_us": round(system, 2),
            "us": round(user + system, 2),
        }


def time_of(pid: int) -> ProcessorTime:
    """What one process and its ended children have used; nothing when there is none."""
    found = _stat(pid)
    if found is None:
        return ProcessorTime()
    user, system, ended_user, ended_system = (int(field) for field in found[11:15])
    return ProcessorTime((user + ended_user) / _TICKS, (system + ended_system) / _TICKS)


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the name: state first."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()


def children_of(pid: int) -> dict[int, str]:
    """The children of a process by number, with their command lines."""
    found: dict[int, str] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields is not None and int(fields[1]) == pid:
                found[int(folder.name)] = _command(folder)
    return found


def _command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def postgres_times(postmaster: int, database: str) -> dict[str, ProcessorTime]:
    """What PostgreSQL has used: serving one database, and everything else by itself.

    A child that ends is counted to its parent, so the sum over all only grows.
    """
    serving, rest = ProcessorTime(), time_of(postmaster)
    for pid, command in children_of(postmaster).items():
        if f" {database} " in command:
            serving += time_of(pid)
        else:
            rest += time_of(pid)
    return {"postgres_serving": serving, "postgres_rest": rest}


def machine_seconds() -> tuple[float, float]:
    """Busy and idle seconds of all processors since the boot."""
    fields = [int(each) for each in (_PROC / "stat").read_text("ascii").splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / _TICKS, idle / _TICKS


def per_reading(
    before: Mapping[str, ProcessorTime], after: Mapping[str, ProcessorTime], readings: int
) -> dict[str, dict[str, float]]:
    """Microseconds of each process for one reading."""
    return {
        name: (used - before.get(name, ProcessorTime())).per(readings)
        for name, used in after.items()
    }


def memory_bytes(pid: int) -> dict[str, int]:
    """What a process holds now (``resident``), and the most it ever held (``peak``)."""
    found = {"resident": 0, "peak": 0}
    names = {"VmRSS": "resident", "VmHWM": "peak"}
    for line in (_PROC / str(pid) / "status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name in names:
            found[names[name]] = int(value.split()[0]) * _KIB
    return found
