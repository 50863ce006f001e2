"""Is a record of a meter's memory new, taken, or of another numbering? Pure; no I/O.

Sequence numbers run from 0 to 65,535 and begin anew after that, after a change of battery in
some meters, and after a reset. So a number alone never says "taken": number and fingerprint do.
A record with a number not above the last one taken, but not one that was taken, proves that
numbers have begun anew; from then on the readings carry a ``boot_id``.

Loss is worse than a double: what is in doubt counts as new. (Only a record that left memory
between two visits and came back, or one older than ``MARKS_MAX`` others, can be in doubt.)
"""

import hashlib
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from gateway.fetched import Mark

SEQUENCE_MAX: Final = 65_535  # 16 bits (Glucose Measurement, sequence number).
_FINGERPRINT_BYTES: Final = 8


class Verdict(Enum):
    """What a record is to the spool."""

    NEW = auto()
    TAKEN = auto()
    ANEW = auto()  # New, and the device's numbers have begun again.


def fingerprint(*parts: object) -> str:
    """Hash of what never changes in a stored record: its time, value and unit."""
    text = "|".join(map(str, parts))
    return hashlib.blake2s(text.encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()


class Numbering:
    """What the spool has of one device. Made from its marks at the start of each visit."""

    def __init__(self, device_id: str, marks: Iterable[Mark]) -> None:
        self._device_id = device_id
        self._taken: dict[tuple[int, str], Mark] = {}
        self._present: dict[int, str] = {}  # Of the present numbering: sequence -> fingerprint.
        self._number = 0
        self._boot_id: str | None = None
        self._floor: int | None = None
        self._previous: int | None = None  # In this transfer.
        for mark in marks:
            self._remember(mark)
        self.begin_transfer()

    @property
    def last(self) -> int | None:
        """The highest number taken in the present numbering; None: nothing yet."""
        return max(self._present, default=None)

    def begin_transfer(self) -> None:
        """The device is asked again: within a transfer order does not matter, but for 65,535, 0."""
        self._floor = self.last
        self._previous = None

    def judge(self, sequence: int, of_record: str) -> Verdict:
        """What this record is. Changes nothing."""
        if (sequence, of_record) in self._taken:
            return Verdict.TAKEN
        if sequence in self._present:
            return Verdict.ANEW
        if self._floor is not None and sequence <= self._floor:
            return Verdict.ANEW
        return Verdict.ANEW if self._wraps(sequence) else Verdict.NEW

    def begin_anew(self, since: str) -> None:
        """The device counts from the start again; ``since`` and how often name it on the wire."""
        self._number += 1
        self._boot_id = f"{since}/{self._number}"
        self._present.clear()
        self._floor = self._previous = None

    def mark(self, sequence: int, of_record: str) -> Mark:
        """The mark that goes to the spool with this record; remembered by ``take``."""
        self._previous = sequence
        return Mark(self._device_id, self._number, sequence, of_record, self._boot_id)

    def take(self, mark: Mark) -> None:
        """The spool has it."""
        self._remember(mark)

    def _wraps(self, sequence: int) -> bool:
        """Lower than the one before, and yet behind it (serial number arithmetic, RFC 1982)."""
        if self._previous is None or sequence >= self._previous:
            return False
        return (sequence - self._previous) % (SEQUENCE_MAX + 1) <= SEQUENCE_MAX // 2

    def boot_id_of(self, sequence: int) -> str | None:
        """The ``boot_id`` under which the latest record of that number went up."""
        if sequence in self._present:
            return self._boot_id
        earlier = [mark for (number, _), mark in self._taken.items() if number == sequence]
        return earlier[-1].boot_id if earlier else self._boot_id

    def _remember(self, mark: Mark) -> None:
        if mark.numbering > self._number:
            self._number, self._boot_id = mark.numbering, mark.boot_id
            self._present.clear()
        self._taken[mark.sequence, mark.fingerprint] = mark
        if mark.numbering == self._number:
            self._boot_id = mark.boot_id
            self._present[mark.sequence] = mark.fingerprint
