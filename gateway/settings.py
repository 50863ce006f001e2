"""The gateway's settings, built once from a TOML file and ``GATEWAY_*``, and passed down.

A frozen dataclass, not pydantic-settings: an edge box installs no more than it must.
Every limit of the process stands here with its unit last in the name. How a field gets its
value is told in ``configuration``; a new field needs a line here, and one in ``TABLES`` when
its first word is not its table.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

from gateway.configuration import Reader, Tables
from gateway.devices.ble_settings import BleSettings
from gateway.devices.registry import AdapterSettings
from gateway.errors import ConfigurationError, Problem
from gateway.fleet import DeviceSettings
from gateway.tls import TlsFiles, is_loopback
from gateway.wire.topics import NAME_PATTERN

PREFIX: Final = "GATEWAY_"
_16_BITS: Final = 65_535  # Ports, and several fields of MQTT.
_32_BITS: Final = 4_294_967_295
_PLAIN_PORT: Final = 1_883  # Registered with IANA: mqtt, ...
_TLS_PORT: Final = 8_883  # ... and secure-mqtt.
_RANGES: Final = {
    "broker_port": (0, _16_BITS),
    "listen_port": (0, _16_BITS),
    "metrics_port": (0, _16_BITS),
    "keepalive_s": (1, _16_BITS),
    "receipts_waiting_max": (1, _16_BITS),
    "linger_ms": (0, _16_BITS),
}
"""Of whole numbers; every other is 1 to 4,294,967,295."""

TABLES: Final = Tables(
    fields={
        "gateway": ("id", "centre", "stop_s_max"),
        "broker": (
            "broker_host",
            "broker_port",
            "broker_password",
            "keepalive_s",
            "connect_s_max",
            "reconnect_s_max",
            "session_expiry_s",
            "receipts_waiting_max",
            "linger_ms",
            "batches_unreceipted_max",
            "unheard_s",
            "resend_s_min",
            "resend_s_max",
            "backlog_age_s",
        ),
        "terminals": (
            "listen_host",
            "listen_port",
            "connections_max",
            "replies_waiting_max",
            "reply_s_max",
            "intake_rows_max",
            "commit_rows_max",
        ),
        "identity": ("pseudonym_key_file",),
        "clock": (),
        "spool": ("spool",),
        "tls": (),
        "card": (),
        "status": (
            "status_interval_s",
            "devices_max",
            "battery_low_percent",
            "calibration_warn_days",
            "commands_waiting_max",
        ),
        "metrics": (),
        "log": (),
    },
    keys={"spool": "file"},
)
"""Where each field stands in the file: ``[broker] port`` is ``broker_port``."""


class ClockTrust(StrEnum):
    """Whose word it is that the machine's clock follows a time server."""

    AUTO = "auto"  # The kernel's.
    YES = "yes"  # The operator's.
    NO = "no"  # The operator's: never; ingest uses its own clock.

    @classmethod
    def _missing_(cls, value: object) -> "ClockTrust | None":
        """Take a truth in other words, as every other setting does."""
        truths = {"true": cls.YES, "1": cls.YES, "false": cls.NO, "0": cls.NO}
        word = str(value).lower()
        return truths.get(word) or next((each for each in cls if each == word), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway. Field ``x`` is ``GATEWAY_X`` in the environment, and a key of ``TABLES``."""

    id: str  # Also the user name at the broker.
    centre: str
    broker_host: str
    spool: Path
    broker_port: int = 0  # 0: 8883 with TLS, else 1883.
    broker_password: str | None = field(default=None, repr=False)
    broker_plain_allowed: bool = False  # Another machine without TLS: others can read along.
    tls_identity_directory: Path | None = None  # Of `suifang gateway enroll`: all that TLS needs.
    tls_ca_file: Path | None = None  # In its place, files of an authority of one's own.
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None  # None: the certificate's file holds it, too.
    tls_renewal_check_s: int = 86_400  # How often the certificate's end is looked at, ...
    tls_renewal_retry_s: int = 3_600  # ... and a renewal that failed is tried again, at most.
    listen_host: str = "127.0.0.1"
    listen_port: int = 0  # 0: any free one; the chosen one is announced.
    pseudonym_key_file: Path | None = None  # Without it, a card number is refused.
    clock_synchronised: ClockTrust = ClockTrust.AUTO  # Whether a time server is followed.
    clock_error_s_max: int = 300  # Above it the time is not known. Ingest tolerates 5 minutes.
    clock_wait_s: int = 60  # For a time server, once the broker is there, before readings go.

    # Terminals.
    connections_max: int = 64
    replies_waiting_max: int = 512  # Lines of one connection in work; then it is not read.
    reply_s_max: int = 30  # A terminal that does not read its replies is cut off.
    intake_rows_max: int = 16_384  # Waiting for one fsync; then: busy.
    commit_rows_max: int = 1_000  # Readings that share one fsync.

    # Spool. Full means busy, never dropped.
    spool_rows_max: int = 1_000_000
    spool_bytes_max: int = 450_000_000  # Of readings; the file is about a sixth larger.
    spool_warn_h: int = 24  # Older without a receipt is told in the log, once a day.
    spool_age_h_max: int = 720  # Full when older, and nothing was confirmed for as long.
    spool_free_bytes_min: int = 33_554_432  # Left on the disk for receipts, logs, the system.

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

    # Shared terminals. Whose card was read is forgotten after the shorter of two times.
    card_idle_s_max: int = 420  # Without a reading: five minutes' rest, and the next measurement.
    card_session_s_max: int = 1_800
    card_prompt_s_max: int = 120  # A prompt that comes later is not shown.

    # What is said of the gateway itself.
    status_interval_s: int = 60  # And at once on news.
    devices_max: int = 256  # Listed in the status; see ``fleet``.
    battery_low_percent: int = 20
    calibration_warn_days: int = 30
    commands_waiting_max: int = 8
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0  # 0: nothing is served.
    log_file: Path | None = None  # Without it: stderr, which systemd keeps in its journal.
    log_bytes_max: int = 10_000_000  # Then it is put aside.
    log_files_max: int = 4  # With the one in use.
    devices: tuple[DeviceSettings, ...] = ()

    # Ways in besides the terminals' port.
    ble: BleSettings = field(default_factory=BleSettings)
    adapters: tuple[AdapterSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is opened; all of it at once."""
        if problems := tuple(_find_problems(self)):
            raise ConfigurationError(problems)
        if self.broker_port == 0:
            port = _PLAIN_PORT if self.tls is None else _TLS_PORT
            object.__setattr__(self, "broker_port", port)

    @property
    def tls(self) -> TlsFiles | None:
        """The files for TLS to the broker; None: plain."""
        if self.tls_identity_directory is not None:
            return TlsFiles.of_folder(self.tls_identity_directory)
        if self.tls_ca_file is None:
            return None
        return TlsFiles(self.tls_ca_file, self.tls_certificate_file, self.tls_key_file)


def settings_from(environment: Mapping[str, str], file: Path | None = None) -> GatewaySettings:
    """Build the settings from a TOML file, if there is one, and ``GATEWAY_*`` variables.

    Args:
        environment: Wins over the file; an empty variable counts as absent.
        file: Without it, the one that ``GATEWAY_CONFIG`` names.

    Raises:
        ConfigurationError: Something is missing or wrong; the message names all of it.
    """
    return cast("GatewaySettings", reader_of(environment).read(config_file(environment, file)))


def reader_of(environment: Mapping[str, str]) -> Reader:
    """What reads the gateway's settings, for those who want to know where each came from."""
    return Reader(GatewaySettings, TABLES, prefix=PREFIX, environment=environment)


def config_file(environment: Mapping[str, str], file: Path | None) -> Path | None:
    """The TOML file to read: the one given, else ``GATEWAY_CONFIG``, else none."""
    named = environment.get(f"{PREFIX}CONFIG", "")
    return file or (Path(named) if named else None)


def _find_problems(settings: GatewaySettings) -> Iterator[Problem]:
    for name in ("id", "centre"):
        if not re.fullmatch(NAME_PATTERN, getattr(settings, name), re.ASCII):
            yield Problem(name, f"must match {NAME_PATTERN}")
    for name in ("broker_host", "listen_host", "metrics_host"):
        if not getattr(settings, name):
            yield Problem(name, "must not be empty")
    for limit in fields(settings):
        if limit.type is int:
            low, high = _RANGES.get(limit.name, (1, _32_BITS))
            value = getattr(settings, limit.name)
            if not low <= value <= high:
                yield Problem(limit.name, f"{value} is outside {low} to {high}")
    if settings.resend_s_max < settings.resend_s_min:
        yield Problem("resend_s_max", f"must not be below resend_s_min ({settings.resend_s_min})")
    yield from _find_tls_problems(settings)
    yield from _find_twins("devices", [device.id for device in settings.devices])
    yield from _find_twins("adapters", [adapter.id for adapter in settings.adapters])


def _find_tls_problems(settings: GatewaySettings) -> Iterator[Problem]:
    """Half a set of files, two sets, and plain text to another machine."""
    tls, own = settings.tls, ("tls_ca_file", "tls_certificate_file", "tls_key_file")
    given = [name for name in own if getattr(settings, name) is not None]
    if given and settings.tls_identity_directory is not None:
        yield Problem(given[0], "and the identity directory exclude each other: keep one")
    elif given and settings.tls_ca_file is None:
        yield Problem(given[0], "needs the ca_file, too, by which the broker is known")
    elif settings.tls_key_file is not None and settings.tls_certificate_file is None:
        yield Problem("tls_key_file", "needs the certificate_file that it belongs to")
    if tls is not None and tls.certificate is not None and settings.broker_password is not None:
        yield Problem("broker_password", "is of no use beside a certificate: remove it")
    if not given and tls is None and not settings.broker_plain_allowed:
        host = settings.broker_host
        if host and not is_loopback(host):
            detail = (
                f"{host!r} is another machine, and TLS is not set up. Enrol this box (suifang"
                " gateway enroll) and set GATEWAY_TLS_IDENTITY_DIRECTORY; or, if everybody on the"
                " way may read along, GATEWAY_BROKER_PLAIN_ALLOWED=yes"
            )
            yield Problem("broker_host", detail)


def _find_twins(table: str, ids: Sequence[str]) -> Iterator[Problem]:
    for number, name in enumerate(ids):
        if name in ids[:number]:
            yield Problem(f"{table}.{number}.id", f"{name!r} stands twice; describe a device once")
