"""Promise: a cursor comes back as the key it was made of, and nothing else is taken for one."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter

from api.cursors import CURSOR_CHARACTERS_MAX, NUMBER_MAX, Cursor, Number
from api.errors import BadParameterError

NUMBERS: Cursor[int] = Cursor("cases", TypeAdapter(Number))
TIMES: Cursor[tuple[datetime, UUID]] = Cursor("readings", TypeAdapter(tuple[AwareDatetime, UUID]))


@given(st.integers(min_value=0, max_value=NUMBER_MAX))
def test_a_number_survives_the_way_out_and_back(number: int) -> None:
    assert NUMBERS.read(NUMBERS.write(number)) == number


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_time_keeps_its_microseconds(at: datetime, identifier: UUID) -> None:
    text = TIMES.write((at, identifier))

    assert TIMES.read(text) == (at, identifier)
    assert len(text) <= CURSOR_CHARACTERS_MAX


@given(st.text(max_size=CURSOR_CHARACTERS_MAX))
def test_any_text_is_refused_or_read_and_never_a_crash(text: str) -> None:
    with contextlib.suppress(BadParameterError):
        assert NUMBERS.read(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(Cursor("alerts", TypeAdapter(int)).write(7), id="of-another-resource"),
        pytest.param(Cursor("cases", TypeAdapter(int)).write(-1), id="negative"),
        pytest.param(Cursor("cases", TypeAdapter(int)).write(2**63), id="beyond-bigint"),
        pytest.param(Cursor("cases", TypeAdapter(str)).write("x"), id="no-number"),
        pytest.param("", id="empty"),
        pytest.param("W10", id="empty-list"),
    ],
)
def test_a_forged_cursor_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadParameterError, match="next_cursor"):
        NUMBERS.read(text)


def test_no_cursor_means_the_beginning() -> None:
    assert NUMBERS.read(None) is None
