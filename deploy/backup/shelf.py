"""The folder of one server's backups: what is in it, how whole it is.

    base/20261130T171500.123456Z/  base.tar.gz, pg_wal.tar.gz, backup_manifest, backup.json
    wal/00000001/                  the log of timeline 1, received as it is written
    wal/00000001.<segment>/        the same, behind a gap that cannot be filled

Invariants: a base backup is whole or absent (it is made beside its place and renamed); what the
program cannot name it leaves alone.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from deploy.backup.errors import BackupError

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_NAME: Final = "%Y%m%dT%H%M%S.%fZ"  # Two may begin in one second.
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

    @property
    def timeline(self) -> int:
        """Of which it is."""
        return int(self.first_segment[:8], 16)

    @property
    def last_segment(self) -> str:
        """The segment that it ends in; it holds its log up to here itself.

        Raises:
            BackupError: Its manifest is damaged.
        """
        return _segment_in(self.folder / "backup_manifest", -1, "End-LSN")

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

    def log_folders(self) -> Sequence[Path]:
        """Every folder of the log: the oldest timeline first, and in it what came first."""
        return sorted(path for path in self.log_folder.glob("[0-9A-F]*") if path.is_dir())

    def timeline(self, number: int) -> Path:
        """Where the log of a timeline is kept now: behind its last gap."""
        own = [path for path in self.log_folders() if path.name[:8] == f"{number:08X}"]
        return own[-1] if own else self.log_folder / f"{number:08X}"

    def behind_gap(self, segment: str) -> Path:
        """Where the log is kept that begins with a segment, behind a gap."""
        return self.log_folder / f"{segment[:8]}.{segment[8:]}"

    def place_for(self, began_at: datetime) -> Path:
        """Where a base backup begun now will be."""
        return self.base_folder / began_at.strftime(_NAME)

    def bases(self) -> list[Base]:
        """Every base backup, the oldest first.

        Raises:
            BackupError: One cannot be read.
        """
        return [_read(path.parent) for path in sorted(self.base_folder.glob(f"[0-9]*/{_RECORD}"))]

    def base_for(self, instant: datetime | None, fits: Callable[[Base], bool]) -> Base:
        """The newest base backup that fits and had ended by an instant; None: the newest.

        Raises:
            BackupError: There is none.
        """
        early = [base for base in self.bases() if instant is None or base.ended_at <= instant]
        fit = [base for base in early if fits(base)]
        if not fit:
            when = f" that had ended by {instant.isoformat()}" if instant else ""
            way = " on that timeline" if early else ""
            msg = f"{self.base_folder} holds no base backup{when}{way}: `suifang backup list`"
            raise BackupError(msg)
        return fit[-1]

    def log(self) -> Log:
        """What was received, and what is missing between."""
        files = [path for path in self._received() if _SEGMENT.fullmatch(path.name[:24])]
        names = sorted({path.name[:24] for path in files})
        gaps = [
            following
            for name, after in pairwise(names)
            if (following := next_segment(name)) != after and name[:8] == after[:8]
        ]
        return Log(names, sum(path.stat().st_size for path in files), gaps)

    def _received(self) -> Iterator[Path]:
        """All but what was begun in front of a gap: it will never be whole."""
        for folder in self.log_folders():
            goes_on = folder == self.timeline(int(folder.name[:8], 16))
            yield from (path for path in folder.iterdir() if goes_on or path.suffix != ".partial")


def write_record(folder: Path, base: Base) -> None:
    """Say in the backup itself what it is; the last file that is written into it."""
    (folder / _RECORD).write_text(json.dumps(base.as_dict(), indent=2) + "\n", "utf-8")


def first_segment_of(manifest: Path) -> str:
    """The first segment of the log that a backup needs, out of PostgreSQL's manifest.

    Raises:
        BackupError: It is no manifest.
    """
    return _segment_in(manifest, 0, "Start-LSN")


def _segment_in(manifest: Path, which: int, end: str) -> str:
    try:
        found = json.loads(manifest.read_text("utf-8"))["WAL-Ranges"][which]
        return segment_name(found["Timeline"], position_of(found[end]) // SEGMENT_BYTES)
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
    return segment_name(int(name[:8], 16), number_of(name) + 1)


def next_number(folder: Path) -> int | None:
    """Number of the segment that a receiver into a folder asks for next; None: it holds none."""
    names = [path.name for path in folder.iterdir()]
    whole = [number_of(name) + 1 for name in names if _SEGMENT.fullmatch(name)]
    begun = [number_of(name) for name in names if name.endswith(".partial")]
    return max([*whole, *begun], default=None)


def number_of(segment: str) -> int:
    """How many segments of the log came before this one, on whatever timeline."""
    return int(segment[8:16], 16) * 256 + int(segment[16:24], 16)


def segment_name(timeline: int, number: int) -> str:
    """What PostgreSQL calls a segment."""
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def position_of(lsn: str) -> int:
    """Bytes of log before a place that PostgreSQL writes as ``2/FE000028``."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    return (high << 32) + low


def _read(folder: Path) -> Base:
    try:
        found = json.loads((folder / _RECORD).read_text("utf-8"))
        ends = {name: datetime.fromisoformat(found[name]) for name in ("began_at", "ended_at")}
        return Base(**(found | ends | {"folder": folder}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{folder / _RECORD} cannot be read: this backup is damaged; move it away"
        raise BackupError(msg) from error
