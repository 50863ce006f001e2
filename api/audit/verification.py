"""Looks at every seal and every entry again, and says what is not as it was. Reads only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.audit import queries
from api.audit.chain import Seal, find_fault
from ingest.db.audit_keeping import KEEP_DAYS_MIN

_SEALS_AT_ONCE: Final = 200
_UNSEALED_S_MAX: Final = 300
"""An entry that waits longer for its seal: no API runs, or somebody took the seal away."""


@dataclass(slots=True)
class Verification:
    """What was found. ``head`` is to be kept elsewhere: it proves that no seal was cut off."""

    seals: int = 0
    entries: int = 0
    gone: int = 0  # Seals whose entries were let go after half a year.
    unsealed: int = 0
    head: str | None = None
    faults: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


async def verify(
    connection: AsyncConnection[DictRow],
    *,
    key: bytes | None,
    now: datetime,
    expected_head: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Check the whole chain, in one transaction of one instant.

    Cost: every entry is read once; memory for the entries of one seal.
    """
    found = Verification()
    last: Seal | None = None
    seen_head = expected_head is None
    oldest_kept = now - timedelta(days=KEEP_DAYS_MIN)
    while True:
        after = 0 if last is None else last.number
        seals = await queries.fetch_seals(connection, after=after, limit=_SEALS_AT_ONCE)
        for seal in seals:
            entries = await queries.fetch_entries(connection, seal.number)
            may_be_gone = seal.until < oldest_kept
            fault = find_fault(seal, last, entries, key=key, may_be_gone=may_be_gone)
            if fault is not None:
                found.faults.append({"seal": seal.number, "fault": fault})
            found.seals += 1
            found.entries += len(entries)
            found.gone += not entries
            found.head = seal.hash.hex()
            seen_head = seen_head or found.head == expected_head
            last = seal
        on_progress(found.seals)
        if len(seals) < _SEALS_AT_ONCE:
            break
    if not seen_head:
        fault = "the expected head is not among the seals: the end of the log was cut off"
        found.faults.append({"seal": None, "fault": fault})
    found.unsealed, oldest = await queries.count_waiting(connection)
    if oldest is not None and (now - oldest).total_seconds() > _UNSEALED_S_MAX:
        fault = f"{found.unsealed} entries have no seal, the oldest since {oldest.isoformat()}"
        found.faults.append({"seal": None, "fault": fault})
    return found
