"""Readings captured before the time is known wait for it where that helps, and never for ever.

What waits is on disk all the while, keeps its place, and goes with the right time or with the
word that nobody knows it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.clocks import Timekeeper
from gateway.counters import read_counters
from gateway.housekeeping import Housekeeping
from gateway.intake import Intake
from gateway.settings import ClockTrust
from gateway.spool_thread import SpoolThread, open_spool
from gateway.wire.ids import new_id
from gateway.wire.readings import Reading, parse_json, validate_reading
from tests.unit.gateway.gateway_builders import NOON, a_measurement, some_settings
from tests.unit.gateway.test_clocks import Machine


@dataclass
class House:
    """Intake, spool and housekeeping on a machine; nothing is published."""

    machine: Machine
    keeper: Timekeeper
    intake: Intake
    spool: SpoolThread
    keeping: Housekeeping
    connected: bool = False
    released: int = 0

    async def capture(self, **fields: object) -> UUID:
        """One measurement, now; returns when it is on disk."""
        future = self.intake.capture(a_measurement(**fields))
        group = list(self.intake._pending)
        self.intake._pending.clear()
        await self.intake._store(group)
        return await future

    async def tick(self, seconds: float = 0) -> None:
        """Let time go on, then one round."""
        for _ in range(max(1, round(seconds))):
            self.machine.wait(min(seconds, 1.0))
            await self.keeping.tick()

    async def sent(self) -> list[Reading]:
        """What may be sent now."""
        found: list[Reading] = []
        while batch := await self.spool.run(self.spool.spool.take_batch, new_id(NOON), NOON):
            found += map(validate_reading, parse_json(batch.payload)["readings"])
        return found

    def find_the_server(self) -> None:
        """NTP answers."""
        self.machine.synchronised, self.machine.error_s = True, 0.02
        self.machine.wall_ahead = timedelta(0)


@asynccontextmanager
async def a_house(folder: Path, machine: Machine, **changes: Any) -> AsyncIterator[House]:  # noqa: ANN401 - any setting
    given = some_settings(folder, **({"clock_synchronised": ClockTrust.AUTO} | changes))
    async with open_spool(given) as spool:
        memory = await spool.run(spool.spool.recall_clock)
        keeper = Timekeeper(machine.sources(), given, memory)
        houses: list[House] = []

        def connected() -> bool:
            return houses[0].connected

        def on_released() -> None:
            houses[0].released += 1

        intake = Intake(spool, given, keeper, key=None, connected=connected, on_taken=lambda: None)
        keeping = Housekeeping(
            spool,
            keeper,
            given,
            connected=connected,
            on_released=on_released,
            monotonic_s=lambda: (machine.true - NOON) / timedelta(seconds=1),
        )
        houses.append(House(machine, keeper, intake, spool, keeping))
        yield houses[0]


def a_box_without_a_battery() -> Machine:
    machine = Machine()
    machine.reboot(datetime.fromisoformat("1970-01-01T00:00:00Z"))
    return machine


async def test_what_was_captured_in_1970_goes_with_the_right_time(tmp_path: Path) -> None:
    async with a_house(tmp_path, a_box_without_a_battery()) as house:
        await house.tick(5)
        first_at, first = house.machine.true, await house.capture()
        await house.tick(7_200)
        second_at, second = house.machine.true, await house.capture()
        assert await house.sent() == []
        assert house.spool.waiting_rows == 2

        house.connected = True
        await house.tick(1)
        assert await house.sent() == []
        house.find_the_server()
        await house.tick(1)

        sent = await house.sent()
        assert [reading.id for reading in sent] == [first, second]
        assert [reading.captured_at for reading in sent] == [first_at, second_at]
        assert all(reading.clock_synchronised for reading in sent)
        assert house.released == 1
    counters = read_counters(tmp_path / "spool.db")
    assert counters.conserved


async def test_what_is_young_when_the_broker_is_there_does_not_wait(tmp_path: Path) -> None:
    async with a_house(tmp_path, a_box_without_a_battery()) as house:
        identifier = await house.capture()
        await house.tick(30)
        assert await house.sent() == []

        house.connected = True
        await house.tick()

        (sent,) = await house.sent()
        assert (sent.id, sent.clock_synchronised) == (identifier, False)


async def test_with_a_broker_and_without_a_time_server_patience_ends(tmp_path: Path) -> None:
    async with a_house(tmp_path, a_box_without_a_battery(), clock_wait_s=60) as house:
        old = await house.capture()
        await house.tick(3_600)
        house.connected = True
        await house.tick(50)
        young = await house.capture()
        assert await house.sent() == []

        await house.tick(15)

        sent = await house.sent()
        assert [reading.id for reading in sent] == [old, young]
        assert not any(reading.clock_synchronised for reading in sent)
        at_once = await house.capture()
        assert [reading.id for reading in await house.sent()] == [at_once]


async def test_what_an_earlier_boot_left_goes_at_once_as_not_synchronised(tmp_path: Path) -> None:
    machine = a_box_without_a_battery()
    async with a_house(tmp_path, machine) as house:
        before = await house.capture()
    machine.wait(500)
    machine.reboot(datetime.fromisoformat("1970-01-01T00:00:00Z"))
    machine.boot = bytes([2] * 16)

    async with a_house(tmp_path, machine) as house:
        after = await house.capture()
        await house.tick()

        assert [reading.id for reading in await house.sent()] == [before]
        house.find_the_server()
        await house.tick(1)
        (sent,) = await house.sent()
        assert (sent.id, sent.clock_synchronised) == (after, True)


async def test_a_restart_of_the_process_still_restores_what_was_held(tmp_path: Path) -> None:
    machine = a_box_without_a_battery()
    async with a_house(tmp_path, machine) as house:
        await house.tick(10)
        at, identifier = machine.true, await house.capture()

    async with a_house(tmp_path, machine) as house:
        await house.tick(100)
        assert await house.sent() == []
        house.find_the_server()
        await house.tick(1)
        (sent,) = await house.sent()

    assert (sent.id, sent.captured_at, sent.clock_synchronised) == (identifier, at, True)


async def test_the_devices_clock_stays_with_the_capture(tmp_path: Path) -> None:
    """``device_now`` goes through as the terminal said it; its offset counts from the capture."""
    async with a_house(tmp_path, a_box_without_a_battery()) as house:
        at = house.machine.true
        await house.capture(
            measured_at="2026-03-02T03:00:00Z", device_now="2026-03-02T03:30:00.000Z"
        )
        await house.tick(60)
        house.find_the_server()
        await house.tick(1)
        (sent,) = await house.sent()

    assert sent.device_now is not None
    assert sent.captured_at - sent.device_now == at - sent.device_now
    assert sent.captured_at - sent.device_now == timedelta(minutes=30)


async def test_the_time_is_remembered_for_the_next_process(tmp_path: Path) -> None:
    machine = Machine()
    async with a_house(tmp_path, machine) as house:
        await house.tick(2)
    machine.lose_the_server()
    machine.wall_ahead = timedelta(hours=-8)
    machine.wait(3_600)

    async with a_house(tmp_path, machine) as house:
        await house.capture()
        (sent,) = await house.sent()

    assert (sent.captured_at, sent.clock_synchronised) == (machine.true, True)


async def test_old_readings_are_told_once_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, Machine(), spool_warn_h=1) as house:
        await house.capture()
        await house.tick(1)
        house.machine.wait(3_700)
        await house.tick(61)
        assert caplog.text.count("the oldest of 1 readings") == 1
        house.machine.wait(86_400)
        await house.tick(1)
        assert caplog.text.count("the oldest of 1 readings") == 2

        spool = house.spool.spool
        batch = await house.spool.run(spool.take_batch, new_id(NOON), NOON)
        assert batch is not None
        spool.confirm(batch.id, stored=1, duplicate=0, quarantined=0)
        house.machine.wait(61)
        await house.tick(1)
        assert "collected again" in caplog.text
