"""bleak over bumble: the scanner and the client that a gateway uses in place of BlueZ.

``backend_of(device)`` makes both from one powered bumble device, for a gateway in the same
process; ``open_radio`` joins a room by TCP (``SIMULATE_RADIO=host:port``), for a gateway in
another: ``GATEWAY_BLE_BACKEND=simulators.terminals.radio:open_radio``.

Two things of bumble are translated: an ATT error becomes bleak's, and a request that a lost
link cancels (bumble cancels the *future*, which looks like a cancelled task) becomes
``BleakError``.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble import gatt_client, hci
from bumble.att import ATT_Error
from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.tcp_client import open_tcp_client_transport

from gateway.devices.ble_radio import Radio
from gateway.errors import SettingsError

ROOM: Final = "SIMULATE_RADIO"
_OWN_ADDRESS: Final = "F0:F1:F2:F3:F4:F5"
_T = TypeVar("_T")


def backend_of(device: Device) -> Radio:
    """Bleak's two classes, bound to one powered device."""
    connecting = asyncio.Lock()  # A controller opens one link at a time.
    scanner = type("BumbleScanner", (_Scanner,), {"radio": device})
    client = type("BumbleClient", (_Client,), {"radio": device, "connecting": connecting})
    return Radio(scanner=scanner, client=client)


@asynccontextmanager
async def open_radio() -> AsyncIterator[Radio]:
    """Join the room that ``SIMULATE_RADIO`` names, for as long as the block.

    Raises:
        SettingsError: The variable is not set, or nobody listens there.
    """
    room = os.environ.get(ROOM, "")
    if not room:
        msg = f"{ROOM} is not set; `suifang simulate terminals` prints what to set"
        raise SettingsError(msg)
    try:
        transport = await open_tcp_client_transport(room)
    except (OSError, ValueError) as error:
        msg = f"{ROOM}={room} cannot be reached ({error}); start `suifang simulate terminals`"
        raise SettingsError(msg) from error
    async with transport:
        device = Device.with_hci(
            "gateway", hci.Address(_OWN_ADDRESS), transport.source, transport.sink
        )
        async with powered(device):
            yield backend_of(device)


@asynccontextmanager
async def powered(device: Device) -> AsyncIterator[Device]:
    """A device that pairs without asking anybody, switched on for the block."""
    device.pairing_config_factory = lambda _: PairingConfig(
        sc=True,
        mitm=False,
        bonding=True,
        delegate=PairingDelegate(PairingDelegate.NO_OUTPUT_NO_INPUT),
    )
    await device.power_on()
    try:
        yield device
    finally:
        for connection in list(device.connections.values()):
            with suppress(BaseBumbleError, TimeoutError):
                await connection.disconnect()
        with suppress(BaseBumbleError, TimeoutError):  # The room may be gone.
            await device.power_off()


async def _translated(work: Awaitable[_T]) -> _T:
    try:
        return await work
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except (BaseBumbleError, TimeoutError) as error:
        raise BleakError(str(error)) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        msg = "the link was lost"
        raise BleakError(msg) from None


