"""The promise: one order of readings, whatever order they came in."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.columns import order_in_time
from tests.unit.rules.rules_builders import NOON, a_blood_pressure, readings_of

_ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 1),
        st.binary(min_size=16, max_size=16).filter(lambda identifier: identifier[-1] != 0),
    ),
    unique_by=lambda row: row[3],
)


@given(_ROWS)
def test_order_is_resident_time_capture_and_then_the_bytes_of_the_id(
    keys: list[tuple[int, int, int, bytes]],
) -> None:
    rows = [
        a_blood_pressure(
            resident=resident,
            at=NOON + timedelta(minutes=at),
            captured_at=NOON + timedelta(minutes=captured),
            id=identifier,
        )
        for resident, at, captured, identifier in keys
    ]

    order = order_in_time(readings_of(rows))

    assert [keys[row] for row in order] == sorted(keys)


def test_taking_rows_keeps_them_aligned() -> None:
    rows = [a_blood_pressure(100 + number, 60) for number in range(3)]

    taken = readings_of(rows).take(np.array([2, 0]))

    assert (taken.systolic_mmhg_e13 // 10**13).tolist() == [102, 100]
    assert len(taken) == 2
