"""The plain lane takes nothing that the contract refuses, and makes the very same rows."""

import json
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import adapt
from psycopg.pq import Format

from gateway.wire.errors import WireError
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_reading
from gateway.wire.topics import Topic
from ingest.columns import to_microseconds, to_reported
from ingest.db.plain import COLUMNS
from ingest.db.readings import ReadingRow
from ingest.plain import Sender, Taken, take_plain
from ingest.rows import build_rows
from tests.builders import AT, Literal, a_blood_pressure, a_glucose, to_bytes

TOPIC = Topic(centre="east", gateway="gw-1", channel="readings")
SENDER = Sender.of("east", "gw-1")
_OIDS = {
    "id": 2950,
    "status": 1009,
    **dict.fromkeys(("partition_at", "captured_at", "received_at", "arrived_at"), 1184),
    **dict.fromkeys(("effective_at", "measured_at", "device_now"), 1184),
    **dict.fromkeys(("content_hash", "device_sequence"), 20),
    **dict.fromkeys(("time_suspect", "stored_record", "clock_synchronised"), 16),
    **dict.fromkeys(("systolic", "diastolic", "pulse", "glucose"), 1700),
}


def _take(*raws: bytes, received_at: datetime = AT) -> Taken:
    return take_plain(raws, [SENDER] * len(raws), received_at=received_at)


def _fields(data: bytes) -> list[bytes | None]:
    """The fields of one row of COPY, after their count."""
    (count,) = struct.unpack_from(">h", data)
    found: list[bytes | None] = []
    at = 2
    for _ in range(count):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        found.append(None if size < 0 else data[at : at + size])
        at += max(size, 0)
    assert at == len(data)
    return found


def _row_of(taken: Taken, row: int) -> dict[str, Any]:
    """One row of the plain lane as Python values, read by the driver's own loaders."""
    data = b"".join(column[row] for column in taken.rows.cells)
    transformer = adapt.Transformer()
    return {
        name: None
        if value is None
        else transformer.get_loader(_OIDS.get(name, 25), Format.BINARY).load(value)
        for name, value in zip(COLUMNS, _fields(data), strict=True)
    }


def _careful_row(raw: bytes, received_at: datetime) -> ReadingRow:
    return build_rows([parse_reading(raw)], [raw], [TOPIC], received_at=received_at)[0]


def _require_equal(taken: Taken, row: int, raw: bytes, received_at: datetime) -> None:
    wanted = _careful_row(raw, received_at)
    plain = _row_of(taken, row)
    assert plain == {name: getattr(wanted, name) for name in COLUMNS}
    for name in ("systolic", "diastolic", "pulse", "glucose"):
        value: Decimal | None = getattr(wanted, name)
        assert (value is None and plain[name] is None) or (
            value is not None and value.as_tuple() == plain[name].as_tuple()
        ), name
    assert _key_of(taken, row) == (
        None
        if wanted.rule_key is None
        else (
            wanted.device_id.encode(),
            wanted.rule_key.encode(),
            (wanted.resident_id or "").encode(),
            wanted.id.bytes,
            wanted.values_hash.to_bytes(8, "big", signed=True),
        )
    )
    assert taken.rows.gateways[row] == "gw-1"
    assert taken.rows.has_resident[row] == (wanted.resident_id is not None)
    assert taken.rows.arrived_us[row] == to_microseconds(wanted.arrived_at)
    reported, expected = (
        taken.reported.take(np.array([row])),
        to_reported([wanted], {wanted.resident_id: 0}),
    )
    for column in reported.__slots__:
        one, other = getattr(reported, column), getattr(expected, column)
        assert one.tobytes() == other.tobytes(), column


def _key_of(taken: Taken, row: int) -> tuple[bytes | None, ...] | None:
    keys = taken.rows.keys
    at = [place for place, owner in enumerate(keys.rows.tolist()) if owner == row]
    if not at:
        return None
    return tuple(_fields(b"".join(column[at[0]] for column in keys.cells)))


def _check(raw: bytes, received_at: datetime = AT) -> bool:
    """Whether the plain lane took it; if so, everything is as the careful lane has it."""
    taken = _take(raw, received_at=received_at)
    if not len(taken.rows):
        assert taken.left == [0]
        return False
    assert taken.left == []
    _require_equal(taken, 0, raw, received_at)
    return True


