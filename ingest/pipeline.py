"""The flow of the ingest process, and the one place that starts its tasks.

    broker ──live─────▶ source ──▶ arrivals ─┐
           ──backlog──▶ source ──▶ arrivals ─┴▶ collect ──▶ decoder ──▶ writer ──COMMIT──▶ sources
                       (mqtt5)    (window)    live first,   plain or    (one connection)   receipts,
                                              size, age     careful                        PUBACKs

A batch is collected when the writer is free, so what arrives during a commit shares the next
one: the busier the database, the larger the batch. Once a full batch waits, it is decoded while the
one before is being stored. Bounds (I8): ``arrivals`` hold at most the MQTT receive window; a slow
database fills them, then the broker keeps the rest. If the database is gone the same batch is tried
again until it is back, unacknowledged all the while. Any other error ends the process: its
supervisor starts it again and the broker redelivers.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import structlog
from psycopg import Notify

from gateway.wire.errors import WireError
from gateway.wire.times import Clock
from ingest.answers import Answers
from ingest.arrivals import Arrivals, collect, is_full, take
from ingest.blocks import Senders, decode_block
from ingest.columns import to_microseconds
from ingest.db import channels, readings, residents
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.quarantine import QuarantineRow
from ingest.decoder import refusal
from ingest.deliveries import Accepted, Block, Decoded, Delivery
from ingest.emergencies import EmergencyRaiser
from ingest.metrics import IngestMetrics
from ingest.prompts import Prompter
from ingest.settings import IngestSettings
from ingest.source import Source
from ingest.statuses import StatusKeeper
from ingest.writer import Writer
from rules.limits import ProfileTable

_LOG = structlog.get_logger()
_GATEWAYS_S_MAX = 60.0  # An enrolment is seen after this long at the latest ...
_GATEWAYS_S_MIN = 1.0  # ... and a stranger makes us look again at most this often.
_LOOK_S = 0.1
_QUIET_LOOKS = 5
_THREAD_BYTES_MIN = 100_000  # Below, handing over to a thread takes longer than decoding.


class GatewayRegister:
    """The enrolled gateways, kept fresh: looked up again when the database or a stranger speaks.

    A gateway that is revoked sends on for as long as its connection lives: its next batch must
    find it gone.
    """

    def __init__(self) -> None:
        self.senders = Senders({})
        self._loaded_at = float("-inf")

    async def watch(self, connection: Connection) -> None:
        """Hear on this connection who is enrolled or revoked from now on."""
        self._loaded_at = float("-inf")
        connection.add_notify_handler(self._on_change)
        await connection.execute(f"LISTEN {channels.GATEWAYS}".encode())

    def _on_change(self, _: Notify) -> None:
        self._loaded_at = float("-inf")

    async def refresh(self, connection: Connection, *, stranger: bool) -> None:
        """Load the register if it is old, or if someone unknown has sent something."""
        with translated():
            connection.pgconn.consume_input()  # Does not wait.
            while connection.pgconn.notifies() is not None:
                self._loaded_at = float("-inf")
        age_s = asyncio.get_running_loop().time() - self._loaded_at
        if age_s > (_GATEWAYS_S_MIN if stranger else _GATEWAYS_S_MAX):
            gateways = await residents.list_gateways(connection)
            if gateways != self.senders.gateways:  # What was decoded by the old one stays good.
                self.senders = Senders(gateways)
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
        self.metrics = IngestMetrics()
        broker = settings.broker
        self._channels = [Arrivals(broker.receive_window) for _ in broker.live_ids]
        self._channels.append(Arrivals(broker.backlog_window, backlog=True))
        ids = [*broker.live_ids, broker.backlog_id]
        self.sources = [
            Source(broker, settings.broker_password, client_id, arrivals, self.metrics)
            for client_id, arrivals in zip(ids, self._channels, strict=True)
        ]
        for source, arrivals in zip(self.sources, self._channels, strict=True):
            self.metrics.watch(
                source.client_id,
                waiting=arrivals.__len__,
                unacknowledged=partial(getattr, source, "unacknowledged"),
                window=source.window,
                connected=source.connected.is_set,
            )
        self._answers = Answers(settings.throttle, self.sources, self.metrics)
        self._statuses = StatusKeeper(settings, self.metrics, clock)
        self._register = GatewayRegister()
        self._raiser = EmergencyRaiser(limits)
        self._writer = Writer(self._raiser, refuse, Prompter(limits))
        self._asked = asyncio.Event()  # To stop; what is under way goes on,
        self._stopping = asyncio.Event()  # until here.
        self._database_problem = "the database has not been reached yet"

    # --- its life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until ``stop`` or until cancelled; what is in flight then is redelivered."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(source.run(), name=f"source {source.client_id}")
                for source in self.sources
            ]
            running.append(tasks.create_task(self._answers.run(), name="late receipts"))
            running.append(tasks.create_task(self._statuses.run(), name="statuses"))
            writer = tasks.create_task(self._run_writer(), name="writer")
            await self._asked.wait()
            if self._settings.broker.leave_on_stop:
                await self._retire()
            self._stopping.set()
            await asyncio.wait({writer}, timeout=self._settings.shutdown_s_max)
            for task in (writer, *running):
                task.cancel()

    def stop(self) -> None:
        """Take nothing new, finish what is being stored, tell the broker, and end."""
        self._asked.set()

    async def _retire(self) -> None:
        """Settle all that the broker has for this worker, so that its sessions can end.

        Not in time, or without the broker: then the sessions stay, and whoever comes next under
        this name has them.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.shutdown_s_max):
                for source in self.sources:
                    await source.retire()
                quiet = 0
                while quiet < _QUIET_LOOKS:  # What an acknowledgement makes room for comes at once.
                    await asyncio.sleep(_LOOK_S)
                    quiet = quiet + 1 if all(each.is_settled for each in self.sources) else 0
                for source in self.sources:
                    source.leaves_for_good = True

    def find_problems(self) -> list[str]:
        """Why readings cannot pass at the moment; for ``/readyz``."""
        problems = [
            f"no subscription to {source.channel} at the broker ({source.client_id})"
            for source in self.sources
            if not source.connected.is_set()
        ]
        if self._database_problem:
            problems.append(self._database_problem)
        if self._asked.is_set():
            problems.append("this worker is stopping")
        return problems

    # --- the writer ----------------------------------------------------------------------------

    async def _run_writer(self) -> None:
        """Store batches one after another over as many connections as it takes.

        A batch is kept over a lost connection: whether its COMMIT arrived is unknown then,
        and storing it again finds its ids known.
        """
        waiting: list[_Work] = []
        failures = 0
        while not self._stopping.is_set():
            try:
                async with await self._connect() as connection:
                    self._database_problem = ""
                    while await self._store_next(connection, waiting):
                        failures = 0
            except DatabaseUnavailableError as error:
                failures += 1
                self.metrics.database_failures.inc()
                self._database_problem = f"database: {error}"
                wait = min(self._settings.database_retry_s_max, 0.05 * 2 ** min(failures, 10))
                wait *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("database_unavailable", problem=str(error), retry_in_s=round(wait, 2))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stopping.wait()

    async def _connect(self) -> Connection:
        dsn = self._settings.db_dsn.get_secret_value()
        name = f"suifang-{self._settings.broker.client_id}"
        connection = await connect(
            dsn, application_name=name, autocommit=True, role=ProcessRole.INGEST
        )
        with translated():
            await readings.prepare(connection)
            await self._register.watch(connection)
        return connection

    async def _store_next(self, connection: Connection, waiting: list["_Work"]) -> bool:
        """Store the first waiting batch, and get a full one ready meanwhile. False: stop.

        Args:
            connection: Prepared.
            waiting: At most two; what is not stored stays in it when this raises.
        """
        if not waiting:
            batch = await self._collect()
            if not batch:
                return False
            waiting.append(_Work(batch))
        work = waiting[0]
        await self._register.refresh(connection, stranger=self._has_strangers(work.deliveries))
        block = work.block
        if block is None or work.senders is not self._register.senders:
            block = await self._decode(work)
        stored = asyncio.create_task(self._store(connection, block), name="store")
        try:
            if len(waiting) == 1 and is_full(self._channels, self._settings.batch):
                waiting.append(await self._get_ready())
            await stored
        finally:
            if not stored.done():
                stored.cancel()
                await asyncio.wait({stored})
        del waiting[0]
        return not self._stopping.is_set()

    async def _collect(self) -> list[Delivery]:
        """The next batch; empty when it is time to stop."""
        batch = asyncio.ensure_future(collect(self._channels, self._settings.batch))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({batch, stop}, return_when=asyncio.FIRST_COMPLETED)
            return self._let_go_on(batch.result()) if batch.done() else []
        finally:
            batch.cancel()
            stop.cancel()

    async def _get_ready(self) -> "_Work":
        """Decode the next batch ahead, unless a stranger in it asks for a look at the register."""
        work = _Work(self._let_go_on(take(self._channels, self._settings.batch)))
        if not self._has_strangers(work.deliveries):
            await self._decode(work)
        return work

    def _let_go_on(self, batch: list[Delivery]) -> list[Delivery]:
        for source in self.sources:
            source.go_on()
        return batch

    def _has_strangers(self, batch: list[Delivery]) -> bool:
        known = self._register.senders.known
        return None in {known[topic] for topic in {delivery.topic for delivery in batch}}

    async def _decode(self, work: "_Work") -> Block:
        """In a thread when there is much of it: the socket is read and the database served."""
        senders, flag, at = self._register.senders, self._raiser.flag, self._clock()
        batch, work.senders = work.deliveries, senders
        if sum([len(delivery.payload) for delivery in batch]) < _THREAD_BYTES_MIN:
            work.block = decode_block(batch, senders, flag, received_at=at)
        else:
            work.block = await asyncio.to_thread(decode_block, batch, senders, flag, received_at=at)
        return work.block

    async def _store(self, connection: Connection, block: Block) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._settings.database_answer_s_max):
                settled = await self._writer.store_block(connection, block, at=self._clock())
        except TimeoutError as error:  # A peer that acknowledges on TCP and never answers.
            msg = f"no answer within {self._settings.database_answer_s_max:.0f} s"
            raise DatabaseUnavailableError(msg) from error
        self.metrics.store_seconds.observe(loop.time() - began_s)
        if len(block.plain):
            ages_us = to_microseconds(self._clock()) - block.plain.arrived_us
            self.metrics.age_seconds.observe(float(np.median(ages_us)) / 1e6)
        await self._answers.give(settled)
        for reading in settled.urgent:
            _LOG.info("emergency_stored", trace=reading.hex)


@dataclass(slots=True)
class _Work:
    """A batch on its way into the database."""

    deliveries: list[Delivery]
    block: Block | None = None
    senders: Senders | None = None  # By which it was decoded.
