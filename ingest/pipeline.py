"""The flow of the ingest process, and the one place that starts its tasks.

    broker ──▶ source ──deliveries──▶ collect ──batch──▶ decoder ──▶ writer ──COMMIT──▶ source
               (mqtt5)   (window)     (size, age)        (thread)    (1 connection)     receipts,
                                                                                        then PUBACK

A batch is collected when the writer is free, so what arrives during a commit shares the next
one: the busier the database, the larger the batch. Bounds (I8): ``deliveries`` holds at most
the MQTT receive window; a slow database fills it, then the broker keeps the rest. If the
database is gone the same batch is tried again until it is back, unacknowledged all the while.
Any other error ends the process: its supervisor starts it again and the broker redelivers.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from gateway.wire.errors import WireError
from gateway.wire.times import Clock
from ingest.db import readings, residents
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.quarantine import QuarantineRow
from ingest.decoder import decode, refusal
from ingest.deliveries import Accepted, Decoded, Delivery
from ingest.emergencies import EmergencyRaiser
from ingest.settings import BatchSettings, IngestSettings
from ingest.source import Source
from ingest.writer import Writer
from rules.limits import ProfileTable

_LOG = structlog.get_logger()
_GATEWAYS_S_MAX = 60.0  # An enrolment is seen after this long at the latest ...
_GATEWAYS_S_MIN = 1.0  # ... and a stranger makes us look again at most this often.


class GatewayRegister:
    """The enrolled gateways, kept fresh: looked up again when a stranger speaks."""

    def __init__(self) -> None:
        self.centres: Mapping[str, str] = {}
        self._loaded_at = float("-inf")

    async def refresh(self, connection: Connection, *, stranger: bool) -> None:
        """Load the register if it is old, or if someone unknown has sent something."""
        age_s = asyncio.get_running_loop().time() - self._loaded_at
        if age_s > (_GATEWAYS_S_MIN if stranger else _GATEWAYS_S_MAX):
            self.centres = await residents.list_gateways(connection)
            self._loaded_at = asyncio.get_running_loop().time()


async def collect(
    deliveries: "asyncio.Queue[Delivery]",
    limits: BatchSettings,
    taken: Callable[[list[Delivery]], None],
) -> list[Delivery]:
    """Wait for a delivery, then for more until a limit of the batch is reached.

    Cancellation loses nothing: what is not acknowledged is redelivered.
    """
    batch = [await deliveries.get()]
    size = len(batch[0].payload)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.age_ms_max / 1_000):
            while len(batch) < limits.messages_max and size < limits.bytes_max:
                delivery = await deliveries.get()
                batch.append(delivery)
                size += len(delivery.payload)
    taken(batch)
    return batch


def refuse(decoded: Decoded, accepted: Accepted, error: WireError, at: datetime) -> QuarantineRow:
    """File a reading that decoded well under a reason that only the database knew."""
    return refusal(
        accepted.raw,
        error,
        topic_text=decoded.delivery.topic,
        topic=decoded.topic,
        batch_id=decoded.batch_id,
        reading_id=accepted.row.id,
        received_at=at,
    )


class Pipeline:
    """One ingest worker."""

    def __init__(self, settings: IngestSettings, limits: ProfileTable, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue(
            maxsize=settings.broker.receive_window
        )
        self.source = Source(settings.broker, settings.broker_password, self._deliveries)
        self._register = GatewayRegister()
        self._writer = Writer(EmergencyRaiser(limits), refuse)

    async def run(self) -> None:
        """Run until cancelled; what is in flight then is redelivered to the next worker."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.source.run(), name="source")
            tasks.create_task(self._run_writer(), name="writer")

    async def _run_writer(self) -> None:
        """Store batches one after another over as many connections as it takes.

        A batch is kept over a lost connection: whether its COMMIT arrived is unknown then,
        and storing it again finds its ids known.
        """
        batch: list[Delivery] | None = None
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    while True:
                        batch = batch or await self._collect()
                        await self._store(connection, batch)
                        batch, failures = None, 0
            except DatabaseUnavailableError as error:
                failures += 1
                wait = min(self._settings.database_retry_s_max, 0.05 * 2 ** min(failures, 10))
                wait *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("database_unavailable", problem=str(error), retry_in_s=round(wait, 2))
                await asyncio.sleep(wait)

    async def _collect(self) -> list[Delivery]:
        return await collect(self._deliveries, self._settings.batch, self.source.taken)

    async def _connect(self) -> Connection:
        dsn = self._settings.db_dsn.get_secret_value()
        name = f"suifang-{self._settings.broker.client_id}"
        connection = await connect(dsn, application_name=name, autocommit=True)
        with translated():
            await readings.prepare(connection)
        return connection

    async def _store(self, connection: Connection, batch: list[Delivery]) -> None:
        at = self._clock()
        await self._register.refresh(connection, stranger=False)
        decoded = await asyncio.to_thread(self._decode, batch, at)
        if any(_is_stranger(item, self._register.centres) for item in decoded):
            await self._register.refresh(connection, stranger=True)
            decoded = await asyncio.to_thread(self._decode, batch, at)
        settled = await self._writer.store(connection, decoded, at=at)
        await self.source.settle(settled)

    def _decode(self, batch: list[Delivery], at: datetime) -> list[Decoded]:
        return [decode(item, self._register.centres, received_at=at) for item in batch]


def _is_stranger(decoded: Decoded, centres: Mapping[str, str]) -> bool:
    """Not enrolled, or not at this centre, as far as we know."""
    topic = decoded.topic
    return topic is not None and centres.get(topic.gateway) != topic.centre
