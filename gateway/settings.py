"""The gateway's settings, built once from ``GATEWAY_*`` and passed down.

A frozen dataclass, not pydantic-settings: an edge box installs no more than it must.
Every limit of the process stands here with its unit last in the name.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from gateway.errors import SettingsError
from gateway.wire.environment import find_misspelt
from gateway.wire.topics import NAME_PATTERN

PREFIX: Final = "GATEWAY_"
_16_BITS: Final = 65_535  # Ports, and several fields of MQTT.
_32_BITS: Final = 4_294_967_295
_SECRET_BYTES_MAX: Final = 4_096
_TRUTH: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway. Each field ``x`` is read from the environment as ``GATEWAY_X``."""

    id: str  # Also the user name at the broker.
    centre: str
    broker_host: str
    spool: Path
    broker_port: int = 1883
    broker_password: str | None = field(default=None, repr=False)
    listen_host: str = "127.0.0.1"
    listen_port: int = 0  # 0: any free one; the chosen one is announced.
    pseudonym_key_file: Path | None = None  # Without it, a card number is refused.
    clock_synchronised: bool = False  # The operator's word that a time server is followed.

    # Terminals.
    connections_max: int = 64
    replies_waiting_max: int = 512  # Lines of one connection in work; then it is not read.
    reply_s_max: int = 30  # A terminal that does not read its replies is cut off.
    intake_rows_max: int = 16_384  # Waiting for one fsync; then: busy.
    commit_rows_max: int = 1_000  # Readings that share one fsync.

    # Spool. Full means busy, never dropped.
    spool_rows_max: int = 1_000_000
    spool_bytes_max: int = 400_000_000  # Of readings; the file is about a fifth larger.

    # Broker.
    keepalive_s: int = 30
    connect_s_max: int = 5
    reconnect_s_max: int = 30
    session_expiry_s: int = 7 * 86_400
    receipts_waiting_max: int = 16
    linger_ms: int = 20
    batches_unreceipted_max: int = 4
    unheard_s: int = 2  # Times how often sent: the broker said that nobody has it.
    resend_s_min: int = 60
    resend_s_max: int = 900
    backlog_age_s: int = 60
    stop_s_max: int = 5

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is opened."""
        for name in ("id", "centre"):
            if not re.fullmatch(NAME_PATTERN, getattr(self, name), re.ASCII):
                _refuse(name, "must match " + NAME_PATTERN)
        for name in ("broker_host", "listen_host"):
            if not getattr(self, name):
                _refuse(name, "must not be empty")
        _require_within("broker_port", self.broker_port, 1, _16_BITS)
        _require_within("listen_port", self.listen_port, 0, _16_BITS)
        _require_within("keepalive_s", self.keepalive_s, 1, _16_BITS)
        _require_within("receipts_waiting_max", self.receipts_waiting_max, 1, _16_BITS)
        _require_within("linger_ms", self.linger_ms, 0, _16_BITS)
        for limit in fields(self):
            if limit.type is int and limit.name not in {"listen_port", "linger_ms"}:
                _require_within(limit.name, getattr(self, limit.name), 1, _32_BITS)
        if self.resend_s_max < self.resend_s_min:
            _refuse("resend_s_max", "must not be below resend_s_min")


def _require_within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        _refuse(name, f"must be {low} to {high}")


def _refuse(name: str, problem: str) -> None:
    msg = f"{PREFIX}{name.upper()} {problem}"
    raise SettingsError(msg)


def settings_from(environment: Mapping[str, str]) -> GatewaySettings:
    """Build the settings from ``GATEWAY_*`` variables; an empty one counts as absent.

    Raises:
        SettingsError: One is missing or wrong; the message names it.
    """
    known = {PREFIX + setting.name.upper() for setting in fields(GatewaySettings)}
    known.add(PREFIX + "BROKER_PASSWORD_FILE")
    for name, meant in find_misspelt(environment, PREFIX, known).items():
        msg = f"{name} is no setting; did you mean {meant}?"
        raise SettingsError(msg)
    given: dict[str, Any] = {}
    for setting in fields(GatewaySettings):
        text = environment.get(PREFIX + setting.name.upper(), "")
        if text:
            given[setting.name] = _convert(setting, text)
        elif setting.default is MISSING:
            _refuse(setting.name, "is not set")
    password_file = environment.get(PREFIX + "BROKER_PASSWORD_FILE", "")
    if password_file:
        if "broker_password" in given:
            _refuse("broker_password", f"and {PREFIX}BROKER_PASSWORD_FILE exclude each other")
        given["broker_password"] = _read_secret(Path(password_file))
    return GatewaySettings(**given)


def _convert(setting: Field[Any], text: str) -> object:
    if setting.type is int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
            _refuse(setting.name, f"must be a whole number, not {text!r}")
        return int(text)
    if setting.type is bool:
        if text.lower() not in _TRUTH:
            _refuse(setting.name, f"must be yes or no, not {text!r}")
        return _TRUTH[text.lower()]
    return text if setting.name not in {"spool", "pseudonym_key_file"} else Path(text)


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_SECRET_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{PREFIX}BROKER_PASSWORD_FILE {path} cannot be read: {error}"
        raise SettingsError(msg) from error
