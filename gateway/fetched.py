"""Which records of a device's memory the spool has taken: rows beside the readings themselves.

A device with a memory is asked for what comes after the last record taken. "Taken" is written
in the transaction that stores the reading, so a power cut leaves both or neither, and nothing
is fetched twice or passed over. The rows outlive the readings, which leave on their receipt.

A row names a record by its sequence number and a fingerprint (hash of time and value): when a
meter's battery is changed its numbers begin anew, and only the fingerprint tells record 7 from
the other record 7. The newest ``MARKS_MAX`` rows a device are kept.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PRUNE_EVERY: Final = 512  # Rows; a device costs it a millisecond.
MARKS_MAX: Final = 4_096  # A device, or somewhat more; meters hold 250 to 2,000 records.


@dataclass(frozen=True, slots=True)
class Mark:
    """One record that was fetched.

    Attributes:
        device_id: Whose.
        numbering: How often its numbers have begun anew, as far as this spool knows.
        sequence: The device's number of the record.
        fingerprint: Tells it from another record of that number.
        boot_id: What names this numbering on the wire; None for the first.
    """

    device_id: str
    numbering: int
    sequence: int
    fingerprint: str
    boot_id: str | None = None


TABLES: Final = (
    """CREATE TABLE fetched (
        number      INTEGER PRIMARY KEY AUTOINCREMENT,  -- Order of capture.
        device_id   TEXT NOT NULL,
        numbering   INTEGER NOT NULL,
        sequence    INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        boot_id     TEXT
    )""",
    "CREATE INDEX fetched_by_device ON fetched (device_id, number)",
)
_NOTE: Final = """INSERT INTO fetched (device_id, numbering, sequence, fingerprint, boot_id)
    VALUES (?, ?, ?, ?, ?)"""
_PRUNE: Final = """DELETE FROM fetched WHERE device_id = :device AND number <= (
    SELECT number FROM fetched WHERE device_id = :device
    ORDER BY number DESC LIMIT 1 OFFSET :kept)"""
_DEVICES: Final = "SELECT DISTINCT device_id FROM fetched"
_RECALL: Final = """SELECT device_id, numbering, sequence, fingerprint, boot_id
    FROM fetched WHERE device_id = ? ORDER BY number"""


def note(connection: sqlite3.Connection, marks: Iterable[Mark | None]) -> None:
    """Write marks inside the caller's transaction, which stores their readings."""
    for mark in marks:
        if mark is None:
            continue
        row = (mark.device_id, mark.numbering, mark.sequence, mark.fingerprint, mark.boot_id)
        number = connection.execute(_NOTE, row).lastrowid or 0
        if number % _PRUNE_EVERY == 0:
            for (device,) in connection.execute(_DEVICES).fetchall():
                connection.execute(_PRUNE, {"device": device, "kept": MARKS_MAX})


def recall(connection: sqlite3.Connection, device_id: str) -> list[Mark]:
    """The marks of one device, oldest first."""
    return [Mark(*row) for row in connection.execute(_RECALL, (device_id,))]
