"""Records are asked for by number, answers are read to the letter, nothing is ever deleted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.gatt import racp
from gateway.devices.gatt.errors import DecodeError, Malformed
from gateway.devices.gatt.racp import (
    Opcode,
    Operator,
    Outcome,
    RecordCount,
    RecordRequest,
    RecordResponse,
    decode_record_access,
    encode_record_access,
)


@given(st.integers(0, 65_535))
def test_records_from_a_number_on_are_asked_for(sequence: int) -> None:
    value = racp.report_from(sequence)

    assert value == b"\x01\x03\x01" + bytes([sequence % 256, sequence // 256])
    assert decode_record_access(value) == RecordRequest(
        opcode=Opcode.REPORT, operator=Operator.AT_LEAST, filter_type=1, bounds=(sequence,)
    )
    assert racp.count_from(sequence) == b"\x04" + value[1:]


def test_the_short_requests() -> None:
    assert racp.report_all() == b"\x01\x01"
    assert racp.count_all() == b"\x04\x01"
    assert racp.abort() == b"\x03\x00"
    for value in (racp.report_all(), racp.count_all(), racp.abort()):
        assert encode_record_access(decode_record_access(value)) == value


def test_no_request_of_ours_deletes() -> None:
    ours = [racp.report_all(), racp.report_from(1), racp.count_all(), racp.count_from(1)]
    assert Opcode.DELETE not in {value[0] for value in [*ours, racp.abort()]}


@pytest.mark.parametrize("sequence", [-1, 65_536])
def test_a_number_that_no_record_has_is_refused(sequence: int) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        racp.report_from(sequence)


@given(st.integers(0, 255), st.integers(0, 255))
def test_every_answer_keeps_its_codes(request: int, outcome: int) -> None:
    found = decode_record_access(bytes([6, 0, request, outcome]))

    assert isinstance(found, RecordResponse)
    assert (found.request_code, found.outcome_code) == (request, outcome)
    assert found.outcome == (Outcome(outcome) if 1 <= outcome <= 9 else None)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_count_of_one_two_or_four_bytes_is_read(width: int) -> None:
    value = b"\x05\x00" + (7).to_bytes(width, "little")

    assert decode_record_access(value) == RecordCount(records=7, width=width)
    assert encode_record_access(RecordCount(records=7, width=width)) == value


def test_a_range_has_two_bounds_and_other_filters_stay_bytes() -> None:
    within = decode_record_access(bytes.fromhex("01040105000900"))
    by_time = decode_record_access(bytes.fromhex("010302EA070302090000"))

    assert isinstance(within, RecordRequest)
    assert within.bounds == (5, 9)
    assert isinstance(by_time, RecordRequest)
    assert (by_time.filter_type, by_time.operand.hex()) == (2, "ea070302090000")


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        ("", Malformed.TRUNCATED, "opcode"),
        ("01", Malformed.TRUNCATED, "operator"),
        ("0103", Malformed.TRUNCATED, "filter_type"),
        ("0103012C", Malformed.TRUNCATED, "operand"),
        ("0104010500", Malformed.TRUNCATED, "operand"),
        ("060001", Malformed.TRUNCATED, "response_code"),
        ("0500", Malformed.TRUNCATED, "number_of_records"),
        ("0500030201", Malformed.BAD_LENGTH, "number_of_records"),
        ("05000504030201", Malformed.BAD_LENGTH, "number_of_records"),
        ("0001", Malformed.UNKNOWN_CODE, "opcode"),
        ("0C01", Malformed.UNKNOWN_CODE, "opcode"),
        ("0107", Malformed.UNKNOWN_CODE, "operator"),
        ("060101", Malformed.OUT_OF_RANGE, "operator"),
        ("050101", Malformed.OUT_OF_RANGE, "operator"),
        ("0301", Malformed.OUT_OF_RANGE, "operator"),
        ("0100", Malformed.OUT_OF_RANGE, "operator"),
    ],
)
def test_what_is_no_message_is_rejected_with_the_field(
    value: str, code: Malformed, field: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_record_access(bytes.fromhex(value))

    assert (caught.value.code, caught.value.field) == (code, field)
