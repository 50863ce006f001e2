"""Reading recordings: CSV rows become what a terminal would say, times still as recorded.

Never guesses. A value goes through as the text it is; a meal code that is not in the source's
own code list stays that code, and a time that cannot be read stays that text, so that the
pipeline and not the simulator decides what is bad.

Two layouts, told apart by their header:

- ``resident,timestamp,kind,systolic,diastolic,glucose,unit,context,elapsed_min,source``
- ``resident,timestamp,code,value,why``: rows the public data set's own readers threw out.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from simulators import data
from simulators.errors import RecordingError
from simulators.planned import Numeral
from simulators.sites import Kind

_CLEAN: Final = (
    "resident",
    "timestamp",
    "kind",
    "systolic",
    "diastolic",
    "glucose",
    "unit",
    "context",
    "elapsed_min",
    "source",
)
_DIRTY: Final = ("resident", "timestamp", "code", "value")
_KINDS: Final[dict[str, Kind]] = {"bp": "blood_pressure", "glucose": "glucose"}
_UNITS: Final = {"mm[Hg]": "mmHg"}  # UCUM to the wire's name; the same unit.
# Source: Data-Codes of the UCI data set (48 to 64).
_MEALS: Final = {
    "48": "unknown",
    "57": "unknown",
    "58": "fasting",
    "59": "postprandial_2h",
    "60": "preprandial",
    "61": "postprandial_2h",
    "62": "preprandial",
    "63": "postprandial_2h",
    "64": "preprandial",
    "pre_breakfast": "fasting",
    "pre_lunch": "preprandial",
    "pre_supper": "preprandial",
    "pre_snack": "preprandial",
    "post_breakfast": "postprandial_2h",
    "post_lunch": "postprandial_2h",
    "post_supper": "postprandial_2h",
}
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_MONTHS: Final = re.compile(r"P(\d{1,3})M", re.ASCII)
_MORNING: Final = timedelta(hours=9)  # Where a source tells the day but not the hour.
_ENROLLED: Final = datetime(2000, 1, 1) + _MORNING  # noqa: DTZ001 - wall clock, moved later
_MONTH: Final = timedelta(days=30)
_UTC_8: Final = timezone(timedelta(hours=8))  # One offset, so that intervals stay intervals.


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReading:
    """One row of a recording.

    Attributes:
        row: Position in the recording, for a stable order.
        card_number: The recording's code for the resident.
        at: Wall clock; None when the row tells no time.
        unreadable_time: The time as it stands, when it is no time.
        values: Wire fields in the order they are sent, values as they stand.
        counts: Whether the terminal numbers its readings.
        dirty: From the rows the source threw out.
    """

    row: int
    card_number: str
    kind: Kind
    at: datetime | None
    unreadable_time: str | None = None
    values: Mapping[str, object]
    counts: bool
    dirty: bool = False


def builtin_recording() -> list[RecordedReading]:
    """The 27,830 real readings and the 196 dirty rows of ``simulators/data``."""
    clean = list(_parse(data.read_rows("real_readings"), name="real_readings", first_row=0))
    dirty = _parse(data.read_rows("real_dirty"), name="real_dirty", first_row=len(clean))
    return [*clean, *dirty]


def read_recording(path: Path) -> list[RecordedReading]:
    """Read a CSV file in one of the two layouts.

    Raises:
        RecordingError: Not readable, another header, or a row that is none; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            readings = list(_parse(csv.DictReader(file), name=str(path), first_row=0))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read the recording {path}: {error}; give a CSV file, or --builtin"
        raise RecordingError(msg) from error
    if not readings:
        msg = f"the recording {path} holds no readings; give a CSV file, or --builtin"
        raise RecordingError(msg)
    return readings


def _parse(
    rows: Iterable[dict[str, str]], *, name: str, first_row: int
) -> Iterator[RecordedReading]:
    for index, row in enumerate(rows):
        try:
            yield _parse_row(row, first_row + index)
        except ValueError as error:
            msg = f"{name}, row {index + 2}: {error}"
            raise RecordingError(msg) from error


def _parse_row(row: Mapping[str, str], number: int) -> RecordedReading:
    parse = _clean if "kind" in row else _dirty
    missing = [name for name in (_CLEAN if "kind" in row else _DIRTY) if row.get(name) is None]
    if missing or not row["resident"]:
        msg = f"no value for {', '.join(missing) or 'resident'}; see the two layouts of recordings"
        raise ValueError(msg)
    return parse(row, number)


def _clean(row: Mapping[str, str], number: int) -> RecordedReading:
    values: dict[str, object] = {
        name: _literal(row[name]) for name in ("systolic", "diastolic", "glucose") if row[name]
    }
    if row["unit"]:
        values["unit"] = _UNITS.get(row["unit"], row["unit"])
    values["setting"] = "office"
    kind = _KINDS.get(row["kind"])
    if kind is None:
        msg = f"kind {row['kind']!r} is neither bp nor glucose"
        raise ValueError(msg)
    if kind == "glucose":
        context = row["context"]
        unspecified = context.startswith("unspecified") or not context
        values["meal_context"] = "unknown" if unspecified else _MEALS.get(context, context)
    return RecordedReading(
        row=number,
        card_number=row["resident"],
        kind=kind,
        at=_wall_clock(row["timestamp"], row["elapsed_min"]),
        values=values,
        counts=row["source"] != "synthea_r4",
    )


def _dirty(row: Mapping[str, str], number: int) -> RecordedReading:
    values: dict[str, object] = {}
    if row["value"]:
        values["glucose"] = _literal(row["value"])
    values |= {
        "unit": "mg/dL",
        "setting": "office",
        "meal_context": _MEALS.get(row["code"], row["code"]),
    }
    try:
        at = datetime.strptime(row["timestamp"], "%m-%d-%Y %H:%M")  # noqa: DTZ007 - wall clock
    except ValueError:
        at = None
    return RecordedReading(
        row=number,
        card_number=row["resident"],
        kind="glucose",
        at=at,
        unreadable_time=None if at else row["timestamp"],
        values=values,
        counts=True,
        dirty=True,
    )


def _literal(text: str) -> object:
    return Numeral(text) if _NUMBER.fullmatch(text) else text


def _wall_clock(text: str, elapsed_min: str) -> datetime | None:
    if not text:
        return None
    if months := _MONTHS.fullmatch(text):
        return _ENROLLED + int(months[1]) * _MONTH
    at = datetime.fromisoformat(text)
    if elapsed_min:
        return at + _MORNING + timedelta(minutes=int(elapsed_min))
    return at.astimezone(_UTC_8).replace(tzinfo=None) if at.tzinfo else at
