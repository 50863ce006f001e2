"""Looks at every seal and every entry again, and says what is not as it was. Reads only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.audit import queries
from api.audit.chain import Seal, find_age, find_fault
from ingest.db.audit_keeping import KEEP_DAYS_MIN
from ingest.db.keyring import Keyring

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
    keys: dict[str, int] = field(default_factory=dict)  # How many seals each key made.
    faults: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def add(self, seal: Seal, entries: int) -> None:
        """Count a seal, and those of its entries that are there."""
        self.seals += 1
        self.entries += entries
        self.gone += seal.entries > 0 and entries == 0
        self.head = seal.hash.hex()
        if seal.key_id is not None:
            self.keys[seal.key_id] = self.keys.get(seal.key_id, 0) + 1


@dataclass(slots=True)
class _Reign:
    """Which keys the seals so far name, oldest first, and where the order breaks."""

    keys: Keyring | None
    age: int | None = None  # Of the last seal whose key is here.
    strangers: dict[str, list[int]] = field(default_factory=dict)  # Seals of keys that are not.
    vouching: int | None = None  # The last seal whose mark was looked at.

    def add(self, seal: Seal) -> str | None:
        """What is wrong with the key of a seal that is as it was made."""
        age = find_age(seal, self.keys)
        if age is None:
            self.strangers.setdefault(str(seal.key_id), []).append(seal.number)
            return None
        if self.age is not None and age > self.age:
            return "it was made with a key, or without one, after a newer key had taken over"
        self.age = age
        self.vouching = seal.number if seal.key_id is not None else self.vouching
        return None

    def conclude(self) -> list[dict[str, Any]]:
        """What is wrong with the keys of the whole log."""
        found: list[dict[str, Any]] = []
        remedy = "name the key file" if self.keys is None else "put it back into the key file"
        for key_id, seals in self.strangers.items():
            fault = (
                f"key {key_id!r} made {len(seals)} seals, {seals[0]} to {seals[-1]}, and is not"
                f" here: whether somebody else made them cannot be told; {remedy}"
            )
            if self.vouching is not None and self.vouching > seals[-1]:
                fault += f". As they are now they were when seal {self.vouching} was made"
            found.append({"seal": seals[0], "fault": fault})
        if self.keys is not None and self.age not in (None, 0):
            fault = (
                f"the last seal is not by the key in force, {self.keys.current_id!r}: no API has"
                " read it yet, or the end of the log was cut off and made again"
            )
            found.append({"seal": None, "fault": fault})
        return found


async def verify(
    connection: AsyncConnection[DictRow],
    *,
    keys: Keyring | None,
    now: datetime,
    expected_head: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Check the whole chain, in one transaction of one instant.

    Cost: every entry is read once; memory for the entries of one seal.
    """
    found = Verification()
    reign = _Reign(keys)
    last: Seal | None = None
    seen_head = expected_head is None
    oldest_kept = now - timedelta(days=KEEP_DAYS_MIN)
    while True:
        after = 0 if last is None else last.number
        seals = await queries.fetch_seals(connection, after=after, limit=_SEALS_AT_ONCE)
        for seal in seals:
            entries = await queries.fetch_entries(connection, seal.number)
            may_be_gone = seal.until < oldest_kept
            fault = find_fault(seal, last, entries, keys=keys, may_be_gone=may_be_gone)
            fault = fault or reign.add(seal)
            if fault is not None:
                found.faults.append({"seal": seal.number, "fault": fault})
            found.add(seal, len(entries))
            seen_head = seen_head or found.head == expected_head
            last = seal
        on_progress(found.seals)
        if len(seals) < _SEALS_AT_ONCE:
            break
    found.faults += reign.conclude()
    if not seen_head:
        fault = "the expected head is not among the seals: the end of the log was cut off"
        found.faults.append({"seal": None, "fault": fault})
    found.unsealed, oldest = await queries.count_waiting(connection)
    if oldest is not None and (now - oldest).total_seconds() > _UNSEALED_S_MAX:
        fault = f"{found.unsealed} entries have no seal, the oldest since {oldest.isoformat()}"
        found.faults.append({"seal": None, "fault": fault})
    return found
