"""A device may send anything at any time: it costs its own visit, no crash, no false reading."""

import random
from pathlib import Path

import pytest
from bumble.device import Connection

from simulators.terminals.air import Air
from simulators.terminals.cuff import Cuff
from simulators.terminals.meter import Meter
from simulators.terminals.records import MeterRecord
from tests.integration.ble_room import (
    CUFF,
    METER,
    a_pressure,
    ble_settings,
    open_desk,
    served,
    some_records,
    switched_on,
    until,
    wall_clock,
)


class MadMeter(Meter):
    """Answers a request with noise on every characteristic, and now and then with a record."""

    def __init__(self, air: Air, seed: int) -> None:
        self._noise = random.Random(seed)  # noqa: S311 - noise
        super().__init__(
            air,
            "mad",
            METER,
            now=wall_clock,
            records=some_records(6),
            battery_percent=self._noise.randrange(256),
        )

    async def _transfer(
        self, connection: Connection, value: bytes, chosen: list[MeterRecord]
    ) -> None:
        noise = self._noise
        for _ in range(noise.randrange(40)):
            characteristic = noise.choice([self._measurement, self._context, self._access_point])
            raw = noise.randbytes(noise.randrange(20))
            if noise.random() < 0.3:
                raw = bytes((6, 0, noise.randrange(8), noise.randrange(12)))
            await self.send(connection, characteristic, raw, counts=False)
        if noise.random() < 0.7:
            await super()._transfer(connection, value, chosen)


@pytest.mark.parametrize("seed", range(8))
async def test_noise_costs_the_visit_and_the_neighbour_does_not_notice(
    tmp_path: Path, seed: int
) -> None:
    air = Air()
    mad = MadMeter(air, seed)
    cuff = Cuff(air, "cuff", CUFF, now=wall_clock, records=[a_pressure(140), a_pressure(141)])
    settings = ble_settings(stall_s_max=1)
    async with (
        open_desk(tmp_path) as desk,
        switched_on(mad, cuff),
        served(air, desk, settings) as devices,
    ):
        await until(lambda: mad.connections > 2 or len(mad.requests) > 4, what="it had its chance")
        cuff.measure(a_pressure(150))
        await until(lambda: devices.counts["cuff-1"].measurements == 3, what="the neighbour's")
        await until(lambda: not cuff.records, what="the cuff has given all away")
        lines = await desk.lines()

    pressures = [line["systolic"] for line in lines if line["kind"] == "blood_pressure"]
    assert pressures == [140, 141, 150]
    assert {line["kind"] for line in lines} <= {
        *("blood_pressure", "glucose", "glucose_context", "undecodable"),
    }
