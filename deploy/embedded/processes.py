"""Starting, recognising and stopping the stack's own processes, and nobody else's.

A process is known by its number *and* its start time *and* the boot it belongs to, so a number
that the kernel has given to a stranger is never signalled. Signals go through a pidfd that was
opened before the identity was checked: there is no moment in between.
A service writes its own record before it becomes the service, so that no crash of the caller
can leave one running that nobody knows of.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deploy.embedded.errors import ServiceError
from deploy.embedded.folders import Account

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TAIL_LINES: Final = 6
_TAIL_BYTES: Final = 4_096
_LAUNCH_S_MAX: Final = 10.0

# The inner shell records itself on standard output, then *becomes* the service: same number,
# same start time. The outer one leaves at once, so the service is no child of ours.
_OUTER: Final = '/bin/sh -c "$0" "$@" &'
_INNER: Final = (
    'ulimit -Sn 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"; '
    'cat "/proc/$$/stat" /proc/sys/kernel/random/boot_id && exec "$@" >>"$0" 2>&1'
)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever: ``start_ticks`` are clock ticks since the boot ``boot_id``."""

    pid: int
    start_ticks: int
    boot_id: str

    @property
    def since(self) -> datetime:
        """When it started."""
        boot_s = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text("ascii").splitlines()
            if line.startswith("btime ")
        )
        return datetime.fromtimestamp(boot_s + self.start_ticks / os.sysconf("SC_CLK_TCK"), UTC)


def read_boot_id() -> str:
    """Name of the running boot."""
    return _BOOT_ID.read_text("ascii").strip()


def parse_stat(text: str) -> tuple[int, str, int]:
    """Number, state and start time out of ``/proc/<pid>/stat``. ``ValueError`` if it is none.

    >>> parse_stat("7 (a) b) c) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 991 0")
    (7, 'S', 991)
    """
    number, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()  # The name may hold spaces and brackets.
    try:
        return int(number), fields[0], int(fields[19])
    except IndexError as error:
        msg = "not a process status"
        raise ValueError(msg) from error


def identify(pid: int) -> Identity | None:
    """The process that has this number now; None when there is none, or only its corpse."""
    try:
        _, state, start_ticks = parse_stat(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace"))
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return None if state in "ZX" else Identity(pid, start_ticks, read_boot_id())


def read_record(file: Path) -> Identity | None:
    """Whom a record names; None when there is no whole record."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
        pid, _, start_ticks = parse_stat(lines[0])
        return Identity(pid, start_ticks, lines[1].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def is_alive(identity: Identity | None) -> bool:
    """Whether exactly this process still runs."""
    return identity is not None and identify(identity.pid) == identity


def send_signal(identity: Identity, signum: int) -> bool:
    """Signal exactly this process. False when it is gone, whoever has its number now."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_gone(identity: Identity, seconds: float) -> bool:
    """Wait for the end of exactly this process. False when it still runs after ``seconds``."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(identity):
            return True
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(seconds * 1_000))
    finally:
        os.close(descriptor)


def stop(identity: Identity, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Try each signal in turn, waiting so many seconds for it. False when all were in vain."""
    return any(
        not send_signal(identity, signum) or wait_gone(identity, seconds)
        for signum, seconds in steps
    )


def spawn(
    service: str, command: Sequence[str | Path], *, record: Path, log: Path, account: Account
) -> Identity:
    """Start a service on its own: no terminal, no parent, its record written by itself.

    The environment is nearly empty, so that no setting of the caller's shell reaches it.
    Call with the lock held and only when the recorded process is gone.
    """
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        subprocess.run(
            ["/bin/sh", "-c", _OUTER, _INNER, log, *command],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            umask=0o077,
            start_new_session=True,
            check=True,
            timeout=_LAUNCH_S_MAX,
            **(_as(account)),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceError(service, f"cannot be launched ({error})", log) from error
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + _LAUNCH_S_MAX
    while (identity := read_record(record)) is None:
        if time.monotonic() > deadline:
            raise ServiceError(service, "did not write its record", log, tail(log))
        time.sleep(0.005)
    return identity


def run_as(
    account: Account, command: Sequence[str | Path], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as the services' account; never raises for its exit code."""
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        umask=0o077,
        check=False,
        timeout=timeout_s,
        **_as(account),
    )


def tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    with suppress(OSError):
        descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
            return "\n".join(lines[-_TAIL_LINES:])
    return ""


def _as(account: Account) -> dict[str, Any]:
    if not account.dropped:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
