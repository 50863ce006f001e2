"""The MQTT 5 sessions of one ingest worker, on the sans-I/O ``mqtt5`` codec.

A session for each channel: live readings, and the backlog of an outage. Deliveries are handed over
in order and acknowledged when told to, never by themselves: that is what no ready-made asyncio
client allows (ADR 0002). Invariants:

- A PUBACK goes out only through ``settle``, after the caller's COMMIT (I2), and only on the
  connection that delivered; after a reconnect the broker delivers again with dup = 1.
- Receipts are written *before* the PUBACKs of the same transaction on the same stream: a
  broker that has seen the PUBACK has taken the receipt.
- Bounded (I8): the broker sends at most ``receive_window`` unacknowledged messages, and above
  ``bytes_waiting_max`` the socket is not read, so the broker keeps the rest.
"""

import asyncio
import random
import ssl
from collections.abc import Sequence
from itertools import count

import numpy as np
import structlog
from pydantic import SecretStr

from ingest.arrivals import Arrivals
from ingest.deliveries import Delivery, Message
from ingest.metrics import IngestMetrics
from ingest.session import BrokerRefusedError, Session
from ingest.settings import BrokerSettings, SourceChannel

_LOG = structlog.get_logger()
_connections = count(1)
_BUSY_MESSAGES = 100
_REST_S = 0.01
"""While so many messages wait anyway the socket rests between reads.

The broker sends each message by itself; read as they come, they cost two system calls and a turn of
the loop each. Resting took ingest from 25 to 22 microseconds a message (``suifang bench ingest``).
"""


class Source:
    """One channel's deliveries in, acknowledgements out, over as many connections as it takes."""

    def __init__(
        self,
        settings: BrokerSettings,
        password: SecretStr,
        client_id: str,
        arrivals: Arrivals,
        metrics: IngestMetrics,
    ) -> None:
        self._settings = settings
        self._password = password
        self._context: ssl.SSLContext | None = None
        if settings.ca_file is not None:  # Checks the broker's name, too.
            self._context = ssl.create_default_context(cafile=settings.ca_file)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.channel: SourceChannel = "backlog" if arrivals.backlog else "readings"
        self.client_id = client_id
        self.window = arrivals.window
        self._arrivals = arrivals
        self._session: Session | None = None
        self._paused = False
        self._retiring = False
        self.leaves_for_good = False  # When it is cancelled, end the broker's session as well.
        self.connected = asyncio.Event()
        self.unacknowledged = 0  # Delivered on the present connection.
        self._received = metrics.received.labels(client_id)
        self._losses = metrics.broker_losses.labels(client_id)

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
        session = Session(self._settings, self._password, self, next(_connections))
        loop = asyncio.get_running_loop()
        host, port = self._settings.host, self._settings.port
        async with asyncio.timeout(self._settings.timeout_s):
            await loop.create_connection(lambda: session, host, port, ssl=self._context)
        self._session, self._paused = session, False
        alive = asyncio.create_task(session.keep_alive(), name="keep-alive")
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await session.subscribed
            if self._retiring:
                await session.unsubscribe()
            self.connected.set()
            _LOG.info("broker_connected", session=self.client_id, connection=session.number)
            await session.closed.wait()
            if session.taken_over:  # Never by ourselves: our old connection would be dead.
                msg = (
                    f"another process took over {self.client_id};"
                    " give each worker its own INGEST_BROKER__CLIENT_ID (ingest-0, ingest-1, ...)"
                )
                raise BrokerRefusedError(msg)
            _LOG.warning("broker_lost", problem=session.problem)
            if session.at_fault:
                raise ConnectionError(session.problem)  # Back off.
        finally:
            self.connected.clear()
            alive.cancel()
            if not session.closed.is_set():
                await session.leave(for_good=self.leaves_for_good)

    async def retire(self) -> None:
        """Take over nothing new from the broker, on this connection or on a later one."""
        self._retiring = True
        if self._session is not None and self.connected.is_set():
            await self._session.unsubscribe()

    @property
    def is_settled(self) -> bool:
        """Whether everything that was delivered is acknowledged."""
        return self.connected.is_set() and not self.unacknowledged and not len(self._arrivals)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Called by the session for what it read. The window bounds the queue; so do bytes."""
        if not self._arrivals.put(deliveries):  # A broker that ignores our receive maximum.
            if self._session is not None:
                self._session.break_off("the broker sent more than the receive window")
            return
        self._received.inc(len(deliveries))
        self.unacknowledged += len(deliveries)
        if self._arrivals.bytes_waiting > self._settings.bytes_waiting_max:
            self._pause()
        elif len(self._arrivals) > _BUSY_MESSAGES:
            self._pause()
            asyncio.get_running_loop().call_later(_REST_S, self.go_on)

    def _pause(self) -> None:
        if not self._paused and self._session is not None:
            self._paused = True
            self._session.pause_reading()

    def go_on(self) -> None:
        """Something was taken from the queue, or a rest is over: reading may go on."""
        room = self._arrivals.bytes_waiting <= self._settings.bytes_waiting_max // 2
        if self._paused and room and self._session is not None:
            self._paused = False
            self._session.resume_reading()

    @property
    def connection(self) -> int:
        """The number of the present connection; 0: there is none."""
        alive = self._session is not None and not self._session.closed.is_set()
        return self._session.number if alive and self._session is not None else 0

    async def settle(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> int:
        """Send receipts, then acknowledge, for a transaction that has committed.

        What was delivered on an earlier connection is left alone: the broker sends it again,
        ingest finds it known and answers then. If the connection breaks in here, likewise.

        Args:
            messages: Receipts of this connection's deliveries.
            deliveries: In order of arrival; those of other connections are left alone.

        Returns:
            How many deliveries were acknowledged.
        """
        session = self._session
        if session is None or session.closed.is_set():
            return 0
        for message in messages:
            await session.publish(message.to.topic, message.payload)
        number = session.number  # Connections are numbered across all sources.
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
