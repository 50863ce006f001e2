"""A room of virtual devices, and a gateway's Bluetooth side with a real spool in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clocks import Timekeeper, machine_sources
from gateway.devices import Surroundings
from gateway.devices.ble import BleDevices
from gateway.devices.ble_radio import Radio
from gateway.devices.ble_settings import BleSettings, KnownDevice
from gateway.fetched import Mark
from gateway.intake import Intake
from gateway.settings import ClockTrust, GatewaySettings
from gateway.spool_thread import SpoolThread, open_spool
from gateway.spooled import ClockMemory
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_json
from gateway.wire.times import utc_now
from simulators.terminals.air import Air
from simulators.terminals.cuff import Cuff
from simulators.terminals.meter import Meter
from simulators.terminals.radio import backend_of, powered
from simulators.terminals.records import CuffRecord, MeterRecord

SHANGHAI = ZoneInfo("Asia/Shanghai")
METER, CUFF = "C0:00:00:00:00:01", "C0:00:00:00:00:02"
MORNING = datetime(2026, 3, 2, 8, 0)  # noqa: DTZ001 - a device's wall clock
HASTY: dict[str, Any] = {"rest_ms": 10, "backoff_ms_min": 10, "backoff_ms_max": 50}
HASTY |= {"poll_ms": 200, "rescan_ms": 50, "busy_ms": 20, "context_ms_max": 300}


def wall_clock() -> datetime:
    """What a good device in Shanghai shows."""
    return datetime.now(SHANGHAI).replace(tzinfo=None)


def some_records(count: int, *, start: int = 0, meals: bool = True) -> list[MeterRecord]:
    """Records of a meter, one a minute, every other with a meal."""
    return [
        MeterRecord(
            sequence=(start + n) % 65_536,
            at=MORNING + timedelta(minutes=start + n),
            concentration=Decimal((0, tuple(map(int, str(50 + n % 100))), -4)),
            meal="fasting" if meals and n % 2 else None,
        )
        for n in range(count)
    ]


def a_pressure(systolic: int = 142, **fields: Any) -> CuffRecord:  # noqa: ANN401 - any field
    """One measurement of a cuff."""
    given: dict[str, Any] = {"diastolic": Decimal(91), "pulse": Decimal(70), "at": MORNING}
    return CuffRecord(systolic=Decimal(systolic), **(given | fields))


def ble_settings(*known: KnownDevice, **changes: Any) -> BleSettings:  # noqa: ANN401 - any setting
    """Settings in a hurry, for these devices (else the meter and the cuff)."""
    usual = (KnownDevice(id="meter-1", address=METER), KnownDevice(id="cuff-1", address=CUFF))
    return BleSettings(**(HASTY | {"enabled": True, "known": known or usual} | changes))


@dataclass
class Sightings:
    """What was told to the status."""

    heard: list[tuple[str, int | None, int | None]] = field(default_factory=list)

    def __call__(
        self,
        device_id: str,
        at: datetime,
        *,
        battery_percent: int | None = None,
        clock_offset_s: int | None = None,
    ) -> None:
        """Note one."""
        assert at.tzinfo is not None
        self.heard.append((device_id, battery_percent, clock_offset_s))


@dataclass
class Desk:
    """The gateway's side: intake and spool."""

    spool: SpoolThread
    intake: Intake
    sightings: Sightings = field(default_factory=Sightings)
    clock_known: bool = True

    def around(self) -> Surroundings:
        """What devices get besides ``capture``."""

        async def recall(device_id: str) -> list[Mark]:
            return await self.spool.run(self.spool.spool.recall_marks, device_id)

        return Surroundings(
            clock=utc_now,
            clock_known=lambda: self.clock_known,
            recall=recall,
            seen=self.sightings,
        )

    async def lines(self) -> list[dict[str, Any]]:
        """All that waits in the spool, in order of capture."""
        found: list[dict[str, Any]] = []
        for batch in await self.spool.run(self.spool.spool.unreceipted):
            found += parse_json(batch.payload)["readings"]
        while True:
            now = utc_now()
            taken = await self.spool.run(self.spool.spool.take_batch, new_id(now), now)
            if taken is None:
                return found
            found += parse_json(taken.payload)["readings"]


@asynccontextmanager
async def open_desk(folder: Path, **changes: Any) -> AsyncIterator[Desk]:  # noqa: ANN401
    """Spool and intake for the block."""
    given: dict[str, Any] = {
        "id": "g1",
        "centre": "c1",
        "broker_host": "127.0.0.1",
        "clock_synchronised": ClockTrust.YES,
        "spool": folder / "spool.db",
    }
    settings = GatewaySettings(**(given | changes))
    async with open_spool(settings) as spool, asyncio.TaskGroup() as tasks:
        intake = Intake(
            spool,
            settings,
            Timekeeper(machine_sources(utc_now), settings, ClockMemory()),
            key=None,
            connected=lambda: True,
            on_taken=lambda: None,
        )
        storing = tasks.create_task(intake.run(), name="intake")
        try:
            yield Desk(spool, intake)
        finally:
            storing.cancel()


@asynccontextmanager
async def a_radio(air: Air) -> AsyncIterator[Radio]:
    """The gateway's radio in this room."""
    device = air.device("gateway", "F0:00:00:00:00:00")
    try:
        async with powered(device):
            yield backend_of(device)
    finally:
        air.remove(device)


@asynccontextmanager
async def switched_on(*devices: Meter | Cuff) -> AsyncIterator[None]:
    """Devices that advertise for the block."""
    for device in devices:
        await device.start()
    try:
        yield
    finally:
        for device in devices:
            await device.stop()


@asynccontextmanager
async def served(air: Air, desk: Desk, settings: BleSettings) -> AsyncIterator[BleDevices]:
    """A gateway that listens in this room for the block."""
    async with a_radio(air) as radio:
        devices = BleDevices(settings, desk.around(), radio=radio)
        task = asyncio.create_task(devices.run(desk.intake.capture), name="ble")
        try:
            yield devices
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], *, what: str, seconds: float = 30) -> None:
    """Wait until this is so; fail with ``what`` after so long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"after {seconds} s still not: {what}"
        await asyncio.sleep(0.005)


def sequences(lines: Iterable[dict[str, Any]], kind: str = "glucose") -> list[int]:
    """The record numbers of readings of one kind, in order of capture."""
    return [line["device_sequence"] for line in lines if line["kind"] == kind]


def utc(text: str) -> datetime:
    """An instant of a line, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
