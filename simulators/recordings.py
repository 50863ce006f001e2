"""Reading recordings: rows become what a terminal would say, times still as recorded.

Never guesses. A value goes through as the text it is; a meal code that is not in the source's
own code list stays that code, and a time of dirty rows that cannot be read stays that text, so that
the pipeline and not the simulator decides what is bad. A row that cannot be planned (nobody, no
kind, no time) is refused with file, line, field, value and remedy.

Files: ``recorded_rows``. Two layouts, told apart by their columns (optional ones in brackets):

- ``resident,timestamp,kind[,systolic,diastolic,glucose,unit,context,elapsed_min,source]``
- ``resident,timestamp,code,value[,why]``: rows the public data set's own readers threw out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from simulators import data
from simulators.errors import RecordingError
from simulators.planned import Numeral
from simulators.recorded_rows import Row, read_rows
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
_DIRTY: Final = ("resident", "timestamp", "code", "value", "why")
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
_MINUTES: Final = re.compile(r"\d{1,8}", re.ASCII)
_YEARS: Final = range(1900, 2101)  # Beyond them a time is a fault, and cannot always be moved.
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
    clean = list(_parse(_builtin_rows("real_readings"), first_row=0))
    return [*clean, *_parse(_builtin_rows("real_dirty"), first_row=len(clean))]


def _builtin_rows(name: data.Name) -> Iterator[Row]:
    for number, fields in enumerate(data.read_rows(name), start=2):
        yield Row(f"{name}, line {number}", fields)


def read_recording(
    path: Path, say: Callable[[str], None] = lambda _: None
) -> list[RecordedReading]:
    """Read a file in one of the two layouts, or FHIR bundles.

    Args:
        path: A file, or a folder of bundles.
        say: Is told how many observations of bundles are no readings, if there are any.

    Raises:
        RecordingError: Not readable, other columns, or a row that is none; names the line.
    """
    skipped: Counter[str] = Counter()
    readings = list(_parse(read_rows(path, skipped), first_row=0))
    if skipped:
        reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(skipped.items()))
        say(f"{path}: {skipped.total():,} observations were not read: {reasons}")
    if not readings:
        msg = f"the recording {path} holds no readings; give another file, or --builtin"
        raise RecordingError(msg)
    return readings


def _parse(rows: Iterable[Row], *, first_row: int) -> Iterator[RecordedReading]:
    for number, row in enumerate(rows, start=first_row):
        try:
            yield _parse_row(row.fields, number)
        except ValueError as error:
            msg = f"{row.where}: {error}"
            raise RecordingError(msg) from error


def _parse_row(fields: Mapping[str, str], number: int) -> RecordedReading:
    is_clean = "kind" in fields or "code" not in fields
    known, needed = (_CLEAN, _CLEAN[:3]) if is_clean else (_DIRTY, _DIRTY[:4])
    if strange := sorted(fields.keys() - set(known)):
        msg = f"there is no column {strange[0]!r}; the columns are {', '.join(known)}"
        raise ValueError(msg)
    if missing := [name for name in needed if name not in fields]:
        msg = f"the column {missing[0]!r} is missing; needed are {', '.join(needed)}"
        raise ValueError(msg)
    if not fields["resident"]:
        msg = "resident is empty; every row needs somebody's code"
        raise ValueError(msg)
    row = dict.fromkeys(known, "") | dict(fields)
    return (_clean if is_clean else _dirty)(row, number)


def _clean(row: Mapping[str, str], number: int) -> RecordedReading:
    values: dict[str, object] = {
        name: _literal(row[name]) for name in ("systolic", "diastolic", "glucose") if row[name]
    }
    if row["unit"]:
        values["unit"] = _UNITS.get(row["unit"], row["unit"])
    values["setting"] = "office"
    kind = _KINDS.get(row["kind"])
    if kind is None:
        msg = f"kind {row['kind']!r} is neither bp nor glucose; write one of them"
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
    if at is not None and at.year not in _YEARS:
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
    if elapsed_min and not _MINUTES.fullmatch(elapsed_min):
        msg = f"elapsed_min {elapsed_min[:20]!r} is no whole number of minutes below 100,000,000;"
        msg += " correct it"
        raise ValueError(msg)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"timestamp {text!r} is no time; write 2026-03-02T09:30:00, with an offset if known"
        raise ValueError(msg) from None
    if at.year in _YEARS:
        at = at.astimezone(_UTC_8).replace(tzinfo=None) if at.tzinfo else at
        at += _MORNING + timedelta(minutes=int(elapsed_min)) if elapsed_min else timedelta()
    if at.year not in _YEARS:
        msg = f"timestamp {text!r} leads out of the years {_YEARS[0]} to {_YEARS[-1]}; correct it"
        raise ValueError(msg)
    return at
