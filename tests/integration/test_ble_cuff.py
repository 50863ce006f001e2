"""What a cuff indicates becomes a reading, once; nothing else that it sends does."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.device import BLEDevice

from gateway.devices.ble import BleDevices
from gateway.devices.ble_radio import Radio
from gateway.devices.ble_settings import KnownDevice
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_json, validate_reading
from gateway.wire.times import utc_now
from simulators.terminals.air import Air
from simulators.terminals.cuff import Cuff
from simulators.terminals.meter import Meter
from simulators.terminals.records import CuffRecord
from simulators.terminals.script import Script
from tests.integration.ble_room import (
    CUFF,
    METER,
    MORNING,
    a_pressure,
    a_radio,
    ble_settings,
    open_desk,
    sequences,
    served,
    some_records,
    switched_on,
    until,
    utc,
    wall_clock,
)

STORED = [a_pressure(140 + n, at=MORNING + timedelta(minutes=n)) for n in range(6)]


def a_cuff(air: Air, script: Script | None = None, **options: object) -> Cuff:
    options.setdefault("records", STORED)
    return Cuff(air, "cuff", CUFF, **({"now": wall_clock, "script": script} | options))  # type: ignore[arg-type]


async def test_stored_and_live_measurements_arrive_in_order(tmp_path: Path) -> None:
    air = Air()
    cuff = a_cuff(air)
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows == 6, what="the stored ones are there")
        cuff.measure(a_pressure(151, unit="kPa", diastolic=Decimal("12.0")))
        await until(lambda: desk.spool.waiting_rows == 7, what="the live one is there")
        lines = await desk.lines()

    assert [line["systolic"] for line in lines] == [140, 141, 142, 143, 144, 145, 151]
    assert [line["unit"] for line in lines] == ["mmHg"] * 6 + ["kPa"]
    assert lines[0]["measured_at"] == "2026-03-02T08:00:00+08:00"
    assert lines[0]["pulse"] == 70
    assert validate_reading(lines[0]).device_id == "cuff-1"
    assert not any("stored_record" in line for line in lines)  # The service does not tell.


@pytest.mark.parametrize("sent", range(7))
async def test_a_link_lost_after_any_indication_loses_and_doubles_nothing(
    tmp_path: Path, sent: int
) -> None:
    air = Air()
    cuff = a_cuff(air, Script(break_after=[sent]))
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: not cuff.records, what="the cuff has given all away")
        await until(lambda: desk.spool.waiting_rows >= 6, what="all are in the spool")
        lines = await desk.lines()

    assert [line["systolic"] for line in lines] == [140, 141, 142, 143, 144, 145]


async def test_the_pressure_while_the_cuff_deflates_is_never_a_reading(tmp_path: Path) -> None:
    """Nobody subscribes to 0x2A36; and sent all the same, it would not be looked at."""
    air = Air()
    cuff = a_cuff(air, Script(cuff_pressure=5))
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: not cuff.records, what="the cuff has given all away")
        await until(lambda: desk.spool.waiting_rows >= 6, what="all are in the spool")
        lines = await desk.lines()

    assert cuff.pressures_sent == 0
    assert [line["systolic"] for line in lines] == [140, 141, 142, 143, 144, 145]


async def test_an_unreadable_indication_is_reported_and_the_visit_goes_on(tmp_path: Path) -> None:
    air = Air()
    broken = STORED[0].encode()[:4]
    cuff = a_cuff(air, records=[STORED[0], broken, STORED[1]])
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows == 3, what="all three are there")
        lines = await desk.lines()

    assert cuff.connections == 1
    assert [line["kind"] for line in lines] == [
        "blood_pressure",
        lines[1]["kind"],
        "blood_pressure",
    ]
    assert lines[1]["kind"] not in {"blood_pressure", "glucose"}
    assert lines[1]["bytes"] == broken.hex(" ").upper()
    assert lines[1]["characteristic"] == "2A35"


@pytest.mark.parametrize("hours", [-24, 24, -24 * 365 * 20])
async def test_a_wrong_clock_is_told_with_the_readings_and_set_after_them(
    tmp_path: Path, hours: int
) -> None:
    air = Air()

    def wrong() -> datetime:
        return wall_clock() + timedelta(hours=hours)

    meter = Meter(air, "meter", METER, now=wrong, records=some_records(3))
    before = utc_now()
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: meter.clock_set > 0, what="the clock was set")
        meter.measure(some_records(1, start=3)[0])
        await until(lambda: desk.spool.waiting_rows == 4, what="one more was taken")
        lines = await desk.lines()
        off = abs(meter.now - wall_clock())
        sightings = desk.sightings.heard

    expected = timedelta(hours=hours)
    for line in lines[:3]:
        told = utc(line["device_now"]) - utc(line["captured_at"])
        assert abs(told - expected) < timedelta(seconds=5)
    later = utc(lines[3]["device_now"]) - utc(lines[3]["captured_at"])
    assert abs(later) < timedelta(seconds=5)
    assert off < timedelta(seconds=5)
    assert utc_now() - before < timedelta(minutes=2)
    offsets = [offset for _, _, offset in sightings if offset is not None]
    assert abs(offsets[0] - hours * 3_600) < 5
    assert abs(offsets[-1]) < 5
    assert {battery for _, battery, _ in sightings} == {80}


async def test_a_clock_that_may_not_be_set_is_left_alone(tmp_path: Path) -> None:
    air = Air()
    devices = [
        Meter(air, "a", METER, now=lambda: MORNING, records=some_records(1), settable=False),
        Meter(air, "b", CUFF, now=lambda: MORNING, records=some_records(1)),
    ]
    known = (
        KnownDevice(id="a", address=METER),
        KnownDevice(id="b", address=CUFF, set_clock=False),
    )
    settings = ble_settings(*known)
    async with open_desk(tmp_path) as desk, switched_on(*devices), served(air, desk, settings):
        for device in devices:
            await until(lambda d=device: len(d.requests) > 2, what="it was asked again")  # type: ignore[misc]
        lines = await desk.lines()

    assert [device.clock_set for device in devices] == [0, 0]
    assert {line["device_now"][:16] for line in lines} == {"2026-03-02T08:00"}


async def test_a_gateway_that_does_not_know_the_time_sets_nobody_s_clock(tmp_path: Path) -> None:
    air = Air()
    meter = Meter(air, "meter", METER, now=lambda: MORNING, records=some_records(1))
    async with open_desk(tmp_path) as desk, switched_on(meter):
        desk.clock_known = False
        async with served(air, desk, ble_settings()):
            await until(lambda: len(meter.requests) > 2, what="it was asked again")
            assert meter.clock_set == 0
            desk.clock_known = True
            await until(lambda: meter.clock_set > 0, what="now the time is known")


async def test_a_device_without_clock_and_battery_is_read_all_the_same(tmp_path: Path) -> None:
    air = Air()
    cuff = a_cuff(air, clock=False)
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows == 6, what="all are there")
        lines = await desk.lines()

    assert not any("device_now" in line for line in lines)


async def test_what_a_full_spool_has_no_room_for_waits_and_the_cuff_is_left(
    tmp_path: Path,
) -> None:
    """A cuff forgets what it has indicated: nothing of that may be lost for want of room."""
    air = Air()
    cuff = a_cuff(air)
    settings = ble_settings(unstored_max=2)
    async with (
        open_desk(tmp_path, spool_rows_max=3) as desk,
        switched_on(cuff),
        served(air, desk, settings),
    ):
        await until(lambda: desk.spool.waiting_rows == 3, what="the spool is full")
        await until(lambda: not cuff.is_connected, what="the cuff was left")
        found = await desk.lines()
        while len(found) < 6:
            for batch in await desk.spool.run(desk.spool.spool.unreceipted):
                await desk.spool.run(
                    desk.spool.spool.confirm,
                    batch.id,
                    stored=batch.readings,
                    duplicate=0,
                    quarantined=0,
                )
            await until(lambda: desk.spool.waiting_rows > 0, what="more was taken")
            found += await desk.lines()

    assert [line["systolic"] for line in found] == [140, 141, 142, 143, 144, 145]


async def test_two_devices_are_served_at_once_and_a_broken_one_harms_nobody(
    tmp_path: Path,
) -> None:
    air = Air()
    broken = Meter(
        air,
        "meter",
        METER,
        now=wall_clock,
        records=some_records(5),
        script=Script(break_after=[0] * 1_000),
    )
    cuff = a_cuff(air)
    async with (
        open_desk(tmp_path) as desk,
        switched_on(broken, cuff),
        served(air, desk, ble_settings()) as devices,
    ):
        await until(lambda: broken.connections > 3, what="the meter failed again and again")
        cuff.measure(a_pressure(160))
        await until(lambda: desk.spool.waiting_rows == 7, what="the cuff's are all there")
        assert cuff.connections == 1
        assert devices.counts["meter-1"].records == 0
        broken.script.break_after.clear()
        await until(lambda: desk.spool.waiting_rows == 12, what="the meter's are there, too")
        lines = await desk.lines()

    assert sequences(lines) == [0, 1, 2, 3, 4]
    assert [line["systolic"] for line in lines if line["kind"] == "blood_pressure"] == [
        140,
        141,
        142,
        143,
        144,
        145,
        160,
    ]


async def test_a_stranger_is_not_visited_unless_the_operator_wants_it(tmp_path: Path) -> None:
    air = Air()
    cuff = a_cuff(air)
    async with open_desk(tmp_path) as desk, switched_on(cuff):
        listed = ble_settings(KnownDevice(id="other", name="other cuff"))
        async with served(air, desk, listed):
            await asyncio.sleep(0.3)  # There is nothing to wait for: nothing must happen.
            assert (cuff.connections, desk.spool.waiting_rows) == (0, 0)
        async with served(air, desk, ble_settings(KnownDevice(id="x", name="x"), adopt="all")):
            await until(lambda: desk.spool.waiting_rows == 6, what="it is adopted")
            lines = await desk.lines()

    assert {line["device_id"] for line in lines} == {"ble-c00000000002"}


class ShyCuff(Cuff):
    """Nobody hears it; but the system has a link to it that a killed process left."""

    SHY = True


class HoldsCuff(BaseBleakAdapter):
    """An adapter with such a link, as bleak tells of it."""

    @classmethod
    async def get(cls, **_: object) -> "HoldsCuff":
        """As bleak does."""
        return cls()

    async def get_connected_devices(self, service_uuids: frozenset[str]) -> list[BLEDevice]:
        """The cuff, to whoever asks for cuffs."""
        assert any("00001810" in uuid for uuid in service_uuids)
        return [BLEDevice(CUFF, None, None)]


async def test_a_device_that_the_system_holds_a_link_to_is_visited_unheard(tmp_path: Path) -> None:
    air = Air()
    cuff = ShyCuff(air, "cuff", CUFF, now=wall_clock, records=STORED)
    async with open_desk(tmp_path) as desk, switched_on(cuff), a_radio(air) as plain:
        radio = Radio(scanner=plain.scanner, client=plain.client, adapter=HoldsCuff)
        devices = BleDevices(ble_settings(), desk.around(), radio=radio)
        task = asyncio.create_task(devices.run(desk.intake.capture))
        await until(lambda: desk.spool.waiting_rows == 6, what="all are there")
        task.cancel()
        await asyncio.wait([task])


async def test_a_device_is_known_by_its_name_too(tmp_path: Path) -> None:
    air = Air()
    cuff = a_cuff(air)
    by_name = ble_settings(KnownDevice(id="by-name", name="cuff", setting="home"))
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, by_name):
        await until(lambda: desk.spool.waiting_rows == 6, what="all are there")
        lines = await desk.lines()

    assert {(line["device_id"], line["setting"]) for line in lines} == {("by-name", "home")}


async def test_values_keep_the_digits_of_the_instrument(tmp_path: Path) -> None:
    air = Air()
    records = [
        CuffRecord(systolic=Decimal("18.60"), diastolic=Decimal("12.0"), unit="kPa", at=MORNING),
        CuffRecord(systolic=Decimal("142.5"), diastolic=Decimal(91), at=MORNING),
    ]
    cuff = a_cuff(air, records=records)
    async with open_desk(tmp_path) as desk, switched_on(cuff), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows == 2, what="both are there")
        now = utc_now()
        batch = await desk.spool.run(desk.spool.spool.take_batch, new_id(now), now)

    assert batch is not None
    assert b'"systolic":18.60,"diastolic":12.0' in batch.payload
    assert b'"systolic":142.5,"diastolic":91' in batch.payload
    assert len(parse_json(batch.payload)["readings"]) == 2
