"""Cutting sorted rows into runs (sessions, assessments) for all residents at once.

A run is a stretch of neighbouring rows, given by a boolean column that is True where one
begins. Where the cut depends on the row that began the run, the k-th rows of all long runs
are looked at together, never one run after another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from rules.columns import BoolArray, Int64Array

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Table = TypeVar("Table", bound="DataclassInstance")
RowArray: TypeAlias = npt.NDArray[np.intp]
"""Row numbers."""


def stack_tables(tables: Sequence[Table]) -> Table:
    """Tables of one class, whose fields are columns, as one; at least one table."""
    first = type(tables[0])
    columns = {
        field.name: np.concatenate([getattr(table, field.name) for table in tables])
        for field in fields(first)
    }
    return first(**columns)


def begins_where(*columns: npt.NDArray[Any]) -> BoolArray:
    """True at the first row and wherever any of the aligned columns changes."""
    begins = np.zeros(len(columns[0]), dtype=np.bool_)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return begins


def number_runs(begins: BoolArray) -> tuple[RowArray, RowArray]:
    """Return (row at which each run begins, number of the run of each row)."""
    return np.flatnonzero(begins), np.cumsum(begins, dtype=np.intp) - 1


def last_rows(first: RowArray, rows: int) -> RowArray:
    """Last row of each run, from the first rows and the number of all rows."""
    return np.append(first[1:], rows)[: len(first)] - 1


def steps_by_rank(rank: RowArray) -> Iterator[RowArray]:
    """Yield the rows of rank 0, then those of rank 1, and so on, each ascending."""
    order = np.argsort(rank, kind="stable")
    bounds = np.concatenate(([0], np.cumsum(np.bincount(rank)))) if len(rank) else [0]
    for low, high in pairwise(bounds):
        yield order[low:high]


def split_long_runs(
    begins: BoolArray,
    at: Int64Array,
    *,
    span: Int64Array | int,
    reaches: bool,
    rows_max: int,
) -> BoolArray:
    """Begin a new run at the first row too far from its run's first row, again and again.

    Args:
        begins: Shape (n,), the runs so far; ``at`` ascends inside each.
        at: Shape (n,), microseconds.
        span: Scalar or shape (n,): how far a row may lie from the first of its run.
        reaches: True: a row exactly ``span`` away still belongs to the run.
        rows_max: A run never gets longer than this many rows.

    Cost: O(n) when no run is too long, which is usual; else as many steps as the longest has
    rows, each over all runs that long.
    """

    def too_far(rows: RowArray, start: RowArray) -> BoolArray:
        away = at[rows] - at[start]
        most = span[rows] if isinstance(span, np.ndarray) else span
        far: BoolArray = (away > most) if reaches else (away >= most)
        return far | (rows - start >= rows_max)

    first, run = number_runs(begins)
    everything = np.arange(len(begins))
    far = too_far(everything, first[run])
    if not far.any():
        return begins
    is_long = np.zeros(len(first), dtype=np.bool_)
    is_long[run[far]] = True
    rows = np.flatnonzero(is_long[run])
    start = first.copy()  # Of the piece that each run is in at the present step.
    result = begins.copy()
    for step in steps_by_rank(rows - first[run[rows]]):
        here = rows[step]
        cut = here[too_far(here, start[run[here]])]
        result[cut] = True
        start[run[cut]] = cut
    return result
