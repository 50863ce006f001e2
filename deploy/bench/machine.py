"""On what the figures were taken. Linux only."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy.embedded.stack import Stack


def describe_machine(stack: Stack) -> dict[str, Any]:
    """Processor, cores, memory, and the versions that matter."""
    status = stack.status()
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "load_average": list(os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "suifang": version("suifang"),
        **{service.name: service.version for service in status.services},
        "timescaledb": status.timescaledb,
    }


def drop_page_cache() -> bool:
    """Let the kernel forget the files it has read; needs root. Whether it did."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1", "ascii")
    except OSError:
        return False
    return True


def _cpu_model() -> str:
    """The name that the kernel has for the first processor; arm64 kernels have none."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
