"""CSV for people who open it in a spreadsheet: UTF-8 with a byte order mark, no formulas.

RFC 4180 lines. A text that a spreadsheet would run (it begins with ``=``, ``+``, ``-``, ``@``, a
tab or a line break, blanks before them or not) gets an apostrophe before it: what somebody typed
must never act on the machine of who reads it. Values that this program made (numbers, days) are
left alone, so a negative number stays one.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
BYTE_ORDER_MARK: Final = "\ufeff"
"""Excel takes UTF-8 without it for the local code page."""
_RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Source: OWASP, CSV injection; the full-width forms are taken likewise by some."""

Cell = str | int | Decimal | date | None


def as_line(cells: Sequence[Cell]) -> str:
    r"""One line with its line end.

    >>> as_line(["=1+1", -1, None, "a, b"])
    '\'=1+1,-1,,"a, b"\r\n'
    """
    text = io.StringIO()
    csv.writer(text).writerow([_guarded(cell) for cell in cells])
    return text.getvalue()


def _guarded(cell: Cell) -> str:
    if cell is None:
        return ""
    text = str(cell)
    if isinstance(cell, str) and text.lstrip(" ").startswith(_RUNS):
        return f"'{text}"
    return text


def download(name: str) -> dict[str, str]:
    """Headers that have a browser save the answer as a file, and nothing keep it."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
