"""A light gateway keeps the broker's window, cuts into no packet, and forgets only on a receipt."""

import socket
from collections.abc import Iterator
from contextlib import closing

import mqtt5
import pytest

from simulators.load.link import Login
from simulators.load.members import Flight, Member
from simulators.load.packets import Heard
from simulators.load.plan import Outgoing
from simulators.sites import Site

Pair = tuple[Member, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A gateway whose line is up, and the other end of it."""
    member = Member(Site("c", "gw"), Login("gw", "x"))
    member.link.socket.close()
    member.link.socket, far = socket.socketpair()
    with closing(member.link.socket), closing(far):
        member.link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        for end in (member.link.socket, far):
            end.settimeout(0)
        member.resume()
        yield member, far


def a_flight(number: int, *, size: int = 10) -> Flight:
    message = Outgoing(0, float(number), f"batch-{number}", b"x" * size, ("{}",))
    return Flight(message, float(number), number)


def _published(member: Member, far: socket.socket) -> list[mqtt5.PublishPacket]:
    data, packets = b"", []
    while True:
        done = member.link.flush()
        try:
            data += far.recv(65_536)
        except BlockingIOError:
            if done:
                break
    while data:
        packet, size = mqtt5.read(memoryview(data))
        assert isinstance(packet, mqtt5.PublishPacket)
        packets.append(packet)
        data = data[size:]
    return packets


def _acknowledged(member: Member, messages: int) -> list[Flight]:
    taken = member.take_acknowledged(messages)
    member.send_held()
    return taken


def test_no_more_is_out_than_the_broker_allows(pair: Pair) -> None:
    member, far = pair
    member.link.receive_max = 3
    for number in range(8):
        member.send(a_flight(number))
    assert len(_published(member, far)) == 3
    assert [each.number for each in _acknowledged(member, 2)] == [0, 1]
    assert len(_published(member, far)) == 2
    assert [each.number for each in _acknowledged(member, 6)] == [2, 3, 4]
    assert member.again == 0, "what was held had never gone"


def test_a_full_socket_cuts_no_packet(pair: Pair) -> None:
    member, far = pair
    for number in range(40):
        member.send(a_flight(number, size=5_000))
    assert member.link.unsent, "the socket was full"
    packets = _published(member, far)
    assert [packet.payload for packet in packets] == [b"x" * 5_000] * 40
    assert len({packet.packet_id for packet in packets}) == 40


def test_after_a_break_all_without_a_receipt_goes_again_and_counts_once(pair: Pair) -> None:
    member, far = pair
    for number in range(4):
        member.send(a_flight(number))
    _published(member, far)
    assert len(member.take_acknowledged(2)) == 2
    assert member.take_receipted("batch-0") is not None
    member.forget_acknowledged()
    member.send(a_flight(4))  # While it is away.
    assert _published(member, far) == []
    assert member.oldest_due_s() == 1

    member.resume()
    assert len(_published(member, far)) == 4
    assert member.again == 3, "the fourth had never gone"
    assert [each.number for each in member.take_acknowledged(4)] == [2, 3, 4], "1 was counted"
    assert [member.take_receipted(f"batch-{number}") is None for number in range(5)] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert member.oldest_due_s() is None


def test_many_breaks_hold_each_message_once(pair: Pair) -> None:
    member, far = pair
    member.link.receive_max = 20
    for number in range(10):
        member.send(a_flight(number))
        _acknowledged(member, 1)
    for number in range(10, 30):
        member.send(a_flight(number))
    _published(member, far)
    for _ in range(4):
        member.forget_acknowledged()
        member.resume()
        assert len(_published(member, far)) == 20
    assert member.again == 4 * 20
    assert len(_acknowledged(member, 20)) == 10, "the other ten were counted before"
    assert len(_published(member, far)) == 10
    assert len(_acknowledged(member, 10)) == 10
    assert _published(member, far) == [], "nothing is held twice"


def test_what_is_receipted_while_it_is_held_neither_goes_nor_counts_again(pair: Pair) -> None:
    member, far = pair
    member.link.receive_max = 2
    for number in range(3):
        member.send(a_flight(number))
        _acknowledged(member, 1)
    _published(member, far)
    member.forget_acknowledged()
    member.resume()
    assert member.again == 2
    assert member.take_receipted("batch-2") is not None, "of the line before"
    _published(member, far)
    _acknowledged(member, 2)
    assert _published(member, far) == []
    assert member.take_receipted("batch-2") is None
    assert [member.take_receipted(f"batch-{number}") is None for number in (0, 1)] == [False, False]
    assert member.oldest_due_s() is None


def test_what_the_broker_let_go_goes_again_unless_it_was_receipted(pair: Pair) -> None:
    member, far = pair
    for number in range(3):
        member.send(a_flight(number))
    _published(member, far)
    assert len(member.take_acknowledged(3, again_at_s=10.0)) == 3
    member.take_receipted("batch-1")
    member.send_unheard(9.9)
    waiting = member.is_unheard
    assert waiting
    assert member.again == 0
    member.send_unheard(10.1)
    assert member.again == 2
    assert len(_published(member, far)) == 2
    assert not member.is_unheard
    assert member.take_acknowledged(2) == [], "counted before"


def test_without_receipts_a_puback_is_enough_and_a_break_brings_back_the_others(
    pair: Pair,
) -> None:
    member, far = pair
    member.with_receipts = False
    for number in range(3):
        member.send(a_flight(number))
    _published(member, far)
    assert [each.number for each in member.take_acknowledged(1, again_at_s=10.0)] == [0]
    assert not member.is_unheard, "nobody is expected to subscribe"
    assert member.oldest_due_s() == 1
    member.forget_acknowledged()
    member.resume()
    assert len(_published(member, far)) == 2
    assert [each.number for each in member.take_acknowledged(2)] == [1, 2]
    assert member.oldest_due_s() is None


def test_one_plain_puback_is_read_at_once(pair: Pair) -> None:
    member, far = pair
    far.sendall(mqtt5.PubAckPacket(7).write())
    assert member.link.read() == Heard(acknowledged=1)
    assert member.link.read() is None
