"""One MQTT 5 connection of an ingest worker: bytes to packets, packets to its listener.

No decisions and no retries here. Invariants: it acknowledges nothing by itself; it never holds more
of a packet than was agreed on; whatever the broker sends, the connection is cut with a reason, and
nothing else breaks.
"""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol, cast

import mqtt5
from pydantic import SecretStr

from gateway.wire.topics import shared_filter
from ingest.deliveries import Delivery
from ingest.settings import MESSAGE_BYTES_MAX, BrokerSettings, SourceChannel

_PING: Final = mqtt5.PingReqPacket().write()
PACKET_BYTES_MAX: Final = MESSAGE_BYTES_MAX + 65_536  # With its topic and properties.
_SUBSCRIBE_ID: Final = 65_535  # Receipts count up from 1 and stay below.
_FORMER_GROUP: Final = "ingest"
_SOCKET_WAITING_MAX: Final = 8_000_000  # Bytes of receipts and PUBACKs before we wait.


class BrokerRefusedError(Exception):
    """The broker will never take this session: wrong password, forbidden topic, taken client id.

    Ends the process with what to correct; waiting would not help.
    """


class Listener(Protocol):
    """Whose connection it is."""

    channel: SourceChannel
    client_id: str
    window: int

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Messages, in the order in which they came."""


def share_group(password: SecretStr) -> str:
    """The workers' name for their shared subscription, which no gateway can guess.

    Mosquitto lets any client join any group and then drops, for it, what it may not read: one
    gateway in the group took every second message of all others (2.0.21, ADR 0018). So the name
    is a secret of those who know ingest's password.
    """
    key = password.get_secret_value().encode()
    return f"ingest-{hmac.new(key, b'suifang share group', hashlib.sha256).hexdigest()[:32]}"


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(
        self, settings: BrokerSettings, password: SecretStr, listener: Listener, number: int
    ) -> None:
        self._settings = settings
        self._password = password
        self._listener = listener
        self.number = number
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsubscribed = asyncio.Event()
        self._ids_max = 0  # Receipts without an acknowledgement that the broker takes.
        self._last_id = 0
        self._freed_ids: deque[int] = deque(maxlen=_SUBSCRIBE_ID)
        self._used_ids: set[int] = set()
        self._id_is_free = asyncio.Event()
        self._heard = False
        self._deaf = False
        self._welcomed = False
        self.taken_over = False
        self.at_fault = False  # The broker: then wait before the next attempt.
        self.problem = "the connection was closed by the broker"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are and how much we take."""
        self._transport = transport = cast("asyncio.Transport", transport)  # TCP, as asked for.
        transport.set_write_buffer_limits(high=_SOCKET_WAITING_MAX)
        self.writable.set()
        connect = mqtt5.ConnectPacket(
            self._listener.client_id,
            username=self._settings.username,
            password=self._password.get_secret_value().encode(),
            clean_start=False,
            keep_alive=self._settings.keep_alive_s,
            session_expiry_interval=self._settings.session_expiry_s,
            receive_max=self._listener.window,
            max_packet_size=PACKET_BYTES_MAX,
        )
        transport.write(connect.write())

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        if error is not None:
            self.problem = str(error)
        self.closed.set()
        self.writable.set()
        self._id_is_free.set()
        self._unsubscribed.set()
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError(self.problem))
            self.subscribed.exception()  # Seen: the waiter may have timed out meanwhile.

    def pause_writing(self) -> None:
        """The socket is full."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The socket has room again."""
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Read whole packets, hand messages over in one go; the rest of a packet waits."""
        self._heard = True
        if self.at_fault:
            return
        buffer = self._buffer
        buffer += data
        deliveries, used = self._read_packets(buffer)
        if buffer is self._buffer:
            del buffer[:used]
        if len(self._buffer) > PACKET_BYTES_MAX:  # We asked for no such packet.
            self.break_off("the broker sends a packet above the size agreed on")
        if deliveries:
            self._listener.take(deliveries)

    def _read_packets(self, buffer: bytearray) -> tuple[list[Delivery], int]:
        """Messages of all whole packets in the buffer, and how many bytes those took."""
        used, number = 0, self.number
        deliveries: list[Delivery] = []
        with memoryview(buffer) as view:
            end = len(view)
            while used < end:
                try:
                    packet, size = _read(view[used:])
                except IndexError:
                    break  # The rest of the packet is still on its way.
                except ValueError as error:
                    self.break_off(f"the broker sent bytes that are no MQTT 5: {error}")
                    break
                used += size
                if type(packet) is mqtt5.PublishPacket and packet.packet_id is not None:
                    topic, payload, id_ = packet.topic, packet.payload, packet.packet_id
                    deliveries.append(Delivery(topic, payload, id_, number, packet.duplicate))
                else:
                    self._take(packet)
        return deliveries, used

    @property
    def bytes_unread(self) -> int:
        """What a packet that is still on its way holds here."""
        return len(self._buffer)

    def _take(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                if packet.packet_id in self._used_ids:
                    self._used_ids.remove(packet.packet_id)
                    self._freed_ids.append(packet.packet_id)
                    self._id_is_free.set()
            case mqtt5.ConnAckPacket():
                self._connected(packet)
            case mqtt5.SubAckPacket():
                self._subscribed(packet)
            case mqtt5.UnsubAckPacket():
                self._unsubscribed.set()
            case mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER):
                self.taken_over = True
                self.drop("another process connected with this client id")
            case mqtt5.DisconnectPacket():
                self.drop(f"the broker said {packet.reason_code.name} {packet.reason_str or ''}")
            case _:
                pass  # PINGRESP, and QoS 0 messages that nobody of ours sends.

    def _connected(self, packet: mqtt5.ConnAckPacket) -> None:
        if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            self._refuse(f"the broker refused the session: {packet.reason_code.name}")
            return
        if self._welcomed:
            self.break_off("the broker welcomed us twice")
            return
        self._welcomed = True
        self._ids_max = min(packet.receive_max, _SUBSCRIBE_ID - 1)
        self._id_is_free.set()
        name = shared_filter(self._listener.channel, share_group(self._password))
        filters = [mqtt5.TopicFilter(name, max_qos=mqtt5.QoS.AT_LEAST_ONCE)]
        self.write(mqtt5.SubscribePacket(_SUBSCRIBE_ID, filters).write())

    def _subscribed(self, packet: mqtt5.SubAckPacket) -> None:
        granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        refused = [code.name for code in packet.reason_codes if code is not granted]
        if refused:
            self._refuse(f"the broker refused the subscription: {', '.join(refused)}")
        elif not self.subscribed.done():
            self.subscribed.set_result(None)
            self._leave_group(_FORMER_GROUP)

    def _leave_group(self, group: str) -> None:
        name = shared_filter(self._listener.channel, group)
        self.write(mqtt5.UnsubscribePacket(_SUBSCRIBE_ID, [name]).write())

    def _refuse(self, problem: str) -> None:
        hint = "check INGEST_BROKER__USERNAME, INGEST_BROKER_PASSWORD and the broker's ACL"
        if not self.subscribed.done():
            self.subscribed.set_exception(BrokerRefusedError(f"{problem}; {hint}"))
            self.subscribed.exception()  # Seen, as above.
        self.drop(problem)

    def write(self, data: bytes) -> None:
        """Write, unless the connection is closing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Leave what comes to the broker."""
        self._deaf = True  # Then silence says nothing of the broker.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again."""
        self._deaf, self._heard = False, True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def break_off(self, problem: str) -> None:
        """Cut the connection because of what the broker did: it would do so again at once."""
        self.at_fault = True
        self._buffer = bytearray()  # A codec that has failed may still hold the old one.
        self.drop(problem)

    def drop(self, problem: str) -> None:
        """Cut the connection; everything unacknowledged will be delivered again."""
        self.problem = problem
        if self._transport is not None:
            self._transport.abort()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Write one QoS 1 message once the broker's window has room."""
        packet_id = self._take_id()
        while packet_id is None:
            self._id_is_free.clear()
            await self._id_is_free.wait()
            if self.closed.is_set():
                return
            packet_id = self._take_id()
        packet = mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id
        )
        self.write(packet.write())
        await self.writable.wait()

    def _take_id(self) -> int | None:
        """A packet number that is not in use; None: all are."""
        if self._freed_ids:
            packet_id = self._freed_ids.popleft()
        elif self._last_id < self._ids_max:
            packet_id = self._last_id = self._last_id + 1
        else:
            return None
        self._used_ids.add(packet_id)
        return packet_id

    async def keep_alive(self) -> None:
        """Ping, and drop a broker that says nothing for a whole interval."""
        while not self.closed.is_set():
            self._heard = False
            self.write(_PING)
            await asyncio.sleep(self._settings.keep_alive_s / 2)
            if not self._heard and not self._deaf:
                self.drop("the broker has been silent for half the keep-alive interval")

    async def unsubscribe(self) -> None:
        """Have the broker assign nothing more to this session; what it has, it still delivers.

        Returns when it says so, or when the connection is gone.
        """
        self._unsubscribed.clear()
        self._leave_group(share_group(self._password))
        await self._unsubscribed.wait()

    async def leave(self, *, for_good: bool = False) -> None:
        """Say goodbye. The broker holds what comes meanwhile, or ends the session ``for_good``."""
        expiry_s = 0 if for_good else None
        self.write(mqtt5.DisconnectPacket(session_expiry_interval=expiry_s).write())
        if self._transport is not None:
            self._transport.close()
        await self.closed.wait()


def _read(view: memoryview) -> tuple[mqtt5.Packet, int]:
    """Read one packet. Raises ``IndexError`` for half of one, ``ValueError`` for none.

    The codec panics on text that is no UTF-8 (seen in 0.8.0): that ends the connection, like any
    other nonsense, and not the process.
    """
    try:
        return mqtt5.read(view)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        msg = "text in a packet is no UTF-8"
        raise ValueError(msg) from None
