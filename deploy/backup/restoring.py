"""Puts a backup back into an empty data folder, so that the server's next start recovers it.

It never touches a folder that holds anything, never starts or stops a server, and never passes
silently over log that is missing.
"""

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.backup.errors import BackupError
from deploy.backup.shelf import Base, Shelf
from deploy.backup.timelines import History, choose, find_missing
from deploy.backup.tools import Tools

_MANIFEST: Final = "backup_manifest"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put where."""

    base: Base
    data: Path
    instant: datetime | None
    timeline: int
    extract_seconds: float
    verify_seconds: float
    bytes: int


def restore(
    shelf: Shelf,
    data: Path,
    instant: datetime | None,
    *,
    report: Callable[[str], None],
    timeline: int | None = None,
    accept_loss: bool = False,
    loud: bool = False,
) -> Restored:
    """Unpack, verify every file against the manifest, and say how far to recover.

    Args:
        shelf: Where from.
        data: The server's data folder: empty or absent.
        instant: Up to which; None: to the end of what was received.
        report: Is told of a gap that the instant may lie in front of.
        timeline: Which to follow; None: the newest.
        accept_loss: To the end only: as far as the log goes, though some of it is missing.
        loud: Steps are told on stderr by the programs.

    Raises:
        BackupError: No backup fits, some of the log is missing, the instant lies on more than one
            timeline, the folder is in use, or a file is not what was backed up.
    """
    base, history = choose(shelf, instant, timeline)
    tools = Tools.of_major(base.major)
    if not accept_loss:
        _require_whole_log(shelf, base, history, instant, report)
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
    _say_how_far(shelf, tools, data, instant, history.timeline)
    return Restored(
        base=base,
        data=data,
        instant=instant,
        timeline=history.timeline,
        extract_seconds=round(extracted_s - began_s, 1),
        verify_seconds=round(verified_s - extracted_s, 1),
        bytes=sum(path.lstat().st_size for path in data.rglob("*") if not path.is_dir()),
    )


def _require_whole_log(
    shelf: Shelf,
    base: Base,
    history: History,
    instant: datetime | None,
    report: Callable[[str], None],
) -> None:
    """Refuse to pass a gap silently: recovery to the end would simply stop in front of it.

    Up to an instant it need not: PostgreSQL does not start where the log ends before that.
    """
    reached, missing = find_missing(shelf, base, history)
    if not reached:
        msg = (
            f"the log on the shelf ends before {base.folder.name} did: nothing committed after it "
            "can be restored (was `suifang backup receive` running?). To put back the base backup "
            "alone: --accept-loss, without --at"
        )
        raise BackupError(msg)
    if missing and instant is None:
        msg = (
            f"the log behind {base.folder.name} lacks {missing} and perhaps more: restore with an "
            "--at before that, or as far as the log goes with --accept-loss"
        )
        raise BackupError(msg)
    if missing:
        report(
            f"the log behind {base.folder.name} lacks {missing}: if the instant lies behind that, "
            "the server ends its start with FATAL, before the recovery target"
        )


def _say_how_far(
    shelf: Shelf, tools: Tools, data: Path, instant: datetime | None, timeline: int
) -> None:
    """Write what PostgreSQL reads at its start: where the log is, and where to stop."""
    folders = shlex.quote(str(shelf.log_folder)).replace("%", "%%") + "/*/"
    fetch = (
        f"for d in {folders}; do for f in %f %f.partial; do "
        'test -f "$d$f" && exec cp "$d$f" %p; done; done; exit 1'
    )
    settings = {
        "restore_command": fetch,
        "recovery_target_action": "promote",
        "recovery_target_timeline": str(timeline),
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
