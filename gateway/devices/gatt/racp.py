"""Record Access Control Point (0x2A52): ask a meter for its stored records, read its answers.

Nothing here asks a device to delete: its memory is the only other copy. A count may be sent in
one, two or four bytes (the service says two, devices do otherwise); any other number of bytes
is no count, and which of them would be left over cannot be said.

Source: Bluetooth GATT specification supplement, Record Access Control Point; Glucose Service 1.0.1.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias, TypeVar

from gateway.devices.gatt.errors import DecodeError, Malformed
from gateway.devices.gatt.octets import Octets

Code = TypeVar("Code", bound=IntEnum)


class Opcode(IntEnum):
    """What a message is."""

    REPORT = 1
    DELETE = 2
    ABORT = 3
    COUNT = 4
    COUNT_RESPONSE = 5
    RESPONSE = 6


class Operator(IntEnum):
    """Which records."""

    NONE = 0
    ALL = 1
    AT_MOST = 2
    AT_LEAST = 3
    WITHIN = 4
    FIRST = 5
    LAST = 6


class Outcome(IntEnum):
    """What became of a request. A code of a later edition stays a number."""

    SUCCESS = 1
    OPCODE_NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    ABORT_UNSUCCESSFUL = 7
    NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9


BY_SEQUENCE: Final = 1
BY_USER_TIME: Final = 2
_BOUNDS: Final = {Operator.AT_MOST: 1, Operator.AT_LEAST: 1, Operator.WITHIN: 2}
_COUNT_LENGTHS: Final = frozenset({1, 2, 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequest:
    """A request to the device. ``bounds`` are sequence numbers; other filters stay ``operand``."""

    opcode: Opcode
    operator: Operator
    filter_type: int | None = None
    bounds: tuple[int, ...] = ()
    operand: bytes = b""  # Of a filter other than the sequence number.
    leftover: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCount:
    """How many records a request would report; ``width`` bytes long on the air."""

    records: int
    width: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResponse:
    """What became of the request with ``request_code``."""

    request_code: int
    outcome_code: int
    leftover: bytes = b""

    @property
    def outcome(self) -> Outcome | None:
        """None for a code of a later edition: an error that has no name yet."""
        known = self.outcome_code in Outcome.__members__.values()
        return Outcome(self.outcome_code) if known else None


RecordMessage: TypeAlias = RecordRequest | RecordCount | RecordResponse


def report_all() -> bytes:
    """Ask for every stored record."""
    return bytes([Opcode.REPORT, Operator.ALL])


def report_from(sequence: int) -> bytes:
    """Ask for the records with this sequence number or a higher one.

    >>> report_from(300).hex()
    '0103012c01'
    """
    return bytes([Opcode.REPORT, Operator.AT_LEAST, BY_SEQUENCE]) + _sequence(sequence)


def count_from(sequence: int) -> bytes:
    """Ask how many there are with this sequence number or a higher one."""
    return bytes([Opcode.COUNT, Operator.AT_LEAST, BY_SEQUENCE]) + _sequence(sequence)


def count_all() -> bytes:
    """Ask how many records are stored."""
    return bytes([Opcode.COUNT, Operator.ALL])


def abort() -> bytes:
    """End the procedure that is under way."""
    return bytes([Opcode.ABORT, Operator.NONE])


def _sequence(sequence: int) -> bytes:
    if not 0 <= sequence < 1 << 16:
        msg = f"a sequence number has 16 bits, {sequence} has more"
        raise ValueError(msg)
    return sequence.to_bytes(2, "little")


def decode_record_access(value: bytes) -> RecordMessage:
    """Read 0x2A52, either way. Raises ``DecodeError``."""
    octets = Octets(value)
    opcode = _known(Opcode, octets.u8("opcode"), "opcode", 0)
    operator = _known(Operator, octets.u8("operator"), "operator", 1)
    if opcode in {Opcode.RESPONSE, Opcode.COUNT_RESPONSE, Opcode.ABORT}:
        if operator is not Operator.NONE:
            raise DecodeError(
                Malformed.OUT_OF_RANGE, "operator", 1, f"{opcode.name} goes with 0, not {operator}"
            )
    elif operator is Operator.NONE:
        raise DecodeError(Malformed.OUT_OF_RANGE, "operator", 1, f"{opcode.name} needs an operator")
    if opcode is Opcode.RESPONSE:
        request, outcome = octets.u8("request_opcode"), octets.u8("response_code")
        return RecordResponse(request_code=request, outcome_code=outcome, leftover=octets.rest())
    if opcode is Opcode.COUNT_RESPONSE:
        return _read_count(octets)
    return _read_request(octets, opcode, operator)


def _read_count(octets: Octets) -> RecordCount:
    offset, operand = octets.offset, octets.rest()
    if len(operand) not in _COUNT_LENGTHS:
        code = Malformed.BAD_LENGTH if operand else Malformed.TRUNCATED
        detail = f"a count has 1, 2 or 4 bytes, not {len(operand)}"
        raise DecodeError(code, "number_of_records", offset, detail)
    return RecordCount(records=int.from_bytes(operand, "little"), width=len(operand))


def _read_request(octets: Octets, opcode: Opcode, operator: Operator) -> RecordRequest:
    bounds = _BOUNDS.get(operator, 0)
    if not bounds:
        return RecordRequest(opcode=opcode, operator=operator, leftover=octets.rest())
    filter_type = octets.u8("filter_type")
    if filter_type != BY_SEQUENCE:
        operand = octets.rest()
        return RecordRequest(
            opcode=opcode, operator=operator, filter_type=filter_type, operand=operand
        )
    return RecordRequest(
        opcode=opcode,
        operator=operator,
        filter_type=filter_type,
        bounds=tuple(octets.u16("operand") for _ in range(bounds)),
        leftover=octets.rest(),
    )


def _known(kind: type[Code], code: int, field: str, offset: int) -> Code:
    try:
        return kind(code)
    except ValueError:
        detail = f"nothing is defined for {code}"
        raise DecodeError(Malformed.UNKNOWN_CODE, field, offset, detail) from None


def encode_record_access(message: RecordMessage) -> bytes:
    """Write 0x2A52."""
    if isinstance(message, RecordResponse):
        head = (Opcode.RESPONSE, Operator.NONE, message.request_code, message.outcome_code)
        return bytes(head) + message.leftover
    if isinstance(message, RecordCount):
        head_of_count = bytes([Opcode.COUNT_RESPONSE, Operator.NONE])
        return head_of_count + message.records.to_bytes(message.width, "little")
    filter_type = b"" if message.filter_type is None else bytes([message.filter_type])
    bounds = b"".join(bound.to_bytes(2, "little") for bound in message.bounds)
    head_of_request = bytes([message.opcode, message.operator])
    return head_of_request + filter_type + bounds + message.operand + message.leftover
