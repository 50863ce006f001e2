"""A checkpoint comes back as it was written, or is refused; profiles are found by name."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from ingest.checkpoints import (
    ALERTS,
    FORMAT,
    LANES,
    MOMENTS,
    SHOWN,
    UnreadableCheckpointError,
    find_profiles,
    from_bytes,
    name_profiles,
    to_bytes,
)
from rules.carried import Carried, OpenAlerts, Shown
from rules.checkpoint import take_checkpoint
from rules.errors import ProfileError
from rules.lanes import Lanes
from rules.limits import tabulate
from rules.moments import Moments
from rules.profiles import load_versions
from tests.unit.rules.rules_crowd import CHOICES, LIMITS, instant
from tests.unit.rules.test_checkpoint import random_crowd


def some_pasts() -> list[Carried]:
    """With open alerts, records, enrolments and nothing at all."""
    crowd, as_of = random_crowd(5, people=20, events=40)
    carried = take_checkpoint(
        crowd.readings,
        crowd.records,
        crowd.residents,
        LIMITS,
        before=instant(as_of),
        as_of=instant(as_of),
    )
    assert len(carried.alerts.code)
    return [carried.of(row, row + 1)[0] for row in range(len(crowd.residents))]


def require_equal(one: Any, other: Any) -> None:  # noqa: ANN401 - tables of columns
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype, field.name
        else:
            require_equal(left, right)


def test_what_is_written_comes_back() -> None:
    for past in some_pasts():
        require_equal(past, from_bytes(to_bytes(past)))


@pytest.mark.parametrize(
    ("table", "layout"),
    [(Lanes, LANES), (OpenAlerts, ALERTS), (Moments, MOMENTS), (Shown, SHOWN)],
)
def test_every_column_is_written(table: type, layout: dict[str, str]) -> None:
    """A new column is a new format: whoever adds one must say what an old checkpoint means."""
    assert set(layout) == {field.name for field in fields(table)}
    assert FORMAT == 1


def test_other_bytes_are_refused() -> None:
    data = to_bytes(some_pasts()[0])

    for broken in (b"", b"SFC", data[:-1], data + b"\0", b"XXX" + data[3:]):
        with pytest.raises(UnreadableCheckpointError, match="backup"):
            from_bytes(broken)
    with pytest.raises(UnreadableCheckpointError, match="format 2, this program reads 1"):
        from_bytes(data[:3] + b"\2" + data[4:])


def test_profiles_are_found_by_name_where_their_rows_have_moved() -> None:
    moved = tabulate([load_versions(name) for name in reversed(CHOICES)])

    for past in some_pasts():
        named, names = name_profiles(past, LIMITS)
        found = find_profiles(from_bytes(to_bytes(named)), names, moved)
        for name in ("row", "urgent_row"):
            before = [LIMITS.profiles[row].id for row in getattr(past.moments, name)]
            assert [moved.profiles[row].id for row in getattr(found.moments, name)] == before


def test_a_profile_that_is_gone_is_named() -> None:
    past = next(each for each in some_pasts() if len(each.moments))
    named, names = name_profiles(past, LIMITS)
    gone = [(names[0][0], "1999")]

    with pytest.raises(ProfileError, match="put its file back"):
        find_profiles(replace(named), gone, LIMITS)
