"""The load's messages are what gateways send: the wire accepts each, and no id comes twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from gateway.wire.items import validate_item
from gateway.wire.readings import parse_json
from simulators.load.live import LiveTraffic
from simulators.load.plan import LoadPlan, Outgoing, list_terminals
from simulators.load.traffic import list_sites

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PLAN = LoadPlan(gateways=7, terminals=30, rate_per_s=500, duration_s=2, residents=50)
SITES = list_sites(7, 2)


def _messages(plan: LoadPlan = PLAN) -> list[Outgoing]:
    return list(LiveTraffic(plan, SITES, start=START).messages())


def test_the_wire_accepts_every_reading() -> None:
    seen = set()
    for message in _messages():
        envelope = parse_json(message.payload)
        (reading,) = envelope["readings"]
        validate_item(reading)
        seen.add((reading["device_id"], reading["boot_id"], reading["device_sequence"]))
        assert envelope["batch"] == message.batch != reading["id"]
        entry = json.loads(message.entries[0])
        assert entry["gateway"] == SITES[message.gateway].gateway_id
        assert entry["id"] == reading["id"]
        assert entry["reading"].items() <= reading.items()
    assert len(seen) == len(_messages()), "every reading has a delivery of its own"


def test_a_terminal_stands_at_one_gateway_and_counts_on() -> None:
    counted: dict[str, int] = {}
    for message in _messages():
        reading = parse_json(message.payload)["readings"][0]
        device = reading["device_id"]
        assert device.startswith(SITES[message.gateway].gateway_id + "-")
        assert reading["device_sequence"] == counted.get(device, 0) + 1
        counted[device] = reading["device_sequence"]
    assert counted.keys() == {name for name, _ in list_terminals(PLAN, SITES)}


def test_the_seed_says_everything_but_ids_and_those_the_rehearsal() -> None:
    first, again = _messages(), _messages()
    other = _messages(replace(PLAN, rehearsal="another"))
    assert first == again
    assert [message.due_s for message in first] == [message.due_s for message in other]
    assert {message.batch for message in first}.isdisjoint(message.batch for message in other)
    assert first[0].due_s != _messages(replace(PLAN, seed=2))[0].due_s
