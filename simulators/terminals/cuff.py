"""A virtual blood-pressure cuff (0x1810): stored measurements on subscription, then live ones.

As real cuffs do, it sends by indication, one at a time, and forgets a stored measurement when
its indication was confirmed. It also offers 0x2A36 (intermediate cuff pressure) and sends it
to whoever subscribes, which a gateway never should.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from bumble import gatt
from bumble.core import UUID, BaseBumbleError
from bumble.device import Connection

from simulators.terminals.air import Air
from simulators.terminals.peripheral import INDICATE, NOTIFY, Peripheral
from simulators.terminals.records import CuffRecord

MEASUREMENT: Final = UUID.from_16_bits(0x2A35)
INTERMEDIATE: Final = UUID.from_16_bits(0x2A36)
FEATURE: Final = UUID.from_16_bits(0x2A49)
SERVICE: Final = UUID.from_16_bits(0x1810)


class Cuff(Peripheral):
    """A cuff and what it remembers. ``records`` shrinks as they are confirmed."""

    SERVICE = SERVICE

    def __init__(
        self,
        air: Air,
        name: str,
        address: str,
        *,
        now: Callable[[], datetime],
        records: Sequence[CuffRecord | bytes] = (),
        **options: Any,  # noqa: ANN401 - the Peripheral's
    ) -> None:
        self.records: deque[CuffRecord | bytes] = deque(records)
        self.pressures_sent = 0
        self.confirmed = 0
        self._more = asyncio.Event()
        super().__init__(air, name, address, now=now, **options)

    def _services(self) -> Sequence[gatt.Service]:
        self._measurement = self._characteristic(MEASUREMENT, INDICATE)
        self._intermediate = self._characteristic(INTERMEDIATE, NOTIFY)
        self._measurement.on(
            gatt.Characteristic.EVENT_SUBSCRIPTION,
            lambda bearer, _, wanted: self._on_wanted(bearer, wanted=wanted),
        )
        feature = gatt.Characteristic(
            FEATURE, gatt.Characteristic.Properties.READ, gatt.Characteristic.READABLE, b"\x07\0"
        )
        return [gatt.Service(SERVICE, [self._measurement, self._intermediate, feature])]

    def measure(self, record: CuffRecord | bytes) -> None:
        """Somebody has measured: it goes out now, or when a client is there."""
        self.records.append(record)
        self._more.set()

    def _on_wanted(self, connection: Connection, *, wanted: bool) -> None:
        if wanted:
            self.start_work(self._send_all(connection))

    async def _send_all(self, connection: Connection) -> None:
        """Send what is held, and then what comes, until the link breaks."""
        try:
            while True:
                while self.records:
                    if not await self._send_one(connection):
                        return
                self._more.clear()
                await self._more.wait()
        except (TimeoutError, BaseBumbleError):
            return  # The link broke: what was not confirmed is still held.

    async def _send_one(self, connection: Connection) -> bool:
        record = self.records[0]
        raw = record if isinstance(record, bytes) else record.encode()
        for _ in range(self.script.cuff_pressure):
            if self.is_subscribed(connection, self._intermediate):
                self.pressures_sent += 1
            await self.send(connection, self._intermediate, raw, counts=False)
        if not await self.send(connection, self._measurement, raw):
            return False
        self.records.popleft()
        self.confirmed += 1
        return True
