"""Stores blocks, each in one transaction, on the lane it needs; says what to answer.

Nothing is told to anyone before COMMIT (I2: the pipeline answers with what is returned here). A
block the database refuses is tried again with every question asked, then on the careful lane, where
it is halved until the one unstorable reading is alone: that one is quarantined, its neighbours are
stored.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import compress
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np

from gateway.wire import limits
from gateway.wire.errors import Reason, WireError
from gateway.wire.receipts import Prompted
from ingest.columns import to_microseconds
from ingest.db import (
    due_work,
    plain,
    residents,
    retention,
    storing,
)
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError, translated
from ingest.db.readings import ReadingRow
from ingest.deliveries import (
    Block,
    Decoded,
    Delivery,
    Head,
    Lane,
    Message,
    ReceiptTopic,
    Refuse,
    Settled,
)
from ingest.prompts import LIVE, PRESSURES_MAX, Stored, is_live
from ingest.transaction import Tallies, Tally, Transaction
from rules.columns import BoolArray

RaiseEmergencies: TypeAlias = Callable[
    [Connection, Sequence[ReadingRow], datetime], Awaitable[Sequence[ReadingRow]]
]
FindPrompts: TypeAlias = Callable[
    [Connection, Sequence[ReadingRow], Sequence[Stored], datetime], Awaitable[list[Prompted]]
]
_RECEIPTS_BYTES_MAX = 200_000  # Below the broker's packet limit with room for the envelope.


class Writer:
    """Stores decoded deliveries. Holds no state between calls but its collaborators."""

    def __init__(
        self,
        raise_emergencies: RaiseEmergencies,
        refuse: Refuse,
        find_prompts: FindPrompts | None = None,
    ) -> None:
        """Without ``find_prompts`` nobody stands at a terminal: a replay."""
        self._raise_emergencies = raise_emergencies
        self._refuse = refuse
        self._find_prompts = find_prompts

    async def store(
        self, connection: Connection, batch: Sequence[Decoded], *, at: datetime
    ) -> Settled:
        """Commit the whole batch and return what to send for it.

        Args:
            connection: Prepared (``readings.prepare``), outside a transaction.
            batch: Decoded deliveries, in order of arrival.
            at: Ingest's clock.

        Raises:
            DatabaseUnavailableError: Nothing is known to be committed; try the same again.
        """
        tallies = Tallies()
        await self._store_or_halve(connection, list(enumerate(batch)), tallies, at)
        deliveries = tuple(decoded.delivery for decoded in batch)
        return _settle(deliveries, [decoded.head for decoded in batch], tallies, "careful")

    async def store_block(self, connection: Connection, block: Block, *, at: datetime) -> Settled:
        """Commit a whole block and return what to send for it.

        Most blocks hold nothing that is known, so none of it is asked for at first. A block that
        the database refuses is tried again with every question asked, and if that fails too,
        reading by reading on the careful lane, which settles anything.

        Args:
            connection: Prepared (``readings.prepare``), outside a transaction.
            block: Decoded deliveries.
            at: Ingest's clock.

        Raises:
            DatabaseUnavailableError: Nothing is known to be committed; try the same again.
        """
        tallies = Tallies()
        lanes: tuple[Lane, ...] = ("asking",) if block.redelivered else ("plain", "asking")
        for lane in lanes:
            try:
                thorough = lane == "asking"
                await self._store_plain(connection, block, tallies, at, thorough=thorough)
                return _settle(block.deliveries, block.heads, tallies, lane)
            except UnstorableError:
                continue
        parts = block.careful + block.decode_rows(range(len(block.plain)))
        await self._store_or_halve(connection, parts, tallies, at)
        return _settle(block.deliveries, block.heads, tallies, "careful")

    async def _store_plain(
        self,
        connection: Connection,
        block: Block,
        tallies: Tallies,
        at: datetime,
        *,
        thorough: bool,
    ) -> None:
        rows = block.plain
        with translated():
            async with connection.transaction():
                await storing.let_amenders_wait(connection)
                edge = await retention.fetch_edge(connection)
                special = await plain.find_special(connection, rows, thorough=thorough)
                special |= rows.is_before(edge)
                await plain.copy_in(connection, rows, ~special)
                parts = block.careful + block.decode_rows(np.flatnonzero(special).tolist())
                transaction = Transaction(connection, parts, self._refuse, at)
                carefully = await transaction.settle(edge) if parts else []
                urgent = carefully + await _find_urgent(connection, block, ~special)
                emergencies = await self._raise_emergencies(connection, urgent, at)
                pressures = _find_live(carefully, at) + _find_live_plain(block, ~special, at)
                prompts = await self._prompt(connection, emergencies, pressures, at)
                prompts = transaction.prompt(prompts) if prompts else []
                await due_work.mark_batch(connection, rows, ~special)
                await transaction.count(Counter(compress(rows.gateways, ~special)))
        transaction.count_into(tallies)
        tallies.urgent += [row.id for row in emergencies]
        for place, prompt in _place_plain(block, prompts):
            tallies[place].prompted.append(prompt)
        plainly_stored = np.bincount(block.owners[~special], minlength=len(block.deliveries))
        tallies.plainly_stored = plainly_stored.tolist()

    async def _store_or_halve(
        self,
        connection: Connection,
        parts: list[tuple[int, Decoded]],
        tallies: Tallies,
        at: datetime,
    ) -> None:
        transaction = Transaction(connection, parts, self._refuse, at)
        try:
            with translated():
                async with connection.transaction():
                    await storing.let_amenders_wait(connection)
                    edge = await retention.fetch_edge(connection)
                    urgent = await transaction.settle(edge)
                    emergencies = await self._raise_emergencies(connection, urgent, at)
                    pressures = _find_live(urgent, at)
                    transaction.prompt(await self._prompt(connection, emergencies, pressures, at))
                    await transaction.count({})
        except UnstorableError as error:
            for half in self._halves(_refused_last(parts), error, at):
                await self._store_or_halve(connection, half, tallies, at)
            return
        transaction.count_into(tallies)
        tallies.urgent += [row.id for row in emergencies]

    async def _prompt(
        self,
        connection: Connection,
        emergencies: Sequence[ReadingRow],
        pressures: Sequence[Stored],
        at: datetime,
    ) -> list[Prompted]:
        if self._find_prompts is None or not (emergencies or pressures):
            return []
        return await self._find_prompts(connection, emergencies, pressures, at)

    def _halves(
        self, parts: list[tuple[int, Decoded]], error: UnstorableError, at: datetime
    ) -> list[list[tuple[int, Decoded]]]:
        """Cut what failed in two; a reading that fails alone becomes a refused item."""
        if len(parts) > 1:
            middle = len(parts) // 2
            return [parts[:middle], parts[middle:]]
        ((index, decoded),) = parts
        if len(decoded.accepted) > 1:
            middle = len(decoded.accepted) // 2
            return [
                [(index, replace(decoded, accepted=decoded.accepted[:middle]))],
                [(index, replace(decoded, accepted=decoded.accepted[middle:], refused=()))],
            ]
        if not decoded.accepted:  # Not even the quarantine takes it: a bug of ours.
            raise error
        wire_error = WireError(Reason.UNSTORABLE, str(error))
        row = self._refuse(decoded, decoded.accepted[0], wire_error, at)
        return [[(index, replace(decoded, accepted=(), refused=(*decoded.refused, row)))]]


def _refused_last(parts: list[tuple[int, Decoded]]) -> list[tuple[int, Decoded]]:
    """What can be stored before what cannot, as in one transaction.

    Of an id that comes with good bytes and with bad ones the good ones settle it: they may be of
    somebody in danger.
    """
    return [
        *((index, replace(decoded, refused=())) for index, decoded in parts if decoded.accepted),
        *((index, replace(decoded, accepted=())) for index, decoded in parts if decoded.refused),
    ]


def _settle(
    deliveries: tuple[Delivery, ...],
    heads: Sequence[Head | None],
    tallies: Tallies,
    lane: Lane,
) -> Settled:
    """What to send: one message a gateway, or a few where one would be above the broker's limit."""
    waiting: dict[tuple[int, ReceiptTopic], list[str]] = defaultdict(list)
    plainly_stored = tallies.plainly_stored or [0] * len(deliveries)
    ends = _ReceiptEnds()
    for place, (delivery, head, stored) in enumerate(
        zip(deliveries, heads, plainly_stored, strict=True)
    ):
        if head is not None:
            end = _receipt_end(stored, tallies[place]) if place in tallies else ends[stored]
            waiting[delivery.connection, head.to].append(_RECEIPT_START + head.batch + end)
    messages: list[Message] = []
    for (connection, to), receipts in waiting.items():
        some: list[str] = []
        size = 0
        for receipt in receipts:
            if some and size + len(receipt) > _RECEIPTS_BYTES_MAX:
                messages.append(Message(to, _wrap(some), connection))
                some, size = [], 0
            some.append(receipt)
            size += len(receipt) + 1
        messages.append(Message(to, _wrap(some), connection))
    return Settled(deliveries, tuple(messages), tallies.totals, lane, tuple(tallies.urgent))


