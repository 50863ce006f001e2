"""A late context names its value by device and number, or is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import Reason, WireError
from gateway.wire.items import GlucoseContext, parse_item

_ID = "0193b0a0-5c00-7000-8000-000000000001"
_AT = "2024-12-10T08:00:00.000Z"


def _context(rest: str) -> bytes:
    head = f'"id":"{_ID}","captured_at":"{_AT}","kind":"glucose_context","device_id":"m-1"'
    return f"{{{head},{rest}}}".encode()


def test_a_context_is_taken_and_what_it_says_besides_is_kept() -> None:
    item = parse_item(_context('"device_sequence":7,"meal_context":"fasting","kilogram":0.030'))

    assert isinstance(item, GlucoseContext)
    assert (item.device_sequence, item.meal_context, item.boot_id) == (7, "fasting", None)
    assert {name: str(value) for name, value in (item.model_extra or {}).items()} == {
        "kilogram": "0.030"
    }


@pytest.mark.parametrize(
    ("rest", "reason", "field"),
    [
        ('"meal_context":"fasting"', Reason.MISSING_VALUE, "device_sequence"),
        (
            '"device_sequence":null,"meal_context":"fasting"',
            Reason.INVALID_FIELD,
            "device_sequence",
        ),
        ('"device_sequence":-1,"meal_context":"fasting"', Reason.INVALID_FIELD, "device_sequence"),
        ('"device_sequence":7.0,"meal_context":"fasting"', Reason.INVALID_FIELD, "device_sequence"),
        (
            f'"device_sequence":{2**63},"meal_context":"fasting"',
            Reason.INVALID_FIELD,
            "device_sequence",
        ),
        ('"device_sequence":7', Reason.MISSING_VALUE, "meal_context"),
        ('"device_sequence":7,"meal_context":"after tea"', Reason.UNKNOWN_CONTEXT, "meal_context"),
        (
            '"device_sequence":7,"meal_context":"fasting","resident_id":""',
            Reason.INVALID_FIELD,
            "resident_id",
        ),
    ],
)
def test_a_context_that_names_no_value_or_says_nothing_we_know_is_refused(
    rest: str, reason: Reason, field: str
) -> None:
    with pytest.raises(WireError) as raised:
        parse_item(_context(rest))

    assert (raised.value.reason, raised.value.field) == (reason, field)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_item_or_a_wire_error(raw: bytes) -> None:
    with pytest.raises(WireError):
        parse_item(raw)
