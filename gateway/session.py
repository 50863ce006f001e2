"""The MQTT 5 session, on paho-mqtt's own thread; everything it says arrives in the event loop.

The session outlives the connection (clean start off, with an expiry), so receipts wait at
the broker and paho sends unacknowledged batches again by itself after a reconnect. A
receipt is acknowledged by hand, after the spool has acted on it: the broker's receive
window therefore bounds what can wait here; a command likewise. What the retained ``status`` says
is ``describe``'s business (``status``); the last will says offline. With TLS the certificate's
file is read before every connection, so a renewed one needs no restart (``reconnect``).
"""

import asyncio
import logging
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import SystemRandom
from typing import Final, Protocol, TypeGuard

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import SettingsError
from gateway.settings import GatewaySettings
from gateway.tls import build_context, load_certificate
from gateway.wire.topics import Channel, Topic
from gateway.wire.traces import TRACEPARENT

_LOG = logging.getLogger(__name__)
_QUEUED_MESSAGES: Final = 16  # More than batches in flight and a status.
_PACKET_BYTES_MAX: Final = 262_144


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on the receipt or command topic, not yet acknowledged."""

    payload: bytes
    packet: int
    connection: int  # Packet numbers mean nothing on a later connection.


class Listener(Protocol):
    """Who is told what happens; every call is made in the event loop."""

    def on_connection(self) -> None:
        """``Session.connected`` has changed."""

    def on_receipt(self, delivery: Delivery) -> None:
        """A receipt has arrived."""

    def on_command(self, delivery: Delivery) -> None:
        """A command has arrived."""

    def on_broker_ack(self, packet: int, reason: int) -> None:
        """The broker has a batch (PUBACK); from 128 on, reason says that it refused it."""


def _is_distrust(problem: BaseException | None) -> TypeGuard[ssl.SSLCertVerificationError]:
    return isinstance(problem, ssl.SSLCertVerificationError)


def _traced(traceparent: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = (TRACEPARENT, traceparent)
    return properties


class Session:
    """One gateway's session with the broker.

    Raises:
        SettingsError: A file for TLS cannot be used.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        listener: Listener,
        describe: Callable[[], bytes] = lambda: b'{"schema":1,"online":false}',
    ) -> None:
        """Nothing happens before ``start``; ``describe`` writes the offline status, any thread."""
        self._settings = settings
        self._listener = listener
        self._describe = describe
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._connection = 0  # Counts connections and their ends.
        self._unreachable = False
        self._welcomed = False  # The broker has answered on this connection.
        self._returning = False  # Disconnecting only to come back.
        self.connected = False
        self._tls = None if settings.tls is None else build_context(settings.tls)
        self._client = self._build_client()

    def start(self) -> None:
        """Begin to connect, and keep on for ever; returns at once."""
        self._connect()
        before = set(threading.enumerate())
        self._client.loop_start()
        name = f"paho-mqtt-client-{self._client_id}"
        found = [t for t in set(threading.enumerate()) - before if t.name == name]
        self._thread = found[0] if found else None

    def _connect(self) -> None:
        """Tell paho where to; its thread connects, or goes on, by itself."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receipts_waiting_max
        properties.MaximumPacketSize = _PACKET_BYTES_MAX
        self._client.connect_async(
            settings.broker_host,
            settings.broker_port,
            keepalive=settings.keepalive_s,
            clean_start=False,
            properties=properties,
        )

    @property
    def alive(self) -> bool:
        """Whether paho's thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def publish(
        self,
        channel: Channel,
        payload: bytes,
        *,
        retain: bool = False,
        traceparent: str | None = None,
    ) -> int | None:
        """Hand one message to the broker at QoS 1; return its packet number for the PUBACK.

        None: paho's queue is full and it has not taken the message; try again later.
        """
        said = self._client.publish(
            self._topic(channel),
            payload,
            qos=1,
            retain=retain,
            properties=None if traceparent is None else _traced(traceparent),
        )
        return None if said.rc == mqtt.MQTT_ERR_QUEUE_SIZE else said.mid

    def acknowledge(self, delivery: Delivery) -> None:
        """Tell the broker that a receipt was acted on; one of an older connection comes again."""
        if delivery.connection == self._connection:
            self._client.ack(delivery.packet, 1)

    def reconnect(self) -> None:
        """Leave and come back in a second, so that a renewed certificate is shown; returns at once.

        Nothing is lost by it and no last will sent. Without a connection there is nothing to do:
        the next one shows the certificate.
        """
        if self._client.is_connected():
            self._returning = True
            self._client.disconnect()

    async def close(self) -> None:
        """Say offline and disconnect within ``stop_s_max``; then leave the thread to die."""
        ended = asyncio.Event()

        def stop() -> None:
            if self._client.is_connected():
                said = self._client.publish(
                    self._topic("status"), self._describe(), qos=1, retain=True
                )
                with suppress(RuntimeError, ValueError):  # The connection broke meanwhile.
                    said.wait_for_publish(self._settings.stop_s_max / 2)
            self._client.disconnect()
            self._client.loop_stop()
            self._post(ended.set)

        threading.Thread(target=stop, daemon=True, name=f"stop-{self._client_id}").start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.stop_s_max):
                await ended.wait()

    @property
    def _client_id(self) -> str:
        return f"gateway-{self._settings.id}"

    def _build_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(settings.id, settings.broker_password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = float(settings.connect_s_max)
        # Two thousand gateways must not come back in the same second.
        slowest = settings.reconnect_s_max
        client.reconnect_delay_set(1, SystemRandom().randint((slowest + 1) // 2, slowest))
        client.max_queued_messages_set(_QUEUED_MESSAGES)
        client.will_set(self._topic("status"), self._describe(), qos=1, retain=True)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _topic(self, channel: Channel) -> str:
        return str(Topic(self._settings.centre, self._settings.id, channel))

    def _post(self, call: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # The loop is closed: the process is ending.
            self._loop.call_soon_threadsafe(call, *arguments)

    # From here on: in paho's thread.

    def _on_pre_connect(self, _client: mqtt.Client, _data: object) -> None:
        self._welcomed = False
        if self._tls is None or self._settings.tls is None:
            return
        try:
            load_certificate(self._tls, self._settings.tls)
        except SettingsError as error:  # The broker will refuse us; mended, it goes on by itself.
            _LOG.error("%s", error)

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        _flags: object,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        self._unreachable, self._welcomed = False, True
        if reason.is_failure:
            _LOG.warning("the broker refused the connection: %s", reason)
            return
        self._post(self._begin_connection)
        # Before any batch: no receipt may pass while nobody listens.
        client.subscribe([(self._topic("receipts"), 1), (self._topic("commands"), 1)])

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        if not self._unreachable:  # Once, not at every attempt of a long outage.
            self._unreachable = True
            host, port = self._settings.broker_host, self._settings.broker_port
            problem = sys.exception()  # Paho calls this while it handles it, and passes nothing on.
            why = f" ({problem.verify_message})" if _is_distrust(problem) else ""
            _LOG.warning("the broker at %s:%d cannot be reached%s; trying on", host, port, why)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: object,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if self._returning:  # Else paho's thread would end now.
            self._returning = False
            self._connect()
        if self._welcomed or self._tls is None:
            _LOG.info("disconnected from the broker: %s", reason)
        elif not self._unreachable:
            self._unreachable = True
            _LOG.warning(
                "the broker ends the connection before it answers; trying on. If it goes on: this"
                " gateway's certificate may have ended or been revoked, see suifang gateway enroll"
            )
        self._post(self._set_connected, False)  # noqa: FBT003 - as above

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == self._topic("receipts"):
            self._post(self._deliver, self._listener.on_receipt, message.payload, message.mid)
        elif message.topic == self._topic("commands"):
            self._post(self._deliver, self._listener.on_command, message.payload, message.mid)
        else:
            client.ack(message.mid, message.qos)  # Of an earlier version's subscription.

    def _on_publish(
        self,
        _client: mqtt.Client,
        _data: object,
        packet: int,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        self._post(self._listener.on_broker_ack, packet, reason.value)

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _data: object,
        _packet: int,
        reasons: list[ReasonCode],
        _p: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _LOG.error("the broker forbids reading receipts or commands: check the access rules")
        # The receipts that waited came before this answer: what they settle is not sent again.
        self._post(self._set_connected, True)  # noqa: FBT003 - one flag, named by the callee

    # Back in the event loop.

    def _begin_connection(self) -> None:
        self._connection += 1

    def _set_connected(self, connected: bool) -> None:  # noqa: FBT001 - a state, not an option
        if connected:
            _LOG.info("connected to the broker")
        else:
            self._connection += 1
        self.connected = connected
        self._listener.on_connection()

    def _deliver(self, take: Callable[[Delivery], None], payload: bytes, packet: int) -> None:
        take(Delivery(bytes(payload), packet, self._connection))
