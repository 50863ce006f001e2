"""The few MQTT 5 packets that a gateway needs, written beforehand and read in bulk.

The publisher shares two cores with what it measures, so nothing here is done per message that
can be done for a whole buffer: PUBACKs are counted by runs, not one by one.
"""

from dataclasses import dataclass, field
from typing import Final

PACKET_IDS: Final = 65_535  # 1 to 65,535: never 0.
DISCONNECT: Final = b"\xe0\x00"
_CONNACK: Final = 0x20
_PUBACK: Final = 0x40
_SUBACK: Final = 0x90
_DISCONNECTED: Final = 0xE0
_PUBLISH: Final = 0x30
_QOS: Final = 0x06
_PLAIN_ACK: Final = b"\x40\x02"
_ACK_BYTES: Final = 4
_UNHEARD_ACK: Final = b"\x40\x03"
_NOBODY: Final = 0x10  # Reason: no matching subscribers.
_FAILURE: Final = 0x80
_RECEIVE_MAX: Final = 0x21
_LENGTH_BYTES_MAX: Final = 4
_HEADS_MAX: Final = 64  # Of a topic; batches are of any length.
# Sizes of the values of CONNACK's properties by their identifiers (MQTT 5, table 2-4).
_FIXED: Final = {
    **dict.fromkeys((0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22), 2),
    **dict.fromkeys((0x11, 0x27), 4),
}
_TEXTS: Final = {0x12: 1, 0x15: 1, 0x16: 1, 0x1A: 1, 0x1C: 1, 0x1F: 1, 0x26: 2}


class ProtocolError(Exception):
    """The broker refused us or said what we do not understand; the text says which."""


def encode_length(length: int) -> bytes:
    """A variable byte integer.

    >>> encode_length(321).hex()
    'c102'
    """
    written = bytearray()
    while True:
        length, low = divmod(length, 128)
        written.append(low | (0x80 if length else 0))
        if not length:
            return bytes(written)


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2) + raw


def encode_connect(
    client_id: str, username: str, password: str | None, *, keep_alive_s: int
) -> bytes:
    """CONNECT with a clean start and a session that ends with the connection."""
    flags = b"\x82" if password is None else b"\xc2"
    body = b"\x00\x04MQTT\x05" + flags + keep_alive_s.to_bytes(2) + b"\x00"
    body += _text(client_id) + _text(username) + (b"" if password is None else _text(password))
    return b"\x10" + encode_length(len(body)) + body


def encode_subscribe(packet_id: int, topic: str) -> bytes:
    """SUBSCRIBE to one topic at QoS 1."""
    body = packet_id.to_bytes(2) + b"\x00" + _text(topic) + b"\x01"
    return b"\x82" + encode_length(len(body)) + body


def encode_publish(topic: str, packet_id: int, payload: bytes) -> bytes:
    """PUBLISH at QoS 1."""
    head = _text(topic) + packet_id.to_bytes(2) + b"\x00"
    return b"\x32" + encode_length(len(head) + len(payload)) + head + payload


class Publisher:
    """Writes the PUBLISH packets of one topic, as ``encode_publish`` does, in a third of the time.

    Readings are of few lengths, so what stands before the packet id is remembered by length.
    """

    def __init__(self, topic: str) -> None:
        self._topic = _text(topic)
        self._heads: dict[int, bytes] = {}

    def encode(self, packet_id: int, payload: bytes) -> bytes:
        """PUBLISH at QoS 1."""
        size = len(payload)
        head = self._heads.get(size)
        if head is None:
            head = b"\x32" + encode_length(len(self._topic) + 3 + size) + self._topic
            if len(self._heads) < _HEADS_MAX:
                self._heads[size] = head
        return b"%b%b\x00%b" % (head, packet_id.to_bytes(2), payload)


@dataclass(slots=True)
class Heard:
    """What a reader found in the bytes given to it."""

    acknowledged: int = 0
    unheard: int = 0  # Of these: the broker said that nobody subscribes.
    received: list[bytes] = field(default_factory=list)  # Payloads of receipts.
    answers: bytearray = field(default_factory=bytearray)  # PUBACKs to write for them.
    receive_max: int | None = None  # Set by CONNACK.
    subscribed: bool = False