async def _find_urgent(connection: Connection, block: Block, stored: BoolArray) -> list[ReadingRow]:
    """Rows to look at for emergencies, of those that were stored plainly."""
    asked = block.urgent_if_pregnant[stored[block.urgent_if_pregnant]]
    mothers = await residents.find_mothers(
        connection, [block.plain.resident_cells[row] for row in asked.tolist()]
    )
    urgent = block.urgent[stored[block.urgent]].tolist()
    urgent += [row for row in asked.tolist() if block.plain.resident_cells[row] in mothers]
    return block.build_rows(urgent) if urgent else []


def _find_live(rows: Sequence[ReadingRow], at: datetime) -> list[Stored]:
    """Pressures of somebody known who may still be there."""
    return [
        Stored(row.id, row.partition_at)
        for row in rows
        if row.kind == "blood_pressure" and row.resident_id and is_live(row.arrived_at, at)
    ]


def _find_live_plain(block: Block, stored: BoolArray, at: datetime) -> list[Stored]:
    """The same of plain rows; nothing at all where there are many."""
    rows = block.plain
    live = stored & rows.is_pressure & rows.has_resident
    live &= rows.arrived_us >= to_microseconds(at - LIVE)
    found = np.flatnonzero(live)
    if len(found) > PRESSURES_MAX:
        return []
    times = rows.partition_us[found].tolist()
    ids = rows.packed_ids[found].tolist()
    return [
        Stored(UUID(bytes=id_), plain.from_microseconds(time_us))
        for id_, time_us in zip(ids, times, strict=True)
    ]


