"""One connection to one device, from hello to goodbye.

    connect (pair) -> battery, clock, who it is -> fetch or listen -> set the clock -> stay

It ends when the device hangs up, when ``contact_s_max`` is over, or when something on the link
goes wrong; in each case what was taken is taken and the rest is still in the device.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from bleak.backends.device import BLEDevice

from gateway.devices import ble_cuff, ble_meter
from gateway.devices.ble_instrument import Instrument
from gateway.devices.ble_link import Link, LinkBrokenError, RefusedByDeviceError, open_link
from gateway.devices.ble_meter import Meter
from gateway.devices.ble_radio import Radio
from gateway.devices.gatt.device import decode_battery, decode_text
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.numbering import Numbering

SERVICES: Final = (ble_cuff.SERVICE, ble_meter.SERVICE)
_BATTERY: Final = 0x2A19
_ABOUT: Final = {"maker": 0x2A29, "model": 0x2A24, "serial": 0x2A25, "firmware": 0x2A26}
_LOG = logging.getLogger(__name__)


class Visit:
    """Visits to one device; each is one connection. ``make`` one at a time."""

    def __init__(self, instrument: Instrument, radio: Radio) -> None:
        self._instrument = instrument
        self._settings = instrument.settings
        self._radio = radio
        self._broken_at: float | None = None  # Loop time; a transfer was cut short then.

    async def make(self, device: BLEDevice, connecting: asyncio.Lock) -> None:
        """Connect and do everything; returns when the device hung up, or long enough later.

        Args:
            device: As just heard.
            connecting: One radio opens one connection at a time.

        Raises:
            LinkBrokenError: It could not be reached, or the link broke at the wrong moment.
            BusyError: The spool has no room.
            SpoolError: The spool cannot be read.
        """
        self._instrument.counts.visits += 1
        pairing = self._instrument.known.pairing
        async with open_link(
            device, self._radio, self._settings, pairing, connecting=connecting
        ) as link:
            try:
                async with asyncio.timeout(self._settings.contact_s_max):
                    await self._converse(link)
            except TimeoutError:
                _LOG.debug("device %s: others get their turn", self._instrument.id)

    async def _converse(self, link: Link) -> None:
        await self._look(link)
        meter: Meter | None = None
        if link.has(ble_cuff.MEASUREMENT):
            await ble_cuff.listen_to_cuff(self._instrument, link)
        if link.has_service(ble_meter.SERVICE):
            meter = await self._read_memory(link)
        while not link.lost.is_set():
            stay = meter.take_stragglers() if meter is not None else link.lost.wait()
            await self._stay(link, stay)
            if link.lost.is_set():
                return
            await self._set_clock(link)
            await self._look(link)
            if meter is not None:
                await meter.fetch(resumed=True)

    async def _read_memory(self, link: Link) -> Meter:
        marks = await self._instrument.around.recall(self._instrument.id)
        meter = Meter(self._instrument, link, Numbering(self._instrument.id, marks))
        await meter.subscribe()
        try:
            await meter.fetch(resumed=self._resumes())
        except LinkBrokenError:
            self._broken_at = asyncio.get_running_loop().time()
            raise
        self._broken_at = None
        await self._set_clock(link)
        return meter

    def _resumes(self) -> bool:
        if self._broken_at is None:
            return False
        ago = asyncio.get_running_loop().time() - self._broken_at
        return ago < self._settings.resume_s_max

    async def _stay(self, link: Link, doing: Coroutine[Any, Any, object]) -> None:
        """Do this until the link is lost, at most until it is time to ask again."""
        task = asyncio.create_task(doing, name=f"{self._instrument.id} stays")
        lost = asyncio.create_task(link.lost.wait(), name=f"{self._instrument.id} lost")
        try:
            await asyncio.wait(
                {task, lost},
                timeout=self._settings.poll_ms / 1_000,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for each in (task, lost):
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each

    async def _look(self, link: Link) -> None:
        """Battery and clock for the status; at the first visit, who it is for the log."""
        instrument = self._instrument
        battery = await self._read_battery(link)
        await instrument.clock.measure(link)
        offset = instrument.clock.offset
        instrument.around.seen(
            instrument.id,
            instrument.around.clock(),
            battery_percent=battery,
            clock_offset_s=None if offset is None else round(offset.total_seconds()),
        )
        if not instrument.described:
            instrument.described = True
            about = [await self._read_text(link, uuid) for uuid in _ABOUT.values()]
            said = zip(_ABOUT, about, strict=True)
            words = ", ".join(f"{name} {text}" for name, text in said if text)
            _LOG.info("device %s: %s", instrument.id, words or "says nothing of itself")

    async def _read_battery(self, link: Link) -> int | None:
        try:
            raw = await link.read(_BATTERY)
            return None if raw is None else decode_battery(raw).percent
        except (RefusedByDeviceError, DecodeError) as error:
            _LOG.warning("device %s: no battery level: %s", self._instrument.id, error)
            return None

    async def _read_text(self, link: Link, uuid: int) -> str | None:
        try:
            raw = await link.read(uuid)
            return None if raw is None else decode_text(raw).text
        except (RefusedByDeviceError, DecodeError):
            return None

    async def _set_clock(self, link: Link) -> None:
        instrument = self._instrument
        if not instrument.known.set_clock or not instrument.around.clock_known():
            return
        tolerance = timedelta(seconds=self._settings.clock_tolerance_s)
        if await instrument.clock.set_if_wrong(link, tolerance):
            instrument.counts.clock_set += 1
