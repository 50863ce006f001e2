"""The MQTT 5 sessions of one ingest worker, on the sans-I/O ``mqtt5`` codec.

A session for each channel: live readings, and the backlog of an outage.

It hands deliveries over in order and acknowledges them when told to, never by itself: that
is what no ready-made asyncio client allows (ADR 0002). Invariants:

- A PUBACK goes out only through ``settle``, after the caller's COMMIT (I2), and only on the
  connection that delivered; after a reconnect the broker delivers again with dup = 1.
- Receipts are written *before* the PUBACKs of the same transaction on the same stream: a
  broker that has seen the PUBACK has taken the receipt.
- Bounded (I8): the broker sends at most ``receive_window`` unacknowledged messages, and above
  ``bytes_waiting_max`` the socket is not read, so the broker keeps the rest.
"""

import asyncio
import random
from collections.abc import Sequence
from itertools import count
from typing import Final, cast

import mqtt5
import numpy as np
import structlog
from pydantic import SecretStr

from gateway.wire.topics import shared_filter
from ingest.arrivals import Arrivals
from ingest.deliveries import Delivery, Message
from ingest.metrics import IngestMetrics
from ingest.settings import BrokerSettings, SourceChannel

_LOG = structlog.get_logger()
_connections = count(1)
_PING: Final = mqtt5.PingReqPacket().write()
_SUBSCRIBE_ID: Final = 65_535  # Receipts count up from 1 and stay below.
_SOCKET_WAITING_MAX: Final = 1_000_000  # Bytes of receipts and PUBACKs before we wait.


class BrokerRefusedError(Exception):
    """The broker will never take this session: wrong password, forbidden topic, taken client id.

    Ends the process with what to correct; waiting would not help.
    """


class _Session(asyncio.Protocol):
    """One connection: bytes to packets, packets to the queue. No decisions, no retries."""

    def __init__(
        self, settings: BrokerSettings, password: SecretStr, source: "Source", number: int
    ) -> None:
        self._settings = settings
        self._password = password
        self._source = source
        self.number = number
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free_ids: asyncio.Queue[int] = asyncio.Queue(maxsize=_SUBSCRIBE_ID)
        self._heard = False
        self._deaf = False
        self.taken_over = False
        self.overrun = False
        self.problem = "the connection was closed by the broker"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # TCP, as asked for.
        transport.set_write_buffer_limits(high=_SOCKET_WAITING_MAX)
        self.writable.set()
        connect = mqtt5.ConnectPacket(
            self._source.client_id,
            username=self._settings.username,
            password=self._password.get_secret_value().encode(),
            clean_start=False,
            keep_alive=self._settings.keep_alive_s,
            session_expiry_interval=self._settings.session_expiry_s,
            receive_max=self._source.window,
        )
        transport.write(connect.write())

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.problem = str(error)
        self.closed.set()
        self.writable.set()
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError(self.problem))
            self.subscribed.exception()  # Seen: the waiter may have timed out meanwhile.

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._buffer += data
        used, number = 0, self.number
        deliveries: list[Delivery] = []
        with memoryview(self._buffer) as view:
            end = len(view)
            while used < end:
                try:
                    packet, size = mqtt5.read(view[used:])
                except IndexError:
                    break  # The rest of the packet is still on its way.
                except ValueError as error:
                    self.drop(f"the broker sent bytes that are no MQTT 5: {error}")
                    break
                used += size
                if type(packet) is mqtt5.PublishPacket and packet.packet_id is not None:
                    topic, payload, id_ = packet.topic, packet.payload, packet.packet_id
                    deliveries.append(Delivery(topic, payload, id_, number, packet.duplicate))
                else:
                    self._take(packet)
        del self._buffer[:used]
        if deliveries:
            self._source.take(deliveries)

    def _take(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                self._free_ids.put_nowait(packet.packet_id)
            case mqtt5.ConnAckPacket():
                self._connected(packet)
            case mqtt5.SubAckPacket():
                self._subscribed(packet)
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
        for packet_id in range(1, min(packet.receive_max, _SUBSCRIBE_ID - 1) + 1):
            self._free_ids.put_nowait(packet_id)
        name = shared_filter(self._source.channel)
        filters = [mqtt5.TopicFilter(name, max_qos=mqtt5.QoS.AT_LEAST_ONCE)]
        self.write(mqtt5.SubscribePacket(_SUBSCRIBE_ID, filters).write())

    def _subscribed(self, packet: mqtt5.SubAckPacket) -> None:
        granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        refused = [code.name for code in packet.reason_codes if code is not granted]
        if refused:
            self._refuse(f"the broker refused the subscription: {', '.join(refused)}")
        elif not self.subscribed.done():
            self.subscribed.set_result(None)

    def _refuse(self, problem: str) -> None:
        hint = "check INGEST_BROKER__USERNAME, INGEST_BROKER_PASSWORD and the broker's ACL"
        if not self.subscribed.done():
            self.subscribed.set_exception(BrokerRefusedError(f"{problem}; {hint}"))
        self.drop(problem)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        self._deaf = True  # Then silence says nothing of the broker.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._deaf, self._heard = False, True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def drop(self, problem: str) -> None:
        """Cut the connection; everything unacknowledged will be delivered again."""
        self.problem = problem
        if self._transport is not None:
            self._transport.abort()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Write one QoS 1 message once the broker's window has room."""
        if self._free_ids.empty():
            wait = asyncio.ensure_future(self._free_ids.get())
            closed = asyncio.ensure_future(self.closed.wait())
            await asyncio.wait({wait, closed}, return_when=asyncio.FIRST_COMPLETED)
            closed.cancel()
            if not wait.done():
                wait.cancel()
                return
            packet_id = wait.result()
        else:
            packet_id = self._free_ids.get_nowait()
        packet = mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id
        )
        self.write(packet.write())
        await self.writable.wait()

    async def keep_alive(self) -> None:
        """Ping, and drop a broker that says nothing for a whole interval."""
        while not self.closed.is_set():
            self._heard = False
            self.write(_PING)
            await asyncio.sleep(self._settings.keep_alive_s / 2)
            if not self._heard and not self._deaf:
                self.drop("the broker has been silent for half the keep-alive interval")

    async def leave(self) -> None:
        """Say goodbye and keep the session: the broker holds what comes meanwhile."""
        self.write(mqtt5.DisconnectPacket().write())
        if self._transport is not None:
            self._transport.close()
        await self.closed.wait()


