"""A gateway's connection sends whole messages, within its windows, and can begin anew."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import mqtt5
import pytest

from deploy.bench.connections import Connection
from simulators.load.traffic import Traffic, TrafficShape


@pytest.fixture
def broker() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection with sixty messages, and the other end of its line."""
    connection = Connection("gw-001", "suifang/v1/centre-1/gw-001/readings")
    connection.socket.close()
    connection.socket, far = socket.socketpair()
    with closing(connection.socket), closing(far):
        for end in (connection.socket, far):
            end.settimeout(0)
        shape = TrafficShape(readings=60, gateways=1, residents=10, captured_ms=1_772_413_200_000)
        for message in Traffic(shape).messages():
            connection.add(message.payload)
        connection.seal()
        yield connection, far


def _drain(far: socket.socket) -> list[mqtt5.PublishPacket]:
    data = b""
    try:
        while True:
            data += far.recv(65_536)
    except BlockingIOError:
        pass
    packets = []
    while data:
        packet, size = mqtt5.read(memoryview(data))
        if isinstance(packet, mqtt5.PublishPacket):
            packets.append(packet)
        data = data[size:]
    return packets


def _acknowledge(far: socket.socket, packets: list[mqtt5.PublishPacket]) -> None:
    far.sendall(b"".join(mqtt5.PubAckPacket(each.packet_id or 0).write() for each in packets))


def test_never_more_is_out_than_the_broker_allows(
    broker: tuple[Connection, socket.socket],
) -> None:
    connection, far = broker
    connection.receive_max = 25
    seen = []
    while not connection.done:
        connection.send()
        packets = _drain(far)
        assert 0 < len(packets) <= 25
        seen += [each.packet_id for each in packets]
        _acknowledge(far, packets)
        connection.hear()

    assert seen == list(range(1, 61))


def test_without_receipts_no_more_than_the_gateway_s_window_leaves(
    broker: tuple[Connection, socket.socket],
) -> None:
    connection, far = broker
    connection.unreceipted_max = 4
    connection.send()
    _acknowledge(far, _drain(far))
    connection.hear()
    connection.send()
    assert _drain(far) == []

    receipts = b'{"receipts":[{"batch":"a","stored":1},{"batch":"b","stored":1}]}'
    far.sendall(
        mqtt5.PublishPacket("r", receipts, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=9).write()
    )
    connection.hear()
    connection.send()

    assert [each.packet_id for each in _drain(far)] == [5, 6]


def test_a_live_message_goes_between_two_others_and_never_into_one(
    broker: tuple[Connection, socket.socket],
) -> None:
    connection, far = broker
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_608)
    data, live = b"", b"live"
    sent = False
    while connection.sent < connection.messages or not sent:
        connection.send()
        if not sent:
            connection.send_live(live, 30_000)  # The line is full: in the middle of a message.
            sent = True
        data += far.recv(65_536)
    connection.send()
    packets = []
    while data:
        packet, size = mqtt5.read(memoryview(data))
        assert isinstance(packet, mqtt5.PublishPacket)
        packets.append(packet)
        data = data[size:]

    assert sum(each.payload == live for each in packets) == 1
    assert len(packets) == 61
    for each in packets:
        assert each.payload == live or json.loads(each.payload)["schema"] == 1


def test_begun_anew_the_same_readings_have_other_ids_and_another_boot(
    broker: tuple[Connection, socket.socket],
) -> None:
    connection, far = broker
    connection.send()
    first = [json.loads(each.payload) for each in _drain(far)]
    connection.find_ids()
    connection.renew()
    connection.send()
    second = [json.loads(each.payload) for each in _drain(far)]

    def ids(batches: list[dict[str, object]]) -> set[object]:
        return {b["batch"] for b in batches} | {r["id"] for b in batches for r in b["readings"]}  # type: ignore[attr-defined]

    assert len(ids(first)) == len(ids(second)) == 120
    assert ids(first).isdisjoint(ids(second))
    for before, after in zip(first, second, strict=True):
        old, new = before["readings"][0], after["readings"][0]
        assert new["boot_id"] != old["boot_id"]
        kept = old.keys() - {"id", "boot_id"}
        assert {name: old[name] for name in kept} == {name: new[name] for name in kept}
