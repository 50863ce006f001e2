"""Files of recorded readings as rows of text, whatever they were written in.

CSV and NDJSON hold the columns of ``recordings``; Parquet the same; a FHIR bundle (or a folder of
them) becomes the same rows (``bundles``). A number keeps the digits that stand in the file:
``147.0`` stays ``147.0``. Each row knows where it stood, so that whoever refuses it can say so.
"""

import csv
import importlib
import json
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from simulators.bundles import read_bundle
from simulators.errors import RecordingError

SUFFIXES: Final = (".csv", ".ndjson", ".jsonl", ".parquet", ".json")
_ROWS_PER_BATCH: Final = 10_000


class Row(NamedTuple):
    """One row: where it stands, and its columns as text; "" where there is nothing."""

    where: str
    fields: Mapping[str, str]


def read_rows(path: Path, skipped: Counter[str]) -> Iterator[Row]:
    """Read one file, or every bundle of a folder, lazily.

    Args:
        path: The file or folder.
        skipped: Where observations are counted that are no readings, by why.

    Raises:
        RecordingError: Not readable, or of a kind that is not known here.
    """
    if path.is_dir():
        bundles = sorted(path.glob("*.json"))
        if not bundles:
            msg = f"the folder {path} holds no FHIR bundle (*.json); name another"
            raise RecordingError(msg)
        for bundle in bundles:
            yield from read_rows(bundle, skipped)
        return
    readers: dict[str, Callable[[Path], Iterator[Row]]] = {
        ".csv": _read_csv,
        ".ndjson": _read_ndjson,
        ".jsonl": _read_ndjson,
        ".parquet": _read_parquet,
        ".json": lambda bundle: _read_bundle(bundle, skipped),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        msg = f"{path} is of no known kind: its name ends in {', '.join(SUFFIXES)}, or it is"
        msg += " a folder of FHIR bundles. Rename it, or use --builtin"
        raise RecordingError(msg)
    try:
        yield from reader(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read the recording {path}: {error}; give another file, or --builtin"
        raise RecordingError(msg) from error


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        names = list(rows.fieldnames or ())
        if twice := [name for name in names if names.count(name) > 1]:
            _refuse(f"{path}, line 1: the column {twice[0]!r} stands there twice; leave one")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row:
                extra = row[None]
                _refuse(f"{where}: {extra!r} stand beyond the header's columns; quote the commas")
            yield Row(where, {name: value or "" for name, value in row.items()})


def _read_ndjson(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                found = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
            except (ValueError, RecursionError) as error:
                _refuse(f"{where}: {error}; each line is one JSON object")
            if not isinstance(found, dict):
                _refuse(f"{where}: {line.strip()[:60]!r} is no JSON object; each line is one")
            yield Row(where, {name: _text(value, name, where) for name, value in found.items()})


def _text(value: object, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(f"{where}: {name} {reprlib.repr(value)[:60]} is no text and no number; write one")
    return value


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        lib: Any = importlib.import_module("pyarrow.lib")
    except ModuleNotFoundError as error:
        msg = f"{path} needs the package pyarrow: pip install 'suifang[parquet]', or give CSV"
        raise RecordingError(msg) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_PER_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    fields = {name: _typed_text(value) for name, value in row.items()}
                    yield Row(f"{path}, row {number}", fields)
    except lib.ArrowException as error:
        _refuse(f"{path} is no Parquet file that can be read: {error}")


def _typed_text(value: object) -> str:
    """What a typed column would be in a CSV file."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read_bundle(path: Path, skipped: Counter[str]) -> Iterator[Row]:
    for where, fields in read_bundle(path, skipped):
        yield Row(f"{path}, {where}", fields)


def _refuse(problem: str) -> NoReturn:
    raise RecordingError(problem)