_ONE_ACK: Final = Heard(acknowledged=1)  # Shared: whoever reads it changes nothing.
_ONE_UNHEARD: Final = Heard(acknowledged=1, unheard=1)


class PacketReader:
    """Bytes of one connection to what they say; keeps the part of a packet for the next call."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, data: bytes) -> Heard:
        """Take in what was received. Raises ``ProtocolError``."""
        size = len(data)
        if size <= _ACK_BYTES + 1 and not self._rest:  # A gateway that sends now and then.
            if size == _ACK_BYTES and data.startswith(_PLAIN_ACK):
                return _ONE_ACK
            if data.startswith(_UNHEARD_ACK) and data[-1] == _NOBODY and size > _ACK_BYTES:
                return _ONE_UNHEARD
        heard = Heard()
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while at < end:
            run = _count_plain_acks(data, at)
            if run:
                heard.acknowledged += run
                at += 4 * run
                continue
            found = _frame(data, at)
            if found is None:
                break
            start, after = found
            _take(data[at], data[start:after], heard)
            at = after
        self._rest = data[at:]
        return heard


def _count_plain_acks(data: bytes, at: int) -> int:
    """How many PUBACKs of four bytes (that is: without a reason) follow each other."""
    if data[at] != _PUBACK:
        return 0
    whole = (len(data) - at) // 4
    types = data[at : at + 4 * whole : 4]
    lengths = data[at + 1 : at + 4 * whole : 4]
    return min(len(types) - len(types.lstrip(b"\x40")), len(lengths) - len(lengths.lstrip(b"\x02")))


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet begins and ends; None when it is not all there yet."""
    length, shift, start = 0, 0, at + 1
    while True:
        if start >= len(data):
            return None
        byte = data[start]
        length |= (byte & 0x7F) << shift
        shift += 7
        start += 1
        if not byte & 0x80:
            break
        if shift == 7 * _LENGTH_BYTES_MAX:
            msg = "the broker sent a length of more than four bytes"
            raise ProtocolError(msg)
    after = start + length
    return (start, after) if after <= len(data) else None


def _take(first: int, body: bytes, heard: Heard) -> None:
    kind = first & 0xF0
    if kind == _PUBLISH:
        _take_publish(first, body, heard)
    elif kind == _PUBACK:
        reason = body[2] if len(body) > 2 else 0  # noqa: PLR2004 - after the packet id
        if reason >= _FAILURE:
            msg = f"the broker refused a message (reason {reason}): check its access rules"
            raise ProtocolError(msg)
        heard.acknowledged += 1
        heard.unheard += reason == _NOBODY
    elif kind == _CONNACK:
        if body[1]:
            msg = f"the broker refused the connection (reason {body[1]}): was its user made?"
            raise ProtocolError(msg)
        heard.receive_max = _read_receive_max(body)
    elif kind == _SUBACK:
        if body[-1] >= _FAILURE:
            msg = f"the broker refused the subscription (reason {body[-1]})"
            raise ProtocolError(msg)
        heard.subscribed = True
    elif kind == _DISCONNECTED:
        msg = f"the broker ended the connection (reason {body[0] if body else 0})"
        raise ProtocolError(msg)


def _take_publish(first: int, body: bytes, heard: Heard) -> None:
    at = 2 + int.from_bytes(body[:2])
    if first & _QOS:
        heard.answers += b"\x40\x02" + body[at : at + 2]
        at += 2
    length, at = _read_length(body, at)
    heard.received.append(body[at + length :])


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if not byte & 0x80:
            return length, at


def _read_receive_max(body: bytes) -> int:
    """The broker's window for us out of CONNACK; where it says none, all packet ids."""
    length, at = _read_length(body, 2)
    end = at + length
    while at < end:
        name = body[at]
        at += 1
        if name == _RECEIVE_MAX:
            return int.from_bytes(body[at : at + 2])
        if name in _FIXED:
            at += _FIXED[name]
        else:
            for _ in range(_TEXTS[name]):
                at += 2 + int.from_bytes(body[at : at + 2])
    return PACKET_IDS
