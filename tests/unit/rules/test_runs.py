"""The promise: rows are cut into runs as a loop would cut them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.reported import Amendments, Field
from rules.runs import (
    begins_where,
    last_rows,
    number_runs,
    split_long_runs,
    stack_tables,
    steps_by_rank,
)
from tests.unit.rules.rules_builders import amendments

NO_ROWS = np.zeros(0, dtype=np.int64)


def test_a_run_begins_wherever_a_column_changes() -> None:
    one, other = np.array([1, 1, 2, 2, 2]), np.array([5, 5, 5, 6, 6])

    begins = begins_where(one, other)

    assert begins.tolist() == [True, False, True, True, False]
    first, run = number_runs(begins)
    assert (first.tolist(), run.tolist()) == ([0, 2, 3], [0, 0, 1, 2, 2])
    assert last_rows(first, 5).tolist() == [1, 2, 4]


def test_no_rows_are_no_runs() -> None:
    begins = begins_where(NO_ROWS)
    first, run = number_runs(begins)

    assert (len(begins), len(first), len(run), len(last_rows(first, 0))) == (0, 0, 0, 0)
    assert list(steps_by_rank(NO_ROWS)) == []
    assert len(split_long_runs(begins, NO_ROWS, span=1, reaches=True, rows_max=5)) == 0


def test_rows_come_by_rank() -> None:
    steps = steps_by_rank(np.array([0, 1, 0, 2, 1]))

    assert [step.tolist() for step in steps] == [[0, 2], [1, 4], [3]]


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=40),
    span=st.integers(0, 20),
    each=st.booleans(),
    reaches=st.booleans(),
    rows_max=st.sampled_from([1, 3, 100]),
)
def test_long_runs_are_split_as_a_loop_would_split_them(
    rows: list[tuple[bool, int]],
    span: int,
    rows_max: int,
    *,
    each: bool,
    reaches: bool,
) -> None:
    begins = np.array([True, *(begin for begin, _ in rows[1:])])
    at = np.cumsum([after for _, after in rows])
    spans = np.arange(len(rows)) % 3 + span if each else np.full(len(rows), span)
    expected, start = [], 0
    for row, begin in enumerate(begins):
        away = at[row] - at[start]
        far = away > spans[row] if reaches else away >= spans[row]
        if begin or (far and row != start) or row - start >= rows_max:
            start = row
        expected.append(start == row)

    found = split_long_runs(
        begins, at, span=spans if each else span, reaches=reaches, rows_max=rows_max
    )

    if reaches or span > 0:  # A run of no length at all holds not even its first row.
        assert found.tolist() == expected


def test_what_is_given_is_not_changed() -> None:
    begins = np.array([True, False, False])

    split_long_runs(begins, np.array([0, 5, 10]), span=4, reaches=True, rows_max=9)

    assert begins.tolist() == [True, False, False]


def test_tables_are_stacked_column_by_column() -> None:
    one, other = amendments((1, Field.UNIT, 2)), amendments((3, Field.ARM, 1), (4, Field.ARM, 2))

    both = stack_tables([one, Amendments.none(), other])

    assert both.target.tolist() == [1, 3, 4]
    assert both.value.tolist() == [2, 1, 2]
    assert both.field.dtype == np.int8


@pytest.mark.parametrize("reaches", [True, False])
def test_a_row_exactly_the_span_away(*, reaches: bool) -> None:
    begins, at = np.array([True, False, False]), np.array([0, 10, 11])

    found = split_long_runs(begins, at, span=10, reaches=reaches, rows_max=9)

    assert found.tolist() == ([True, False, True] if reaches else [True, True, False])
