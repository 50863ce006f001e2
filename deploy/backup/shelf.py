"""The folder of one server's backups: what is in it, how whole it is.

    base/20261130T171500Z/   base.tar.gz, pg_wal.tar.gz, backup_manifest, backup.json
    wal/00000001/            the write-ahead log of timeline 1, received as it is written

Invariants: a base backup is whole or absent (it is made beside its place and renamed); what the
program cannot name it leaves alone.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from deploy.backup.errors import BackupError

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_NAME: Final = "%Y%m%dT%H%M%SZ"
_RECORD: Final = "backup.json"


@dataclass(frozen=True, slots=True)
class Base:
    """One base backup."""

    folder: Path
    system: str
    major: int
    began_at: datetime
    ended_at: datetime
    seconds: float
    bytes: int
    first_segment: str  # The log that is needed from here on.

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        ends = {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}
        return asdict(self) | {"folder": str(self.folder)} | ends


@dataclass(frozen=True, slots=True)
class Log:
    """What was received of the write-ahead log."""

    segments: Sequence[str]
    bytes: int
    gaps: Sequence[str]  # The first segment missing in each.


class Shelf:
    """One folder of backups. Cheap to make, holds no state."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def base_folder(self) -> Path:
        """Of the base backups."""
        return self.root / "base"

    @property
    def log_folder(self) -> Path:
        """Of the write-ahead log, a folder for each timeline."""
        return self.root / "wal"

    def timeline(self, number: int) -> Path:
        """Where the log of a timeline is kept."""
        return self.log_folder / f"{number:08X}"

    def place_for(self, began_at: datetime) -> Path:
        """Where a base backup begun now will be."""
        return self.base_folder / began_at.strftime(_NAME)

    def bases(self) -> list[Base]:
        """Every base backup, the oldest first.

        Raises:
            BackupError: One cannot be read.
        """
        return [_read(path.parent) for path in sorted(self.base_folder.glob(f"[0-9]*/{_RECORD}"))]

    def base_for(self, instant: datetime | None) -> Base:
        """The newest base backup that had ended by an instant; None: the newest.

        Raises:
            BackupError: There is none.
        """
        fit = [base for base in self.bases() if instant is None or base.ended_at <= instant]
        if not fit:
            when = f" that had ended by {instant.isoformat()}" if instant else ""
            msg = f"{self.base_folder} holds no base backup{when}: `suifang backup list`"
            raise BackupError(msg)
        return fit[-1]

    def log(self) -> Log:
        """What was received, and what is missing between."""
        files = [path for path in self._received() if _SEGMENT.fullmatch(path.name[:24])]
        names = sorted(path.name[:24] for path in files)
        gaps = [
            following
            for name, after in pairwise(names)
            if (following := next_segment(name)) != after and name[:8] == after[:8]
        ]
        return Log(names, sum(path.stat().st_size for path in files), gaps)

    def _received(self) -> Iterator[Path]:
        return self.log_folder.glob("[0-9A-F]*/*")


def write_record(folder: Path, base: Base) -> None:
    """Say in the backup itself what it is; the last file that is written into it."""
    (folder / _RECORD).write_text(json.dumps(base.as_dict(), indent=2) + "\n", "utf-8")


def first_segment_of(manifest: Path) -> str:
    """The first segment of the log that a backup needs, out of PostgreSQL's manifest.

    Raises:
        BackupError: It is no manifest.
    """
    try:
        found = json.loads(manifest.read_text("utf-8"))["WAL-Ranges"][0]
        high, low = (int(part, 16) for part in found["Start-LSN"].split("/"))
        return f"{found['Timeline']:08X}{high:08X}{low // SEGMENT_BYTES:08X}"
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        msg = f"{manifest} is no manifest of a backup"
        raise BackupError(msg) from error


def next_segment(name: str) -> str:
    """The segment of the log after this one.

    >>> next_segment("0000000100000002000000FE")
    '0000000100000002000000FF'
    >>> next_segment("0000000100000002000000FF")
    '000000010000000300000000'
    """
    number = int(name[8:16], 16) * 256 + int(name[16:], 16) + 1
    return f"{name[:8]}{number // 256:08X}{number % 256:08X}"


def _read(folder: Path) -> Base:
    try:
        found = json.loads((folder / _RECORD).read_text("utf-8"))
        ends = {name: datetime.fromisoformat(found[name]) for name in ("began_at", "ended_at")}
        return Base(**(found | ends | {"folder": folder}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{folder / _RECORD} cannot be read: this backup is damaged; move it away"
        raise BackupError(msg) from error