class Source:
    """One channel's deliveries in, acknowledgements out, over as many connections as it takes."""

    def __init__(
        self,
        settings: BrokerSettings,
        password: SecretStr,
        channel: SourceChannel,
        arrivals: Arrivals,
        metrics: IngestMetrics,
    ) -> None:
        self._settings = settings
        self._password = password
        self.channel = channel
        self.client_id = settings.client_id_of(channel)
        self.window = settings.window_of(channel)
        self._arrivals = arrivals
        self._session: _Session | None = None
        self._paused = False
        self.connected = asyncio.Event()
        self.unacknowledged = 0  # Delivered on the present connection.
        self._received = metrics.received.labels(channel)
        self._losses = metrics.broker_losses.labels(channel)

    async def run(self) -> None:
        """Stay connected until cancelled; then leave, keeping the broker's session.

        Raises:
            BrokerRefusedError: The settings are wrong; waiting would not help.
        """
        failures = 0
        while True:
            try:
                await self._run_once()
                failures = 0
                self._losses.inc()
            except (OSError, TimeoutError) as error:
                failures += 1
                self._losses.inc()
                wait = min(self._settings.reconnect_s_max, 0.1 * 2 ** min(failures, 10))
                wait *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("broker_unreachable", problem=str(error), retry_in_s=round(wait, 2))
                await asyncio.sleep(wait)

    async def _run_once(self) -> None:
        self.unacknowledged = 0
        self._arrivals.forget()  # Nothing of it can be acknowledged any more; it comes again.
        session = _Session(self._settings, self._password, self, next(_connections))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._settings.timeout_s):
            await loop.create_connection(lambda: session, self._settings.host, self._settings.port)
        self._session, self._paused = session, False
        alive = asyncio.create_task(session.keep_alive(), name="keep-alive")
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await session.subscribed
            self.connected.set()
            _LOG.info("broker_connected", channel=self.channel, connection=session.number)
            await session.closed.wait()
            if session.taken_over:  # Never by ourselves: our old connection would be dead.
                msg = (
                    f"another process took over {self.client_id};"
                    " give each worker its own INGEST_BROKER__CLIENT_ID (ingest-0, ingest-1, ...)"
                )
                raise BrokerRefusedError(msg)
            _LOG.warning("broker_lost", problem=session.problem)
            if session.overrun:
                msg = "the broker sent more than the receive window"
                raise ConnectionError(msg)  # Back off; else it overruns us again at once.
        finally:
            self.connected.clear()
            alive.cancel()
            if not session.closed.is_set():
                await session.leave()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Called by the session for what it read. The window bounds the queue; so do bytes."""
        if not self._arrivals.put(deliveries):  # A broker that ignores our receive maximum.
            if self._session is not None:
                self._session.overrun = True
                self._session.drop("the broker sent more than the receive window")
            return
        self._received.inc(len(deliveries))
        self.unacknowledged += len(deliveries)
        too_much = self._arrivals.bytes_waiting > self._settings.bytes_waiting_max
        if too_much and not self._paused and self._session is not None:
            self._paused = True
            self._session.pause_reading()

    def go_on(self) -> None:
        """The pipeline has taken something from the queue; reading may go on."""
        room = self._arrivals.bytes_waiting <= self._settings.bytes_waiting_max // 2
        if self._paused and room and self._session is not None:
            self._paused = False
            self._session.resume_reading()

    async def settle(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> int:
        """Send receipts, then acknowledge, for a transaction that has committed.

        What was delivered on an earlier connection is left alone: the broker sends it again,
        ingest finds it known and answers then. If the connection breaks in here, likewise.

        Args:
            messages: Receipts of this channel's deliveries.
            deliveries: In order of arrival; those of the other channel are left alone.

        Returns:
            How many deliveries were acknowledged.
        """
        session = self._session
        if session is None or session.closed.is_set():
            return 0
        for message in messages:
            await session.publish(message.to.topic, message.payload)
        number = session.number  # Of this channel alone: connections are numbered across both.
        ids = [each.packet_id for each in deliveries if each.connection == number]
        session.write(_acknowledge(ids))
        self.unacknowledged = max(self.unacknowledged - len(ids), 0)
        await session.writable.wait()
        return len(ids)

    async def send_late(self, message: Message) -> None:
        """Send a receipt that was held back, on whatever connection there is."""
        if self._session is not None and not self._session.closed.is_set():
            await self._session.publish(message.to.topic, message.payload)


def _acknowledge(packet_ids: Sequence[int]) -> bytes:
    """PUBACKs with reason "success", in the order given (MQTT 5, 3.4)."""
    packets = np.empty(len(packet_ids), dtype=[("head", ">u2"), ("packet_id", ">u2")])
    packets["head"] = 0x4002
    packets["packet_id"] = packet_ids
    return packets.tobytes()
