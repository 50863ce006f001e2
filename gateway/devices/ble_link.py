"""One Bluetooth LE connection: bleak with a limit on every wait, and pairing when it is asked for.

Characteristics are named by their 16-bit number. One that the device does not have reads as
None: a device without a battery service is no fault. What goes wrong on the link is
``LinkError`` (bleak's own errors, time-outs, D-Bus gone), and only that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode
from bleak.uuids import normalize_uuid_16

from gateway.devices.ble_radio import Radio
from gateway.devices.ble_settings import BleSettings, Pairing

_T = TypeVar("_T")
_TROUBLE: Final = (BleakError, OSError, EOFError)
# ATT errors that say: not over this link as it is (Core specification, Vol 3, Part F, 3.4.1.1).
_WANTS_PAIRING: Final = frozenset(
    {
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
    }
)


class LinkBrokenError(Exception):
    """The connection is lost, or an answer on it did not come. What was not taken comes again."""


class RefusedByDeviceError(LinkBrokenError):
    """The device answered with an ATT error.

    Attributes:
        code: The error's number.
    """

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class Link:
    """An open connection. ``lost`` is set when it is gone, or should be given up."""

    def __init__(self, client: BleakClient, settings: BleSettings, pairing: Pairing) -> None:
        self._client = client
        self._settings = settings
        self._may_pair = pairing == "when_required"
        self._wake: list[Callable[[], None]] = []
        self.lost = asyncio.Event()

    def when_lost(self, wake: Callable[[], None]) -> None:
        """Have this called when the link is gone."""
        self._wake.append(wake)

    def give_up(self) -> None:
        """Note that the link is gone, or have it closed."""
        self.lost.set()
        for wake in self._wake:
            wake()

    def has(self, uuid: int) -> bool:
        """Whether the device offers this characteristic."""
        return self._find(uuid) is not None

    def has_service(self, uuid: int) -> bool:
        """Whether the device offers this service."""
        wanted = normalize_uuid_16(uuid)
        return any(service.uuid == wanted for service in self._services())

    def can_write(self, uuid: int) -> bool:
        """Whether it may be written, as far as the device says."""
        found = self._find(uuid)
        return found is not None and "write" in found.properties

    async def read(self, uuid: int) -> bytes | None:
        """The value, or None where the device has none. Raises ``LinkBrokenError``."""
        found = self._find(uuid)
        if found is None:
            return None
        return bytes(await self._ask(lambda: self._client.read_gatt_char(found)))

    async def write(self, uuid: int, value: bytes) -> None:
        """Write with response. Raises ``LinkBrokenError``, ``RefusedByDeviceError``."""
        found = self._require(uuid)
        await self._ask(lambda: self._client.write_gatt_char(found, value, response=True))

    async def subscribe(self, uuid: int, take: Callable[[bytes], None]) -> None:
        """Have ``take`` called with each value that comes. Raises ``LinkBrokenError``."""
        found = self._require(uuid)

        def callback(_: BleakGATTCharacteristic, value: bytearray) -> None:
            take(bytes(value))

        await self._ask(lambda: self._client.start_notify(found, callback))

    async def pair(self) -> None:
        """Pair now; the operating system keeps the keys. Raises ``LinkBrokenError``."""
        await self._timed(self._client.pair, self._settings.connect_s_max)

    async def _ask(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask; if the device wants a paired client first, pair once and ask again."""
        try:
            return await self._timed(ask, self._settings.answer_s_max)
        except RefusedByDeviceError as refused:
            if not self._may_pair or refused.code not in _WANTS_PAIRING:
                raise
            self._may_pair = False
        await self.pair()
        return await self._timed(ask, self._settings.answer_s_max)

    @staticmethod
    async def _timed(ask: Callable[[], Awaitable[_T]], seconds: float) -> _T:
        task = asyncio.current_task()
        asked_to_end = task.cancelling() if task else 0
        try:
            async with asyncio.timeout(seconds):
                answer = await ask()
        except BleakGATTProtocolError as error:
            raise RefusedByDeviceError(int(error.args[0]), str(error.args[-1])) from error
        except TimeoutError as error:
            msg = f"no answer within {seconds} s"
            raise LinkBrokenError(msg) from error
        except _TROUBLE as error:
            raise LinkBrokenError(_words(error)) from error
        if task and task.cancelling() > asked_to_end:
            raise asyncio.CancelledError  # Python 3.11's wait_for, in a backend, may swallow it.
        return answer

    def _find(self, uuid: int) -> BleakGATTCharacteristic | None:
        services = self._services()
        try:
            return services.get_characteristic(normalize_uuid_16(uuid))
        except BleakError as error:  # Two of them.
            raise LinkBrokenError(_words(error)) from error

    def _services(self) -> BleakGATTServiceCollection:
        try:
            return self._client.services
        except BleakError as error:  # Not connected any more.
            raise LinkBrokenError(_words(error)) from error

    def _require(self, uuid: int) -> BleakGATTCharacteristic:
        found = self._find(uuid)
        if found is None:
            msg = f"the device has no characteristic 0x{uuid:04X}"
            raise LinkBrokenError(msg)
        return found


@asynccontextmanager
async def open_link(
    device: BLEDevice,
    radio: Radio,
    settings: BleSettings,
    pairing: Pairing,
    *,
    connecting: asyncio.Lock,
) -> AsyncIterator[Link]:
    """Connect for the block, nobody else connecting meanwhile; hanging up has its limit too.

    Raises:
        LinkBrokenError: It cannot be reached, or does not pair.
    """
    link: Link | None = None

    def on_lost(_: BleakClient) -> None:
        if link is not None:
            link.give_up()

    client = BleakClient(device, on_lost, timeout=settings.connect_s_max, backend=radio.client)
    link = Link(client, settings, pairing)
    try:
        async with connecting:
            await link._timed(client.connect, settings.connect_s_max)  # noqa: SLF001 - one file
        if pairing == "always":
            await link.pair()
        yield link
    finally:
        with suppress(TimeoutError, *_TROUBLE):
            async with asyncio.timeout(settings.answer_s_max):
                await client.disconnect()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
