"""From the bytes of a device to the database: exact, in its unit, and nothing vanishes."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.devices.gatt.blood_pressure import decode_blood_pressure
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.glucose import decode_glucose
from gateway.devices.gatt.lines import (
    Origin,
    blood_pressure_line,
    glucose_line,
    undecodable_line,
)
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from ingest.db.connections import Connection
from tests.builders import AT, enrol
from tests.integration.writer_bench import WriterBench
from tests.roles import prepare_ingest

_MINE = Origin(device_id="dev-1", utc_offset=timedelta(hours=8), owner={"resident_id": "r-1"})
_DATE = "EA070302090000"  # 2026-03-02 09:00:00: AT in Shanghai.
_CUFF = {
    "06" + "80004E005F00" + _DATE + "4800": "stored",
    "01" + "F9F096F0C8F0": "stored",  # 24.9/15.0 kPa.
    "10" + "80004E005F00" + "0100": "device_status",  # The person moved.
    "00" + "FF074E005F00": "not_a_number",
    "00" + "788050805A80": "too_precise",  # 120/80 with a biased exponent.
    "00" + "BDF00B009FF0": "implausible",  # 18.9/11, which are kPa.
}
_METER = {
    "020100" + _DATE + "64B011": "stored",  # 0.00100 kg/L.
    "020200" + _DATE + "1EB011": "stored",  # 30 mg/dL.
    "020300" + _DATE + "1EB01A": "stored",  # The same, of a control solution.
    "0A0400" + _DATE + "64B0110002": "device_status",  # The strip was pulled too soon.
    "0A0500" + _DATE + "FE07112000": "stored",  # HI, and +INF for a number.
    "020600" + _DATE + "FF0711": "not_a_number",
    "020700" + _DATE + "640011": "implausible",  # 100 mg/dL said as kg/L.
    "000800" + _DATE: "missing_value",
}


@pytest_asyncio.fixture
async def bench(connection: Connection) -> WriterBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return WriterBench(connection)


def _freeze(line: bytes) -> tuple[UUID, bytes]:
    stamp = Stamp(new_id(AT), AT, clock_synchronised=True)
    return stamp.id, freeze_reading(line, stamp, key=None)


async def test_what_cuffs_and_meters_send_is_stored_and_judged_or_quarantined(
    bench: WriterBench,
) -> None:
    frozen = {}
    for text, outcome in _CUFF.items():
        line = blood_pressure_line(decode_blood_pressure(bytes.fromhex(text)), _MINE)
        frozen[_freeze(line)] = outcome
    for text, outcome in _METER.items():
        line = glucose_line(decode_glucose(bytes.fromhex(text)), _MINE, stored_record=True)
        frozen[_freeze(line)] = outcome

    await bench.store(build_batch(new_id(AT), AT, [raw for _, raw in frozen]))

    settled = {id_: outcome for (id_, _), outcome in frozen.items()}
    assert await bench.dispositions() == settled
    stored = await bench.rows(
        "SELECT coalesce(systolic, glucose)::text, unit, resident_id, measured_at, time_suspect"
        " FROM reading"
    )
    assert set(stored) == {
        ("128", "mmHg", "r-1", AT, False),
        ("24.9", "kPa", "r-1", None, False),
        ("0.00100", "kg/L", "r-1", AT, False),
        ("0.00030", "kg/L", "r-1", AT, False),
        ("0.00030", "kg/L", None, AT, False),
        (None, None, "r-1", AT, False),
    }
    alerts = await bench.rows("SELECT code FROM alert ORDER BY code")
    assert [code for (code,) in alerts] == [
        "BP_EMERGENCY",
        "GLU_EMERGENCY_HIGH",
        "GLU_EMERGENCY_LOW",  # One: the control solution is nobody's low.
    ]
    beside = await bench.rows("SELECT extra->'mean_arterial' FROM reading WHERE unit = 'kPa'")
    assert [Decimal(str(found)) for (found,) in beside] == [Decimal("20.0")]


async def test_bytes_that_no_decoder_takes_are_filed_whole(bench: WriterBench) -> None:
    value = bytes.fromhex("0F0300E40705150A1E2D0500CDCC")
    with pytest.raises(DecodeError) as caught:
        decode_glucose(value)
    id_, raw = _freeze(undecodable_line("2A18", value, caught.value, _MINE))

    await bench.store(build_batch(new_id(AT), AT, [raw]))

    assert await bench.dispositions() == {id_: "undecodable"}
    found = await bench.rows("SELECT field, detail, payload FROM quarantine")
    detail = "characteristic 2A18: truncated in field type_and_location at byte 14"
    assert found == [("bytes", detail, raw)]
    assert value.hex(" ").upper().encode() in raw
