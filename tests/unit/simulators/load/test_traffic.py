"""The benchmark's messages are what gateways send, byte for byte, and never twice the same."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from gateway.freezer import Stamp, freeze_reading
from gateway.wire.batches import build_batch
from gateway.wire.ids import time_of
from gateway.wire.limits import BATCH_BYTES_MAX
from gateway.wire.readings import BloodPressure, parse_json, parse_reading
from gateway.wire.times import parse_instant
from simulators.load.traffic import Message, Totals, Traffic, TrafficShape, to_milliseconds

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)


def _shape(readings: int, batch_size: int = 1, seed: int = 1) -> TrafficShape:
    return TrafficShape(
        readings=readings,
        batch_size=batch_size,
        gateways=7,
        centres=3,
        residents=500,
        seed=seed,
        captured_ms=to_milliseconds(AT),
        gap_ms=0.4,
    )


def _make(readings: int, batch_size: int = 1, seed: int = 1) -> tuple[list[Message], Totals]:
    traffic = Traffic(_shape(readings, batch_size, seed))
    return list(traffic.messages()), traffic.totals


def _raw_readings(message: Message) -> list[bytes]:
    """The readings as they stand in the message: none holds a bracket or a nested object."""
    _, _, rest = message.payload.partition(b'"readings":[')
    return [b"{" + each + b"}" for each in rest.removesuffix(b"]}")[1:-1].split(b"},{")]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_gateway_s_own_freezer_and_envelope_write_the_same_bytes(batch_size: int) -> None:
    for message in _make(300, batch_size)[0]:
        envelope = json.loads(message.payload)
        frozen = []
        for raw in _raw_readings(message):
            fields = json.loads(raw)
            at = parse_instant(fields["captured_at"])
            stamp = Stamp(UUID(fields["id"]), at, clock_synchronised=True)
            line = raw.partition(b'"clock_synchronised":true,')[2]  # What a terminal says.
            frozen.append(freeze_reading(b"{" + line, stamp, key=None))

        sent_at = parse_instant(envelope["sent_at"])
        assert build_batch(UUID(envelope["batch"]), sent_at, frozen) == message.payload


def test_every_reading_keeps_the_contract_and_the_totals_are_of_these_readings() -> None:
    messages, totals = _make(2_000, 9)
    readings = [parse_reading(raw) for each in messages for raw in _raw_readings(each)]

    pressures = [each for each in readings if isinstance(each, BloodPressure)]
    assert totals.readings == len(readings) == 2_000
    assert totals.blood_pressures == len(pressures)
    assert totals.systolic == sum(each.systolic for each in pressures)
    assert totals.diastolic == sum(each.diastolic for each in pressures)
    glucose = [each.glucose for each in readings if not isinstance(each, BloodPressure)]
    assert totals.glucose_tenths == sum(each * 10 for each in glucose if each is not None)


def test_ids_are_all_different_and_carry_the_time_of_capture() -> None:
    messages, _ = _make(20_000)
    readings = [parse_json(each.payload)["readings"][0] for each in messages]

    assert len({each["id"] for each in readings} | {each.batch for each in messages}) == 40_000
    for each in readings[::500]:
        assert time_of(UUID(each["id"])) == parse_instant(each["captured_at"])
    keys = {(e["device_id"], e["boot_id"], e["device_sequence"]) for e in readings}
    assert len(keys) == 20_000


def test_the_same_shape_is_the_same_traffic_and_another_seed_shares_no_id() -> None:
    first, again, other = _make(400)[0], _make(400)[0], _make(400, seed=2)[0]

    assert first == again
    assert {each.batch for each in first}.isdisjoint(each.batch for each in other)
    boots = {parse_json(m[0].payload)["readings"][0]["boot_id"] for m in (first, other)}
    assert len(boots) == 2  # Else a device's sequence numbers would come twice.


def test_gateways_take_turns_and_the_last_message_holds_the_rest() -> None:
    messages, _ = _make(25, 10)

    assert [(each.gateway, each.readings) for each in messages] == [(0, 10), (1, 10), (2, 5)]


def test_exactly_the_readings_beyond_a_limit_are_called_urgent() -> None:
    shape = _shape(3_000)
    messages = list(Traffic(shape).messages())
    urgent = {each for message in messages for each in message.urgent}

    for message in messages:
        reading = parse_json(message.payload)["readings"][0]
        if reading["kind"] == "glucose":
            beyond = not 3.9 < reading["glucose"] < 16.7
        else:
            beyond = reading["systolic"] >= 180 or reading["diastolic"] >= 110
        assert (reading["id"] in urgent) == beyond
    assert 0.5 < len(urgent) / (3_000 * shape.emergency_rate) < 2


def test_a_full_batch_passes_the_broker_and_a_fuller_one_is_refused() -> None:
    messages, _ = _make(1_000, 500)

    assert max(len(each.payload) for each in messages) < BATCH_BYTES_MAX
    with pytest.raises(ValueError, match="1 to 500"):
        Traffic(_shape(1_000, 501))
