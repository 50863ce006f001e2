"""Whether the place of the spool keeps what it says it keeps: known liars are named at start.

Only a warning: the operator may know better (a test on a RAM disk, a NAS with a battery).
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})", re.ASCII)  # A blank is \\040 there: proc(5).
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "zram"})
_ELSEWHERE: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse.sshfs",
        "vboxsf",
        "virtiofs",
    }
)
_WITHOUT_ORDER: Final = frozenset({"vfat", "msdos", "exfat"})
_NO_BARRIER: Final = frozenset({"nobarrier", "barrier=0"})


def find_doubts(path: Path, *, mounts: str | None = None) -> list[str]:
    """What speaks against this place, each with a remedy; empty when nothing is known.

    Args:
        path: The spool's file; its folder exists.
        mounts: Text as in ``/proc/self/mountinfo``; without it, this machine's.
    """
    return [*_doubt_mount(path, mounts), *_doubt_preload(os.environ)]


def _doubt_mount(path: Path, mounts: str | None) -> Iterator[str]:
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        except OSError:
            return
    kind, options = _find_mount(path.parent.resolve(), mounts)
    if kind in _IN_MEMORY:
        yield f"{path} lies in memory ({kind}): a power cut erases it. Move it to a disk"
    if kind in _ELSEWHERE:
        yield f"{path} lies on {kind}: fsync and locks are another machine's. Use a local disk"
    if kind in _WITHOUT_ORDER:
        yield f"{path} lies on {kind}, which a power cut ruins. Use ext4, xfs, btrfs or f2fs"
    if options & _NO_BARRIER:
        yield f"{path} is mounted without barriers: fsync is not kept. Mount it without nobarrier"


def _doubt_preload(environment: Mapping[str, str]) -> Iterator[str]:
    if "eatmydata" in environment.get("LD_PRELOAD", ""):
        yield "libeatmydata is loaded: fsync does nothing. Start the gateway without LD_PRELOAD"


def _find_mount(folder: Path, mounts: str) -> tuple[str, set[str]]:
    """Kind and options of the file system that holds a folder."""
    best, kind, options = -1, "", set[str]()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, ending = before.split(), after.split()
        if len(fields) < 6 or len(ending) < 3:  # noqa: PLR2004 - proc(5) counts them
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), ending[0]
            options = {*fields[5].split(","), *ending[2].split(",")}
    return kind, options
