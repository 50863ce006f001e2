"""Puts a backup back into an empty data folder, so that the server's next start recovers it.

It never touches a folder that holds anything, and never starts or stops a server.
"""

import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.backup.errors import BackupError
from deploy.backup.shelf import Base, Shelf
from deploy.backup.tools import Tools

_MANIFEST: Final = "backup_manifest"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put where."""

    base: Base
    data: Path
    instant: datetime | None
    extract_seconds: float
    verify_seconds: float
    bytes: int


def restore(shelf: Shelf, data: Path, instant: datetime | None, *, loud: bool) -> Restored:
    """Unpack, verify every file against the manifest, and say how far to recover.

    Args:
        shelf: Where from.
        data: The server's data folder: empty or absent.
        instant: Up to which; None: to the end of what was received.
        loud: Steps are told on stderr by the programs.

    Raises:
        BackupError: No backup fits, the folder is in use, or a file is not what was backed up.
    """
    base = shelf.base_for(instant)
    tools = Tools.of_major(base.major)
    _require_whole_log(shelf, base)
    if data.exists() and any(data.iterdir()):
        msg = f"{data} is not empty: stop the server and move that folder away first"
        raise BackupError(msg)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    tools.own(data)
    began_s = time.monotonic()
    tools.run(["tar", "-xzf", str(base.folder / "base.tar.gz"), "-C", str(data)], loud=loud)
    log = ["tar", "-xzf", str(base.folder / "pg_wal.tar.gz"), "-C", str(data / "pg_wal")]
    tools.run(log, loud=loud)
    extracted_s = time.monotonic()
    manifest = str(base.folder / _MANIFEST)
    tools.run(tools.command("pg_verifybackup", "--manifest-path", manifest, data))
    verified_s = time.monotonic()
    _say_how_far(shelf, tools, data, instant)
    return Restored(
        base=base,
        data=data,
        instant=instant,
        extract_seconds=round(extracted_s - began_s, 1),
        verify_seconds=round(verified_s - extracted_s, 1),
        bytes=sum(path.lstat().st_size for path in data.rglob("*") if not path.is_dir()),
    )


def _require_whole_log(shelf: Shelf, base: Base) -> None:
    """Refuse to pass a gap silently: recovery would simply end in front of it."""
    gaps = [gap for gap in shelf.log().gaps if gap[8:] >= base.first_segment[8:]]
    if gaps:
        msg = (
            f"the log behind this backup lacks {gaps[0]} and perhaps more: restore with an --at "
            "before that, or take a newer backup"
        )
        raise BackupError(msg)


def _say_how_far(shelf: Shelf, tools: Tools, data: Path, instant: datetime | None) -> None:
    """Write what PostgreSQL reads at its start: where the log is, and where to stop."""
    folders = shlex.quote(str(shelf.log_folder)).replace("%", "%%") + "/*/"
    fetch = (
        f"for d in {folders}; do for f in %f %f.partial; do "
        'test -f "$d$f" && exec cp "$d$f" %p; done; done; exit 1'
    )
    settings = {
        "restore_command": fetch,
        "recovery_target_action": "promote",
        "hot_standby": "off",  # Nobody comes in before it is whole and may be written to.
    }
    if instant is not None:
        settings["recovery_target_time"] = instant.isoformat()
    own = data / "postgresql.auto.conf"
    kept = [  # An earlier restore left its own there.
        line
        for line in own.read_text("utf-8").splitlines()
        if not line.startswith(("recovery_target", *settings))
    ]
    said = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    own.write_text("\n".join([*kept, *said]) + "\n", "utf-8")
    (data / "recovery.signal").touch(mode=0o600)
    tools.own(data / "recovery.signal")
