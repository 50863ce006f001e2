"""The promise: columns that do not fit are refused by name, and rows have one order only."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import columns
from rules.codes import CaseState, ClosureReason, Condition, RecordKind
from rules.columns import Periods, Records, sort_in_time
from rules.errors import ShapeError, UnknownCodeError
from tests.unit.rules.rules_builders import (
    MINUTE,
    NOON,
    periods,
    readings,
    records,
    residents,
)

NOT_A_TIME = np.array(["NaT"], "datetime64[us]")
_KEYS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 1),
        st.binary(min_size=16, max_size=16).filter(lambda identifier: identifier[-1] != 0),
    ),
    unique_by=lambda key: key[3],
    min_size=1,
)


@given(_KEYS)
def test_order_is_resident_time_capture_and_then_the_bytes_of_the_id(
    keys: list[tuple[int, int, int, bytes]],
) -> None:
    given_rows = readings(
        resident=[key[0] for key in keys],
        effective_at=[NOON + key[1] * MINUTE for key in keys],
        captured_at=[NOON + key[2] * MINUTE for key in keys],
        ids=[key[3] for key in keys],
    )

    ordered, order = sort_in_time(given_rows)

    assert [keys[row] for row in order] == sorted(keys)
    assert ordered.ids.tolist() == [key[3] for key in sorted(keys)]


def test_rows_that_are_in_order_stay_as_they_are() -> None:
    before = readings(resident=[0, 0, 1], effective_at=[NOON, NOON + MINUTE, NOON])

    ordered, order = sort_in_time(before)

    assert ordered is before
    assert order.tolist() == [0, 1, 2]


def test_rows_far_apart_in_time_and_people_are_ordered_too() -> None:
    far = np.datetime64("2090-01-01", "us")
    before = readings(resident=[5_000_000, 0, 5_000_000], effective_at=[far, NOON, NOON])

    assert sort_in_time(before)[1].tolist() == [1, 2, 0]


def test_no_rows_are_in_order() -> None:
    nothing = readings().take(np.zeros(0, np.intp))

    assert (len(nothing), len(sort_in_time(nothing)[1])) == (0, 0)
    assert len(Records.none()) == len(Periods.none().resident) == 0


def test_taking_rows_keeps_them_aligned() -> None:
    three = readings(systolic=[100, 101, 102], ids=[b"a", b"b", b"c"])
    told = records(ids=[b"a", b"b", b"c"], kind=[1, 2, 3])

    assert three.take(np.array([2, 0])).ids.tolist() == [b"c", b"a"]
    assert (three.take(np.array([2, 0])).systolic_mmhg_e13 // 10**13).tolist() == [102, 100]
    assert told.take(np.array([2, 0])).kind.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("arm", "arm has 1 rows where the other columns have 2"),
        ("received_at", "received_at has 1 rows where the other columns have 2"),
    ],
)
def test_shorter_columns_are_refused(name: str, problem: str) -> None:
    good = readings(ids=[b"a", b"b"])

    with pytest.raises(ShapeError, match=problem):
        replace(good, **{name: getattr(good, name)[:1]})


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("glucose_mmol_l_e4", np.float64),
        ("systolic_mmhg_e13", np.float32),
        ("kind", np.int64),
        ("countable", np.int8),
        ("effective_at", "datetime64[s]"),
        ("ids", "S8"),
        ("resident", np.int32),
    ],
)
def test_columns_of_another_type_are_refused(name: str, dtype: Any) -> None:  # noqa: ANN401 - a type
    good = readings()

    with pytest.raises(ShapeError, match=f"{name} is .* with 1 dimensions; expected"):
        replace(good, **{name: getattr(good, name).astype(dtype)})


def test_a_table_in_the_place_of_a_column_is_refused() -> None:
    with pytest.raises(ShapeError, match="kind is int8 with 2 dimensions; expected int8 with 1"):
        replace(readings(), kind=np.zeros((1, 1), np.int8))


@pytest.mark.parametrize("name", ["effective_at", "captured_at", "arrived_at", "received_at"])
def test_a_reading_without_a_time_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=f"{name} holds NaT; a reading without that time"):
        replace(readings(), **{name: NOT_A_TIME})


@pytest.mark.parametrize("name", ["at", "received_at"])
def test_a_record_without_a_time_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match="at or received_at holds NaT"):
        replace(records(), **{name: NOT_A_TIME})


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("kind", columns.KIND_BLOOD_PRESSURE, columns.KIND_GLUCOSE),
        ("range_status", columns.RANGE_LOW, columns.RANGE_HIGH),
        ("setting", columns.SETTING_OFFICE, columns.SETTING_AMBULATORY),
        ("arm", columns.ARM_UNKNOWN, columns.ARM_RIGHT),
        ("meal_context", columns.MEAL_UNKNOWN, columns.MEAL_BEDTIME),
    ],
)
def test_codes_of_readings_have_bounds(name: str, low: int, high: int) -> None:
    for code in (low, high):
        assert getattr(readings(**{name: code}), name).tolist() == [code]
    for code in (low - 1, high + 1):
        with pytest.raises(UnknownCodeError, match=f"{name} holds a code outside {low} to {high}"):
            readings(**{name: [low, code]})


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("kind", min(RecordKind), max(RecordKind)),
        ("condition", columns.BOTH_CONDITIONS, max(Condition)),
        ("state", min(CaseState), max(CaseState)),
        ("reason", 0, max(ClosureReason)),
    ],
)
def test_codes_of_records_have_bounds(name: str, low: int, high: int) -> None:
    for code in (low, high):
        assert getattr(records(**{name: code}), name).tolist() == [code]
    for code in (low - 1, high + 1):
        with pytest.raises(UnknownCodeError, match=f"{name} holds a code outside {low} to {high}"):
            records(**{name: [low, code]})


def test_columns_of_people_and_periods_have_to_fit() -> None:
    people, held = residents(2), periods((0, "2026-03-02", "NaT", 1))

    with pytest.raises(ShapeError, match="enrolled_on has 1 rows"):
        replace(people, enrolled_on=people.enrolled_on[:1])
    with pytest.raises(ShapeError, match=r"birth_date is datetime64\[us\]"):
        replace(people, birth_date=people.birth_date.astype("datetime64[us]"))
    with pytest.raises(ShapeError, match="until has 0 rows"):
        replace(held, until=held.until[:0])


_DAY = st.dates(date(2026, 3, 1), date(2026, 3, 12))
_HELD = st.lists(
    st.tuples(st.integers(0, 2), _DAY, st.one_of(st.none(), _DAY), st.integers(1, 3)), max_size=8
)


@given(held=_HELD, asked=st.lists(st.tuples(st.integers(0, 2), _DAY), min_size=1, max_size=8))
def test_a_value_in_force_is_that_of_the_latest_begun_period(
    held: list[tuple[int, date, date | None, int]], asked: list[tuple[int, date]]
) -> None:
    table = periods(*[(who, str(low), str(high or "NaT"), value) for who, low, high, value in held])

    def plainly(who: int, on: date) -> int:
        mine = [
            (low, value)
            for owner, low, high, value in held
            if owner == who and low <= on and (high is None or on <= high)
        ]
        return max(mine, default=(on, 0))[1]

    found = table.value_on(
        np.array([who for who, _ in asked]), np.array([on for _, on in asked], "datetime64[D]")
    )

    assert found.tolist() == [plainly(who, on) for who, on in asked]
    assert found.dtype == np.int8


def test_periods_and_people_can_be_cut() -> None:
    held = periods(*[(who, "2026-03-02", "NaT", who + 1) for who in (0, 1, 2, 1)])
    people = residents(
        3,
        birth_date=["1968-01-01", "1969-01-01", "1970-01-01"],
        hypertension_since=["NaT", "2020-01-01", "2021-01-01"],
        diabetes_since=["2019-01-01", "2020-01-01", "NaT"],
        enrolled_on=["2019-01-01", "NaT", "2020-01-01"],
        pregnancies=held,
        profiles=held,
    )

    part = people.of(1, 3)

    assert len(part) == 2
    assert part.birth_date.astype(str).tolist() == ["1969-01-01", "1970-01-01"]
    assert part.hypertension_since.astype(str).tolist() == ["2020-01-01", "2021-01-01"]
    assert part.diabetes_since.astype(str).tolist() == ["2020-01-01", "NaT"]
    assert part.enrolled_on.astype(str).tolist() == ["NaT", "2020-01-01"]
    for cut in (part.pregnancies, part.profiles, held.of(1, 3)):
        assert (cut.resident.tolist(), cut.value.tolist()) == ([0, 1, 0], [2, 3, 2])
    assert held.of(1, 2).value.tolist() == [2, 2]


def test_a_period_begins_and_ends_on_its_days() -> None:
    held = periods((0, "2026-03-02", "2026-03-04", 1))
    days = [date(2026, 3, 1) + timedelta(days=number) for number in range(5)]

    found = held.value_on(np.zeros(5, np.int64), np.array(days, "datetime64[D]"))

    assert found.tolist() == [0, 1, 1, 1, 0]
