"""A report: figures, checks, charts and tables in the order in which they are read.

Every text a person reads may be given in English and Chinese: ``Words("rate", "速率")``. Nothing
here knows what was simulated. Values are as they will be shown; times of charts are seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from gateway.wire.times import format_instant


class Words(NamedTuple):
    """One text in both languages."""

    en: str
    zh: str


Text: TypeAlias = str | Words
Cell: TypeAlias = Text | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that sums up the run."""

    name: Text
    value: Cell
    unit: Text = ""
    note: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that had to be so."""

    name: Text
    passed: bool
    detail: Text = ""


class Series(NamedTuple):
    """One line of a chart; None in ``y`` is a gap."""

    name: Text
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over time, or over anything else that is named.

    Attributes:
        unit: Of the values.
        x_unit: Of the horizontal axis.
        logarithmic: The vertical axis; values of 0 and below are then gaps.
    """

    title: Text
    unit: Text
    series: Sequence[Series]
    x_unit: Text = "s"
    logarithmic: bool = False
    note: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells below named columns."""

    title: Text
    columns: Sequence[Text]
    rows: Sequence[Sequence[Cell]]
    note: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it.

    Attributes:
        started_at: Aware.
        ended_at: Aware.
        partial: Why the run ended before its plan did; None: it did not.
        summary: A few sentences for who reads no further.
        data: Whatever else the JSON twin shall hold, such as the plan.
    """

    title: Text
    started_at: datetime
    ended_at: datetime
    partial: str | None = None
    summary: Sequence[Text] = ()
    figures: Sequence[Figure] = ()
    checks: Sequence[Check] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the run is whole and every check passed."""
        return self.partial is None and all(check.passed for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The JSON twin. Texts are English, as names are."""
        return {
            "title": english(self.title),
            "started_at": format_instant(self.started_at),
            "ended_at": format_instant(self.ended_at),
            "partial": self.partial,
            "passed": self.passed,
            "summary": [english(each) for each in self.summary],
            "figures": [
                {
                    "name": english(each.name),
                    "value": _plain(each.value),
                    "unit": english(each.unit),
                }
                for each in self.figures
            ],
            "checks": [
                {
                    "name": english(each.name),
                    "passed": each.passed,
                    "detail": english(each.detail),
                }
                for each in self.checks
            ],
            "charts": [
                {
                    "title": english(each.title),
                    "unit": english(each.unit),
                    "x_unit": english(each.x_unit),
                    "series": [
                        {"name": english(line.name), "x": list(line.x), "y": list(line.y)}
                        for line in each.series
                    ],
                }
                for each in self.charts
            ],
            "tables": [
                {
                    "title": english(each.title),
                    "columns": [english(column) for column in each.columns],
                    "rows": [[_plain(cell) for cell in row] for row in each.rows],
                }
                for each in self.tables
            ],
            **self.data,
        }


def _plain(cell: Cell) -> str | int | float | None:
    return cell.en if isinstance(cell, Words) else cell


def english(text: Text) -> str:
    """The English of a text."""
    return text.en if isinstance(text, Words) else text


def chinese(text: Text) -> str:
    """The Chinese of a text; what has none is the same in both."""
    return text.zh if isinstance(text, Words) else text
