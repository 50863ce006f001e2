"""What a device is and how it fares: battery, device information, its own clock.

Battery level (0x2A19); manufacturer, model, serial number, revisions (0x2A24 to 0x2A29), system
id (0x2A23), PnP id (0x2A50); current time (0x2A2B), local time information (0x2A0F). A serial
number is the device's, not a person's.

Source: Bluetooth GATT specification supplement, the characteristics of these names.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError, Malformed
from gateway.devices.gatt.octets import Octets

BATTERY_PERCENT_MAX: Final = 100
_WEEKDAY_MAX: Final = 7  # 1 is Monday, 0 is unknown.
_ZONE_UNKNOWN: Final = -128
_ZONE_QUARTERS: Final = range(-48, 57)  # UTC-12:00 to UTC+14:00 in quarters of an hour.
_DAYLIGHT_UNKNOWN: Final = 255
_DAYLIGHT_MINUTES: Final = {0: 0, 2: 30, 4: 60, 8: 120}
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryLevel:
    """Charge that is left."""

    percent: int
    leftover: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceText:
    """A text of the device information service, up to the first NUL."""

    text: str
    leftover: bytes = b""  # Padding, from the first NUL on.


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemId:
    """The device's EUI-64."""

    value: int
    leftover: bytes = b""

    def __str__(self) -> str:
        """As IEEE writes it: ``00-09-1F-FF-FE-80-00-01``."""
        return "-".join(f"{octet:02X}" for octet in self.value.to_bytes(8, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PnpId:
    """Vendor (by the register that ``vendor_source`` names), product and version."""

    vendor_source: int
    vendor: int
    product: int
    version: int
    leftover: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentTime:
    """The device's clock at this moment."""

    date_time: DateTime
    weekday: int  # 1 Monday to 7 Sunday; 0 unknown.
    fractions_256: int  # Of a second.
    adjust_reason: int  # Bits: 0 by hand, 1 by a reference, 2 time zone, 3 daylight saving.
    leftover: bytes = b""

    def at(self, utc_offset: timedelta) -> datetime | None:
        """The instant the clock shows, or None where ``date_time.problem`` tells why."""
        second = self.date_time.at(utc_offset)
        if second is None:
            return None
        return second.replace(microsecond=self.fractions_256 * _MICROSECONDS // 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimeInformation:
    """How far the device's clock is ahead of UTC, as far as it knows."""

    zone_quarters: int  # Standard time, in quarters of an hour; -128 unknown.
    daylight_code: int  # 0 none, 2 half an hour, 4 one hour, 8 two hours; 255 unknown.
    leftover: bytes = b""

    @property
    def utc_offset(self) -> timedelta | None:
        """Zone and daylight saving together; None where either is unknown."""
        minutes = _DAYLIGHT_MINUTES.get(self.daylight_code)
        if self.zone_quarters == _ZONE_UNKNOWN or minutes is None:
            return None
        return timedelta(minutes=15 * self.zone_quarters + minutes)


def decode_battery(value: bytes) -> BatteryLevel:
    """Read 0x2A19. Raises ``DecodeError`` on an empty value or above 100 percent."""
    octets = Octets(value)
    percent = octets.u8("percent")
    if percent > BATTERY_PERCENT_MAX:
        raise DecodeError(Malformed.OUT_OF_RANGE, "percent", 0, f"0 to 100 percent, not {percent}")
    return BatteryLevel(percent=percent, leftover=octets.rest())


def encode_battery(level: BatteryLevel) -> bytes:
    """Write 0x2A19."""
    return bytes([level.percent]) + level.leftover


def decode_text(value: bytes) -> DeviceText:
    """Read a text. Raises ``DecodeError`` where it is no UTF-8."""
    text, nul, padding = value.partition(b"\x00")
    try:
        return DeviceText(text=text.decode(), leftover=nul + padding)
    except UnicodeDecodeError as error:
        detail = f"no UTF-8: {error.reason}"
        raise DecodeError(Malformed.NOT_TEXT, "text", error.start, detail) from None


def encode_text(text: DeviceText) -> bytes:
    """Write a text."""
    return text.text.encode() + text.leftover


def decode_system_id(value: bytes) -> SystemId:
    """Read 0x2A23. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    identifier = int.from_bytes(octets.exactly("system_id", 8), "little")
    return SystemId(value=identifier, leftover=octets.rest())


def encode_system_id(identifier: SystemId) -> bytes:
    """Write 0x2A23."""
    return identifier.value.to_bytes(8, "little") + identifier.leftover


def decode_pnp_id(value: bytes) -> PnpId:
    """Read 0x2A50. Raises ``DecodeError`` when it is cut short."""
    octets = Octets(value)
    return PnpId(
        vendor_source=octets.u8("vendor_source"),
        vendor=octets.u16("vendor"),
        product=octets.u16("product"),
        version=octets.u16("version"),
        leftover=octets.rest(),
    )


def encode_pnp_id(pnp: PnpId) -> bytes:
    """Write 0x2A50."""
    words = (pnp.vendor, pnp.product, pnp.version)
    parts = [word.to_bytes(2, "little") for word in words]
    return bytes([pnp.vendor_source]) + b"".join(parts) + pnp.leftover


def decode_current_time(value: bytes) -> CurrentTime:
    """Read 0x2A2B. Raises ``DecodeError`` when it is cut short, or on an eighth day of the week."""
    octets = Octets(value)
    date_time = octets.date_time("date_time")
    offset, weekday = octets.offset, octets.u8("weekday")
    if weekday > _WEEKDAY_MAX:
        detail = f"0 (unknown) to 7 (Sunday), not {weekday}"
        raise DecodeError(Malformed.OUT_OF_RANGE, "weekday", offset, detail)
    return CurrentTime(
        date_time=date_time,
        weekday=weekday,
        fractions_256=octets.u8("fractions_256"),
        adjust_reason=octets.u8("adjust_reason"),
        leftover=octets.rest(),
    )


def encode_current_time(now: CurrentTime) -> bytes:
    """Write 0x2A2B."""
    tail = (now.weekday, now.fractions_256, now.adjust_reason)
    return now.date_time.to_bytes() + bytes(tail) + now.leftover


def decode_local_time(value: bytes) -> LocalTimeInformation:
    """Read 0x2A0F. Raises ``DecodeError`` when it is cut short, or on a zone that is none."""
    octets = Octets(value)
    zone = int.from_bytes(octets.exactly("time_zone", 1), "little", signed=True)
    if zone not in _ZONE_QUARTERS and zone != _ZONE_UNKNOWN:
        detail = f"-48 to 56 quarters of an hour, or -128 (unknown), not {zone}"
        raise DecodeError(Malformed.OUT_OF_RANGE, "time_zone", 0, detail)
    daylight = octets.u8("daylight_saving")
    if daylight not in _DAYLIGHT_MINUTES and daylight != _DAYLIGHT_UNKNOWN:
        detail = f"0, 2, 4, 8 or 255 (unknown), not {daylight}"
        raise DecodeError(Malformed.OUT_OF_RANGE, "daylight_saving", 1, detail)
    return LocalTimeInformation(zone_quarters=zone, daylight_code=daylight, leftover=octets.rest())


def encode_local_time(information: LocalTimeInformation) -> bytes:
    """Write 0x2A0F."""
    zone = information.zone_quarters.to_bytes(1, "little", signed=True)
    return zone + bytes([information.daylight_code]) + information.leftover
