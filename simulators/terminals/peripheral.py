"""What every virtual Bluetooth device has: a name, a battery, a clock of its own, pairing.

A device advertises whenever nobody is connected. Its clock is a function, so that a test can
have it wrong; writing 0x2A2B moves it by an offset, as a real one. What a device still holds
is never dropped by it: a link that breaks leaves its memory as it was.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bumble import gatt
from bumble.att import ATT_Error, Attribute
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device
from bumble.pairing import PairingConfig, PairingDelegate

from simulators.terminals.air import Air
from simulators.terminals.records import decode_current_time, encode_current_time
from simulators.terminals.script import Script

_ADVERTISE_MS: Final = 50.0
_MUTE_S_MAX: Final = 0.25
_OPEN: Final = Attribute.Permissions.READABLE | Attribute.Permissions.WRITEABLE
_ENCRYPTED: Final = (
    Attribute.Permissions.READ_REQUIRES_ENCRYPTION | Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION
)
_VALUE_NOT_ALLOWED: Final = 0x13
READ, WRITE = gatt.Characteristic.Properties.READ, gatt.Characteristic.Properties.WRITE
NOTIFY, INDICATE = (
    gatt.Characteristic.Properties.NOTIFY,
    gatt.Characteristic.Properties.INDICATE,
)


class Peripheral:
    """One virtual device. ``start`` it, ``stop`` it; ``script`` may change in between.

    Args:
        air: The room it is in.
        name: As advertised.
        address: Random static, such as ``C0:00:00:00:00:01``.
        now: The device's own clock, naive, before anybody set it.
        script: Its faults.
        secured: Measurements only over an encrypted link: a client has to pair.
        battery_percent: 0x2A19.
        clock: Whether it shows a clock at all (0x1805).
        settable: Whether the clock may be written.
        serial: 0x2A25.
    """

    SERVICE: UUID = gatt.GATT_BATTERY_SERVICE  # What it advertises; a subclass says its own.
    SHY = False  # Advertises no service, so that no scan for one hears it.

    def __init__(
        self,
        air: Air,
        name: str,
        address: str,
        *,
        now: Callable[[], datetime],
        script: Script | None = None,
        secured: bool = False,
        battery_percent: int = 80,
        clock: bool = True,
        settable: bool = True,
        serial: str = "000001",
    ) -> None:
        self.name = name
        self.address = address
        self.script = script or Script()
        self.connections = 0
        self.clock_set = 0
        self.battery_percent = battery_percent
        self.serial = serial
        self._air = air
        self._now = now
        self._offset = timedelta()
        self._secured = secured
        self._sent = 0  # Notifications of measurements in this connection.
        self._work: asyncio.Task[None] | None = None
        self._beacon: asyncio.Task[None] | None = None
        self.device = air.device(name, address)
        self.device.pairing_config_factory = lambda _: PairingConfig(
            sc=True,
            mitm=False,
            bonding=True,
            delegate=PairingDelegate(PairingDelegate.NO_OUTPUT_NO_INPUT),
        )
        services = [self._battery(), self._information(), *self._services()]
        if clock:
            services.append(self._current_time(settable=settable))
        self.device.add_services(services)
        self.device.on(Device.EVENT_CONNECTION, self._on_connection)

    @property
    def now(self) -> datetime:
        """The device's clock, naive."""
        return self._now() + self._offset

    @property
    def is_connected(self) -> bool:
        """Whether somebody is connected."""
        return bool(self.device.connections)

    async def start(self) -> None:
        """Switch on and advertise."""
        await self.device.power_on()
        await self._advertise()
        self._beacon = asyncio.create_task(self._stay_heard(), name=f"{self.name} advertises")

    async def stop(self) -> None:
        """Switch off: the link breaks, nobody hears it any more. The memory stays."""
        self._cancel_work()
        if self._beacon is not None:
            self._beacon.cancel()
            await asyncio.wait([self._beacon])
        await self.hang_up()
        await self.device.stop_advertising()
        await self.device.power_off()
        self._air.remove(self.device)

    async def hang_up(self) -> None:
        """Lose the link, if there is one."""
        for connection in list(self.device.connections.values()):
            with contextlib.suppress(BaseBumbleError):
                await connection.disconnect()

    def _services(self) -> Sequence[gatt.Service]:
        return ()

    def on_subscribed(self, connection: Connection) -> None:
        """Somebody wants measurements; called once each characteristic is subscribed."""

    def _characteristic(
        self,
        uuid: UUID,
        properties: gatt.Characteristic.Properties,
        value: bytes | gatt.CharacteristicValue[bytes] = b"",
    ) -> gatt.Characteristic[bytes]:
        """A characteristic whose subscription needs encryption on a secured device."""
        permissions = _OPEN | _ENCRYPTED if self._secured else _OPEN
        characteristic = gatt.Characteristic(uuid, properties, permissions, value)
        server = self.device.gatt_server
        switch = gatt.Descriptor(
            gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
            permissions,
            server.make_descriptor_value(characteristic),
        )
        characteristic.descriptors = [switch]
        return characteristic

    def is_subscribed(
        self, connection: Connection, characteristic: gatt.Characteristic[bytes]
    ) -> bool:
        """Whether this client has switched the characteristic on."""
        values = self.device.gatt_server.subscribers.get(connection, {})
        return values.get(characteristic.handle, b"\0\0") != b"\0\0"

    def start_work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside; it is given up when the link is lost."""
        self._cancel_work()
        self._work = asyncio.create_task(work, name=f"{self.name} sends")

    @property
    def is_working(self) -> bool:
        """Whether something is being sent."""
        return self._work is not None and not self._work.done()

    async def send(
        self,
        connection: Connection,
        characteristic: gatt.Characteristic[bytes],
        value: bytes,
        *,
        counts: bool = True,
    ) -> bool:
        """Notify or indicate one value; False when the script cut the link in its place.

        False as well when nobody listens (any more): bumble would let it pass in silence. An
        indication waits for its confirmation.
        """
        if not self.is_subscribed(connection, characteristic):
            return False
        limit = self.script.notifications_of(self.connections - 1) if counts else None
        if limit is not None and self._sent >= limit:
            await connection.disconnect()
            return False
        if characteristic.properties & INDICATE:
            await self.device.indicate_subscriber(connection, characteristic, value)
        else:
            await self.device.notify_subscriber(connection, characteristic, value)
        self._sent += counts
        if self.script.pause_s:
            await asyncio.sleep(self.script.pause_s)
        return True

    async def _advertise(self) -> None:
        flags = bytes((0x06,))  # General discoverable, no BR/EDR.
        heard = AdvertisingData(
            [
                (AdvertisingData.FLAGS, flags),
                (
                    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                    b"" if self.SHY else self.SERVICE.to_bytes(),
                ),
                (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
            ]
        )
        await self.device.start_advertising(
            auto_restart=True,
            advertising_data=bytes(heard),
            advertising_interval_min=_ADVERTISE_MS,
            advertising_interval_max=_ADVERTISE_MS,
        )

    async def _stay_heard(self) -> None:
        """Advertise again after a link that broke so early that bumble did not see it begin."""
        while True:
            await asyncio.sleep(_MUTE_S_MAX)
            if not self.device.connections and not self.device.is_advertising:
                await self._advertise()

    def _on_connection(self, connection: Connection) -> None:
        self.connections += 1
        self._sent = 0
        connection.on(Connection.EVENT_DISCONNECTION, lambda _: self._cancel_work())

    def _cancel_work(self) -> None:
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()

    def _battery(self) -> gatt.Service:
        level: gatt.Characteristic[bytes] = gatt.Characteristic(
            gatt.GATT_BATTERY_LEVEL_CHARACTERISTIC,
            READ | NOTIFY,
            gatt.Characteristic.READABLE,
            gatt.CharacteristicValue(read=lambda _: bytes((self.battery_percent,))),
        )
        return gatt.Service(gatt.GATT_BATTERY_SERVICE, [level])

    def _information(self) -> gatt.Service:
        said = (
            (gatt.GATT_MANUFACTURER_NAME_STRING_CHARACTERISTIC, "Suifang virtual"),
            (gatt.GATT_MODEL_NUMBER_STRING_CHARACTERISTIC, type(self).__name__),
            (gatt.GATT_SERIAL_NUMBER_STRING_CHARACTERISTIC, self.serial),
            (gatt.GATT_FIRMWARE_REVISION_STRING_CHARACTERISTIC, "1.0"),
        )
        return gatt.Service(
            gatt.GATT_DEVICE_INFORMATION_SERVICE,
            [
                gatt.Characteristic(uuid, READ, gatt.Characteristic.READABLE, text.encode())
                for uuid, text in said
            ],
        )

    def _current_time(self, *, settable: bool) -> gatt.Service:
        def write(_: Connection, value: bytes) -> None:
            try:
                wanted = decode_current_time(value)
            except (ValueError, struct.error) as error:
                raise ATT_Error(_VALUE_NOT_ALLOWED) from error
            self._offset = wanted - self._now()
            self.clock_set += 1

        properties = READ | NOTIFY | (WRITE if settable else READ)
        permissions = gatt.Characteristic.READABLE
        if settable:
            permissions |= gatt.Characteristic.WRITEABLE
        current: gatt.Characteristic[bytes] = gatt.Characteristic(
            gatt.GATT_CURRENT_TIME_CHARACTERISTIC,
            properties,
            permissions,
            gatt.CharacteristicValue(read=lambda _: encode_current_time(self.now), write=write),
        )
        return gatt.Service(gatt.GATT_CURRENT_TIME_SERVICE, [current])
