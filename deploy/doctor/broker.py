"""The broker: asked as ingest asks it, and its configuration compared with ours, line by line.

It subscribes to nothing and publishes nothing, under a client id of its own: no session of a worker
is taken over.
"""

import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from deploy.doctor import broker_access
from deploy.doctor.findings import Finding, failed, fine, warned
from ingest.settings import MESSAGE_BYTES_MAX, IngestSettings

_AREA: Final = "broker"
SHIPPED: Final = Path(__file__).parents[1] / "mosquitto" / "mosquitto.conf"
_ANSWER_S_MAX: Final = 10.0
_FREE: Final = re.compile(r"log_|autosave_|persistent_client_expiration|set_tcp_nodelay")
"""What may differ without a word: taste, and how much a crash of the broker makes sent again."""


def check_session(settings: IngestSettings) -> Iterator[Finding]:
    """Log in as ingest does."""
    broker = settings.broker
    where = f"{broker.host}:{broker.port}"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(broker.username, settings.broker_password.get_secret_value())
    client.connect_timeout = _ANSWER_S_MAX
    if broker.ca_file is not None:
        context = ssl.create_default_context(cafile=broker.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        client.tls_set_context(context)
    answered = threading.Event()
    answer: list[tuple[ReasonCode, Properties | None]] = []

    def hear(
        _: mqtt.Client,
        __: Any,  # noqa: ANN401 - paho's
        ___: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        answer.append((reason, properties))
        answered.set()

    client.on_connect = hear
    try:
        client.connect(broker.host, broker.port)
    except (OSError, ssl.SSLError) as error:
        remedy = "start the broker, or correct INGEST_BROKER__HOST, __PORT and __CA_FILE"
        yield failed(_AREA, "session", f"{where}: {error.strerror or error}", remedy)
        return
    client.loop_start()
    answered.wait(_ANSWER_S_MAX)
    client.disconnect()
    client.loop_stop()
    if not answer:
        remedy = "is this an MQTT broker, and is TLS set on both sides or on none?"
        yield failed(_AREA, "session", f"{where} does not answer", remedy)
        return
    yield from _judge_answer(where, broker.username, *answer[0])


def _judge_answer(
    where: str, user: str, reason: ReasonCode, properties: Properties | None
) -> Iterator[Finding]:
    if reason.is_failure:
        remedy = f"correct INGEST_BROKER_PASSWORD, or mosquitto_passwd FILE {user}, then restart it"
        yield failed(_AREA, "session", f"{where} refuses {user}: {reason}", remedy)
        return
    yield fine(_AREA, "session", f"{where} lets {user} in")
    size = getattr(properties, "MaximumPacketSize", None)
    if size is not None and size < MESSAGE_BYTES_MAX:
        remedy = f"max_packet_size {MESSAGE_BYTES_MAX} in mosquitto.conf, then restart it"
        yield failed(_AREA, "packet-size", f"packets of {size} bytes at most", remedy)
    else:
        yield fine(_AREA, "packet-size", "a whole batch fits into a packet")
    if getattr(properties, "SharedSubscriptionAvailable", 1) == 0:
        remedy = "allow shared subscriptions: several workers need them"
        yield failed(_AREA, "shared-subscriptions", "not available", remedy)
    else:
        yield fine(_AREA, "shared-subscriptions", "available")


def check_configuration(path: Path) -> Iterator[Finding]:
    """A configuration beside ours; what it includes counts as its own."""
    try:
        lines = list(_read(path))
    except OSError as error:
        remedy = "name the file the broker is started with"
        yield failed(_AREA, "configuration", f"{path}: {error.strerror}", remedy)
        return
    theirs = dict(lines)
    yield from broker_access.check_access(lines)
    differs = False
    for name, value in _read(SHIPPED):
        found = theirs.get(name)
        if found == value or _FREE.match(name):
            continue
        differs = True
        said = "is not set" if found is None else f"is {found}"
        remedy = f"write `{name} {value}` into {path}, then restart the broker (never SIGHUP)"
        judge = failed if name in {"allow_anonymous", "persistence"} else warned
        yield judge(_AREA, name, f"{name} {said}; ours is {value}", remedy)
    if "max_keepalive" in theirs:
        differs = True
        remedy = "take it out: 2.0.21 then disconnects healthy clients (mosquitto#3226)"
        yield failed(_AREA, "max_keepalive", "max_keepalive is set", remedy)
    if not differs:
        yield fine(_AREA, "configuration", f"{path} says what {SHIPPED.name} says")


def _read(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        name, _, value = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        if name == "include_dir":
            for each in sorted(Path(value.strip()).glob("*.conf")):
                yield from _read(each)
        yield name, value.strip()
