"""What a spool has counted since it was made; the conservation check reads it from outside.

The numbers live in the spool's own database and change in the same transactions as the
readings they count, so after any crash ``accepted`` is what was confirmed plus what waits.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.errors import SpoolError

_BUSY_S: Final = 10.0
_COUNTERS: Final = """
SELECT gateway, accepted, confirmed_stored, confirmed_duplicate, confirmed_quarantined, lost,
       batches_sent, batches_resent, receipts_unknown, receipts_refused,
       (SELECT count(*) FROM reading), (SELECT count(*) FROM batch)
FROM tally"""
_IDS: Final = "SELECT id FROM reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolCounters:
    """Readings (and batches, receipts) since the spool was made."""

    gateway: str
    accepted: int  # Told "taken" to a device, or about to be when the power went.
    confirmed_stored: int
    confirmed_duplicate: int
    confirmed_quarantined: int
    lost: int  # Taken, and not kept by the disk; see docs/gateway-spool.md.
    batches_sent: int  # Distinct batches built; sending one again is not counted here.
    batches_resent: int  # Sendings beyond the first.
    receipts_unknown: int  # For a batch that does not wait (again).
    receipts_refused: int  # Unreadable, or its sum is not the batch's size.
    waiting: int  # Counted in the table, not from the tally.
    batches_waiting: int

    @property
    def conserved(self) -> bool:
        """Whether every accepted reading is confirmed, still waits, or is known to be lost."""
        confirmed = self.confirmed_stored + self.confirmed_duplicate + self.confirmed_quarantined
        return self.accepted == confirmed + self.waiting + self.lost


def read_counters(path: Path) -> SpoolCounters:
    """Read the counters of a spool, in use or not, without changing it.

    Raises:
        SpoolError: No spool there, or it cannot be read.
    """
    with opened(path) as connection:
        row = connection.execute(_COUNTERS).fetchone()
    names = SpoolCounters.__dataclass_fields__
    return SpoolCounters(**dict(zip(names, row, strict=True)))


def waiting_ids(path: Path) -> set[UUID]:
    """The ids of the readings without a receipt. Raises ``SpoolError`` as ``read_counters``."""
    with opened(path) as connection:
        return {UUID(bytes=row[0]) for row in connection.execute(_IDS)}


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A spool's file, read only; a gateway may be using it. Raises ``SpoolError``."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as connection:
            yield connection
    except sqlite3.Error as error:
        msg = f"spool {path} cannot be read: {error}. Name the file of GATEWAY_SPOOL"
        raise SpoolError(msg) from error
