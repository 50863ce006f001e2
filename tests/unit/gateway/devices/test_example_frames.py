"""The example adapter: what it answers is true, whatever the meter sends.

This is the one test that an adapter needs: a virtual instrument on a real socket, a real spool.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.devices import Device, Surroundings
from gateway.devices.ble import BleDevices
from gateway.devices.example_frames import ExampleFrames
from gateway.devices.registry import ADAPTERS, AdapterSettings, build, load
from gateway.devices.tcp import TcpListener
from gateway.errors import ListenError, SettingsError
from gateway.fetched import Mark
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_json, validate_reading
from tests.unit.gateway.gateway_builders import Door, HandClock, open_door, some_settings

TAKEN, AGAIN, NEVER = 0x06, 0x15, 0x18
WHEN = (26, 3, 2, 8, 30)


def a_frame(sequence: int, tenths: int = 72, flags: int = 0, at: tuple[int, ...] = WHEN) -> bytes:
    body = struct.pack(">H5BHB", sequence, *at, tenths, flags)
    head = bytes((0xAA, len(body))) + body
    return head + bytes((sum(head) % 256,))


@dataclass
class VirtualMeter:
    """The instrument's side of a real socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, frame: bytes) -> tuple[int, int]:
        """The sequence number and code of the answer."""
        self.writer.write(frame)
        async with asyncio.timeout(20):
            start, sequence, code = struct.unpack(">BHB", await self.reader.readexactly(4))
        assert start == 0x55
        return sequence, code


@asynccontextmanager
async def a_meter_at(door: Door, *options: str) -> AsyncIterator[VirtualMeter]:
    async def nothing(_: str) -> list[Mark]:
        return []

    table = AdapterSettings(
        adapter="example-frames", id="meter-9", address="127.0.0.1:0", options=options
    )
    around = Surroundings(
        clock=HandClock(),
        clock_known=lambda: True,
        recall=nothing,
        seen=lambda *_, **__: None,
    )
    device = build(table, around)
    assert isinstance(device, ExampleFrames)
    task = asyncio.create_task(device.run(door.intake.capture))
    await device.listening.wait()
    host, port = device.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield VirtualMeter(reader, writer)
    finally:
        writer.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def lines_of(door: Door) -> list[dict[str, object]]:
    clock = HandClock()()
    batch = await door.spool.run(door.spool.spool.take_batch, new_id(clock), clock)
    found: list[dict[str, object]] = parse_json(batch.payload)["readings"] if batch else []
    return found


async def test_a_value_is_in_the_spool_when_the_meter_hears_taken(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door, a_meter_at(door) as meter:
        assert await meter.send(a_frame(7, flags=1)) == (7, TAKEN)
        assert door.spool.waiting_rows == 1
        assert await meter.send(a_frame(8, tenths=100, at=(0, 0, 0, 0, 0))) == (8, TAKEN)
        first, second = await lines_of(door)

    reading = validate_reading(first)
    assert (reading.device_id, reading.device_sequence) == ("meter-9", 7)
    assert str(first["glucose"]) == "7.2"
    assert first["measured_at"] == "2026-03-02T08:30:00+08:00"
    assert first["meal_context"] == "fasting"
    assert str(second["glucose"]) == "10.0"
    assert second["status"] == ["time_fault"]


async def test_a_full_spool_is_told_as_try_again(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, spool_rows_max=1)
    async with open_door(settings) as door, a_meter_at(door) as meter:
        assert [await meter.send(a_frame(n)) for n in (1, 2)] == [(1, TAKEN), (2, AGAIN)]
        assert door.spool.waiting_rows == 1


@pytest.mark.parametrize(
    "garbage", [b"\x00\x00", a_frame(1)[:-1] + b"\x00", b"\xaa\x02\x00\x00\xac"]
)
async def test_garbage_costs_the_line_and_stores_nothing(tmp_path: Path, garbage: bytes) -> None:
    async with open_door(some_settings(tmp_path)) as door, a_meter_at(door) as meter:
        meter.writer.write(garbage)
        async with asyncio.timeout(20):
            assert await meter.reader.read() == b""
        assert door.spool.waiting_rows == 0


async def test_more_meters_than_wanted_are_hung_up_on(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door, a_meter_at(door, "meters_max=1") as one:
        assert await one.send(a_frame(1)) == (1, TAKEN)
        host, port = one.writer.get_extra_info("peername")
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        assert await one.send(a_frame(2)) == (2, TAKEN)


def test_every_way_in_is_a_device() -> None:
    """The type checker proves it; ``tcp`` stands for its many terminals."""

    def accept(*kinds: type[Device]) -> set[str]:
        return {kind.__name__ for kind in kinds}

    said = {load(name).__name__ for name in ADAPTERS}
    assert accept(ExampleFrames, BleDevices, TcpListener) == said


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"adapter": "ble"}, "settings of its own"),
        ({"adapter": "no such"}, "adapter must be example-frames or package.module:Class"),
        ({"adapter": "a.b:C", "options": ("x",)}, "name=value"),
    ],
)
def test_a_table_that_means_no_adapter_is_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        AdapterSettings(**({"id": "x"} | table))  # type: ignore[arg-type]


def test_an_adapter_that_is_not_installed_is_named() -> None:
    table = AdapterSettings(adapter="gateway.nowhere:Nothing", id="x")

    with pytest.raises(SettingsError, match=r"gateway\.nowhere:Nothing"):
        build(table, None)  # type: ignore[arg-type]


async def test_an_address_that_cannot_be_used_ends_the_gateway_with_a_word(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door:
        table = AdapterSettings(adapter="example-frames", id="x", address="127.0.0.1:99999999")
        with pytest.raises(ListenError):
            await build(table, None).run(door.intake.capture)  # type: ignore[arg-type]