class _Scanner(BaseBleakScanner):
    radio: ClassVar[Device]
    _listening: ClassVar[dict[Device, int]] = {}

    def __init__(
        self,
        detection_callback: Any,  # noqa: ANN401 - bleak's own signature
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        **_: Any,  # noqa: ANN401 - arguments of other platforms
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        self.seen_devices = {}
        self.radio.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        await _translated(self.radio.start_scanning(active=self._active))

    async def stop(self) -> None:
        self.radio.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        await _translated(self.radio.stop_scanning())

    def _on_advertisement(self, heard: Advertisement) -> None:
        kind = AdvertisingData.Type
        uuids = heard.data.get(kind.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS) or []
        services = [uuid.to_hex_str("-").lower() for uuid in uuids]
        services = [_long(text) for text in services]
        if not self.is_allowed_uuid(services):
            return
        name = heard.data.get(kind.COMPLETE_LOCAL_NAME)
        said = AdvertisementData(
            local_name=name,
            manufacturer_data={},
            service_data={},
            service_uuids=services,
            tx_power=None,
            rssi=heard.rssi,
            platform_data=(),
        )
        address = heard.address.to_string(with_type_qualifier=False)
        device = self.create_or_update_device(address, address, name, heard.address, said)
        self.call_detection_callbacks(device, said)


def _long(uuid: str) -> str:
    return f"0000{uuid}-0000-1000-8000-00805f9b34fb" if len(uuid) == 4 else uuid  # noqa: PLR2004


class _Client(BaseBleakClient):
    radio: ClassVar[Device]
    connecting: ClassVar[asyncio.Lock]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_: Any,  # noqa: ANN401 - arguments of other platforms
    ) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout
        )
        self._connection: Connection | None = None
        self._callbacks: dict[int, NotifyCallback] = {}
        self._listeners: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:  # noqa: ANN401, FBT001 - bleak's own
        address = hci.Address(self.address)
        async with self.connecting:
            connection = await _translated(self.radio.connect(address, timeout=self._timeout))
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            if pair:
                await self.pair()
            self.services = await _translated(self._discover(Peer(connection)))
        except BleakError:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(BleakError):
                await _translated(connection.disconnect())

    async def pair(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - bleak's own
        connection = self._linked()
        if self.radio.keystore is not None:
            keys = await self.radio.keystore.get(str(connection.peer_address))
            if keys is not None:
                await _translated(connection.encrypt())
                return
        await _translated(connection.pair())

    async def unpair(self) -> None:
        if self.radio.keystore is not None:
            await self.radio.keystore.delete(self.address)

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **_: Any,  # noqa: ANN401 - bleak's own
    ) -> bytearray:
        del use_cached
        self._linked()
        return bytearray(await _translated(characteristic.obj.read_value()))

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,
        **_: Any,  # noqa: ANN401 - bleak's own
    ) -> bytearray:
        del use_cached
        self._linked()
        return bytearray(await _translated(descriptor.obj.read_value()))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001 - bleak's own
    ) -> None:
        self._linked()
        await _translated(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        self._linked()
        await _translated(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **_: Any,  # noqa: ANN401 - bleak's own
    ) -> None:
        self._linked()
        # One listener for each characteristic: bumble keeps that of a refused subscription.
        self._callbacks[characteristic.handle] = callback
        heard = self._listeners.setdefault(
            characteristic.handle, partial(self._on_value, characteristic.handle)
        )
        await _translated(characteristic.obj.subscribe(heard))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        self._linked()
        self._callbacks.pop(characteristic.handle, None)
        await _translated(characteristic.obj.unsubscribe(force=True))

    def _on_value(self, handle: int, value: bytes) -> None:
        callback = self._callbacks.get(handle)
        if callback is not None:
            callback(bytearray(value))

    def _linked(self) -> Connection:
        if self._connection is None:
            msg = "not connected"
            raise BleakError(msg)
        return self._connection

    def _on_disconnection(self, _: int) -> None:
        self._connection = None
        self.services = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _discover(self, peer: Peer) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            shown = BleakGATTService(service, service.handle, _long_of(service))
            found.add_service(shown)
            for characteristic in await service.discover_characteristics():
                properties: list[Any] = [
                    flag.name.lower().replace("_", "-")
                    for flag in characteristic.properties.__class__
                    if flag in characteristic.properties and flag.name
                ]
                found.add_characteristic(
                    BleakGATTCharacteristic(
                        characteristic,
                        characteristic.handle,
                        _long_of(characteristic),
                        properties,
                        lambda: self.mtu_size - 3,
                        shown,
                    )
                )
        return found


def _long_of(proxy: gatt_client.ServiceProxy | gatt_client.CharacteristicProxy[bytes]) -> str:
    return _long(proxy.uuid.to_hex_str("-").lower())
