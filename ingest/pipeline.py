"""The flow of the ingest process, and the one place that starts its tasks.

    broker ──live─────▶ source ──▶ arrivals ─┐
           ──backlog──▶ source ──▶ arrivals ─┴▶ collect ──▶ decoder ──▶ writer ──COMMIT──▶ sources
                       (mqtt5)    (window)    live first,   plain or    (one connection)   receipts,
                                              size, age     careful                        PUBACKs

A batch is collected when the writer is free, so what arrives during a commit shares the next
one: the busier the database, the larger the batch. Bounds (I8): ``arrivals`` hold at most the
MQTT receive window; a slow database fills them, then the broker keeps the rest. If the database
is gone the same batch is tried again until it is back, unacknowledged all the while.
Any other error ends the process: its supervisor starts it again and the broker redelivers.
"""

import asyncio
import random
from datetime import datetime

import structlog

from gateway.wire.errors import WireError
from gateway.wire.times import Clock
from ingest.arrivals import Arrivals, collect
from ingest.db import readings, residents
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.quarantine import QuarantineRow
from ingest.decoder import Senders, decode_block, refusal
from ingest.deliveries import Accepted, Decoded, Delivery
from ingest.emergencies import EmergencyRaiser
from ingest.settings import IngestSettings
from ingest.source import Source
from ingest.writer import Writer
from rules.limits import ProfileTable

_LOG = structlog.get_logger()
_GATEWAYS_S_MAX = 60.0  # An enrolment is seen after this long at the latest ...
_GATEWAYS_S_MIN = 1.0  # ... and a stranger makes us look again at most this often.


class GatewayRegister:
    """The enrolled gateways, kept fresh: looked up again when a stranger speaks."""

    def __init__(self) -> None:
        self.senders = Senders({})
        self._loaded_at = float("-inf")

    async def refresh(self, connection: Connection, *, stranger: bool) -> None:
        """Load the register if it is old, or if someone unknown has sent something."""
        age_s = asyncio.get_running_loop().time() - self._loaded_at
        if age_s > (_GATEWAYS_S_MIN if stranger else _GATEWAYS_S_MAX):
            self.senders = Senders(await residents.list_gateways(connection))
            self._loaded_at = asyncio.get_running_loop().time()


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
        self._live = Arrivals(settings.broker.receive_window)
        self._backlog = Arrivals(settings.broker.backlog_window)
        self.sources = (
            Source(settings.broker, settings.broker_password, "readings", self._live),
            Source(settings.broker, settings.broker_password, "backlog", self._backlog),
        )
        self._register = GatewayRegister()
        self._raiser = EmergencyRaiser(limits)
        self._writer = Writer(self._raiser, refuse)

    async def run(self) -> None:
        """Run until cancelled; what is in flight then is redelivered to the next worker."""
        async with asyncio.TaskGroup() as tasks:
            for source in self.sources:
                tasks.create_task(source.run(), name=f"source of {source.channel}")
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
        batch = await collect(self._live, self._backlog, self._settings.batch)
        for source in self.sources:
            source.go_on()
        return batch

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
        if any(self._register.senders[delivery.topic] is None for delivery in batch):
            await self._register.refresh(connection, stranger=True)
        block = decode_block(batch, self._register.senders, self._raiser.flag, received_at=at)
        settled = await self._writer.store_block(connection, block, at=at)
        for source in self.sources:
            await source.settle(settled)