def _place_plain(block: Block, prompts: Sequence[Prompted]) -> Iterator[tuple[int, Prompted]]:
    """Which delivery each prompt's reading came in."""
    if prompts:
        rows = {id_: row for row, id_ in enumerate(block.plain.packed_ids.tolist())}
        for prompt in prompts:
            yield int(block.owners[rows[prompt.id.bytes]]), prompt


_RECEIPT_START: Final = '{"batch":"'


class _ReceiptEnds(dict[int, str]):
    """What follows the batch's id where so many were stored and nothing else happened."""

    def __missing__(self, stored: int) -> str:
        self[stored] = end = _receipt_end(stored, Tally())
        return end


def _receipt_end(plainly_stored: int, tally: Tally) -> str:
    """The rest of a receipt as ``gateway.wire.receipts`` writes it; a test compares."""
    refused = ",".join([each.model_dump_json() for each in tally.refused])
    prompted = ",".join([each.model_dump_json() for each in tally.prompted])
    return (
        f'","stored":{plainly_stored + tally.stored},"duplicate":{tally.duplicate},'
        f'"quarantined":[{refused}],"prompts":[]'
        + (f',"prompted":[{prompted}]}}' if prompted else "}")
    )


def _wrap(receipts: Sequence[str]) -> bytes:
    return f'{{"receipts":[{",".join(receipts)}]}}'.encode()


assert limits.READINGS_PER_BATCH_MAX * 250 < _RECEIPTS_BYTES_MAX  # noqa: S101 - one always fits