_NUMBERS = st.one_of(
    st.decimals(min_value=0, max_value=400, places=0),
    st.decimals(min_value=0, max_value=400, places=1),
    st.decimals(min_value=0, max_value=60, places=2),
    st.decimals(min_value=0, max_value=60, places=5),
    st.decimals(min_value=0, max_value=1, places=7),
).map(lambda value: Literal(format(value, "f")))
_TIMES = st.one_of(
    st.datetimes(min_value=datetime(1969, 1, 1), max_value=datetime(2150, 1, 1)).map(  # noqa: DTZ001
        lambda at: at.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ),
    st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(minutes=20)).map(
        lambda span: (AT + span).isoformat(timespec="seconds")
    ),
    st.sampled_from(
        [
            "2026-03-02T09:00:00+08:00",
            "2026-03-02T09:00:00.5+08:00",
            "2026-03-02T09:00:00.123+08:00",
            "2026-03-02t09:00:00z",
            "2026-02-29T01:00:00Z",
            "2024-02-29T23:59:60Z",
            "2026-13-01T01:00:00Z",
            "2026-03-02T01:00:00-14:30",
            "2026-03-02T01:00:00+15:00",
            "0001-01-01T00:00:00+01:00",
            "2026-03-02T01:00:00",
            "2026-03-02 01:00:00Z",
            "",
        ]
    ),
)
_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**64), st.just([]), st.just({}), st.text(max_size=4)
)
_MAYBE: dict[str, st.SearchStrategy[Any]] = {
    "resident_id": st.sampled_from(["r-1", "居民", "x" * 64, "x" * 65, "", None, 'a"b', "a\\b"]),
    "device_id": st.sampled_from(["bp-1", "", "d" * 64, None]),
    "boot_id": st.sampled_from(["b", None, ""]),
    "device_sequence": st.sampled_from([0, 7, 2**63 - 1, 2**63, -1, None, 1.0, True]),
    "measured_at": _TIMES | st.none(),
    "device_now": _TIMES | st.none(),
    "captured_at": _TIMES,
    "stored_record": st.booleans() | st.none(),
    "clock_synchronised": st.booleans(),
    "setting": st.sampled_from(["office", "home", "ambulatory", "street", None]),
    "status": st.lists(
        st.sampled_from(
            [
                "irregular_pulse",
                "pulse_out_of_range",
                "time_fault",
                "body_movement",
                "result_too_high",
                "result_too_low",
                "?",
            ]
        ),
        max_size=3,
    ),
    "unit": st.sampled_from(["mmHg", "kPa", "mmol/L", "mg/dL", "mol/L", "kg/L", "cm", None]),
    "arm": st.sampled_from(["left", "right", "both", None]),
    "posture": st.sampled_from(["sitting", "standing", None]),
    "meal_context": st.sampled_from(["fasting", "random", "unknown", "brunch", None]),
    "sample": st.sampled_from(["capillary_plasma", "control_solution", "tea", None]),
    "systolic": _NUMBERS,
    "diastolic": _NUMBERS,
    "pulse": _NUMBERS | st.none(),
    "glucose": _NUMBERS,
    "kind": st.sampled_from(["blood_pressure", "glucose", "weight"]),
    "note": st.text(max_size=4),
    "id": st.sampled_from(
        [
            "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b",
            "0192A3B4-c5d6-7e8f-9a0b-1c2d3e4f5a6b",
            "0192a3b4-c5d6-4e8f-9a0b-1c2d3e4f5a6b",
            "0192a3b4-c5d6-7e8f-ca0b-1c2d3e4f5a6b",
            "0192a3b4c5d67e8f9a0b1c2d3e4f5a6b",
            "ffffffff-ffff-7fff-8fff-ffffffffffff",
            "00000000-0000-7000-8000-000000000000",
        ]
    ),
}
_CHANGES = st.lists(
    st.sampled_from(sorted(_MAYBE)).flatmap(
        lambda name: st.tuples(st.just(name), st.one_of(_MAYBE[name], _MAYBE[name], _ODD))
    ),
    max_size=4,
).map(dict)
_READINGS = st.tuples(st.sampled_from([a_blood_pressure, a_glucose]), _CHANGES).map(
    lambda chosen: {**chosen[0](), **chosen[1]}
)


@settings(max_examples=3_000, deadline=None)
@given(_READINGS)
def test_whatever_it_takes_is_the_careful_lanes_row(reading: dict[str, Any]) -> None:
    raw = to_bytes(reading)
    if _check(raw):
        return
    try:  # Left for a reason, and most often because it is wrong.
        parse_reading(raw)
    except WireError:
        return


