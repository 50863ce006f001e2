"""Writes a report's two files, whole or not at all: ``report.html`` and ``report.json``."""

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from simulators.errors import ReportError
from simulators.report.model import Report
from simulators.report.page import render

_MODE: Final = 0o600  # It may name gateways; who wants to show it gives it away.


class Written(NamedTuple):
    """Where the report is."""

    page: Path
    twin: Path


def write_report(report: Report, folder: Path) -> Written:
    """Write both files; a report that was there is replaced.

    Raises:
        ReportError: The folder cannot be written.
    """
    written = Written(folder / "report.html", folder / "report.json")
    twin = json.dumps(report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(written.page, render(report))
        _write(written.twin, twin)
    except OSError as error:
        msg = f"cannot write the report into {folder}: {error.strerror}; name another --report"
        raise ReportError(msg) from error
    return written


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "w") as file:
        file.write(text)
    fresh.replace(path)
