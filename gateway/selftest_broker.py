"""The way to the broker, step by step: name, connection, TLS, credentials, rights, and back.

While the gateway runs, the steps end before MQTT: a second session of the same name would throw
the first out; its own status is looked at instead. Otherwise this test is the gateway for a
moment, in the gateway's own kept session, and acknowledges nothing that it is sent: receipts and
commands come again.
"""

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, TypeAlias

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.errors import SettingsError
from gateway.settings import GatewaySettings
from gateway.status_report import BoxReport, Life
from gateway.tls import build_context
from gateway.wire.status import Status, write_status
from gateway.wire.times import Clock
from gateway.wire.topics import Channel, Topic

Told: TypeAlias = tuple[str, str, str, str]
"""Step, verdict, what was found, remedy; see ``selftest.Step``."""

_EVENTS_MAX: Final = 256
_FAILURE: Final = 128  # MQTT 5: a reason from here on is one.
_RIGHTS: Final = "check the broker's access rules (deploy/mosquitto/acl) and [gateway] id"
_Event: TypeAlias = tuple[str, Any]


def try_broker(settings: GatewaySettings, box: BoxReport, clock: Clock) -> Iterator[Told]:
    """Go as far as it goes; a step that fails is the last."""
    host, port = settings.broker_host, settings.broker_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = "check [broker] host, /etc/resolv.conf and the network"
        yield "broker name", "bad", f"{host}: {error.strerror or error}", remedy
        return
    addresses = sorted({str(each[4][0]) for each in found})
    yield "broker name", "good", f"{host} is {', '.join(addresses)}", ""
    try:
        line = socket.create_connection((host, port), timeout=settings.connect_s_max)
    except OSError as error:
        remedy = "is the broker up, the port right, a firewall between? Readings wait meanwhile"
        yield "broker line", "bad", f"{host}:{port}: {error.strerror or error}", remedy
        return
    with line:
        yield "broker line", "good", f"{host}:{port} answers", ""
        encrypted = _try_tls(settings, line)
    yield encrypted
    if encrypted[1] == "bad":
        return
    if box.life is Life.RUNNING and box.state is not None:
        if box.state.status.online:
            yield "broker session", "good", "the running gateway is connected", ""
        else:
            remedy = "see its log: journalctl -u suifang-gateway. Stopped, this test says more"
            yield "broker session", "bad", "the running gateway is not connected", remedy
        return
    yield from _try_session(settings, box, clock)


def _try_tls(settings: GatewaySettings, line: socket.socket) -> Told:
    if settings.tls is None:
        return "broker TLS", "doubtful", "not used: others on the way can read along", "set [tls]"
    try:
        context = build_context(settings.tls)
        with context.wrap_socket(line, server_hostname=settings.broker_host) as safe:
            said = f"{safe.version()}, the broker's name and authority are right"
    except SettingsError as error:
        return "broker TLS", "bad", str(error), "suifang gateway enroll; docs/enrolment.md"
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "verify_message", "") or error.strerror or str(error)
        return "broker TLS", "bad", reason, "check [tls], the box's clock and the broker's name"
    return "broker TLS", "good", said, ""


def _try_session(settings: GatewaySettings, box: BoxReport, clock: Clock) -> Iterator[Told]:
    said = Status(online=False, at=clock()) if box.state is None else box.state.status
    talk = _Talk(settings, write_status(said.model_copy(update={"online": False})))
    try:
        yield from talk.run()
    finally:
        talk.close()


class _Talk:
    """One session; paho's thread puts what happens into a queue."""

    def __init__(self, settings: GatewaySettings, status: bytes) -> None:
        self._settings = settings
        self._status = status
        self._events: queue.Queue[_Event] = queue.Queue(maxsize=_EVENTS_MAX)
        self._echoed = threading.Event()
        self._client = self._build_client()

    def run(self) -> Iterator[Told]:
        """Connect, subscribe, publish the status, hear it back."""
        reason = self._connect()
        user = self._settings.id
        if reason is not None:
            remedy = (
                "enrol the box again, or have its certificate looked at: docs/enrolment.md"
                if self._settings.tls is not None
                else "check [gateway] id and [broker] password_file; is the gateway a user there?"
            )
            yield "broker login", "bad", f"{user}: {reason}", remedy
            return
        yield "broker login", "good", f"the broker knows {user}", ""
        reasons = self._subscribe("receipts", "commands", "status")
        if reasons is None or any(each.value >= _FAILURE for each in reasons):
            yield "broker reading", "bad", "may not read its receipts and commands", _RIGHTS
            return
        yield "broker reading", "good", "may read its receipts and commands", ""
        published = self._publish()
        if published is None or published.value >= _FAILURE:
            why = "no answer" if published is None else str(published)
            yield "broker writing", "bad", f"may not write its status: {why}", _RIGHTS
            return
        yield "broker writing", "good", "may write its status", ""
        if not self._echoed.wait(self._settings.connect_s_max):
            yield "broker echo", "bad", "its own status did not come back", _RIGHTS
            return
        yield "broker echo", "good", "its own status came back", ""

    def close(self) -> None:
        """Leave the session as it was: no subscription more, nothing acknowledged."""
        if self._client.is_connected():
            self._client.unsubscribe(self._topic("status"))
            self._await("unsubscribed")
        self._client.disconnect()
        self._client.loop_stop()

    def _connect(self) -> str | None:
        """None when it is connected, else why not."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receipts_waiting_max
        try:
            self._client.connect(
                settings.broker_host,
                settings.broker_port,
                keepalive=settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            return str(error)
        self._client.loop_start()
        reason = self._await("connected", "lost")
        if reason is None:
            return f"no answer within {settings.connect_s_max} s"
        return str(reason) if reason.is_failure or reason.value >= _FAILURE else None

    def _subscribe(self, *channels: Channel) -> Any:  # noqa: ANN401 - paho's reasons
        self._client.subscribe([(self._topic(channel), 1) for channel in channels])
        return self._await("subscribed")

    def _publish(self) -> Any:  # noqa: ANN401 - paho's reason
        self._client.publish(self._topic("status"), self._status, qos=1, retain=True)
        return self._await("published")

    def _await(self, *kinds: str) -> Any:  # noqa: ANN401 - by kind
        """The next event of these kinds; None when none comes in time."""
        with suppress(queue.Empty):
            while True:
                kind, said = self._events.get(timeout=self._settings.connect_s_max)
                if kind in kinds:
                    return said
        return None

    def _topic(self, channel: Channel) -> str:
        return str(Topic(self._settings.centre, self._settings.id, channel))

    def _build_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"gateway-{settings.id}",
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(settings.id, settings.broker_password)
        if settings.tls is not None:
            client.tls_set_context(build_context(settings.tls))
        client.connect_timeout = float(settings.connect_s_max)
        client.on_connect = lambda _c, _d, _f, reason, _p: self._put("connected", reason)
        client.on_disconnect = lambda _c, _d, _f, reason, _p: self._put("lost", reason)
        client.on_subscribe = lambda _c, _d, _m, reasons, _p: self._put("subscribed", reasons)
        client.on_unsubscribe = lambda *_: self._put("unsubscribed", True)  # noqa: FBT003 - it was
        client.on_publish = lambda _c, _d, _m, reason, _p: self._put("published", reason)
        client.on_message = self._on_message
        return client

    # From here on: in paho's thread.

    def _put(self, kind: str, said: object) -> None:
        if not self._events.full():
            self._events.put_nowait((kind, said))

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == self._topic("status"):
            client.ack(message.mid, message.qos)
            if message.payload == self._status:  # And not the one retained before.
                self._echoed.set()
