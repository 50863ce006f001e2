"""Which timeline a restore follows, which base backup lies on it, and what its log lacks.

A server that was restored writes another *timeline*: it shares the past up to where the restore
stopped, and what the old one wrote behind that is left out of it. The history file of a timeline
says so (PostgreSQL's documentation, "Continuous Archiving", *Timelines*).

Invariant: where an instant lies on more than one timeline, nothing is chosen silently.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.backup.errors import BackupError
from deploy.backup.shelf import SEGMENT_BYTES, Base, Shelf, number_of, position_of, segment_name

_NOTHING_LEFT_OUT: Final = "no recovery target specified"
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a timeline ended on the way to a later one."""

    parent: int
    number: int  # Of the segment in which the later one goes on.
    left_out_from: datetime | None  # First commit of the parent's that is left out; None: none is.


@dataclass(frozen=True, slots=True)
class History:
    """A timeline and how it came about, the oldest fork first."""

    timeline: int
    forks: Sequence[Fork]

    def holds(self, base: Base) -> bool:
        """Whether a base backup lies on the way: not on a branch that was left."""
        return base.timeline == self.timeline or any(
            fork.parent == base.timeline and number_of(base.last_segment) <= fork.number
            for fork in self.forks
        )

    def forks_after(self, base: Base) -> Sequence[Fork]:
        """Those that lie between a base backup and the end."""
        parents = [fork.parent for fork in self.forks]
        return self.forks[parents.index(base.timeline) :] if base.timeline in parents else ()


def choose(shelf: Shelf, instant: datetime | None, timeline: int | None) -> tuple[Base, History]:
    """The base backup to begin with, and the timeline to follow.

    Args:
        shelf: Where the backups are.
        instant: Up to which; None: to the end.
        timeline: Which; None: the newest.

    Raises:
        BackupError: None fits, or the instant lies on more than one timeline.
    """
    known = _timelines(shelf)
    if timeline is not None and timeline not in known:
        msg = f"the shelf holds nothing of timeline {timeline}; it holds {_listed(known)}"
        raise BackupError(msg)
    history = _read_history(shelf, timeline or max(known, default=1))
    base = shelf.base_for(instant, history.holds)
    left = [fork.left_out_from for fork in history.forks_after(base) if fork.left_out_from]
    if timeline is None and instant is not None and left and min(left) <= instant:
        msg = (
            f"{instant.isoformat()} lies on more than one timeline: an earlier restore left out "
            f"what was committed from {min(left).isoformat()} on. Name one with --timeline; the "
            f"shelf holds {_listed(known)}"
        )
        raise BackupError(msg.replace(_ALWAYS.isoformat(), "an instant it does not tell"))
    return base, history


def find_missing(shelf: Shelf, base: Base, history: History) -> tuple[bool, str | None]:
    """Whether the log reaches the end of a base backup, and the first segment missing behind it."""
    have = set(shelf.log().segments)
    began = number_of(base.last_segment)  # The base backup itself holds its log up to here.
    way = list(_way(base, history))
    newest = max(
        (
            number_of(name)
            for name in have
            for timeline, first, last in way
            if int(name[:8], 16) == timeline and first <= number_of(name) <= last
        ),
        default=began - 1,
    )
    for number in range(began + 1, newest + 1):
        on = max(timeline for timeline, first, last in way if first <= number <= last)
        if segment_name(on, number) not in have:
            return True, segment_name(on, number)
    return newest >= began, None


def _way(base: Base, history: History) -> Iterator[tuple[int, int, int]]:
    """Timelines from a base backup on, each with its first and last segment's number."""
    first = number_of(base.last_segment)
    for fork in history.forks_after(base):
        yield fork.parent, first, fork.number
        first = fork.number
    endless = 1 << 64
    yield history.timeline, first, endless


def _timelines(shelf: Shelf) -> Sequence[int]:
    of_log = {int(folder.name[:8], 16) for folder in shelf.log_folders()}
    return sorted(of_log | {base.timeline for base in shelf.bases()})


def _listed(timelines: Sequence[int]) -> str:
    return ", ".join(map(str, timelines)) or "none"


def _read_history(shelf: Shelf, timeline: int) -> History:
    """Out of the file that came with the log; without one nothing before it is known."""
    name = f"{timeline:08X}.history"
    path = next((found for each in shelf.log_folders() if (found := each / name).is_file()), None)
    return History(timeline, [] if path is None else list(_read_forks(path)))


def _read_forks(path: Path) -> Iterator[Fork]:
    for line in path.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            parent, place, *reason = line.split("\t")
            number = position_of(place) // SEGMENT_BYTES
        except ValueError as error:
            msg = f"{path} is no history of a timeline"
            raise BackupError(msg) from error
        yield Fork(int(parent), number, _read_reason("".join(reason)))


def _read_reason(reason: str) -> datetime | None:
    """``before 2026-11-30 09:15:00.5+00``: the commit in front of which the restore stopped."""
    if _NOTHING_LEFT_OUT in reason:
        return None
    try:
        return datetime.fromisoformat(reason.split(" ", 1)[1]).astimezone(UTC)
    except (IndexError, ValueError):
        return _ALWAYS  # Stopped at something else: from when on is not told.
