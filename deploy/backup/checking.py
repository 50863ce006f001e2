"""Says what is wrong with a shelf: no base backup, an old one, a gap, a receiver that does not.

It only looks: at the shelf, and at the server where that is named. A server that had written
something when it was asked has it received within the patience, or the receiver is behind.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deploy.backup.errors import BackupError
from deploy.backup.shelf import SEGMENT_BYTES, Base, Shelf, number_of
from deploy.backup.tools import RECEIVER, Server, ask_server, ask_slot

_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 0.5
_MEND: Final = "look at suifang-backup-receive.service"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the server's log has come onto a shelf."""

    behind_bytes: int  # That the server keeps for the receiver, which did not come within patience.
    problems: Sequence[str]  # Empty: all that was written when the server was asked is here.


def find_problems(
    shelf: Shelf, dsn: str | None, now: datetime, *, base_days_max: int
) -> Sequence[str]:
    """What an operator must mend; empty: nothing.

    Args:
        shelf: To look at.
        dsn: Of the server; None: it is not asked.
        now: For the age of the newest base backup.
        base_days_max: It may be so old.

    Raises:
        BackupError: A base backup cannot be read.
    """
    bases = shelf.bases()
    problems = [*_of_bases(bases, now, base_days_max), *find_gaps(shelf, bases)]
    if dsn is not None:
        try:
            problems += ask_progress(shelf, dsn).problems
        except BackupError as error:
            problems.append(str(error))
    return problems


def _of_bases(bases: Sequence[Base], now: datetime, days_max: int) -> Iterator[str]:
    if not bases:
        yield "there is no base backup: take one now"
    elif now - bases[-1].ended_at > timedelta(days=days_max):
        yield f"the newest base backup is older than {days_max} days: take one now"


def find_gaps(shelf: Shelf, bases: Sequence[Base]) -> Iterator[str]:
    """Gaps behind the newest base backup: what lies before it is no longer needed for it."""
    for gap in shelf.log().gaps:
        if not any(
            gap[:8] < base.first_segment[:8] or number_of(gap) < number_of(base.first_segment)
            for base in bases[-1:]
        ):
            yield f"a gap begins at {gap}: take a base backup now"


def ask_progress(shelf: Shelf, dsn: str) -> Progress:
    """Whether all that the server has written by now reaches the shelf.

    Raises:
        BackupError: The server cannot be asked.
    """
    server = ask_server(dsn)
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        slot = ask_slot(dsn)
        if slot.received is None or slot.received >= server.position:
            break
        if time.monotonic() > deadline_s:
            behind = server.position - slot.received
            what = f"the receiver of the log is {behind / 1e6:.1f} MB behind the server: {_MEND}"
            return Progress(behind, [what])
        time.sleep(_LOOK_S)
    if not slot.exists:
        what = f"the server has no slot {RECEIVER}, so nobody receives its log: {_MEND}"
    elif slot.received is None:
        what = f"the server let go of log that was not received yet (slot {RECEIVER}): {_MEND}"
    else:
        return Progress(0, _of_other_shelves(shelf, server))
    return Progress(0, [what])


def _of_other_shelves(shelf: Shelf, server: Server) -> Sequence[str]:
    """All was received: but also here?"""
    strangers = {base.system for base in shelf.bases()} - {server.system}
    if strangers:
        return [f"{shelf.root} holds backups of another server ({strangers.pop()})"]
    own = [number_of(name) for name in shelf.log().segments if int(name[:8], 16) == server.timeline]
    if max(own, default=-2) < server.position // SEGMENT_BYTES - 1:  # The last may be empty yet.
        return [f"the log is received, but not onto this shelf ({shelf.root})"]
    return []
