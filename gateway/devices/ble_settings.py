"""Settings of the Bluetooth LE devices of a gateway: plain frozen dataclasses, as TOML tables.

Every limit of a session stands here with its unit last in the name.
"""

import re
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import SettingsError
from gateway.wire.limits import TEXT_CHARACTERS_MAX

Adopt: TypeAlias = Literal["listed", "all"]
Pairing: TypeAlias = Literal["when_required", "always", "never"]
Setting: TypeAlias = Literal["office", "home", "ambulatory"]
_ADDRESS: Final = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """One device that may talk to this gateway: a table ``[[ble.known]]``.

    Attributes:
        id: ``device_id`` of its readings.
        address: Its Bluetooth address, or empty: then ``name`` decides.
        name: As it advertises it; several devices of one name are told apart by address only.
        timezone: IANA name of the zone its clock is set to; a device knows none.
        pairing: ``when_required``: as soon as it refuses something for that reason.
        set_clock: Set its clock where it allows that, after its stored records were fetched.
        setting: Where it is used (the wire's ``setting``).
    """

    id: str
    address: str = ""
    name: str = ""
    timezone: str = "Asia/Shanghai"
    pairing: Pairing = "when_required"
    set_clock: bool = True
    setting: Setting = "office"

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ``SettingsError``, beginning with the field's name."""
        if not 1 <= len(self.id) <= TEXT_CHARACTERS_MAX:
            _refuse("id", f"must have 1 to {TEXT_CHARACTERS_MAX} characters")
        if not self.address and not self.name:
            _refuse("address", "or name must be set, else no device is meant")
        if self.address and not _ADDRESS.fullmatch(self.address.upper()):
            _refuse("address", f"must look like C0:11:22:33:44:55, not {self.address!r}")
        _require_one_of("pairing", self.pairing, get_args(Pairing))
        _require_one_of("setting", self.setting, get_args(Setting))
        _require_zone(self.timezone)

    def is_meant_by(self, address: str, name: str | None) -> bool:
        """Whether a device with that address and advertised name is this one."""
        if self.address:
            return address.upper() == self.address.upper()
        return name == self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class BleSettings:
    """The radio and how patient it is: the table ``[ble]``.

    Attributes:
        enabled: Use Bluetooth at all.
        backend: ``package.module:function`` of another radio than BlueZ (``ble_radio``).
        adopt: ``listed``: only the devices in ``known``. ``all``: any that offers a service we
            read, as ``ble-<address>``; for a closed room, or a first look.
        timezone: Of the clocks of adopted devices.
        known: The devices, each at most once.
    """

    enabled: bool = False
    backend: str = ""
    adopt: Adopt = "listed"
    timezone: str = "Asia/Shanghai"
    known: tuple[KnownDevice, ...] = ()

    devices_max: int = 32  # Heard of at a time; more are not served.
    connect_s_max: int = 20
    answer_s_max: int = 10  # For one read or write, and for a hang-up.
    stall_s_max: int = 15  # No word in a transfer: it is given up and begun again later.
    contact_s_max: int = 300  # Then others get their turn.
    poll_ms: int = 30_000  # A device that stays connected is asked again.
    rest_ms: int = 5_000  # After a good visit, before the next.
    backoff_ms_min: int = 1_000  # After a bad one; doubles.
    backoff_ms_max: int = 60_000
    resume_s_max: int = 60  # A visit within that goes on where the last one broke.
    context_ms_max: int = 3_000  # How long a value waits for its meal context.
    contexts_waiting_max: int = 64  # Values that wait for a context, and contexts for a value.
    notifications_max: int = 1_024  # In memory, of one device; beyond: the transfer is repeated.
    unstored_max: int = 256  # Lines that the device has forgotten and the spool has no room for.
    busy_ms: int = 2_000  # Before a line that found no room is offered again.
    clock_tolerance_s: int = 5  # A device's clock that is further off is set.
    rescan_ms: int = 10_000  # After the radio failed.

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ``SettingsError``, beginning with the field's name."""
        _require_one_of("adopt", self.adopt, get_args(Adopt))
        if self.enabled:
            _require_zone(self.timezone)
        for limit in fields(self):
            if limit.type is int and getattr(self, limit.name) < 1:
                _refuse(limit.name, "must be 1 or more")
        if self.backoff_ms_max < self.backoff_ms_min:
            _refuse("backoff_ms_max", "must not be below backoff_ms_min")
        for field in ("id", "address"):
            said = [getattr(device, field).upper() for device in self.known]
            twins = {text for text in said if text and said.count(text) > 1}
            if twins:
                _refuse("known", f"has {field} {min(twins)} twice")


def _refuse(field: str, problem: str) -> None:
    msg = f"{field} {problem}"
    raise SettingsError(msg)


def _require_one_of(field: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        _refuse(field, f"must be one of {', '.join(words)}, not {value!r}")


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = (
            f"timezone {name!r} is not known here. Use a name such as Asia/Shanghai, and install "
            "the system's tzdata"
        )
        raise SettingsError(msg) from error
