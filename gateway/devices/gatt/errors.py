"""What can be wrong with the bytes of a characteristic.

    DecodeError (GatewayError)      the bytes are not what the characteristic promises

A code is stable: operators filter by it, and a test vector's outcome names it.
"""

from enum import StrEnum

from gateway.errors import GatewayError


class Malformed(StrEnum):
    """Why bytes were rejected."""

    TRUNCATED = "truncated"
    BAD_LENGTH = "bad_length"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_CODE = "unknown_code"
    NOT_TEXT = "not_text"


class DecodeError(GatewayError):
    """The bytes are not what the characteristic promises; nothing of them is used.

    Attributes:
        code: Stable.
        field: The field that could not be read.
        offset: Where it starts, in bytes from the start of the value.
        detail: One sentence with what was found and what would be right.
    """

    def __init__(self, code: Malformed, field: str, offset: int, detail: str) -> None:
        self.code = code
        self.field = field
        self.offset = offset
        self.detail = detail
        super().__init__(f"{code}: {field} at byte {offset}: {detail}")
