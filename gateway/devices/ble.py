"""Bluetooth LE: hear devices, visit each in a task of its own, keep what they measured.

    scanner --heard--> one task a device: visit, rest or back off, visit again --> capture

Invariants:
    One connection to a device at a time, one connection being opened at a time.
    A device that fails costs itself a pause, which doubles; the others do not notice.
    A radio that fails is tried again every ``rescan_ms``; the gateway goes on without it.
    At most ``devices_max`` devices are served; no device is known by a guess: it is in the
    configuration, or the operator said ``adopt = "all"``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from bleak import BleakAdapter, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_16

from gateway.devices import MarkedCapture, Surroundings
from gateway.devices.ble_instrument import Counts, Instrument
from gateway.devices.ble_link import LinkBrokenError
from gateway.devices.ble_radio import Radio, open_radio
from gateway.devices.ble_settings import BleSettings, KnownDevice
from gateway.devices.ble_visit import SERVICES, Visit
from gateway.errors import BusyError, GatewayError

_LOG = logging.getLogger(__name__)
_TROUBLE: Final = (BleakError, OSError, EOFError)
_REMEDY: Final = (
    "trying on. Is bluetoothd running (apt install bluez), is a radio plugged in, may this user "
    "talk to it over D-Bus?"
)
_Hear: TypeAlias = Callable[[BLEDevice, AdvertisementData], None]


class BleDevices:
    """All Bluetooth LE devices of a gateway. ``run`` it once."""

    name = "ble"

    def __init__(
        self, settings: BleSettings, around: Surroundings, *, radio: Radio | None = None
    ) -> None:
        """Without a ``radio``, the one that ``settings.backend`` names, else the platform's."""
        self._settings = settings
        self._around = around
        self._radio = radio
        self._served: dict[str, _Served] = {}  # By address.
        self._ignored: set[str] = set()
        self._connecting = asyncio.Lock()

    @property
    def counts(self) -> dict[str, Counts]:
        """What happened since the start, by ``device_id``."""
        return {served.instrument.id: served.instrument.counts for served in self._served.values()}

    async def run(self, capture: MarkedCapture) -> None:
        """Listen and visit until cancelled.

        Raises:
            SettingsError: ``backend`` names no radio.
            SpoolError: The spool cannot be read.
        """
        async with self._opened() as radio:
            try:
                await self._serve(radio, capture)
            except ExceptionGroup as group:
                if isinstance(group.exceptions[0], GatewayError):
                    raise group.exceptions[0] from group
                raise

    async def _serve(self, radio: Radio, capture: MarkedCapture) -> None:
        async with asyncio.TaskGroup() as tasks:

            def heard(device: BLEDevice, said: AdvertisementData) -> None:
                served = self._find(device, said, capture, radio)
                if served is None:
                    return
                served.hear(device)
                if served.task is None:
                    name = f"ble {served.instrument.id}"
                    served.task = tasks.create_task(served.run(self._connecting), name=name)

            await self._scan(radio, heard)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Radio]:
        if self._radio is not None:
            yield self._radio
            return
        async with open_radio(self._settings.backend) as radio:
            yield radio

    async def _scan(self, radio: Radio, heard: _Hear) -> None:
        """Listen for ever; a radio that is not there (yet) is tried again, and told once."""
        uuids = [normalize_uuid_16(service) for service in SERVICES]
        told = ""
        while True:
            try:
                async with BleakScanner(heard, uuids, backend=radio.scanner):
                    _LOG.info("listening for Bluetooth devices")
                    told = ""
                    await self._greet_connected(radio, uuids, heard)
                    await asyncio.Event().wait()
            except _TROUBLE as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # It failed to stop listening.
                    raise asyncio.CancelledError from error
                problem = str(error) or type(error).__name__
                if problem != told:
                    _LOG.error("no Bluetooth: %s; %s", problem, _REMEDY)
                told = problem
            await asyncio.sleep(self._settings.rescan_ms / 1_000)

    async def _greet_connected(self, radio: Radio, uuids: list[str], heard: _Hear) -> None:
        """Hear also what advertises no more, for the system holds a link to it.

        BlueZ keeps the links of a process that was killed; such a device would never be heard.
        """
        if radio.scanner is not None and radio.adapter is None:
            return
        try:
            adapter = await BleakAdapter.get(backend=radio.adapter)
            connected = await adapter.get_connected_devices(uuids)
        except NotImplementedError:  # Bleak's word for a system that cannot list its links.
            return
        for device in connected:
            heard(device, AdvertisementData(device.name, {}, {}, uuids, None, 0, ()))

    def _find(
        self, device: BLEDevice, said: AdvertisementData, capture: MarkedCapture, radio: Radio
    ) -> "_Served | None":
        served = self._served.get(device.address)
        if served is not None or device.address in self._ignored:
            return served
        known = self._identify(device.address, said.local_name or device.name)
        if known is None:
            return None
        taken = {other.instrument.id for other in self._served.values()}
        if known.id in taken or len(self._served) >= self._settings.devices_max:
            self._ignore(device.address, f"{known.id} is served already, or there are too many")
            return None
        instrument = Instrument(
            known=known, settings=self._settings, around=self._around, capture=capture
        )
        served = _Served(instrument, Visit(instrument, radio))
        self._served[device.address] = served
        return served

    def _identify(self, address: str, name: str | None) -> KnownDevice | None:
        for known in self._settings.known:
            if known.is_meant_by(address, name):
                return known
        if self._settings.adopt == "all":
            plain = "".join(c for c in address.lower() if c.isalnum())
            return KnownDevice(id=f"ble-{plain}", address=address, timezone=self._settings.timezone)
        if name is not None:
            self._ignore(address, "it is not in the configuration (ble.known)")
        return None

    def _ignore(self, address: str, why: str) -> None:
        """Say once why a device is not served; the oldest is forgotten, and said again."""
        if address in self._ignored:
            return
        if len(self._ignored) >= self._settings.devices_max:
            self._ignored.pop()
        self._ignored.add(address)
        _LOG.warning("a device at %s is not served: %s", address, why)


