"""A room of virtual Bluetooth devices that ops can run: who is in it, what they hold and do.

The same seed gives the same values. Times are the plan's clock, so what a device holds was
measured in the minutes before it was switched on, and its own clock may be wrong on purpose.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.wire.times import Clock
from simulators.terminals.air import Air
from simulators.terminals.cuff import Cuff
from simulators.terminals.meter import Meter
from simulators.terminals.plan import RoomPlan
from simulators.terminals.records import MEALS, CuffRecord, MeterRecord
from simulators.terminals.script import Script

_ADDRESS: Final = "C0:5F:00:00:{:02X}:{:02X}"
_BETWEEN: Final = timedelta(minutes=3)
_CONTEXT_RATE: Final = 0.6  # Of values; assumption, no epidemiology.
_MALFORMED: Final = bytes.fromhex("0602")  # A glucose measurement that is cut short.


class Room:
    """The devices of a plan. ``open`` them, then ``live`` for as long as wanted."""

    def __init__(self, plan: RoomPlan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._zone = ZoneInfo(plan.timezone)
        self._random = random.Random(plan.seed)  # noqa: S311 - nothing secret
        self.air = Air()
        self.cuffs: list[Cuff] = []
        self.meters: list[Meter] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Switch everything on for the block."""
        for number in range(self._plan.cuffs):
            self.cuffs.append(self._make_cuff(number))
        for number in range(self._plan.meters):
            self.meters.append(self._make_meter(number))
        for device in self._all():
            await device.start()
        try:
            yield
        finally:
            for device in self._all():
                await device.stop()

    async def live(self, seconds: float | None, on_progress: Callable[[], None]) -> None:
        """Have people measure, and batteries changed, until it is over."""
        loop = asyncio.get_running_loop()
        ends_at = None if seconds is None else loop.time() + seconds
        every, reset = self._plan.live_every_s, self._plan.reset_after_s
        next_at = None if every is None else loop.time() + every
        reset_at = None if reset is None else loop.time() + reset
        while ends_at is None or loop.time() < ends_at:
            if next_at is not None and every is not None and loop.time() >= next_at:
                next_at += every
                await self._measure()
            if reset_at is not None and loop.time() >= reset_at:
                reset_at = None
                self._change_batteries()
            on_progress()
            await asyncio.sleep(0.1)

    def report(self) -> list[dict[str, Any]]:
        """What happened to each device."""
        return [
            {
                "name": device.name,
                "address": device.address,
                "connections": device.connections,
                "clock_set": device.clock_set,
                **_memory_of(device),
            }
            for device in self._all()
        ]

    def _all(self) -> Iterator[Cuff | Meter]:
        yield from self.cuffs
        yield from self.meters

    def _options(self) -> Mapping[str, Any]:
        plan = self._plan
        off = timedelta(seconds=plan.clock_off_s)

        def shown() -> datetime:
            return self._clock().astimezone(self._zone).replace(tzinfo=None) + off

        return {
            "now": shown,
            "secured": plan.secured,
            "battery_percent": self._random.randrange(20, 101),
            "script": Script(
                break_after=list(plan.break_after),
                abort_after=[plan.abort_after],
                pause_s=plan.pause_ms / 1_000,
                malformed={plan.records // 2: _MALFORMED} if plan.malformed else {},
            ),
        }

    def _make_cuff(self, number: int) -> Cuff:
        options = self._options()
        begin = options["now"]() - self._plan.records * _BETWEEN
        held: list[CuffRecord | bytes] = [
            self._pressure(begin + n * _BETWEEN) for n in range(self._plan.records)
        ]
        if self._plan.malformed:
            held.insert(len(held) // 2, self._pressure(begin).encode()[:4])
        name, address = f"virtual cuff {number + 1}", _ADDRESS.format(1, number)
        return Cuff(self.air, name, address, records=held, serial=f"C{number:05}", **options)

    def _make_meter(self, number: int) -> Meter:
        options = self._options()
        begin = options["now"]() - self._plan.records * _BETWEEN
        held = [self._glucose(n, begin + n * _BETWEEN) for n in range(self._plan.records)]
        name, address = f"virtual meter {number + 1}", _ADDRESS.format(2, number)
        return Meter(self.air, name, address, records=held, serial=f"M{number:05}", **options)

    def _pressure(self, at: datetime) -> CuffRecord:
        diastolic = self._random.randrange(60, 105)
        return CuffRecord(
            systolic=Decimal(diastolic + self._random.randrange(35, 75)),
            diastolic=Decimal(diastolic),
            pulse=Decimal(self._random.randrange(55, 100)),
            at=at.replace(microsecond=0),
            status=0,
        )

    def _glucose(self, sequence: int, at: datetime) -> MeterRecord:
        tenths = self._random.randrange(42, 125)
        told = self._random.random() < _CONTEXT_RATE
        return MeterRecord(
            sequence=sequence,
            at=at.replace(microsecond=0),
            concentration=Decimal(tenths).scaleb(-4),
            meal=self._random.choice(sorted(MEALS)) if told else None,
            context_late=told and self._plan.late_contexts,
        )

    async def _measure(self) -> None:
        for cuff in self.cuffs:
            cuff.measure(self._pressure(cuff.now))
        for meter in self.meters:
            last = meter.records[-1].sequence if meter.records else -1
            meter.measure(self._glucose((last + 1) % 65_536, meter.now))
            if not meter.is_working:
                await meter.send_late_contexts()

    def _change_batteries(self) -> None:
        for meter in self.meters:
            meter.restart_numbering([self._glucose(0, meter.now)])


def _memory_of(device: Cuff | Meter) -> dict[str, int]:
    if isinstance(device, Cuff):
        return {"held": len(device.records), "sent": device.confirmed}
    return {
        "held": len(device.records),
        "sent": len(device.sent),
        "requests": len(device.requests),
    }
