"""Hears what gateways say of themselves and keeps the latest of each, beside the readings.

One worker of all listens, elected by a lock of the database; the others stand by. It must never
hold up a reading: its own connections, no receipts, no acknowledgement; while the broker or the
database is away it waits and tries again. Invariants: what is held is bounded, and what is dropped
then is said again within a minute; a message that is no status changes nothing and is counted.
"""

import asyncio
import random
import ssl
from datetime import datetime
from typing import Final

import aiomqtt
import structlog
from aiomqtt import Message
from pydantic import ValidationError

from gateway.wire.status import Status, parse_status
from gateway.wire.times import Clock
from gateway.wire.topics import ROOT, parse_topic
from ingest.db import gateway_status
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError, UnstorableError, translated
from ingest.metrics import IngestMetrics
from ingest.settings import IngestSettings

_LOG = structlog.get_logger()
_LOCK: Final = int.from_bytes(b"status", "big")
_ELECT: Final = "SELECT pg_try_advisory_lock(%s)"
_STAND_BY_S: Final = 1.0
_WAITING_MAX: Final = 5_000  # More than gateways of a city: all retained ones come at once.
_GOODBYE_S: Final = 3.0
_RETRY_S_MAX: Final = 30.0


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
            except (aiomqtt.MqttError, DatabaseUnavailableError) as error:
                failures += 1
                wait_s = min(_RETRY_S_MAX, 0.2 * 2 ** min(failures, 10))
                wait_s *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("statuses_unheard", problem=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _listen(self) -> None:
        """Until a connection breaks."""
        dsn = self._settings.db_dsn.get_secret_value()
        async with await connect(
            dsn, application_name="suifang-statuses", autocommit=True
        ) as connection:
            await self._await_election(connection)
            async with self._client() as client:
                await client.subscribe(f"{ROOT}/+/+/status", qos=0)
                async for message in client.messages:
                    await self._keep(connection, message)

    async def _await_election(self, connection: Connection) -> None:
        while True:
            with translated():
                row = await (await connection.execute(_ELECT, (_LOCK,))).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(_STAND_BY_S)

    def _client(self) -> aiomqtt.Client:
        broker = self._settings.broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=self._settings.broker_password.get_secret_value(),
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=broker.keep_alive_s,
            timeout=_GOODBYE_S,
            max_queued_incoming_messages=_WAITING_MAX,
            tls_context=self._tls,
        )

    async def _keep(self, connection: Connection, message: Message) -> None:
        topic = parse_topic(str(message.topic))
        payload = message.payload
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