class _Served:
    """One device's task: visits, and pauses between them."""

    def __init__(self, instrument: Instrument, visit: Visit) -> None:
        self.instrument = instrument
        self.task: asyncio.Task[None] | None = None
        self._visit = visit
        self._settings = instrument.settings
        self._here = asyncio.Event()
        self._device: BLEDevice | None = None

    def hear(self, device: BLEDevice) -> None:
        """It advertises: it can be visited."""
        self._device = device
        self._here.set()

    async def run(self, connecting: asyncio.Lock) -> None:
        """Visit whenever it is heard, for ever; the last words are on disk when it ends."""
        outbox = self.instrument.outbox
        async with asyncio.TaskGroup() as tasks:
            bringing = tasks.create_task(outbox.run(), name=f"outbox {self.instrument.id}")
            try:
                await self._visit_again_and_again(connecting)
            finally:  # The link is closed: nothing more comes.
                outbox.close()
                await asyncio.wait([bringing])

    async def _visit_again_and_again(self, connecting: asyncio.Lock) -> None:
        pause_ms = self._settings.backoff_ms_min
        while True:
            await self._here.wait()
            before = self.instrument.counts.records
            well = await self._make_visit(connecting)
            if well or self.instrument.counts.records > before:  # It goes on, if in pieces.
                pause_ms = self._settings.backoff_ms_min
            await asyncio.sleep((self._settings.rest_ms if well else pause_ms) / 1_000)
            if not well:
                pause_ms = min(pause_ms * 2, self._settings.backoff_ms_max)
            self._here.clear()  # What was heard before is stale: is it still there?

    async def _make_visit(self, connecting: asyncio.Lock) -> bool:
        """One visit; False when it went wrong, or cannot be made now."""
        instrument, device = self.instrument, self._device
        if device is None or not instrument.outbox.is_empty:
            return False  # The spool has no room: let the device keep what it has.
        try:
            await self._visit.make(device, connecting)
        except LinkBrokenError as error:
            instrument.counts.breaks += 1
            _LOG.warning("device %s: %s", instrument.id, error)
        except BusyError as busy:
            _LOG.warning("device %s keeps its records: %s", instrument.id, busy)
        else:
            return True
        return False
