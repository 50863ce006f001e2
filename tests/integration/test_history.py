"""What ingest judges at once and what the judge loads later are the same columns, bit by bit."""

from dataclasses import fields
from datetime import date, timedelta
from uuid import UUID

import numpy as np
import pytest
import pytest_asyncio

from gateway.wire.ids import new_id
from gateway.wire.readings import parse_reading
from gateway.wire.topics import Topic
from ingest.columns import to_reported
from ingest.db import history, records
from ingest.db.connections import Connection
from ingest.db.records import Record
from ingest.rows import build_rows
from rules.codes import CaseState, ClosureReason, Condition, RecordKind
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol, to_bytes
from tests.integration.writer_bench import WriterBench
from tests.roles import prepare_ingest

READINGS = [
    a_blood_pressure("18.66", "12.00", unit="kPa", arm="left", setting="home", pulse=70),
    a_blood_pressure("120.0001", "80", arm="right", status=["irregular_pulse", "time_fault"]),
    a_blood_pressure(device_now="2026-03-02T00:58:00Z", setting="ambulatory"),
    a_blood_pressure("130", device_now="2026-03-02T00:58:00Z", clock_synchronised=False),
    a_glucose("126", unit="mg/dL", measured_at=None, stored_record=True),
    a_glucose("0.0070001", unit="mol/L", meal_context="postprandial_2h"),
    a_glucose("0.00126", unit="kg/L", meal_context="bedtime", sample="control_solution"),
    {**a_glucose(), "glucose": None, "unit": None, "status": ["result_too_low"]},
    a_glucose(id="019cac0f-2680-7e56-a935-c0a2c2277c00", resident_id="r-2"),
    a_glucose(measured_at="1970-01-01T00:00:00Z", resident_id="r-2"),
]


@pytest_asyncio.fixture
async def bench(connection: Connection) -> WriterBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return WriterBench(connection)


async def test_stored_readings_load_as_they_came(bench: WriterBench) -> None:
    await bench.store(a_batch(*READINGS))
    raws = [to_bytes(reading) for reading in READINGS]
    topic = Topic(centre="east", gateway="gw-1", channel="readings")
    rows = build_rows(
        [parse_reading(raw) for raw in raws], raws, [topic] * len(raws), received_at=AT
    )

    came = to_reported(rows, {"r-1": 1, "r-2": 0})
    loaded = await history.fetch_reported(bench.connection, ["r-2", "r-1"])

    assert len(loaded) == len(came) == len(READINGS)
    came, loaded = (each.take(np.argsort(each.ids)) for each in (came, loaded))
    for field in fields(came):
        column = getattr(came, field.name)
        assert np.array_equal(column.view("V" + str(column.itemsize)), _raw(loaded, field.name)), (
            field.name
        )


def _raw(table: object, name: str) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """A column as bytes: NaT equals NaT."""
    column = getattr(table, name)
    found: np.ndarray[tuple[int], np.dtype[np.void]] = column.view("V" + str(column.itemsize))
    return found


async def test_others_readings_are_loaded_when_asked_for_and_belong_to_nobody_here(
    bench: WriterBench,
) -> None:
    mine, other, nobodys = (a_glucose(resident_id=id_) for id_ in ("r-1", "r-2", None))
    await bench.store(a_batch(mine, other, nobodys))
    asked = [UUID(reading["id"]) for reading in (mine, other, nobodys)]

    loaded = await history.fetch_reported(bench.connection, ["r-1"], asked)

    found = dict(zip(loaded.ids.view("V16").tolist(), loaded.resident.tolist(), strict=True))
    assert found == {asked[0].bytes: 0, asked[1].bytes: -1, asked[2].bytes: -1}


async def test_nothing_stored_is_no_rows(bench: WriterBench) -> None:
    assert len(await history.fetch_reported(bench.connection, ["r-1"])) == 0
    assert len(await history.fetch_records(bench.connection, ["r-1"])) == 0


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"kind": "visit", "mode": "phone", "condition": "diabetes"},
            {"kind": RecordKind.VISIT, "condition": Condition.DIABETES},
        ),
        (
            {"kind": "visit", "findings": ("adverse_drug_reaction",)},
            {"kind": RecordKind.VISIT, "face_to_face": True, "adverse_reaction": True},
        ),
        (
            {"kind": "visit", "mode": "home", "findings": ("worse_complication",)},
            {"kind": RecordKind.VISIT, "face_to_face": True, "complication": True},
        ),
        (
            {"kind": "override", "state": "screening_referral", "due": date(2026, 3, 9)},
            {
                "kind": RecordKind.OVERRIDE,
                "face_to_face": True,
                "state": CaseState.SCREENING_REFERRAL,
                "due": date(2026, 3, 9),
            },
        ),
        (
            {"kind": "closure", "reason": "contract_ended", "mode": "phone"},
            {"kind": RecordKind.CLOSURE, "reason": ClosureReason.CONTRACT_ENDED},
        ),
        (
            {"kind": "referral_followup", "outcome": "x", "mode": "phone"},
            {"kind": RecordKind.REFERRAL_FOLLOWUP},
        ),
        ({"kind": "return", "mode": "phone"}, {"kind": RecordKind.RETURN}),
    ],
    ids=lambda value: value["kind"] if isinstance(value.get("kind"), str) else "",
)
async def test_records_load_as_they_were_recorded(
    bench: WriterBench, record: dict[str, object], expected: dict[str, object]
) -> None:
    made = Record(id=new_id(AT), resident_id="r-1", at=AT, author="dr-1", **record)  # type: ignore[arg-type]
    later = AT + timedelta(hours=1)
    await records.insert_new(bench.connection, [made], at=later)

    loaded = await history.fetch_records(bench.connection, ["r-9", "r-1"])

    nothing = {"condition": 0, "state": 0, "reason": 0, "due": None, "face_to_face": False}
    assert {field.name: getattr(loaded, field.name).tolist()[0] for field in fields(loaded)} == {
        **nothing,
        "adverse_reaction": False,
        "complication": False,
        **expected,
        "resident": 1,
        "ids": made.id.bytes.rstrip(b"\0"),
        "at": AT.replace(tzinfo=None),
        "received_at": later.replace(tzinfo=None),
    }
