"""A glucose meter (0x1808): its memory is read from where the spool's knowledge ends.

    link --notifications--> queue --> judge (numbering) --> wait for the context --> capture

One record at a time goes to the spool, with its mark, and the next one only when that is on
disk: so the highest mark always says "all below are taken", whatever breaks when. The memory
is never deleted; what a lost link takes along is asked for again.

At the start of a visit the meter is asked from the last record taken *inclusive*: that it
still has this very record shows that its numbers have not begun anew (battery change). A visit
that goes on after a break asks from the one behind it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.devices.ble_instrument import Instrument
from gateway.devices.ble_join import Held, Waiting, context_line
from gateway.devices.ble_link import Link, LinkBrokenError, RefusedByDeviceError
from gateway.devices.gatt import racp
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.glucose import GlucoseMeasurement, decode_glucose
from gateway.devices.gatt.glucose_context import GlucoseContext, decode_context
from gateway.devices.gatt.lines import glucose_line
from gateway.devices.numbering import SEQUENCE_MAX, Numbering, Verdict, fingerprint
from gateway.errors import RefusedError

SERVICE: Final = 0x1808
MEASUREMENT: Final = 0x2A18
CONTEXT: Final = 0x2A34
ACCESS_POINT: Final = 0x2A52
_IN_PROGRESS: Final = frozenset({0x80, 0xFE})  # GLS's own code, and the core's since 4.0.
_LOG = logging.getLogger(__name__)


class _End(Enum):
    """How a transfer ended."""

    COMPLETE = auto()
    NO_RECORDS = auto()
    ANEW = auto()  # Given up: the device counts from the start again.


@dataclass(frozen=True, slots=True)
class _Heard:
    characteristic: int
    value: bytes


class Meter:
    """One visit's view of a meter. ``subscribe``, then ``fetch`` as often as wanted."""

    def __init__(self, instrument: Instrument, link: Link, numbering: Numbering) -> None:
        self._instrument = instrument
        self._link = link
        self._numbering = numbering
        self._settings = instrument.settings
        self._queue: deque[_Heard] = deque()  # At most ``notifications_max``.
        self._news = asyncio.Event()
        self._overflowed = False
        self._waiting = Waiting(instrument.settings)
        link.when_lost(self._news.set)

    async def subscribe(self) -> None:
        """Switch everything on; the access point first, as the service asks for.

        Raises:
            LinkBrokenError: The link is gone, or this is no meter.
        """
        await self._link.subscribe(ACCESS_POINT, self._hear(ACCESS_POINT))
        await self._link.subscribe(MEASUREMENT, self._hear(MEASUREMENT))
        if self._link.has(CONTEXT):
            await self._link.subscribe(CONTEXT, self._hear(CONTEXT))

    async def fetch(self, *, resumed: bool) -> None:
        """Bring what the spool does not have. All of it is on disk on return.

        Args:
            resumed: This visit goes on where the last one broke, a moment ago.

        Raises:
            LinkBrokenError: The link is gone, the meter stopped talking or gave up.
            BusyError: The spool has no room; the meter keeps the rest.
        """
        last = self._numbering.last
        if last is None:
            await self._transfer(racp.report_all())
            return
        start = min(last + 1, SEQUENCE_MAX) if resumed else last
        end = await self._transfer(racp.report_from(start))
        nothing_there = end is _End.NO_RECORDS and not resumed
        if end is _End.ANEW or nothing_there or self._numbering.last == SEQUENCE_MAX:
            # Not even the last record taken: an empty memory, or numbers that began anew.
            await self._transfer(racp.report_all())

    async def take_stragglers(self) -> None:
        """Hand on contexts that come by themselves, until cancelled."""
        while True:
            while self._queue:
                heard = self._queue.popleft()
                if heard.characteristic == CONTEXT:
                    self._take_context(heard.value)
                    self._waiting.give_up_contexts()
                    self._hand_on_late()
            self._news.clear()
            await self._news.wait()

    def _hear(self, characteristic: int) -> Callable[[bytes], None]:
        def take(value: bytes) -> None:
            if len(self._queue) >= self._settings.notifications_max:
                self._overflowed = True
            if not self._overflowed:  # After a gap nothing may be taken.
                self._queue.append(_Heard(characteristic, value))
            self._news.set()

        return take

    async def _transfer(self, request: bytes) -> _End:
        self._numbering.begin_transfer()
        may_begin_anew = request == racp.report_all()
        await self._request(request)
        while True:
            heard = await self._next()
            if heard is None:
                await self._bring_ready()
            elif heard.characteristic == MEASUREMENT:
                if not self._take_record(heard.value, may_begin_anew=may_begin_anew):
                    await self._abort()
                    return _End.ANEW
                await self._bring_ready()
            elif heard.characteristic == CONTEXT:
                self._take_context(heard.value)
                await self._bring_ready()
            elif (end := self._read_end(heard.value)) is not None:
                await self._bring_all()
                return end

    async def _request(self, request: bytes) -> None:
        try:
            await self._link.write(ACCESS_POINT, request)
        except RefusedByDeviceError as refused:
            if refused.code not in _IN_PROGRESS:
                raise
            await self._abort()  # Another client's, or ours of a moment ago.
            await self._link.write(ACCESS_POINT, request)

    async def _abort(self) -> None:
        """End the meter's procedure, and forget what was still under way: it is asked for again."""
        await self._link.write(ACCESS_POINT, racp.abort())
        while True:
            heard = await self._next(stop_for_contexts=False)
            if heard is not None and heard.characteristic == ACCESS_POINT:
                break
        self._waiting.clear()

    async def _next(self, *, stop_for_contexts: bool = True) -> _Heard | None:
        """What is heard next; None when a value has waited long enough for its context.

        Raises:
            LinkBrokenError: Nothing within ``stall_s_max``, or more came than there was room for.
        """
        patience = self._waiting.patience_s() if stop_for_contexts else None
        stall_s = self._settings.stall_s_max
        try:
            async with asyncio.timeout(stall_s if patience is None else min(patience, stall_s)):
                while not self._queue:
                    self._require_more()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            if patience is not None:
                return None
            msg = f"the meter said nothing for {stall_s} s"
            raise LinkBrokenError(msg) from None
        return self._queue.popleft()

    def _require_more(self) -> None:
        """All that came before a break or a gap is worked off; is there anything to wait for?"""
        if self._overflowed:
            msg = "the meter sends faster than the disk takes; the rest is asked for again"
            raise LinkBrokenError(msg)
        if self._link.lost.is_set():
            msg = "the link was lost"
            raise LinkBrokenError(msg)

    def _take_record(self, value: bytes, *, may_begin_anew: bool) -> bool:
        """Judge one record; False when the transfer has to be begun from the first record."""
        try:
            record = decode_glucose(value)
        except DecodeError as error:
            self._instrument.report_malformed(MEASUREMENT, value, error)
            return True
        of_record = fingerprint(record.base_time, record.concentration, record.unit)
        verdict = self._numbering.judge(record.sequence, of_record)
        if verdict is Verdict.TAKEN:
            self._instrument.counts.known += 1
            self._waiting.forget_context(record.sequence)
            return True
        if verdict is Verdict.ANEW:
            if not may_begin_anew:
                return False
            self._begin_anew(record)
        mark = self._numbering.mark(record.sequence, of_record)
        self._waiting.hold(Held(record, mark))
        return True

    def _begin_anew(self, record: GlucoseMeasurement) -> None:
        _LOG.warning(
            "device %s: its record numbers have begun anew (battery change, or after %d)",
            self._instrument.id,
            SEQUENCE_MAX,
        )
        self._numbering.begin_anew(str(record.base_time))

    def _take_context(self, value: bytes) -> None:
        try:
            context = decode_context(value)
        except DecodeError as error:
            self._instrument.report_malformed(CONTEXT, value, error)
            return
        self._waiting.join(context)

    def _read_end(self, value: bytes) -> _End | None:
        """What the access point says; None: nothing about our report."""
        try:
            said = racp.decode_record_access(value)
        except DecodeError as error:
            self._instrument.report_malformed(ACCESS_POINT, value, error)
            return None
        if not isinstance(said, racp.RecordResponse) or said.request_code != racp.Opcode.REPORT:
            return None
        if said.outcome is racp.Outcome.SUCCESS:
            return _End.COMPLETE
        if said.outcome is racp.Outcome.NO_RECORDS:
            return _End.NO_RECORDS
        msg = f"the meter did not complete the transfer (code {said.outcome_code})"
        raise LinkBrokenError(msg)

    async def _bring_ready(self) -> None:
        while (held := self._waiting.take_ready()) is not None:
            await self._bring(held)
        self._hand_on_late()

    async def _bring_all(self) -> None:
        """The transfer is over: what has no context now has none, or a late one."""
        while (held := self._waiting.take_first()) is not None:
            await self._bring(held)
        self._waiting.give_up_contexts()
        self._hand_on_late()

    async def _bring(self, held: Held) -> None:
        """One record to disk, before anything else of this device."""
        record = held.record
        origin = self._instrument.origin(record.base_time, held.mark.boot_id)
        raw = glucose_line(record, origin, held.context, stored_record=True)
        try:
            future = self._instrument.capture(raw, mark=held.mark)
        except RefusedError as refusal:
            _LOG.error("device %s: a record was refused: %s", self._instrument.id, refusal)
            return
        try:
            await asyncio.shield(future)
        finally:
            # A link that is lost now must not leave a record of which nobody knows if it is taken.
            await asyncio.wait([future])
            if future.exception() is None:
                self._numbering.take(held.mark)
                self._waiting.note_taken(record.sequence)
                self._instrument.counts.records += 1
                if held.context is not None:
                    self._instrument.note_told(held.context)

    def _hand_on_late(self) -> None:
        for context in self._waiting.take_late():
            self._hand_on(context)

    def _hand_on(self, context: GlucoseContext) -> None:
        if not self._instrument.note_told(context):
            return
        self._instrument.counts.late_contexts += 1
        boot_id = self._numbering.boot_id_of(context.sequence)
        self._instrument.outbox.offer(context_line(context, self._instrument.id, boot_id))
