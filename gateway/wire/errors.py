"""What can be wrong with a message, and the one error that says it.

    WireError (ValueError)      bad data: becomes a quarantine row, then is acknowledged

A reason is stable: operators filter by it, the contract system receives it, runbooks name it.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a reading cannot be judged. Stored with the raw bytes, sent back in the receipt."""

    MALFORMED_JSON = "malformed_json"
    INVALID_ENVELOPE = "invalid_envelope"
    UNKNOWN_SCHEMA = "unknown_schema"
    WRONG_TOPIC = "wrong_topic"
    UNKNOWN_GATEWAY = "unknown_gateway"
    INVALID_ID = "invalid_id"
    INVALID_TIME = "invalid_time"
    INVALID_FIELD = "invalid_field"
    UNDECODABLE = "undecodable"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_CONTEXT = "unknown_context"
    MISSING_UNIT = "missing_unit"
    UNKNOWN_UNIT = "unknown_unit"
    MISSING_VALUE = "missing_value"
    NOT_A_NUMBER = "not_a_number"
    TOO_PRECISE = "too_precise"
    IMPLAUSIBLE = "implausible"
    DEVICE_STATUS = "device_status"
    ID_CONFLICT = "id_conflict"
    SEQUENCE_CONFLICT = "sequence_conflict"
    UNSTORABLE = "unstorable"
    BEFORE_RETENTION = "before_retention"


class WireError(ValueError):
    """The bytes are not a reading that can be judged.

    Attributes:
        reason: Stable code for the quarantine row.
        field: Dotted name of the offending field, or empty for the whole message.
        detail: One sentence with the value and what would be right.
    """

    def __init__(self, reason: Reason, detail: str, *, field: str = "") -> None:
        self.reason = reason
        self.field = field
        self.detail = detail
        super().__init__(f"{reason}: {field + ': ' if field else ''}{detail}")
