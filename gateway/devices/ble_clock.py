"""A device's own clock: how far it is off, told with each reading; set where the device allows.

A device shows a wall clock and no zone; the zone is configuration. The offset is measured at
the start of a visit, halfway between asking and hearing, and holds for the stored records that
are fetched in it. Only after they are fetched may the clock be set: otherwise their times
would be read by a clock that they were not taken by. Nothing of a reading is changed.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.devices.ble_link import Link, RefusedByDeviceError
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.device import CurrentTime, decode_current_time, encode_current_time
from gateway.devices.gatt.errors import DecodeError
from gateway.wire.times import Clock

CURRENT_TIME: Final = 0x2A2B
_BY_REFERENCE: Final = 0b10  # Adjust reason: external reference time (Current Time Service).
_YEARS: Final = range(1970, 2100)  # Before, zones had seconds, and no device is that old.
_LOG = logging.getLogger(__name__)


class DeviceClock:
    """The clock of one device, as last read."""

    def __init__(self, device_id: str, timezone: str, clock: Clock) -> None:
        self._device_id = device_id
        self._zone = ZoneInfo(timezone)
        self._clock = clock
        self._read: tuple[datetime, float] | None = None  # What it showed, at which loop time.
        self.offset: timedelta | None = None  # The device's clock minus the gateway's.

    def shows(self) -> datetime | None:
        """What the device's clock shows at this moment, aware; None: it shows none.

        Counted on from the last look by a clock that nobody sets: the gateway's own may be put
        right meanwhile.
        """
        if self._read is None:
            return None
        shown, at_s = self._read
        return shown + timedelta(seconds=asyncio.get_running_loop().time() - at_s)

    def utc_offset(self, said: DateTime | None = None) -> timedelta:
        """How far the device's wall clock is ahead of UTC, then or (if that is no time) now."""
        if said is not None and said.problem is None and said.year in _YEARS:
            then = datetime(  # noqa: DTZ001 - a wall clock of that zone
                said.year, said.month, said.day, said.hour, said.minute
            )
            return self._zone.utcoffset(then) or timedelta()
        return self._clock().astimezone(self._zone).utcoffset() or timedelta()

    async def measure(self, link: Link) -> None:
        """Read it. No such characteristic, or nonsense in it: it shows none.

        Raises:
            LinkBrokenError: The link is gone.
        """
        self.offset = self._read = None
        loop, before = asyncio.get_running_loop(), self._clock()
        asked_s = loop.time()
        try:
            raw = await link.read(CURRENT_TIME)
        except RefusedByDeviceError as refused:
            _LOG.warning("device %s does not tell its time: %s", self._device_id, refused)
            return
        heard_s = (asked_s + loop.time()) / 2
        middle = before + (self._clock() - before) / 2
        if raw is None:
            return
        try:
            shown = decode_current_time(raw)
        except DecodeError as error:
            _LOG.warning("device %s: its time is unreadable: %s", self._device_id, error)
            return
        at = shown.at(self.utc_offset(shown.date_time))
        if at is None:
            _LOG.warning("device %s: its clock is not set", self._device_id)
            return
        self.offset = at - middle
        self._read = at, heard_s

    async def set_if_wrong(self, link: Link, tolerance: timedelta) -> bool:
        """Set it if it is off (or not set) and may be written; measure again. True when set.

        Raises:
            LinkBrokenError: The link is gone.
        """
        if self.offset is not None and abs(self.offset) <= tolerance:
            return False
        if not link.can_write(CURRENT_TIME):
            return False
        present = self._clock().astimezone(self._zone)
        value = CurrentTime(
            date_time=DateTime.of(present),
            weekday=present.isoweekday(),
            fractions_256=present.microsecond * 256 // 1_000_000,
            adjust_reason=_BY_REFERENCE,
        )
        try:
            await link.write(CURRENT_TIME, encode_current_time(value))
        except RefusedByDeviceError as refused:
            _LOG.warning("device %s: its clock could not be set: %s", self._device_id, refused)
            return False
        _LOG.info("device %s: its clock was off by %s and was set", self._device_id, self.offset)
        await self.measure(link)
        return True
