"""The machine: Python, packages, open files, the clock, and the disk that data lies on.

It writes one small file into the folder it measures and deletes it. Nothing else is changed.
"""

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from deploy.doctor.findings import Finding, failed, fine, warned
from gateway.kernel_time import KernelTime, read_kernel_time

_AREA: Final = "machine"
_PYTHON_MIN: Final = (3, 11)
_FILES_MIN: Final = 4_096  # As the units ask for; the API alone may have 1,000 connections.
_CLOCK_ERROR_S_MAX: Final = 1.0  # Webhooks and tokens carry times; gateways tolerate minutes.
_FREE_BYTES_MIN: Final = 5 * 1024**3
_FREE_RATIO_MIN: Final = 0.1
_FSYNC_TIMES: Final = 20
_FSYNC_S_MAX: Final = 0.02  # A commit waits for one: above, 50 transactions a second at most.
_BLOCK: Final = b"\0" * 8_192  # PostgreSQL's page.


def check_machine(
    folders: list[Path], *, kernel_time: Callable[[], KernelTime] = read_kernel_time
) -> Iterator[Finding]:
    """Everything about this machine; ``folders`` are those in which data lies."""
    yield _check_python()
    yield _check_packages()
    yield _check_files()
    yield _check_clock(kernel_time())
    for folder in folders:
        yield from _check_folder(folder)


def _check_python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _PYTHON_MIN:
        return failed(_AREA, "python", f"Python {version}", "install Python 3.11 or later")
    return fine(_AREA, "python", f"Python {version}")


def _check_packages() -> Finding:
    """Whether what is installed is what this version was made for."""
    wrong = []
    for text in metadata.requires("suifang") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": "server"}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            if requirement.name != "suifang":
                wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        remedy = "pip install --require-hashes -r requirements.lock"
        return failed(_AREA, "packages", "; ".join(wrong), remedy)
    return fine(_AREA, "packages", f"suifang {metadata.version('suifang')} with what it needs")


def _check_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES_MIN:
        remedy = f"LimitNOFILE={_FILES_MIN} in the units, or ulimit -n {_FILES_MIN} in this shell"
        return warned(_AREA, "open-files", f"{soft} open files at most (hard: {hard})", remedy)
    return fine(_AREA, "open-files", f"{soft} open files at most")


def _check_clock(clock: KernelTime) -> Finding:
    if not clock.synchronised:
        remedy = "timedatectl set-ntp true, or install chrony"
        return warned(_AREA, "clock", "the clock follows no time server", remedy)
    if clock.error_s > _CLOCK_ERROR_S_MAX:
        remedy = "chronyc tracking, or timedatectl timesync-status: is a time server in reach?"
        return warned(_AREA, "clock", f"the clock may be off by {clock.error_s:.1f} s", remedy)
    return fine(_AREA, "clock", f"follows a time server, within {clock.error_s:.3f} s")


def _check_folder(folder: Path) -> Iterator[Finding]:
    try:
        space = shutil.disk_usage(folder)
    except OSError as error:
        remedy = f"mkdir -p {folder}, or name the right folder with --data"
        yield failed(_AREA, "disk-room", f"{folder}: {error.strerror}", remedy)
        return
    free = f"{folder}: {space.free / 1024**3:.1f} GB free of {space.total / 1024**3:.1f}"
    if space.free < max(_FREE_BYTES_MIN, _FREE_RATIO_MIN * space.total):
        remedy = "make room, or a larger disk; suifang retention plan says what may go"
        yield warned(_AREA, "disk-room", free, remedy)
    else:
        yield fine(_AREA, "disk-room", free)
    yield _check_fsync(folder)


def _check_fsync(folder: Path) -> Finding:
    try:
        took_s = _measure_fsync_s(folder)
    except OSError as error:
        remedy = f"run as who owns {folder}, or name another folder with --data"
        return warned(_AREA, "disk-speed", f"{folder} cannot be written: {error.strerror}", remedy)
    told = f"{folder}: one fsync takes {took_s * 1_000:.1f} ms"
    if took_s > _FSYNC_S_MAX:
        remedy = "put the data on a solid-state disk; each transaction waits for one"
        return warned(_AREA, "disk-speed", told, remedy)
    return fine(_AREA, "disk-speed", told)


def _measure_fsync_s(folder: Path) -> float:
    """The median of some, of a page each."""
    took_s = []
    with tempfile.TemporaryFile(dir=folder, prefix="suifang-doctor-") as file:
        for _ in range(_FSYNC_TIMES):
            file.write(_BLOCK)
            file.flush()
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s)