@settings(max_examples=1_500, deadline=None)
@given(_READINGS, st.data())
def test_mutated_bytes_are_refused_or_the_same_row(
    reading: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(to_bytes(reading))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from(b'0123456789.eE+-"{}[],: \\\x00\xff\xc3nulltrue'))
    _check(bytes(raw))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"systolic": Literal("128.5")},
        {"unit": "kPa", "systolic": Literal("18.60"), "diastolic": Literal("11.2")},
        {"pulse": Literal("72"), "arm": "left", "posture": "sitting"},
        {"device_sequence": 5, "boot_id": "b", "arm": "right"},
        {"status": ["irregular_pulse", "irregular_pulse"]},
        {"measured_at": "2026-03-02T09:00:00+08:00", "device_now": "2026-03-02T08:59:59+08:00"},
        {"measured_at": "1999-01-01T00:00:00Z"},
        {"stored_record": True, "setting": "home"},
    ],
    ids=str,
)
def test_ordinary_readings_take_the_plain_lane(fields: dict[str, Any]) -> None:
    assert _check(to_bytes({**a_blood_pressure(), **fields}))


@pytest.mark.parametrize(
    ("unit", "glucose"),
    [("mmol/L", "7.00"), ("mg/dL", "126"), ("mol/L", "0.0070000"), ("kg/L", "0.00126")],
)
def test_every_unit_of_glucose_takes_the_plain_lane(unit: str, glucose: str) -> None:
    assert _check(to_bytes(a_glucose(glucose, unit=unit)))


def test_text_beyond_ascii_takes_the_plain_lane() -> None:
    assert _check(to_bytes(a_blood_pressure()).replace(b"r-1", "居民".encode()))
    assert not _check(to_bytes(a_blood_pressure()).replace(b"r-1", b"\xe5\xb1"))


def test_only_absent_fields_count_as_absent() -> None:
    without = {name: value for name, value in a_blood_pressure().items() if name != "measured_at"}
    del without["resident_id"]
    assert _check(to_bytes(without))
    for name in ("glucose", "meal_context", "sample"):
        assert not _check(to_bytes({**a_blood_pressure(), name: None})), name  # It is kept.


@pytest.mark.parametrize(
    "text",
    ['"\\u006bind":"glucose"', '"note":1', '"meal_context":null'],
)
def test_a_field_that_may_mean_two_things_is_left_to_the_contract(text: str) -> None:
    raw = to_bytes(a_blood_pressure())
    assert not _check(b"{" + text.encode() + b"," + raw[1:])


@pytest.mark.parametrize(
    "text", ['"kind":"glucose"', '"systolic":1', '"id":"?"', '"measured_at":"2020-01-01T00:00:00Z"']
)
def test_of_a_field_that_is_there_twice_the_last_counts(text: str) -> None:
    raw = to_bytes(a_blood_pressure())
    assert _check(b"{" + text.encode() + b"," + raw[1:])
    _check(raw[:-1] + b"," + text.encode() + b"}")


def test_rows_come_in_order_of_id_beside_those_left() -> None:
    readings = [a_glucose(at=AT + timedelta(seconds=9 - second)) for second in range(10)]
    raws = [to_bytes(reading) for reading in readings]
    raws[3] = b"no reading"
    taken = _take(*raws)

    assert taken.left == [3]
    assert taken.places.tolist() == [9, 8, 7, 6, 5, 4, 2, 1, 0]
    ids = [UUID(bytes=bytes(id_)) for id_ in taken.rows.packed_ids]
    assert ids == sorted(ids)
    for row, place in enumerate(taken.places.tolist()):
        _require_equal(taken, row, raws[place], AT)


def test_nothing_to_take_is_no_rows() -> None:
    taken = _take(b"", b"[]", json.dumps({"id": str(new_id(AT))}).encode())
    assert (len(taken.rows), taken.left) == (0, [0, 1, 2])


@pytest.mark.parametrize(
    "edge", ["49.9999", "50", "300", "300.0001", "6.66", "6.67", "39.99", "40.00"]
)
@pytest.mark.parametrize("unit", ["mmHg", "kPa"])
def test_the_edges_of_what_is_plausible_are_the_contracts(edge: str, unit: str) -> None:
    raw = to_bytes(a_blood_pressure(edge, "4" if unit == "kPa" else "40", unit=unit))
    _check(raw)
    try:
        parse_reading(raw)
    except WireError:
        assert not len(_take(raw).rows)
    else:
        assert len(_take(raw).rows) == 1
