"""The publisher's packets are MQTT 5 as another codec reads it, and it counts what it hears."""

import mqtt5
import pytest

from simulators.load.packets import (
    Heard,
    PacketReader,
    ProtocolError,
    encode_connect,
    encode_publish,
    encode_subscribe,
)


def _read(data: bytes) -> mqtt5.Packet:
    packet, size = mqtt5.read(memoryview(data))
    assert size == len(data)
    return packet


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 200_000])
def test_a_publish_is_read_by_another_codec(size: int) -> None:
    packet = _read(encode_publish("suifang/v1/centre-1/gw-001/readings", 65_535, b"x" * size))

    assert isinstance(packet, mqtt5.PublishPacket)
    assert (packet.topic, packet.packet_id) == ("suifang/v1/centre-1/gw-001/readings", 65_535)
    assert (packet.payload, packet.qos) == (b"x" * size, mqtt5.QoS.AT_LEAST_ONCE)


def test_connect_and_subscribe_are_read_by_another_codec() -> None:
    connect = _read(encode_connect("gateway-gw-001", "gw-001", "secret", keep_alive_s=60))
    subscribe = _read(encode_subscribe(1, "suifang/v1/centre-1/gw-001/receipts"))

    assert isinstance(connect, mqtt5.ConnectPacket)
    assert (connect.client_id, connect.username, connect.password) == (
        "gateway-gw-001",
        "gw-001",
        b"secret",
    )
    assert connect.clean_start
    assert isinstance(subscribe, mqtt5.SubscribePacket)
    assert subscribe.topic_filters[0].max_qos is mqtt5.QoS.AT_LEAST_ONCE


def _conversation() -> bytes:
    """What a broker may say: acknowledgements of both kinds, with receipts among them."""
    parts = [mqtt5.PubAckPacket(packet_id).write() for packet_id in (1, 0x4002, 64)]
    parts.append(encode_publish("r", 7, b'{"receipts":[{"batch":"@@@@"}]}'))
    parts.append(
        mqtt5.PubAckPacket(5, reason_code=mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS).write()
    )
    parts += [mqtt5.PubAckPacket(packet_id).write() for packet_id in range(6, 300)]
    parts.append(mqtt5.PingRespPacket().write())
    parts.append(encode_publish("r", 8, b"y" * 300))
    return b"".join(parts)


def _hear_in_pieces(data: bytes, size: int) -> Heard:
    reader, total = PacketReader(), Heard()
    for at in range(0, len(data), size):
        heard = reader.read(data[at : at + size])
        total.acknowledged += heard.acknowledged
        total.unheard += heard.unheard
        total.received += heard.received
        total.answers += heard.answers
    return total


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1_000, 100_000])
def test_wherever_the_bytes_are_cut_the_same_is_heard(size: int) -> None:
    heard = _hear_in_pieces(_conversation(), size)

    assert (heard.acknowledged, heard.unheard) == (3 + 1 + 294, 1)
    assert heard.received == [b'{"receipts":[{"batch":"@@@@"}]}', b"y" * 300]
    assert heard.answers == b"\x40\x02\x00\x07\x40\x02\x00\x08"


def test_the_broker_s_window_is_found_among_other_properties() -> None:
    packet = mqtt5.ConnAckPacket(
        receive_max=20_000, assigned_client_id="someone", topic_alias_max=10, server_keep_alive=9
    )

    assert PacketReader().read(packet.write()).receive_max == 20_000


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED).write(), "conne"),
        (
            mqtt5.PubAckPacket(1, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED).write(),
            "access rules",
        ),
        (
            mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write(),
            "subscription",
        ),
        (b"\xe0\x02\x8e\x00", "ended"),
        (b"\x40\xff\xff\xff\xff\xff", "four bytes"),
    ],
    ids=["connection", "message", "subscription", "goodbye", "nonsense"],
)
def test_a_refusal_ends_the_benchmark_with_its_reason(said: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        PacketReader().read(said)
