"""One gateway's connection: messages written beforehand, sent in large pieces, within windows."""

import os
import re
from typing import Final

import numpy as np

from simulators.load.link import Link, Login
from simulators.load.packets import PACKET_IDS, Heard, encode_publish

_PIECE_BYTES: Final = 262_144
_BATCH: Final = b'"batch":'  # Stands once in every receipt.
_IDENTIFIER: Final = re.compile(rb'"(?:id|batch)":"')
_BOOT: Final = re.compile(rb'"boot_id":"b-')
_BOOT_DIGITS: Final = 8
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
# Where a UUIDv7 is random, less the digit that also tells the variant.
_DIGITS: Final = np.array([*range(15, 18), *range(20, 23), *range(24, 36)])


class Connection(Link):
    """A gateway's session. Not thread-safe; ``open`` first."""

    def __init__(self, gateway: str, topic: str) -> None:
        super().__init__(gateway)
        self._topic = topic
        self._packets: list[bytes] = []
        self._buffer = memoryview(b"")
        self._ends = np.zeros(0, np.int64)
        self._offset = 0
        self._identifiers = np.zeros(0, np.int64)
        self._boots = np.zeros(0, np.int64)
        self.live_topic = topic  # Of ``send_live``.
        self.unreceipted_max: int | None = None
        self.sent = 0  # Messages whose last byte has left.
        self.acknowledged = 0
        self.receipted = 0
        self.unheard = 0

    # --- what to send --------------------------------------------------------------------------

    def add(self, payload: bytes) -> None:
        """Write one more message; ``seal`` when all are there."""
        packet_id = len(self._packets) % PACKET_IDS + 1
        self._packets.append(encode_publish(self._topic, packet_id, payload))

    def seal(self) -> None:
        """Put all messages into one buffer."""
        self._buffer = memoryview(bytearray(b"".join(self._packets)))
        self._ends = np.cumsum([len(packet) for packet in self._packets], dtype=np.int64)
        self._packets = []

    def find_ids(self) -> None:
        """Note where ids stand, for ``renew``."""
        raw = bytes(self._buffer)
        self._identifiers = np.array([found.end() for found in _IDENTIFIER.finditer(raw)], np.int64)
        self._boots = np.array([found.end() for found in _BOOT.finditer(raw)], np.int64)

    def renew(self) -> None:
        """Begin anew with other ids, on devices that were started anew: nothing is a duplicate."""
        written = np.frombuffer(self._buffer, np.uint8)
        digits = np.frombuffer(os.urandom(len(self._identifiers) * len(_DIGITS)), np.uint8)
        places = self._identifiers[:, None] + _DIGITS
        written[places] = _HEX[digits.reshape(places.shape) & 0xF]
        boot = np.frombuffer(os.urandom(_BOOT_DIGITS), np.uint8)
        written[self._boots[:, None] + np.arange(_BOOT_DIGITS)] = _HEX[boot & 0xF]
        self._offset = self.sent = self.acknowledged = self.receipted = 0

    @property
    def messages(self) -> int:
        """How many messages there are to send."""
        return len(self._ends)

    @property
    def done(self) -> bool:
        """Whether every message is acknowledged."""
        return self.acknowledged >= len(self._ends)

    @property
    def receipted_all(self) -> bool:
        """Whether every message has its receipt."""
        return self.receipted >= len(self._ends)

    # --- sending and hearing -------------------------------------------------------------------

    def send(self, upto: int | None = None) -> None:
        """Send what the windows and the socket let through, at most the first ``upto`` messages."""
        if self.unsent and not self._flush():
            return
        allowed = min(self.acknowledged + self.receive_max, len(self._ends))
        if self.unreceipted_max is not None:
            allowed = min(allowed, self.receipted + self.unreceipted_max)
        if upto is not None:
            allowed = min(allowed, upto)
        limit = int(self._ends[allowed - 1]) if allowed else 0
        before = self._offset
        while self._offset < limit:
            try:
                piece = min(self._offset + _PIECE_BYTES, limit)
                self._offset += self.socket.send(self._buffer[self._offset : piece])
            except BlockingIOError:
                break
        if self._offset != before:
            self.sent = int(np.searchsorted(self._ends, self._offset, side="right"))

    def send_live(self, payload: bytes, packet_id: int) -> None:
        """Send one message at once, or after the rest of the one that is on its way."""
        self.unsent += encode_publish(self.live_topic, packet_id, payload)
        self._flush()

    def _flush(self) -> bool:
        """Write the PUBACKs that wait, between two messages. True: nothing of them is left."""
        try:
            if self._offset != (self._ends[self.sent - 1] if self.sent else 0):
                rest = self._buffer[self._offset : self._ends[self.sent]]
                self._offset += self.socket.send(rest)
                if self._offset != self._ends[self.sent]:
                    return False
                self.sent += 1
            del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return False
        return not self.unsent

    def hear(self) -> Heard | None:
        """Take in what has come; None when there is nothing. Raises ``ProtocolError``."""
        heard = self.read()
        if heard is None:
            return None
        self.acknowledged += heard.acknowledged
        self.unheard += heard.unheard
        self.unsent += heard.answers
        for payload in heard.received:
            self.receipted += payload.count(_BATCH)
        if self.unsent:
            self._flush()
        return heard


def forget_session(host: str, port: int, client_id: str, *, user: str, password: str) -> None:
    """Begin anew under a client id, and leave: what waited for it is gone. ``ProtocolError``."""
    found = Link(client_id)
    found.open(host, port, Login(user, password), client_id=client_id, receipts=None)
    found.close()
