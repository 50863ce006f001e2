"""The ledger: what was truly sent and what the gateway answered. Ground truth for reconcile.

One JSON object a line, appended in this order and never rewritten:

- ``{"sent": n, "at", "gateway", "card", "expected", "twins", "reading": {...}}`` **before** the
  bytes leave; the reading is the very line, so value literals stay as sent; ``"reason"`` where it
  is to be quarantined for that;
- ``{"again": n, "at"}``: sent once more because a broken link took the answer with it, so the
  gateway may hold this reading under two ids (an *echo*);
- ``{"taken": n, "id", "at"}`` or ``{"refused": n, "code", "at"}``: the answer;
- ``{"burst": n, "at", "readings": [{"gateway", "id", "reading", ...}]}`` of a light fleet: the
  readings n, n + 1, … in one write before their bytes leave; ids are known beforehand, a reading
  may be what tells it from others only, ``expected`` is stored unless it stands there;
- ``{"acknowledged": [n, ...], "at"}``: the broker has those of a burst, so they count as taken.

A rehearsal tells more, so that somebody else can judge the same people again: in ``sent`` also
``"truth": {"resident_id", "measured_at", "fields"}``, who and what was truly measured (``null``:
nobody, the device made it up); ``{"person": {...}, "at"}`` whenever the contract system says who
somebody is, ``{"act": {...}, "at"}`` for what a doctor records, ``{"line": "cut" or "back",
"gateways", "at"}`` when gateways lose the network or have it again, and ``{"ended": at, "profile",
"step_s"}`` whenever everything that was due by then has been judged.

Invariants: a reading a gateway may know is in the ledger, whatever is killed (each line is one
``write`` that the kernel holds); only the last line can be torn. Memory of the writer does not
grow. A ledger holds pseudonymous health data: file mode 0600.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from uuid import UUID

from gateway.wire.errors import WireError
from gateway.wire.readings import parse_json
from gateway.wire.times import format_instant, parse_instant
from ingest.db.entities import Resident
from ingest.db.records import Record
from simulators.errors import LedgerError
from simulators.planned import Expected, PlannedReading

_STORY: Final = (b'{"person"', b'{"act"', b'{"ended"', b'{"line"')
_ACT_FIELDS: Final = (
    *("id", "resident_id", "kind", "at", "condition", "mode", "state", "due", "reason"),
    *("outcome", "withdraws"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a reading truly is, whatever it says of itself.

    Attributes:
        resident_id: Whose body was measured, by pseudonym; None: nobody's, the device made it up.
        measured_at: When, truly; aware.
        fields: Values as measured, by their names on the wire; empty: as sent.
    """

    resident_id: str | None
    measured_at: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the ledger."""
        return {
            "resident_id": self.resident_id,
            "measured_at": self.measured_at.isoformat(),
            "fields": dict(self.fields),
        }


def _encode(event: Mapping[str, object]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


Delivery: TypeAlias = tuple[str, str, int | str]
"""What tells one reading of a device from the next: (device, boot, sequence), or
(device, "", device time) of a device that does not count."""


class Ledger:
    """Appends to one new file. Use as a context manager; one writer a file.

    Raises:
        LedgerError: The file exists, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError as error:
            msg = f"the ledger {path} exists already: a ledger is one run, name a new file"
            raise LedgerError(msg) from error
        except OSError as error:
            msg = f"cannot create the ledger {path}: {error}"
            raise LedgerError(msg) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def record_sent(
        self, reading: PlannedReading, at: datetime, *, truth: Truth | None = None
    ) -> int:
        """Write down what is about to be sent; returns its number in this ledger.

        Args:
            reading: As it leaves the terminal.
            at: The clock.
            truth: What it truly is; None: not known, or as it says.
        """
        self._number += 1
        entry = {
            "sent": self._number,
            "at": format_instant(at),
            "gateway": reading.gateway_id,
            "card": reading.card_number,
            "expected": reading.expected,
            "twins": reading.twins,
        }
        if reading.reason is not None:
            entry["reason"] = reading.reason
        if truth is not None:
            entry["truth"] = truth.as_dict()
        head = json.dumps(entry, separators=(",", ":"))[:-1].encode()
        line = reading.line
        if reading.broken:  # A ledger holds lines of JSON.
            line = _encode({"device_id": reading.device_id, "bytes": line.hex()})[:-1]
        self._append(head + b',"reading":' + line + b"}\n")
        return self._number

    def record_again(self, number: int, at: datetime) -> None:
        """Write down that it is sent once more, its first answer being lost."""
        self._append(f'{{"again":{number},"at":"{format_instant(at)}"}}\n'.encode())

    def record_taken(self, number: int, reading_id: UUID, at: datetime) -> None:
        """Write down the id the gateway gave."""
        line = f'{{"taken":{number},"id":"{reading_id}","at":"{format_instant(at)}"}}\n'
        self._append(line.encode())

    def record_refused(self, number: int, code: str, at: datetime) -> None:
        """Write down that the gateway would not take it; it is then in nobody's care."""
        entry = {"refused": number, "code": code, "at": format_instant(at)}
        self._append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def record_people(self, people: Iterable[Resident], at: datetime) -> None:
        """Write down who these are from now on."""
        for resident in people:
            said = {"id": resident.id, **resident.content()}
            self._append(_encode({"person": said, "at": format_instant(at)}))

    def record_act(self, record: Record, at: datetime) -> None:
        """Write down what a doctor records."""
        said = {
            name: value.isoformat() if isinstance(value, date) else str(value)
            for name in _ACT_FIELDS
            if (value := getattr(record, name)) is not None
        }
        self._append(
            _encode({"act": said | {"findings": list(record.findings)}, "at": format_instant(at)})
        )

    def record_line(self, gateways: Sequence[str], at: datetime, *, back: bool) -> None:
        """Write down that these gateways have lost the network, or have it again."""
        said = {"line": "back" if back else "cut", "gateways": list(gateways)}
        self._append(_encode(said | {"at": format_instant(at)}))

    def record_burst(self, entries: Sequence[str], at: datetime) -> int:
        """Write down many at once, as JSON objects; returns the number of the first."""
        first = self._number + 1
        self._number += len(entries)
        head = f'{{"burst":{first},"at":"{format_instant(at)}","readings":['
        self._append(f"{head}{','.join(entries)}]}}\n".encode())
        return first

    def record_acknowledged(self, numbers: Sequence[int], at: datetime) -> None:
        """Write down that the broker has these of a burst."""
        text = ",".join(map(str, numbers))
        self._append(f'{{"acknowledged":[{text}],"at":"{format_instant(at)}"}}\n'.encode())

    def record_end(self, at: datetime, *, profile: str, step_s: int) -> None:
        """Write down that all that was due by then has been judged.

        Args:
            at: The clock.
            profile: Of the deployment.
            step_s: How far the clock moves at a time: what is sooner told cannot be seen.
        """
        self._append(_encode({"ended": format_instant(at), "profile": profile, "step_s": step_s}))

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
        except OSError as error:
            msg = f"cannot write the ledger {self._path}: {error}; free the disk and run again"
            raise LedgerError(msg) from error
        if written != len(line):
            msg = f"the disk of the ledger {self._path} is full; free it and run again"
            raise LedgerError(msg)


