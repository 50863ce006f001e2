"""An empty Debian 13 in a folder, booted in namespaces of its own, where a document is walked.

Each block marked ``sh walked`` is run there as root, in the document's order. It needs root, a
Debian host and its mirror; the host's own services and networks are never touched, and nothing
runs on once ``booted`` has ended.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded import mirrors

ROOT = Path(__file__).parents[2]
SUITE = "trixie"
BASE = ("ca-certificates", "dbus", "systemd", "systemd-sysv")
SOURCE = "/usr/local/src/suifang"
BOOT_S_MAX = 120.0


def blocks(document: Path) -> list[str]:
    """The commands of a document, in its order."""
    return re.findall(r"(?ms)^```sh walked\n(.*?)^```$", document.read_text("utf-8"))


def say(step: str) -> None:
    """Tell where we are."""
    sys.stdout.write(f"walk: {step}\n")
    sys.stdout.flush()


def run(*command: str | Path) -> None:
    """Run to the end; its words are shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        sys.exit(f"walk: {Path(command[0]).name} failed: {(done.stdout + done.stderr)[-2_000:]}")


def make_debian(root: Path, packages: Iterable[str], mirror: str) -> Path:
    """An empty Debian 13 with these packages, unless it is there already."""
    if root.exists():
        return root
    tool = root.parent / "debootstrap"
    if not tool.exists():
        tool.mkdir()
        run(
            *("sh", "-c", 'cd "$0" && apt-get download -qq debootstrap && dpkg-deb -x *.deb .'),
            tool,
        )
    fresh = root.with_name(f"{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    say(f"a Debian 13 in {root}")
    run(
        *("env", f"DEBOOTSTRAP_DIR={tool}/usr/share/debootstrap", tool / "usr/sbin/debootstrap"),
        *("--variant=minbase", f"--include={','.join(packages)}", SUITE, fresh, mirror),
    )
    fresh.rename(root)
    return root


def make_luggage(folder: Path) -> Path:
    """What a document has the operator copy, and the locked packages as files."""
    luggage = folder / "luggage"
    lock, of = ROOT / "deploy/server/requirements.lock", folder / "wheels.lock"
    if not of.exists() or of.read_bytes() != lock.read_bytes():
        say("the locked packages")
        shutil.rmtree(luggage / "wheels", ignore_errors=True)
        flat = folder / "requirements.txt"  # As Debian's Python reads it, not the one here.
        target = (
            "--python-version",
            "3.13",
            "--python-platform",
            f"{platform.machine()}-manylinux_2_28",
        )
        uv = Path(sys.executable).with_name("uv")
        run(uv, "pip", "compile", lock, *target, "--generate-hashes", "--no-deps", "-q", "-o", flat)
        tags = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
        platforms = [p for tag in tags for p in ("--platform", f"{tag}_{platform.machine()}")]
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"),
            *("--only-binary", ":all:", "--python-version", "3.13", *platforms),
            *("-d", luggage / "wheels", "-r", flat),
        )
        shutil.copy(lock, of)
    for name in ("dist", "deploy", "docs"):
        shutil.rmtree(luggage / name, ignore_errors=True)
        shutil.copytree(ROOT / name, luggage / name)
    return luggage


def copy(tree: Path, target: Path) -> None:
    """Put a copy of a tree in the target's place."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    run("cp", "-a", "--reflink=auto", tree, target)


@contextmanager
def booted(root: Path) -> Iterator[int]:
    """Its systemd, running; yields the number of that process. All of it ends with the block."""
    unshare = (
        "unshare",
        "--pid",
        "--mount",
        "--uts",
        "--cgroup",
        "--net",
        "--fork",
        "--kill-child=KILL",
    )
    with (root.parent / "boot.log").open("w") as log:
        keeper = subprocess.Popen(
            [*unshare, "sh", Path(__file__).with_name("boot.sh"), root], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + BOOT_S_MAX
        while time.monotonic() < deadline:
            time.sleep(1)
            children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
            if children and not inside(int(children[0]), "systemctl list-jobs | grep -q No"):
                yield int(children[0])
                return
        sys.exit(f"walk: systemd does not come up: {(root.parent / 'boot.log').read_text()}")
    finally:
        keeper.kill()
        keeper.wait()


def inside(pid: int, script: str, *, quiet: bool = True) -> int:
    """Run a script there, as root, every line shown as it is run."""
    enter = ("nsenter", "--target", str(pid), "--mount", "--pid", "--cgroup", "--uts", "--net")
    clean = (
        "env",
        "-i",
        "HOME=/root",
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL=C.UTF-8",
    )
    pip = (
        "PIP_NO_INDEX=1",
        f"PIP_FIND_LINKS={SOURCE}/wheels",
        "DEBIAN_FRONTEND=noninteractive",
    )
    output = subprocess.DEVNULL if quiet else None
    cwd = f"cd {SOURCE} 2>/dev/null || cd /\n"
    command = [*enter, *clean, *pip, "sh", "-euxc", cwd + script]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
    ).returncode


def walk(pid: int, document: Path) -> None:
    """Run a document's blocks there. Raises ``SystemExit`` with the block that failed."""
    for number, block in enumerate(blocks(document), 1):
        began_s = time.monotonic()
        if inside(pid, block, quiet=False) != 0:
            inside(pid, "journalctl -n 40 --no-pager -o cat", quiet=False)
            sys.exit(f"walk: block {number} of {document.name} failed:\n{block}")
        say(f"block {number} done in {time.monotonic() - began_s:.0f} s")


def host_mirror() -> str:
    """Where the host's own packages come from."""
    codename = mirrors.read_codename(Path("/etc/os-release").read_text("utf-8"))
    sources = mirrors.rewrite_targets(mirrors.list_host_targets(), codename, SUITE)
    return next(each.address for each in sources if each.suite == SUITE)


@contextmanager
def folder_and_mirror(description: str | None) -> Iterator[tuple[Path, str]]:
    """What the command line says: a folder, removed afterwards unless it was named; a mirror."""
    asked = argparse.ArgumentParser(description=description)
    asked.add_argument("--folder", type=Path, help="keep the Debian and the packages here")
    asked.add_argument("--mirror", help="a Debian mirror; the host's own unless given")
    given = asked.parse_args()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit("walk: run it as root on a Debian (or in a container of one that may mount)")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="suifang-walk-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder.resolve(), given.mirror or host_mirror()
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
