"""Figures as CSV, for a spreadsheet: UTF-8 with its mark, so that Chinese is read as such."""

import csv
import io
from collections.abc import Iterable

from api.indicators.schemas import FiguresOut

HEADINGS = (
    "period",
    "known_until",
    "code",
    "version",
    "title_zh",
    "title_en",
    "centre_id",
    "team_id",
    "numerator",
    "denominator",
    "ratio",
    "percent",
    "formula",
    "source",
    "computed_at",
)
_BYTE_ORDER_MARK = "\ufeff"


def to_csv(found: FiguresOut) -> str:
    """One line a figure, beside it everything that says what it means."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for item in found.items:
        for figure in item.figures:
            shown = {**item.model_dump(), **figure.model_dump()}
            shown |= {"period": found.period.name, "known_until": found.period.known_until}
            shown["computed_at"] = found.computed_at.isoformat()
            writer.writerow(_plain(shown[name] for name in HEADINGS))
    return _BYTE_ORDER_MARK + text.getvalue()


def _plain(cells: Iterable[object]) -> list[object]:
    """Nothing of somebody else's that a spreadsheet would take for a formula."""
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
        for cell in cells
    ]
