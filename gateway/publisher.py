"""Spool -> MQTT, confirmed by receipt.

Invariants:
    A reading is forgotten on ingest's receipt alone; the broker's PUBACK only says that paho
    need not send the batch again by itself.
    At most ``batches_unreceipted_max`` batches are out; they carry whatever has gathered, so
    batches grow with the backlog.
    A batch without a receipt is sent again, same bytes, after max(``resend_s_min``, 4 x the
    smoothed receipt time), doubling up to ``resend_s_max``; not while paho still holds it, and
    not because of a reconnect alone: the QoS 1 session redelivers by itself.
    Only counts, ids and reasons are logged, never a value.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom
from typing import Final, Protocol
from uuid import UUID

from pydantic import ValidationError

from gateway.errors import DiskFullError, LinkError
from gateway.session import Delivery
from gateway.settings import GatewaySettings
from gateway.spool_thread import SpoolThread
from gateway.spooled import Batch, Settled
from gateway.wire.ids import new_id
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from gateway.wire.receipts import Prompted, Receipt, parse_receipts
from gateway.wire.times import Clock
from gateway.wire.topics import Channel
from gateway.wire.traces import traceparent_of_batch

_LOG = logging.getLogger(__name__)
_NO_SUBSCRIBERS: Final = 16
_FAILURE: Final = 128  # MQTT 5: a reason from here on is one.
_PATIENCE: Final = 4  # Receipt times before a batch counts as lost (architecture 8.1).
_SMOOTHING: Final = 0.125  # As TCP's round-trip time (RFC 6298).
_DOUBLINGS_MAX: Final = 16
_JITTER: Final = 0.1
_CHECK_S: Final = 5.0  # How soon a dead MQTT thread is noticed.
_NO_ROOM_S: Final = 1.0  # Until a full disk is tried again.
_IDS_LOGGED_MAX: Final = 10


class Link(Protocol):
    """What the publisher needs of the session."""

    @property
    def connected(self) -> bool:
        """Whether a message published now leaves now."""

    @property
    def alive(self) -> bool:
        """Whether it can ever connect again."""

    def publish(
        self, channel: Channel, payload: bytes, *, traceparent: str | None = None
    ) -> int | None:
        """Hand over one message; return its packet number, None when it was not taken."""

    def acknowledge(self, delivery: Delivery) -> None:
        """The receipt was acted on."""


@dataclass(slots=True)
class _Outstanding:
    """A batch that was sent and has no receipt; times are monotonic seconds."""

    batch: Batch
    sendings: int = 0
    sent_s: float = 0.0
    due_s: float = 0.0
    packet: int | None = None  # While the broker has not acknowledged it: paho holds it.


class Publisher:
    """Sends one gateway's spool."""

    def __init__(
        self,
        spool: SpoolThread,
        settings: GatewaySettings,
        clock: Clock,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        on_link: Callable[[], None] = lambda: None,
        on_prompts: Callable[[Sequence[Prompted]], None] = lambda _: None,
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._on_link = on_link
        self._on_prompts = on_prompts
        self._wake = asyncio.Event()
        self._outstanding = dict[UUID, _Outstanding]()
        self._deliveries: deque[Delivery] = deque()
        self._waiting_since_s: float | None = None
        self._receipt_s: float | None = None  # Smoothed.
        self._unheard = False
        self._no_room = False

    def on_taken(self) -> None:
        """Readings were added to the spool."""
        if self._waiting_since_s is None:
            self._waiting_since_s = self._monotonic_s()
            self._wake.set()
        elif self._spool.unbatched_rows >= READINGS_PER_BATCH_MAX:
            self._wake.set()

    def on_connection(self) -> None:
        """The connection came or went."""
        self._wake.set()
        self._on_link()

    def on_receipt(self, delivery: Delivery) -> None:
        """Queue a receipt; one too many is left to the broker, which sends it again.

        Those of an older connection cannot be acknowledged and come again on this one: they
        must not take the places.
        """
        while self._deliveries and self._deliveries[0].connection < delivery.connection:
            self._deliveries.popleft()
        if len(self._deliveries) < self._settings.receipts_waiting_max:
            self._deliveries.append(delivery)
            self._wake.set()

    def on_broker_ack(self, packet: int, reason: int) -> None:
        """The broker has a batch, or refused it: either way paho has let go of it."""
        if reason >= _FAILURE:
            _LOG.error("the broker refused a message (%d): check the access rules", reason)
        for sent in self._outstanding.values():
            if sent.packet == packet:
                sent.packet = None
                if reason == _NO_SUBSCRIBERS or reason >= _FAILURE:  # Nobody has it: no patience.
                    soon_s = self._monotonic_s() + self._settings.unheard_s * sent.sendings
                    sent.due_s = min(sent.due_s, soon_s)
                self._wake.set()
                self._hint(unheard=reason == _NO_SUBSCRIBERS)

    @property
    def unheard(self) -> bool:
        """Whether the broker said last that nobody reads the batches."""
        return self._unheard

    def resend_now(self, batches: Collection[UUID]) -> tuple[int, int]:
        """Send these again without waiting for their time.

        Returns:
            How many are due now, and how many paho still holds: those it sends by itself.
        """
        due = held = 0
        for identifier, sent in self._outstanding.items():
            if identifier in batches:
                held += sent.packet is not None
                if sent.packet is None:
                    sent.due_s = self._monotonic_s()
                    due += 1
        self._wake.set()
        return due, held

    def _hint(self, *, unheard: bool) -> None:
        """Say once when nobody takes the batches, and once when somebody does again."""
        if unheard and not self._unheard:
            _LOG.warning("nobody reads the batches at the broker: is ingest running?")
        elif self._unheard and not unheard:
            _LOG.warning("somebody reads the batches at the broker again")
        self._unheard = unheard

    async def run(self, link: Link) -> None:
        """Send and confirm for ever. Cancelled at any point, the spool holds the truth.

        Raises:
            SpoolError: The spool cannot be used.
            LinkError: The MQTT client has died.
        """
        for batch in await self._spool.run(self._spool.spool.unreceipted):
            self._outstanding[batch.id] = _Outstanding(batch, sendings=1)
        if self._spool.unbatched_rows and self._waiting_since_s is None:
            self._waiting_since_s = self._monotonic_s()
        while True:
            self._wake.clear()
            try:
                await self._work(link)
            except DiskFullError as error:
                await self._wait_for_room(error)
                continue
            if not link.connected and not link.alive:
                msg = "the MQTT client has stopped by itself. The spool is safe: start again"
                raise LinkError(msg)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s(link)):
                    await self._wake.wait()

    async def _work(self, link: Link) -> None:
        """Do what is due. A receipt stays at the head until the spool has it."""
        while self._deliveries:
            await self._settle(self._deliveries[0], link)
            self._deliveries.popleft()
        if link.connected:
            await self._resend(link)
            await self._send_new(link)
        self._no_room = False

    async def _wait_for_room(self, error: DiskFullError) -> None:
        """Receipts need room as well; readings and receipts wait until there is some."""
        if not self._no_room:
            self._no_room = True
            _LOG.error("%s. Receipts wait until then", error)
        await asyncio.sleep(_NO_ROOM_S)

    def _wait_s(self, link: Link) -> float:
        """Seconds until something is due without anybody's call."""
        due = [sent.due_s for sent in self._outstanding.values() if sent.packet is None]
        if self._waiting_since_s is not None and self._window_open():
            due.append(self._waiting_since_s + self._settings.linger_ms / 1_000)
        if not due or not link.connected:
            return _CHECK_S
        return min(max(min(due) - self._monotonic_s(), 0.0), _CHECK_S)

    def _window_open(self) -> bool:
        return len(self._outstanding) < self._settings.batches_unreceipted_max

    async def _resend(self, link: Link) -> None:
        now_s = self._monotonic_s()
        for sent in list(self._outstanding.values()):
            if sent.packet is None and sent.due_s <= now_s:
                await self._spool.run(self._spool.spool.count_resent)
                _LOG.info("batch %s is sent again (%d)", sent.batch.id, sent.sendings)
                self._send(sent, link)

    async def _send_new(self, link: Link) -> None:
        while self._window_open() and self._is_ready():
            batch = await self._spool.run(
                self._spool.spool.take_batch, new_id(self._clock()), self._clock()
            )
            if batch is None:
                self._waiting_since_s = None
                return
            if not self._spool.unbatched_rows:
                self._waiting_since_s = None
            self._outstanding[batch.id] = sent = _Outstanding(batch)
            self._send(sent, link)

    def _is_ready(self) -> bool:
        """A full batch waits, or the oldest reading has waited long enough."""
        if self._waiting_since_s is None:
            return False
        if self._spool.unbatched_rows >= READINGS_PER_BATCH_MAX:
            return True
        waited_s = self._monotonic_s() - self._waiting_since_s
        return waited_s >= self._settings.linger_ms / 1_000

    def _send(self, sent: _Outstanding, link: Link) -> None:
        age = self._clock() - sent.batch.oldest_captured_at
        old = age > timedelta(seconds=self._settings.backlog_age_s)
        sent.packet = link.publish(
            "backlog" if old else "readings",
            sent.batch.payload,
            traceparent=traceparent_of_batch(sent.batch.id, sent.batch.payload),
        )
        sent.sendings += 1
        sent.sent_s = self._monotonic_s()
        sent.due_s = sent.sent_s + self._patience_s(sent.sendings)
        if sent.packet is None:
            sent.due_s = sent.sent_s + self._settings.unheard_s

    def _patience_s(self, sendings: int) -> float:
        settings = self._settings
        first_s = max(settings.resend_s_min, _PATIENCE * (self._receipt_s or 0.0))
        doubled_s: float = first_s * 2 ** min(sendings - 1, _DOUBLINGS_MAX)
        jitter = 1 + SystemRandom().uniform(0, _JITTER)  # A city must not resend in one second.
        return min(doubled_s, settings.resend_s_max) * jitter

    async def _settle(self, delivery: Delivery, link: Link) -> None:
        try:
            receipts = parse_receipts(delivery.payload).receipts
        except ValidationError:
            _LOG.error("a message on the receipt topic is no receipt; it is counted and left")
            await self._spool.run(self._spool.spool.count_unreadable_receipt)
            receipts = []
        for receipt in receipts:
            await self._confirm(receipt)
        link.acknowledge(delivery)

    async def _confirm(self, receipt: Receipt) -> None:
        settled = await self._spool.run(
            self._spool.spool.confirm,
            receipt.batch,
            stored=receipt.stored,
            duplicate=receipt.duplicate,
            quarantined=len(receipt.quarantined),
        )
        if settled is Settled.MISCOUNTED:
            _LOG.error("the receipt of batch %s does not fit its size; not believed", receipt.batch)
        elif settled is Settled.UNKNOWN:
            _LOG.info("a receipt for batch %s, which does not wait; ignored", receipt.batch)
        else:
            self._learn(self._outstanding.pop(receipt.batch, None))
            self._on_prompts(receipt.prompted)
            _log_quarantined(receipt)

    def _learn(self, sent: _Outstanding | None) -> None:
        """Smooth the receipt time; one of a batch sent twice tells nothing (Karn's rule)."""
        if sent is None or sent.sendings != 1:
            return
        took_s = self._monotonic_s() - sent.sent_s
        if self._receipt_s is None:
            self._receipt_s = took_s
        else:
            self._receipt_s += _SMOOTHING * (took_s - self._receipt_s)


def _log_quarantined(receipt: Receipt) -> None:
    if receipt.quarantined:
        reasons = dict(Counter(str(refused.reason) for refused in receipt.quarantined))
        ids = [str(refused.id) for refused in receipt.quarantined[:_IDS_LOGGED_MAX]]
        _LOG.warning("batch %s: quarantined %s, first ids %s", receipt.batch, reasons, ids)
