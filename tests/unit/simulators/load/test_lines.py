"""Lines that break at the worst moment: nothing that is known is lost, and all goes again."""

import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import NamedTuple

import pytest

from simulators.load.lines import Lines
from simulators.load.link import Login
from simulators.load.members import Flight, Member
from simulators.load.packets import Heard
from simulators.load.plan import Outgoing
from simulators.sites import Site


class Line(NamedTuple):
    """One gateway whose line is up, and the broker's end of it. Nobody mends it."""

    lines: Lines
    member: Member
    far: socket.socket


@pytest.fixture
def line() -> Iterator[Line]:
    member = Member(Site("c", "gw"), Login("gw", "x"))
    member.link.socket.close()
    member.link.socket, far = socket.socketpair()
    member.link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    with closing(member.link.socket), closing(far):
        for end in (member.link.socket, far):
            end.settimeout(0)
        lines = Lines([member], "127.0.0.1", 1)
        lines.listen(member)
        yield Line(lines, member, far)


def a_flight(number: int, *, size: int = 10) -> Flight:
    message = Outgoing(0, float(number), f"batch-{number}", b"x" * size, ("{}", "{}"))
    return Flight(message, float(number), number)


def test_what_was_acknowledged_is_told_though_the_line_breaks_at_what_was_held(line: Line) -> None:
    line.member.link.receive_max = 2
    for number in range(4):
        line.lines.send(line.member, a_flight(number))
    line.far.close()

    taken = line.lines.acknowledge(line.member, Heard(acknowledged=2))

    assert [flight.number for flight in taken] == [0, 1]
    assert not line.member.is_open
    assert line.lines.broken == 1
    assert line.member.is_holding, "all four have no receipt yet"


def test_what_goes_again_is_counted_in_readings_and_only_when_it_had_gone(line: Line) -> None:
    line.member.link.receive_max = 2
    for number in range(4):
        line.lines.send(line.member, a_flight(number))
    assert len(line.lines.acknowledge(line.member, Heard(acknowledged=2))) == 2
    assert line.lines.again == 0, "the two that were held went for the first time"
    line.member.forget_acknowledged()
    line.member.resume()
    assert line.lines.again == 2 * 2, "two messages of two readings; the window holds no more"


def test_a_held_message_goes_on_as_soon_as_the_socket_has_room(line: Line) -> None:
    size = 200_000
    line.member.link.receive_max = 1
    line.lines.send(line.member, a_flight(0))
    line.lines.send(line.member, a_flight(1, size=size))
    line.lines.acknowledge(line.member, Heard(acknowledged=1))
    assert line.member.link.unsent

    received = 0
    while received < size:
        with suppress(BlockingIOError):
            received += len(line.far.recv(65_536))
        assert list(line.lines.hear(0)) == []
    assert not line.member.link.unsent
