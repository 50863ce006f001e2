"""On what the figures were taken, and how much memory a process holds. Linux only."""

import ctypes
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_STATUS: Final = Path("/proc/self/status")
_KIB: Final = 1024


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and the versions that matter."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": pages * size,
        "load_average": list(os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "polars", "duckdb")},
    }


def _cpu_model() -> str:
    """The name that the kernel has for the first processor; arm64 kernels have none."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def resident_bytes() -> int:
    """Memory that this process holds now."""
    return _read("VmRSS")


def peak_bytes() -> int:
    """The most it has held since ``forget_peak``."""
    return _read("VmHWM")


def forget_peak() -> None:
    """Begin to watch the peak anew, with what the allocator kept for itself given back."""
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)  # musl has none.
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def _read(name: str) -> int:
    for line in _STATUS.read_text("ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * _KIB
    msg = f"{_STATUS} has no {name}"
    raise LookupError(msg)
