"""A recording through the light fleet is what real gateways would send, in batches, in order."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

from gateway.identity import pseudonym
from gateway.wire.items import validate_item
from gateway.wire.readings import parse_json
from simulators.load.replaying import BATCH_READINGS, RecordedTraffic
from simulators.planned import Expected, PlannedReading, encode_line
from simulators.sites import sites_of

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SITES = sites_of(["gw-1", "gw-2"])
KEY = b"k" * 32


def _readings(number: int) -> list[PlannedReading]:
    return [
        PlannedReading(
            gateway_id=SITES[index % 2].gateway_id,
            device_id="d",
            card_number="A-1",
            line=encode_line(
                {
                    "device_id": "d",
                    "device_sequence": index,
                    "boot_id": "b",
                    "card_number": "A-1",
                    "kind": "glucose",
                    "measured_at": "2026-03-01T09:00:00+08:00",
                    "glucose": 6,
                    "unit": "mmol/L",
                    "meal_context": "fasting",
                    "setting": "office",
                }
            ),
            expected=Expected.STORED,
        )
        for index in range(number)
    ]


def test_batches_hold_everything_once_in_order() -> None:
    readings = _readings(2 * BATCH_READINGS + 31)
    traffic = RecordedTraffic(readings, SITES, key=KEY, clock=lambda: NOW)
    sequences: defaultdict[int, list[int]] = defaultdict(list)
    for message in traffic.messages():
        batch = parse_json(message.payload)
        assert batch["batch"] == message.batch
        assert len(batch["readings"]) == len(message.entries) <= BATCH_READINGS
        for item, entry in zip(batch["readings"], message.entries, strict=True):
            validate_item(item)
            assert item["resident_id"] == pseudonym(KEY, "A-1")
            said = json.loads(entry)
            assert (said["id"], said["expected"]) == (item["id"], "stored")
            assert said["reading"]["card_number"] == "A-1"
            sequences[message.gateway].append(item["device_sequence"])

    assert sequences[0] == list(range(0, len(readings), 2))
    assert sequences[1] == list(range(1, len(readings), 2))
    assert traffic.refused == 0


def test_with_due_times_each_goes_by_itself() -> None:
    readings = [replace(each, due_s=index / 10) for index, each in enumerate(_readings(5))]
    messages = list(RecordedTraffic(readings, SITES, key=KEY, clock=lambda: NOW).messages())

    assert [message.due_s for message in messages] == [0, 0.1, 0.2, 0.3, 0.4]
    assert all(len(message.entries) == 1 for message in messages)


def test_what_a_gateway_refuses_is_not_sent_but_counted() -> None:
    good, bad = _readings(2)
    bad = replace(bad, line=b'{"id":"mine"}')
    traffic = RecordedTraffic([bad, good], SITES, key=KEY, clock=lambda: NOW)

    assert [message.gateway for message in traffic.messages()] == [0]
    assert traffic.refused == 1
