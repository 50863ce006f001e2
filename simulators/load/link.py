"""One gateway's line to the broker: TCP or TLS, the hello, bytes out and packets in.

It decides nothing and retries nothing. Invariants: after ``open`` it never blocks; what the socket
does not take is kept, in order; a packet is never cut into by another.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from simulators.load.packets import (
    DISCONNECT,
    PACKET_IDS,
    Heard,
    PacketReader,
    ProtocolError,
    encode_connect,
    encode_subscribe,
)

WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RECEIVED_BYTES: Final = 16_384  # At once; what there is more is read the next time.
_KEEP_ALIVE_S: Final = 3_600  # Nothing of ours is silent for so long.
_HELLO_S_MAX: Final = 20.0
_SUBSCRIBE_ID: Final = PACKET_IDS  # Messages count up from 1; the answer is there before the last.


@dataclass(frozen=True, slots=True)
class Login:
    """Who a gateway is at the broker. With a certificate in ``tls`` it needs no password."""

    user: str
    password: str | None = None
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


class Link:
    """Not thread-safe; ``open`` first."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.socket: socket.socket = socket.socket()
        self.receive_max = PACKET_IDS
        self.unsent = bytearray()
        self._reader = PacketReader()
        self._is_tls = False

    def open(
        self, host: str, port: int, login: Login, *, client_id: str, receipts: str | None
    ) -> None:
        """Connect; subscribe when a topic is given. May be called again after a break.

        Raises:
            ProtocolError: The broker does not answer, or refuses us.
        """
        self._is_tls = login.tls is not None
        hello = encode_connect(client_id, login.user, login.password, keep_alive_s=_KEEP_ALIVE_S)
        self.socket.close()
        self._reader = PacketReader()
        self.unsent = bytearray()
        try:
            self.socket = _connected(host, port, login)
            self.socket.sendall(hello)
            self.receive_max = self._wait("receive_max").receive_max or PACKET_IDS
            if receipts is not None:
                self.socket.sendall(encode_subscribe(_SUBSCRIBE_ID, receipts))
                self._wait("subscribed")
        except OSError as error:
            msg = f"{self.gateway}: the broker does not answer ({error})"
            raise ProtocolError(msg) from error
        self.socket.settimeout(0)

    def _wait(self, what: str) -> Heard:
        deadline = time.monotonic() + _HELLO_S_MAX
        while time.monotonic() < deadline:
            data = self.socket.recv(_RECEIVED_BYTES)
            if not data:
                break
            heard = self._reader.read(data)
            if getattr(heard, what):
                self.unsent += heard.answers
                return heard
        msg = f"{self.gateway}: the broker closed the connection, or said nothing in time"
        raise ProtocolError(msg)

    def write(self, data: bytes | bytearray) -> None:
        """Send, behind what still waits for the socket; keep what it does not take.

        Raises:
            ProtocolError: The connection is gone.
        """
        if self.unsent:
            self.unsent += data
            self.flush()
            return
        try:
            taken = self.socket.send(data)
        except WOULD_BLOCK:
            taken = 0
        except OSError as error:
            raise self._broken(error) from error
        if taken < len(data):
            self.unsent += data[taken:]

    def flush(self) -> bool:
        """Send what waits; whether nothing is left. Raises ``ProtocolError``."""
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except WOULD_BLOCK:
            return False
        except OSError as error:
            raise self._broken(error) from error
        return True

    def read(self) -> Heard | None:
        """Take in what has come; None when there is nothing. Raises ``ProtocolError``."""
        line = self.socket
        try:
            data = line.recv(_RECEIVED_BYTES)
            # What TLS has read already, no poll tells of.
            while self._is_tls and data and isinstance(line, ssl.SSLSocket) and line.pending():
                data += line.recv(_RECEIVED_BYTES)
        except WOULD_BLOCK:
            return None
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            msg = f"{self.gateway}: the broker closed the connection"
            raise ProtocolError(msg)
        return self._reader.read(data)

    def close(self) -> None:
        """Say goodbye; the session ends with the connection."""
        try:
            self.socket.settimeout(1)
            self.socket.sendall(DISCONNECT)
        except OSError:
            pass  # It is gone already.
        self.socket.close()

    def _broken(self, error: OSError) -> ProtocolError:
        return ProtocolError(f"{self.gateway}: the connection broke ({error})")


def _connected(host: str, port: int, login: Login) -> socket.socket:
    plain = socket.create_connection((host, port), timeout=_HELLO_S_MAX)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if login.tls is None:
        return plain
    return login.tls.wrap_socket(plain, server_hostname=login.server_name or host)
