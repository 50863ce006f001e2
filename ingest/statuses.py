"""Hears what gateways say of themselves and keeps the latest of each, beside the readings.

One worker of all listens, elected by a lock of the database; the others stand by. It must never
hold up a reading: its own connections, no receipts, no acknowledgement; while the broker or the
database is away it waits and tries again. Paho's thread speaks with the broker, not the event loop
of the readings: there a socket that dies at a bad moment ends the process. Invariants: what is held
is bounded, and what is dropped then is said again within a minute; a message that is no status
changes nothing and is counted.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from gateway.wire.status import Status, parse_status
from gateway.wire.times import Clock
from gateway.wire.topics import ROOT, parse_topic
from ingest.db import gateway_status
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, UnstorableError, translated
from ingest.metrics import IngestMetrics
from ingest.settings import IngestSettings

_LOG = structlog.get_logger()
_LOCK: Final = int.from_bytes(b"status", "big")
_ELECT: Final = "SELECT pg_try_advisory_lock(%s)"
_STAND_BY_S: Final = 1.0
_WAITING_MAX: Final = 5_000  # More than gateways of a city: all retained ones come at once.
_CONNECT_S: Final = 3.0
_RETRY_S_MAX: Final = 30.0
_TOPIC: Final = f"{ROOT}/+/+/status"


class StatusKeeper:
    """The listener of one worker."""

    def __init__(self, settings: IngestSettings, metrics: IngestMetrics, clock: Clock) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        if settings.broker.ca_file is not None:  # Checks the broker's name, too.
            self._tls = ssl.create_default_context(cafile=settings.broker.ca_file)
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def run(self) -> None:
        """Listen, or stand by, until cancelled."""
        failures = 0
        while True:
            try:
                await self._listen()
                failures = 0
            except DatabaseUnavailableError as error:
                failures += 1
                wait_s = min(_RETRY_S_MAX, 0.2 * 2 ** min(failures, 10))
                wait_s *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("statuses_unheard", problem=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _listen(self) -> None:
        """Until the database is away."""
        dsn = self._settings.db_dsn.get_secret_value()
        async with await connect(
            dsn, application_name="suifang-statuses", autocommit=True, role=ProcessRole.INGEST
        ) as connection:
            await self._await_election(connection)
            async with self._hearing() as heard:
                while True:
                    await self._keep(connection, await heard.get())

    async def _await_election(self, connection: Connection) -> None:
        while True:
            with translated():
                row = await (await connection.execute(_ELECT, (_LOCK,))).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(_STAND_BY_S)

    @asynccontextmanager
    async def _hearing(self) -> AsyncIterator[asyncio.Queue[mqtt.MQTTMessage]]:
        """What the broker sends, while it is there; paho looks for it again by itself."""
        loop, client = asyncio.get_running_loop(), self._client()
        heard: asyncio.Queue[mqtt.MQTTMessage] = asyncio.Queue(_WAITING_MAX)

        def hold(message: mqtt.MQTTMessage) -> None:
            if heard.full():
                self._metrics.statuses.labels("dropped").inc()
            else:
                heard.put_nowait(message)

        def take(_: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:  # noqa: ANN401 - paho's
            loop.call_soon_threadsafe(hold, message)

        client.on_message = take
        client.connect_async(
            self._settings.broker.host,
            self._settings.broker.port,
            keepalive=self._settings.broker.keep_alive_s,
        )
        client.loop_start()
        try:
            yield heard
        finally:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)  # At most ``_CONNECT_S``.

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        broker = self._settings.broker
        client.username_pw_set(broker.username, self._settings.broker_password.get_secret_value())
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = _CONNECT_S
        client.reconnect_delay_set(1, int(_RETRY_S_MAX))
        client.on_connect = _subscribe
        client.on_disconnect = lambda _c, _d, _f, reason, _p: _warn(reason)
        return client

    async def _keep(self, connection: Connection, message: mqtt.MQTTMessage) -> None:
        topic = parse_topic(str(message.topic))
        payload = bytes(message.payload)
        if topic is None or not payload:
            return  # An empty one takes a retained status back.
        try:
            status = parse_status(payload)
        except ValidationError:
            self._metrics.statuses.labels("refused").inc()
            return
        try:
            kept = await gateway_status.put(
                connection,
                topic.gateway,
                topic.centre,
                status,
                heard_at=self._heard_at(status, retained=bool(message.retain)),
            )
        except UnstorableError as error:
            _LOG.warning("status_unstorable", gateway=topic.gateway, problem=str(error))
            kept = False
        self._metrics.statuses.labels("kept" if kept else "refused").inc()

    def _heard_at(self, status: Status, *, retained: bool) -> datetime:
        """Now; what the broker had kept was said when the gateway says, if its clock is known."""
        now = self._clock()
        known = status.clock is None or status.clock.known
        if not retained or status.at is None or not known:
            return now
        return min(status.at, now)


def _subscribe(client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:  # noqa: ANN401 - paho's
    if reason.is_failure:
        _warn(reason)
    else:
        client.subscribe(_TOPIC, qos=0)


def _warn(reason: ReasonCode) -> None:
    if reason.is_failure:
        _LOG.warning("statuses_unheard", problem=f"the broker is away: {reason}")
