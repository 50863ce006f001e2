"""Sends one command to a gateway and waits for its answer in the gateway's status.

One MQTT session, never kept: the command waits at the broker for a gateway that is away, until
it expires. The broker drops it then; a gateway that gets it late refuses it.
"""

import queue
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from gateway.wire.commands import Command, write_command
from gateway.wire.status import CommandResult, Status, parse_status
from gateway.wire.times import Clock
from gateway.wire.topics import ROOT, Topic, parse_topic

_Found = TypeVar("_Found")
_SAID_MAX: Final = 20_000  # More than gateways of one deployment.
_FAILURE: Final = 128  # MQTT 5: a reason from here on is one.


class SendingError(Exception):
    """The command could not be handed over; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """Where the broker is, and who we are there."""

    host: str
    port: int
    user: str
    password: str | None
    tls: ssl.SSLContext | None = None
    connect_s_max: float = 10.0


class CommandSender(AbstractContextManager["CommandSender"]):
    """Connected for the length of the block; hears the status of one gateway, or of all."""

    def __init__(
        self, access: BrokerAccess, gateway: str, centre: str | None, clock: Clock
    ) -> None:
        """Nothing happens before the block.

        Args:
            access: Of a user that may write commands and read statuses.
            gateway: Its id; ``+`` to hear all of them.
            centre: Where it stands; None: as its retained status says.
            clock: The time.
        """
        self._access = access
        self._gateway = gateway
        self._centre = centre
        self._clock = clock
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=_SAID_MAX)
        self._client = self._build_client()

    def __enter__(self) -> Self:
        """Connect and listen. Raises ``SendingError``."""
        access = self._access
        where = f"{access.host}:{access.port}"
        try:
            self._client.connect(access.host, access.port, clean_start=True)
        except (OSError, ValueError) as error:
            msg = f"the broker at {where} cannot be reached: {error}. Is it running?"
            raise SendingError(msg) from error
        self._client.loop_start()
        kind, said = self._next(access.connect_s_max)
        if kind != "subscribed":
            self._client.loop_stop()
            msg = f"the broker at {where} refuses user {access.user}: {said}. Check the password"
            raise SendingError(msg)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, command: Command, *, wait_s: float, find_s: float = 3.0) -> CommandResult | None:
        """Send it and wait for its result; None: none came in time, the gateway may be away.

        Raises:
            SendingError: The gateway was never seen and no centre was named, or the broker
                refused the command.
        """
        centre = self._centre or self._find_centre(find_s)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        left = command.expires_at - self._clock()
        properties.MessageExpiryInterval = max(left // timedelta(seconds=1), 1)
        self._client.publish(
            str(Topic(centre, self._gateway, "commands")),
            write_command(command),
            qos=1,
            properties=properties,
        )
        return self._await_result(command, wait_s)

    def collect(self, *, quiet_s: float, within_s: float) -> list[tuple[Topic, Status]]:
        """The statuses that the broker has kept, until none has come for ``quiet_s``; by topic.

        Raises:
            SendingError: The connection broke.
        """
        found: dict[Topic, Status] = {}
        end = self._clock() + timedelta(seconds=within_s)
        while self._clock() < end:
            kind, said = self._next(quiet_s)
            if kind == "silence":
                break
            if kind == "lost":
                raise _broken(said)
            if kind == "status":
                found[said[0]] = said[1]
        return sorted(found.items(), key=lambda item: str(item[0]))

    def _find_centre(self, within_s: float) -> str:
        def find(kind: str, said: Any) -> str | None:  # noqa: ANN401 - by kind
            return str(said[0].centre) if kind == "status" else None

        centre = self._first(within_s, find)
        if centre is None:
            msg = (
                f"gateway {self._gateway} has never said where it is. Check the name, or say its"
                " --centre"
            )
            raise SendingError(msg)
        return centre

    def _await_result(self, command: Command, within_s: float) -> CommandResult | None:
        def find(kind: str, said: Any) -> CommandResult | None:  # noqa: ANN401 - by kind
            if kind == "published" and said.value >= _FAILURE:
                msg = (
                    f"the broker refused the command: {said}. May user {self._access.user} write"
                    " commands (access rules)?"
                )
                raise SendingError(msg)
            if kind != "status":
                return None
            results: list[CommandResult] = said[1].commands
            return next((result for result in results if result.id == command.id), None)

        return self._first(within_s, find)

    def _first(self, within_s: float, find: Callable[[str, Any], _Found | None]) -> _Found | None:
        """What ``find`` makes of the first event that it makes something of; None at the end."""
        end = self._clock() + timedelta(seconds=within_s)
        while (left_s := (end - self._clock()).total_seconds()) > 0:
            kind, said = self._next(left_s)
            if kind == "lost":
                raise _broken(said)
            if kind == "silence":
                return None
            if (found := find(kind, said)) is not None:
                return found
        return None

    def _next(self, within_s: float) -> tuple[str, Any]:
        try:
            return self._events.get(timeout=within_s)
        except queue.Empty:
            return "silence", f"no answer within {within_s:g} s"

    def _build_client(self) -> mqtt.Client:
        access = self._access
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.username_pw_set(access.user, access.password)
        client.connect_timeout = access.connect_s_max
        if access.tls is not None:
            client.tls_set_context(access.tls)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._put("subscribed", None)
        client.on_disconnect = lambda _c, _d, _f, reason, _p: self._put("lost", reason)
        client.on_publish = lambda _c, _d, _m, reason, _p: self._put("published", reason)
        client.on_message = self._on_message
        return client

    # From here on: in paho's thread.

    def _put(self, kind: str, said: object) -> None:
        if not self._events.full():
            self._events.put_nowait((kind, said))

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        if reason.is_failure:
            self._put("refused", reason)
        else:
            client.subscribe(f"{ROOT}/{self._centre or '+'}/{self._gateway}/status", qos=1)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        topic = parse_topic(message.topic)
        try:
            status: Status = parse_status(bytes(message.payload))
        except ValidationError:
            return  # Of another version, or nonsense: the answer is in none of those.
        if topic is not None:
            self._put("status", (topic, status))


def _broken(reason: object) -> SendingError:
    return SendingError(f"the connection to the broker broke: {reason}. Try again")