@dataclass(slots=True)
class Entry:
    """One reading of a ledger, with all that happened to it."""

    gateway_id: str
    expected: Expected | None
    twins: str | None
    delivery: Delivery
    reason: str | None = None  # For which it should be quarantined.
    reading_id: UUID | None = None
    refused: str | None = None
    truth: Mapping[str, Any] | None = None
    answers_lost: int = 0  # How many ids, at most, the gateway gave without our knowing.
    sent_at: datetime | None = None  # By the clock of who sends; None: of a burst.
    offered_id: UUID | None = None  # Of a burst: its id, once the broker has it.


def read_ledger(path: Path) -> list[Entry]:
    """Read one ledger; memory grows with its length. A torn last line is passed over.

    Raises:
        LedgerError: Not readable, or a line that is none of a ledger's; names the line.
    """
    entries: dict[int, Entry] = {}
    for number, (line, last) in enumerate(_lines(path), start=1):
        try:
            _apply(parse_json(line), entries)
        except (WireError, KeyError, TypeError, ValueError) as error:
            if last and not line.endswith(b"\n"):
                break
            msg = f"{path}, line {number} is no ledger entry ({error}); give a --ledger file"
            raise LedgerError(msg) from error
    for entry in entries.values():
        if entry.reading_id is None and entry.refused is None:
            entry.answers_lost += 1
    return list(entries.values())


def read_story(path: Path) -> Iterator[dict[str, Any]]:
    """Of a ledger that was read before: every line that tells of people, in order."""
    for line, _ in _lines(path):
        if line.startswith(_STORY):
            yield parse_json(line)


def _lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    try:
        with path.open("rb") as file:
            line = file.readline()
            while line:
                following = file.readline()
                yield line, not following
                line = following
    except OSError as error:
        msg = f"cannot read the ledger {path}: {error}"
        raise LedgerError(msg) from error


def _apply(event: dict[str, Any], entries: dict[int, Entry]) -> None:
    if "sent" in event:
        entries[event["sent"]] = Entry(
            gateway_id=event["gateway"],
            expected=Expected(event["expected"]) if event["expected"] else None,
            twins=event["twins"],
            delivery=delivery_of(event["reading"]),
            reason=event.get("reason"),
            truth=event.get("truth"),
            sent_at=parse_instant(event["at"]),
        )
    elif "again" in event:
        entries[event["again"]].answers_lost += 1
    elif "burst" in event:
        for number, sent in enumerate(event["readings"], start=event["burst"]):
            expected = sent.get("expected", Expected.STORED)
            entries[number] = Entry(
                gateway_id=sent["gateway"],
                expected=Expected(expected) if expected else None,
                twins=sent.get("twins"),
                delivery=delivery_of(sent["reading"]),
                offered_id=UUID(sent["id"]),
            )
    elif "acknowledged" in event:
        for number in event["acknowledged"]:
            entries[number].reading_id = entries[number].offered_id
    elif "taken" in event:
        entries[event["taken"]].reading_id = UUID(event["id"])
    elif "person" in event or "act" in event or "ended" in event or "line" in event:
        return  # For who judges the people again (``simulators.judged``).
    else:
        entries[event["refused"]].refused = event["code"]


def delivery_of(reading: dict[str, Any]) -> Delivery:
    """Name one reading of one device, from its wire fields."""
    device = str(reading.get("device_id", ""))
    sequence = reading.get("device_sequence")
    if sequence is not None:
        return device, str(reading.get("boot_id") or ""), int(sequence)
    text = str(reading.get("measured_at") or "")
    try:
        return device, "", parse_instant(text).isoformat()
    except ValueError:
        return device, "", text
