"""The promise: what is said of a reading later stands beside it; of each field the latest wins."""

from dataclasses import fields, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import ShapeError, UnknownCodeError
from rules.reported import Amendments, Field, amend
from tests.unit.rules.rules_builders import MINUTE, NOON, amendments, reported

COLUMNS = {
    Field.SYSTOLIC: "systolic_e4",
    Field.DIASTOLIC: "diastolic_e4",
    Field.GLUCOSE: "glucose_e7",
    Field.UNIT: "unit",
    Field.MEAL_CONTEXT: "meal_context",
    Field.ARM: "arm",
    Field.SETTING: "setting",
    Field.STATUS: "status",
    Field.MEASURED_AT: "measured_at",
    Field.RESIDENT: "resident",
    Field.CONTROL_SOLUTION: "control_solution",
    Field.LATE_CONTEXT: "meal_context",
}


@pytest.mark.parametrize("field", [pytest.param(each, id=each.name) for each in COLUMNS])
def test_one_field_of_one_row_changes(field: Field) -> None:
    before = reported(ids=[b"a", b"b", b"c"])

    after, retracted = amend(before, amendments((1, field, 1)))

    assert retracted.tolist() == [False] * 3
    for column in fields(before):
        old, new = getattr(before, column.name), getattr(after, column.name)
        assert new.dtype == old.dtype
        expected = old.copy()
        if column.name == COLUMNS[field]:
            expected[1] = np.array(1).astype(old.dtype)
        np.testing.assert_array_equal(new, expected)
    assert before.systolic_e4.tolist() == [1_280_000] * 3  # Nothing is changed in place.


def test_of_each_field_the_latest_received_wins() -> None:
    said = amendments(
        (0, Field.SYSTOLIC, 1),
        (0, Field.SYSTOLIC, 2),
        (0, Field.DIASTOLIC, 3),
        (1, Field.SYSTOLIC, 4),
        received_at=[NOON + 2 * MINUTE, NOON + MINUTE, NOON, NOON],
    )

    after, _ = amend(reported(ids=[b"a", b"b"]), said)

    assert after.systolic_e4.tolist() == [1, 4]
    assert after.diastolic_e4.tolist() == [3, 780_000]


@pytest.mark.parametrize(
    ("first", "second"),
    [(b"a", b"b"), (b"12345678a", b"12345678b"), (b"\x00\x01", b"\xff")],
)
def test_on_a_tie_the_larger_id_wins(first: bytes, second: bytes) -> None:
    for ids, expected in (([first, second], 2), ([second, first], 1)):
        said = amendments((0, Field.SYSTOLIC, 1), (0, Field.SYSTOLIC, 2), received_at=NOON, ids=ids)

        assert amend(reported(), said)[0].systolic_e4.tolist() == [expected]


def test_a_correction_wins_over_a_late_context_that_came_after_it() -> None:
    said = amendments((0, Field.MEAL_CONTEXT, 4), (0, Field.LATE_CONTEXT, 1))

    assert amend(reported(), said)[0].meal_context.tolist() == [4]


def test_a_retraction_is_final() -> None:
    said = amendments((1, Field.RETRACTED, 1), (1, Field.SYSTOLIC, 1))

    _, retracted = amend(reported(ids=[b"a", b"b"]), said)

    assert retracted.tolist() == [False, True]


def test_without_amendments_everything_stands() -> None:
    before = reported(ids=[b"a", b"b"])

    after, retracted = amend(before, Amendments.none())

    assert after is before
    assert retracted.tolist() == [False, False]
    assert len(Amendments.none()) == 0


@given(
    said=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(sorted(COLUMNS)), st.integers(0, 1)),
        min_size=1,
    ),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_order_of_amendments_does_not_matter(
    said: list[tuple[int, Field, int]], shuffle: Random
) -> None:
    before, told = reported(ids=[b"a", b"b", b"c"]), amendments(*said)
    order = list(range(len(said)))
    shuffle.shuffle(order)
    moved = Amendments(**{each.name: getattr(told, each.name)[order] for each in fields(told)})

    one, other = amend(before, told)[0], amend(before, moved)[0]

    for column in fields(one):
        np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name))


@pytest.mark.parametrize("target", [-1, 2])
def test_an_amendment_of_nothing_is_refused(target: int) -> None:
    with pytest.raises(
        UnknownCodeError, match=r"amendments\.target must be rows of the 2 reported"
    ):
        amend(reported(ids=[b"a", b"b"]), amendments((target, Field.SYSTOLIC, 1)))


@pytest.mark.parametrize("field", [-1, max(Field) + 1])
def test_an_unknown_field_is_refused(field: int) -> None:
    with pytest.raises(UnknownCodeError, match="field holds a code that no amendment has"):
        replace(amendments((0, Field.SYSTOLIC, 1)), field=np.array([field], np.int8))


def test_columns_that_do_not_fit_are_refused() -> None:
    good, said = reported(ids=[b"a", b"b"]), amendments((0, Field.SYSTOLIC, 1))

    with pytest.raises(ShapeError, match="arm has 1 rows where the other columns have 2"):
        replace(good, arm=good.arm[:1])
    with pytest.raises(ShapeError, match="systolic_e4 is float64 with 1 dimensions"):
        replace(good, systolic_e4=good.systolic_e4.astype(np.float64))
    with pytest.raises(ShapeError, match="value is int8"):
        replace(said, value=said.value.astype(np.int8))
