"""What is known of each device: last seen, battery, clock, and when its cuff must be calibrated.

Every way in (``devices/``) calls ``seen``; the status message and ``suifang gateway status``
show ``states``. It decides nothing: a device that is late, empty or past its calibration is
shown, and still measures.

At most ``devices_max`` devices are listed; beyond that the one not configured that was seen
longest ago makes room. An id that has the shape of an ID-card number is not listed, only
counted: whatever a terminal puts there must not leave the box by this door.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from gateway.errors import SettingsError
from gateway.wire.times import parse_instant

_CARD_SHAPE: Final = re.compile(r"\d{15}|\d{17}[\dXx]", re.ASCII)  # GB 11643, and its forerunner.
_PERCENT_MAX: Final = 100
_INTERVAL_DAYS_MAX: Final = 3_660
_TEXT_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What the operator says of one device: a table ``[[devices]]`` of the configuration.

    The interval has no default: it is the one on the device's calibration certificate.
    """

    id: str
    name: str = ""  # Where it stands, for people. No names of residents.
    calibrated_on: date | None = None  # On the certificate.
    calibration_interval_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant. Raises ``SettingsError``."""
        if not 1 <= len(self.id) <= _TEXT_MAX:
            msg = f"id must have 1 to {_TEXT_MAX} characters"
            raise SettingsError(msg)
        if (self.calibrated_on is None) != (self.calibration_interval_days is None):
            msg = "calibrated_on and calibration_interval_days belong together: set both or none"
            raise SettingsError(msg)
        if self.calibrated_on is not None and not _in_our_time(self.calibrated_on):
            msg = f"calibrated_on must lie in the years 2000 to 2100, not {self.calibrated_on}"
            raise SettingsError(msg)
        days = self.calibration_interval_days
        if days is not None and not 1 <= days <= _INTERVAL_DAYS_MAX:
            msg = f"calibration_interval_days must be 1 to {_INTERVAL_DAYS_MAX}, not {days}"
            raise SettingsError(msg)

    @property
    def calibration_due(self) -> date | None:
        """The last day on which the calibration is valid."""
        if self.calibrated_on is None or self.calibration_interval_days is None:
            return None
        return self.calibrated_on + timedelta(days=self.calibration_interval_days)


def _in_our_time(day: date) -> bool:
    return date(2000, 1, 1) <= day <= date(2100, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """One device as it was last seen. None: never told."""

    id: str
    name: str = ""
    last_seen: datetime | None = None
    battery_percent: int | None = None
    clock_offset_s: int | None = None  # The device's clock minus the gateway's.
    calibration_due: date | None = None


class Fleet:
    """The devices of one gateway. Event loop only; nothing here waits or fails."""

    def __init__(
        self,
        devices: Sequence[DeviceSettings] = (),
        *,
        expected: Iterable[str] = (),
        devices_max: int = 256,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """List the configured devices, and the ids ``expected`` by a way in that is configured.

        ``on_change`` is called for what cannot wait: a device never seen before, and a battery's
        charge when it has changed.
        """
        self._configured = frozenset((*(device.id for device in devices), *expected))
        self._devices_max = max(devices_max, len(self._configured))
        self.on_change = on_change
        self.unlisted = 0  # Sightings under an id that is not listed.
        self._states = {device_id: DeviceState(id=device_id) for device_id in self._configured}
        for device in devices:
            self._states[device.id] = DeviceState(
                id=device.id, name=device.name, calibration_due=device.calibration_due
            )

    def seen(
        self,
        device_id: str,
        at: datetime,
        *,
        battery_percent: int | None = None,
        clock_offset_s: int | None = None,
    ) -> None:
        """A device was heard at this instant (aware).

        Args:
            device_id: As in its readings.
            at: The gateway's clock.
            battery_percent: 0 to 100; another number counts as not told.
            clock_offset_s: The device's clock minus the gateway's, whole seconds.
        """
        before = self._states.get(device_id)
        if before is None:
            if not 1 <= len(device_id) <= _TEXT_MAX or _CARD_SHAPE.search(device_id):
                self.unlisted += 1
                return
            if len(self._states) >= self._devices_max and not self._make_room():
                self.unlisted += 1
                return
            before = DeviceState(id=device_id)
        if battery_percent is None or not 0 <= battery_percent <= _PERCENT_MAX:
            battery_percent = before.battery_percent
        if clock_offset_s is None:
            clock_offset_s = before.clock_offset_s
        self._states[device_id] = replace(
            before, last_seen=at, battery_percent=battery_percent, clock_offset_s=clock_offset_s
        )
        if before.last_seen is None or before.battery_percent != battery_percent:
            self.on_change()

    def hear(self, reading: bytes, at: datetime) -> None:
        """A frozen reading was captured: its device was heard, and perhaps told its time."""
        said = json.loads(reading, parse_float=str, parse_int=str)
        device_id, device_now = said.get("device_id"), said.get("device_now")
        offset_s = None
        if isinstance(device_now, str):
            with suppress(ValueError):
                offset_s = round((parse_instant(device_now) - at).total_seconds())
        if isinstance(device_id, str):
            self.seen(device_id, at, clock_offset_s=offset_s)

    def restore(self, device_id: str, at: datetime, *, battery_percent: int | None) -> None:
        """Remember from a former run when a configured device was last seen; no news."""
        state = self._states.get(device_id)
        if state is not None and state.last_seen is None:
            self._states[device_id] = replace(state, last_seen=at, battery_percent=battery_percent)

    def states(self) -> list[DeviceState]:
        """All listed devices, by id."""
        return sorted(self._states.values(), key=lambda state: state.id)

    def _make_room(self) -> bool:
        """Forget the stranger that was seen longest ago; False when all are configured."""
        strangers = [s for s in self._states.values() if s.id not in self._configured]
        if not strangers:
            return False
        oldest = min(strangers, key=lambda s: (s.last_seen is not None, s.last_seen))
        del self._states[oldest.id]
        return True
