"""Where the stack keeps things, who owns them, and the lock that lets one command at a time in.

Invariants: every file is 0600 and every folder closed to others; a folder that somebody else
owns or may write to is refused, never repaired. As root the services run as an unprivileged
account, whose group may pass through (not list) the folders above its own. A place once chosen
is remembered, so that a changed mode further up never makes a second, empty database.
"""

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.embedded.errors import BusyError, StateError, UnsafeFolderError, UnsupportedHostError

Report = Callable[[str], None]

ACCOUNTS: Final = ("suifang", "postgres", "nobody")  # The first that exists; never root.
LOCK_WAIT_S_MAX: Final = 300.0
_FALLBACK: Final = Path("/var/tmp")  # noqa: S108 - survives a reboot; ownership is checked below
_PLACE: Final = "stack.json"


@dataclass(frozen=True, slots=True)
class Account:
    """Who the services run as. ``dropped`` is true when that is not the caller."""

    uid: int
    gid: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path of one stack. ``home`` is the caller's, ``root`` the services'."""

    home: Path
    root: Path
    account: Account

    @property
    def secrets_file(self) -> Path:
        """Passwords made by us."""
        return self.root / "secrets.json"

    @property
    def ports_file(self) -> Path:
        """Ports chosen by us."""
        return self.root / "ports.json"

    @property
    def records(self) -> Path:
        """One record per running service: which process it is."""
        return self.root / "run"

    @property
    def packages(self) -> Path:
        """Unpacked programs; ``SUIFANG_PACKAGES`` lets several stacks share them."""
        shared = os.environ.get("SUIFANG_PACKAGES")
        return Path(shared).absolute() if shared else self.root / "packages"


def choose_account() -> Account:
    """The caller, or an unprivileged account when the caller is root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), dropped=False)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, dropped=True)
    msg = f"No unprivileged account to run the services as (looked for {', '.join(ACCOUNTS)})"
    raise UnsupportedHostError(msg)


def make_home(home: Path) -> None:
    """Make the caller's folder, or close it to others when it is there already."""
    _close(home)
    make_folder(home, choose_account(), passable=True)


def recall_layout(home: Path) -> Layout | None:
    """The layout an earlier ``settle_layout`` chose; None when there was none."""
    try:
        _close(home)
        require_ours(home)
        text = (home / _PLACE).read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        root = Path(json.loads(text)["root"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{home / _PLACE} cannot be read; move {home} away and start again"
        raise StateError(msg) from error
    try:
        require_ours(root)
    except FileNotFoundError:
        return None  # Somebody cleaned up: start afresh in the same way.
    return Layout(home, root, choose_account())


def settle_layout(home: Path) -> Layout:
    """Find or make the stack's folder below a home made by ``make_home``. Call with the lock held.

    Under ``home`` unless the services' account cannot reach it (a checkout below root's own
    folder): then under ``/var/tmp``, named after ``home``.
    """
    if (known := recall_layout(home)) is not None:
        return known
    account = choose_account()
    root = home / "stack"
    if account.dropped and not can_pass(home, account):
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        root = _FALLBACK / f"suifang-{name}"
    make_folder(root, account, passable=True)
    write_private(home / _PLACE, json.dumps({"root": str(root)}))
    return Layout(home, root, account)


def require_ours(folder: Path) -> None:
    """Refuse a folder that is a link, somebody else's, or writable by others.

    Raises:
        UnsafeFolderError: It is one of these.
        FileNotFoundError: It does not exist.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolderError(folder, "is not a folder")
    if found.st_uid != os.geteuid():
        raise UnsafeFolderError(folder, f"belongs to uid {found.st_uid}, not to you")
    if found.st_mode & 0o022:
        raise UnsafeFolderError(folder, "is writable by others")


def make_folder(
    folder: Path, account: Account, *, passable: bool = False, services: bool = False
) -> None:
    """Make or check a private folder.

    Args:
        folder: Its parents are made too when missing.
        account: Who the services run as.
        passable: The services' group may pass through (needed above their own folders).
        services: The folder belongs to the services' account.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if services and account.dropped:
            if folder.lstat().st_uid != account.uid or folder.is_symlink():
                raise UnsafeFolderError(folder, "does not belong to the services") from None
            return
        require_ours(folder)
    if not account.dropped:
        folder.chmod(0o700)
    elif services:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    elif passable:
        os.chown(folder, -1, account.gid, follow_symlinks=False)
        folder.chmod(0o710)


def write_private(file: Path, text: str, owner: Account | None = None) -> None:
    """Write a file that is whole or absent, 0600, the caller's or ``owner``'s."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
            if owner is not None and owner.dropped:
                os.fchown(stream.fileno(), owner.uid, owner.gid)
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_object(file: Path) -> dict[str, object]:
    """A JSON object we wrote; empty when there is none."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        msg = f"{file} is not JSON; restore it from a backup or move the stack's folder away"
        raise StateError(msg) from error
    if not isinstance(found, dict):
        msg = f"{file} is not a JSON object; restore it or move the stack's folder away"
        raise StateError(msg)
    return found


def can_pass(folder: Path, account: Account) -> bool:
    """Whether the account can reach into the folder. The kernel is asked, not the mode bits."""
    answer = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', str(folder)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
        timeout=10,
    )
    return answer.returncode == 0


@contextmanager
def hold_lock(file: Path, report: Report, wait_s: float = LOCK_WAIT_S_MAX) -> Iterator[int]:
    """Let one command at a time in; the kernel frees the lock of a killed one.

    Yields the open file: a child that inherits it holds the lock, too.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        began, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - began > wait_s:
                    raise BusyError(file, wait_s) from None
            if not told:
                report("waiting for another command to finish")
                told = True
            time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def _close(home: Path) -> None:
    """Other parts of the project make this folder too, with whatever mode the umask gave it."""
    with suppress(OSError):
        if home.lstat().st_uid == os.geteuid() and not home.is_symlink():
            home.chmod(home.stat().st_mode & 0o755)
