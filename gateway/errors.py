"""What can go wrong in the gateway process; every message says what to do next.

GatewayError
├── SettingsError   a setting or a file named by one is wrong; the process does not start
│   └── ConfigurationError  all that is wrong with the settings, each with its place
├── SpoolError      the spool cannot be read or written; the process ends, nothing is lost
│   ├── SpoolDamagedError   its file is ruined: the next start puts it aside and reads it back
│   └── DiskFullError       no room to write now; nothing was changed, the same may be tried again
├── ListenError     the address for terminals cannot be used
├── EnrolmentError  no certificate was got; trying again later may help
│   └── EnrolmentRefusedError  the API will not give one; trying again does not help
├── LinkError       the MQTT client's thread has died; the process ends, nothing is lost
├── DecodeError     a device's bytes are not what they should be (``devices/gatt/errors.py``)
├── CommandError    a remote command is not carried out; its sender is told why
├── RefusedError    one measurement cannot be taken; the terminal is told why
└── BusyError       the gateway has no room now; the terminal keeps the measurement, tries again
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENVIRONMENT: Final = "environment"
"""A problem's place when the value came from a variable."""


class Refusal(StrEnum):
    """Why a measurement is never taken as it stands. Stable: terminals act on it."""

    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    INCOMPLETE_LINE = "incomplete_line"
    TOO_LARGE = "too_large"
    DUPLICATE_FIELD = "duplicate_field"
    GATEWAY_FIELD = "gateway_field"
    TWO_IDENTITIES = "two_identities"
    INVALID_CARD_NUMBER = "invalid_card_number"
    UNKNOWN_DOCUMENT = "unknown_document"
    INVALID_ORDER = "invalid_order"
    PERSONAL_DATA = "personal_data"
    NO_PSEUDONYM_KEY = "no_pseudonym_key"


class Busy(StrEnum):
    """Why a measurement is not taken now. Stable: terminals act on it."""

    SPOOL_FULL = "spool_full"
    UNCOLLECTED = "uncollected"
    DISK_FULL = "disk_full"
    TOO_FAST = "too_fast"
    CONNECTIONS = "connections"
    STOPPING = "stopping"


class GatewayError(Exception):
    """The gateway cannot do what was asked."""


class SettingsError(GatewayError):
    """A setting is missing or wrong."""


class EnrolmentError(GatewayError):
    """No certificate was got, and nothing is lost: the same command goes on."""


class EnrolmentRefusedError(EnrolmentError):
    """The API will not give a certificate for this token or this identity."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings, never quoting a secret.

    Attributes:
        field: Of the dataclass; dotted inside a table, ``devices.0.id``.
        detail: What is wrong and what would be right.
        where: ``gateway.toml:17``, ``environment``, or empty when it was not read from anywhere.
        name: As the operator wrote it: ``broker.keepalive_s`` or ``GATEWAY_KEEPALIVE_S``.
    """

    field: str
    detail: str
    where: str = ""
    name: str = ""

    def __str__(self) -> str:
        """One line."""
        if self.where in {"", ENVIRONMENT}:
            return f"{self.name or self.field} {self.detail}".lstrip()
        return f"{self.where}: {self.name}: {self.detail}"


class ConfigurationError(SettingsError):
    """Settings are missing or wrong: all of them.

    Attributes:
        problems: At least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class SpoolError(GatewayError):
    """The spool cannot be used."""


class SpoolDamagedError(SpoolError):
    """The spool's file is not what was written."""


class DiskFullError(SpoolError):
    """The disk has no room; nothing was changed."""


class ListenError(GatewayError):
    """Terminals cannot be listened to."""


class LinkError(GatewayError):
    """The MQTT client stopped by itself."""


class RefusedError(GatewayError):
    """The measurement can never be taken as it stands.

    Attributes:
        code: Stable, for the terminal's program.
        detail: For the person who writes that program; holds no value of a resident.
    """

    def __init__(self, code: Refusal, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")


class BusyError(GatewayError):
    """Nothing was taken; the same measurement may be offered again later.

    Attributes:
        code: Stable, for the terminal's program.
        detail: What is full, and what helps.
    """

    def __init__(self, code: Busy, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")


class CommandError(GatewayError):
    """A remote command is not carried out.

    Attributes:
        code: Stable, see ``gateway.wire.commands.CommandRefusal``.
        detail: For the person who sent it.
    """

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")
