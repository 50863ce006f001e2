"""The careful lane's transaction: settle every item of a batch, mark due work, count.

Invariants: each id ends with exactly one disposition, whatever is redelivered (I1); due marks come
solely from rows that were really inserted, and so does what emergencies are looked for in.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeGuard
from uuid import UUID

from gateway.wire.errors import Reason, WireError
from gateway.wire.ids import partition_time_of
from gateway.wire.receipts import Prompted, Refused
from ingest.db import (
    amendments,
    contexts,
    due_marks,
    gateway_days,
    quarantine,
    readings,
    residents,
    retention,
)
from ingest.db.connections import Connection
from ingest.db.contexts import ContextRow
from ingest.db.gateway_days import Totals
from ingest.db.quarantine import QuarantineRow
from ingest.db.readings import Known, ReadingRow
from ingest.deliveries import Accepted, Decoded, Refuse


@dataclass(slots=True)
class Tally:
    """What became of the readings of one delivery, for its receipt."""

    stored: int = 0
    duplicate: int = 0
    refused: list[Refused] = field(default_factory=list)
    prompted: list[Prompted] = field(default_factory=list)


class Tallies(defaultdict[int, Tally]):
    """By delivery: the careful lane's tallies, and beside them what was stored plainly."""

    def __init__(self) -> None:
        super().__init__(Tally)
        self.plainly_stored: list[int] | None = None
        self.totals: dict[str, Totals] = defaultdict(Totals)
        self.urgent: list[UUID] = []  # Readings that were emergencies, of what was committed.


class Transaction:
    """The settling of one set of items inside one transaction."""

    def __init__(
        self,
        connection: Connection,
        parts: list[tuple[int, Decoded]],
        refuse: Refuse,
        at: datetime,
    ) -> None:
        self._connection = connection
        self._parts = parts
        self._refuse = refuse
        self._at = at
        self._tallies: dict[int, Tally] = defaultdict(Tally)
        self._totals: dict[str, Totals] = defaultdict(Totals)
        self._quarantined: list[tuple[int, Decoded, QuarantineRow]] = []
        self._fresh: dict[UUID, tuple[int, Decoded, Accepted]] = {}  # Readings and contexts.
        self._repeated: list[tuple[int, Decoded, Accepted]] = []  # An id seen in here before.
        self._outcomes: dict[UUID, Known] = {}
        self._filed_urgent: list[ReadingRow] = []
        self._edge = retention.NO_EDGE

    async def settle(self, edge: datetime) -> list[ReadingRow]:
        """Give every item its disposition; return the rows to look at for emergencies.

        Nothing older than ``edge`` is kept (``ingest.db.retention``).

        These are the rows really inserted, and of those filed just now the sequence conflicts
        and what is old by a clock that may be wrong: neither must hide somebody in danger in
        the quarantine.
        """
        self._edge = edge
        ids = self._all_ids()
        known = await readings.fetch_known(self._connection, ids)
        old = [id_ for id_, partition_at in ids if partition_at < edge]
        known |= await retention.fetch_held(self._connection, old)
        for index, decoded in self._parts:
            for accepted in decoded.accepted:
                self._sort_accepted(index, decoded, accepted, known)
        inserted = await self._merge_fresh()
        await self._file_contexts()
        for index, decoded, accepted in self._repeated:
            self._meet_again(index, decoded, accepted, self._outcomes[accepted.row.id])
        for index, decoded in self._parts:
            for row in decoded.refused:
                self._quarantined.append((index, decoded, self._with_settles(row, known)))
        await self._file_quarantined()
        await self._mark_due(inserted)
        return inserted + self._filed_urgent

    def prompt(self, prompts: Iterable[Prompted]) -> list[Prompted]:
        """Put words into the receipts of the readings they are about; return those of others."""
        mine = {
            accepted.row.id: index
            for index, decoded in self._parts
            for accepted in decoded.accepted
        }
        others = []
        for prompt in prompts:
            if prompt.id in mine:
                self._tallies[mine[prompt.id]].prompted.append(prompt)
            else:
                others.append(prompt)
        return others

    async def count(self, stored: Mapping[str, int]) -> None:
        """Write the totals: these rows stored beside what ``settle`` did. Last of all.

        Every worker writes the same few rows, so they stay locked for the COMMIT only.
        """
        for gateway, number in stored.items():
            self._totals[gateway].stored += number
        await gateway_days.add(
            self._connection, self._at.date(), dict(sorted(self._totals.items()))
        )

    def count_into(self, tallies: Tallies) -> None:
        """Add what was committed to the receipts of the deliveries."""
        for gateway, totals in self._totals.items():
            tallies.totals[gateway].add(totals)
        for index, tally in self._tallies.items():
            tallies[index].stored += tally.stored
            tallies[index].duplicate += tally.duplicate
            tallies[index].refused += tally.refused
            tallies[index].prompted += tally.prompted

    def _all_ids(self) -> list[tuple[UUID, datetime]]:
        ids: dict[UUID, datetime] = {}
        for _, decoded in self._parts:
            for accepted in decoded.accepted:
                ids[accepted.row.id] = accepted.row.partition_at
            for row in decoded.refused:
                if row.reading_id is not None:
                    ids[row.reading_id] = _partition_time(row.reading_id, self._at)
        return sorted(ids.items())

    def _sort_accepted(
        self, index: int, decoded: Decoded, accepted: Accepted, known: dict[UUID, Known]
    ) -> None:
        row = accepted.row
        if row.id in self._fresh:
            self._repeated.append((index, decoded, accepted))
            return
        if row.id in known:
            before = known[row.id]
        elif self._is_old(row):
            self._refuse_old(index, decoded, accepted, row)
            return
        else:
            self._fresh[row.id] = (index, decoded, accepted)
            return
        self._meet_again(index, decoded, accepted, before)

    def _is_old(self, row: ReadingRow | ContextRow) -> TypeGuard[ReadingRow]:
        """Whether no such thing is kept any more; contexts always are."""
        return isinstance(row, ReadingRow) and max(row.partition_at, row.effective_at) < self._edge

    def _refuse_old(
        self, index: int, decoded: Decoded, accepted: Accepted, row: ReadingRow
    ) -> None:
        """Older than what is kept. Where only the device says so, an emergency is told still."""
        detail = f"of {row.effective_at:%Y-%m-%d}; readings are kept from {self._edge:%Y-%m-%d} on"
        error = WireError(Reason.BEFORE_RETENTION, detail, field="id")
        refused = self._refuse(decoded, accepted, error, self._at)
        self._quarantined.append((index, decoded, refused))
        if row.arrived_at >= self._edge:
            self._filed_urgent.append(row)

    def _meet_again(self, index: int, decoded: Decoded, accepted: Accepted, before: Known) -> None:
        """An id that has a disposition: the same bytes are a redelivery, others a conflict."""
        row, tally = accepted.row, self._tallies[index]
        if row.content_hash != before.content_hash:
            detail = f"id {row.id} is already {before.disposition} with other content"
            error = WireError(Reason.ID_CONFLICT, detail, field="id")
            refused = self._refuse(decoded, accepted, error, self._at)
            self._quarantined.append((index, decoded, refused._replace(settles=False)))
            return
        self._totals[row.gateway_id].redelivered += 1
        if before.disposition == "stored":
            tally.stored += 1
        elif before.disposition == "duplicate":
            tally.duplicate += 1
        else:
            tally.refused.append(Refused(id=row.id, reason=before.reason))

    async def _merge_fresh(self) -> list[ReadingRow]:
        """Insert what is new; tell duplicates of another id and sequence conflicts apart."""
        fresh = {
            id_: (index, decoded, accepted, accepted.row)
            for id_, (index, decoded, accepted) in self._fresh.items()
            if isinstance(accepted.row, ReadingRow)
        }
        if not fresh:
            return []
        rows = [row for _, _, _, row in fresh.values()]
        merged = await readings.merge(self._connection, sorted(rows, key=lambda row: row.id))
        old = [row.id for row in rows if row.partition_at < self._edge]
        await retention.hold(self._connection, [id_ for id_ in old if id_ in merged.inserted])
        raced: list[tuple[int, Decoded, Accepted]] = []
        for id_, (index, decoded, accepted, row) in fresh.items():
            if id_ in merged.inserted:
                self._note_stored(index, row)
            elif id_ in merged.duplicates:
                self._note_duplicate(index, row)
            elif id_ in merged.conflicts:
                reason = str(Reason.SEQUENCE_CONFLICT)
                self._outcomes[id_] = Known("quarantined", row.content_hash, reason)
                detail = "the device gave this sequence number to another value before"
                error = WireError(Reason.SEQUENCE_CONFLICT, detail, field="device_sequence")
                refused = self._refuse(decoded, accepted, error, self._at)
                self._quarantined.append((index, decoded, refused))
                self._filed_urgent.append(row)
            else:
                raced.append((index, decoded, accepted))
        if raced:
            await self._answer_raced(raced)
        return [row for row in rows if row.id in merged.inserted]

    async def _file_contexts(self) -> None:
        """Store late contexts; whom they concern is the judge's to find out."""
        fresh = [
            (index, decoded, accepted, accepted.row)
            for index, decoded, accepted in self._fresh.values()
            if isinstance(accepted.row, ContextRow)
        ]
        filed = await contexts.insert_new(self._connection, [row for _, _, _, row in fresh])
        raced: list[tuple[int, Decoded, Accepted]] = []
        for index, decoded, accepted, row in fresh:
            if row.id in filed.new:
                self._note_stored(index, row)
            elif row.id in filed.repeats:
                self._note_duplicate(index, row)
            else:
                raced.append((index, decoded, accepted))
        if raced:
            await self._answer_raced(raced)

    def _note_stored(self, index: int, row: ReadingRow | ContextRow) -> None:
        self._outcomes[row.id] = Known("stored", row.content_hash, "")
        self._tallies[index].stored += 1
        self._totals[row.gateway_id].stored += 1

    def _note_duplicate(self, index: int, row: ReadingRow | ContextRow) -> None:
        self._outcomes[row.id] = Known("duplicate", row.content_hash, "")
        self._tallies[index].duplicate += 1
        self._totals[row.gateway_id].duplicate += 1

    async def _answer_raced(self, raced: list[tuple[int, Decoded, Accepted]]) -> None:
        """Another worker stored these between our look and our insert."""
        ids = [(item[2].row.id, item[2].row.partition_at) for item in raced]
        known = await readings.fetch_known(self._connection, sorted(ids))
        self._outcomes |= known
        for index, decoded, accepted in raced:
            self._meet_again(index, decoded, accepted, known[accepted.row.id])

    def _with_settles(self, row: QuarantineRow, known: dict[UUID, Known]) -> QuarantineRow:
        """An id that is already stored, or quarantined with other bytes, is not settled again."""
        before = None if row.reading_id is None else known.get(row.reading_id)
        if row.reading_id is None or row.reading_id in self._fresh:
            return row._replace(settles=False)
        if before is not None and (
            before.disposition != "quarantined" or before.content_hash != row.content_hash
        ):
            return row._replace(settles=False)
        return row

    async def _file_quarantined(self) -> None:
        once: dict[bytes, QuarantineRow] = {}
        settled: set[UUID] = set()
        for _, _, row in self._quarantined:
            if row.reading_id in settled and row.item_hash not in once:
                row = row._replace(settles=False)  # noqa: PLW2901 - one disposition an id
            once.setdefault(row.item_hash, row)
            if row.settles and row.reading_id is not None:
                settled.add(row.reading_id)
        new = await quarantine.insert_new(self._connection, list(once.values()))
        filed = [row for hash_, row in once.items() if row.settles and hash_ not in new]
        turned = await quarantine.settle_filed(self._connection, filed)
        for index, _, row in self._quarantined:
            self._tallies[index].refused.append(Refused(id=row.reading_id, reason=row.reason))
            totals = self._totals[row.gateway_id or ""]
            if row.item_hash in new:
                new.discard(row.item_hash)
                totals.quarantined += once[row.item_hash].settles
                totals.unsettling += not once[row.item_hash].settles
            elif row.item_hash in turned:  # It was filed without settling, and settles now.
                turned.discard(row.item_hash)
                totals.quarantined += 1
                totals.unsettling -= 1
            else:
                totals.redelivered += 1

    async def _mark_due(self, inserted: Sequence[ReadingRow]) -> None:
        latest: dict[tuple[str, str], datetime] = {}
        for row in inserted:
            if row.resident_id is not None:
                key = (row.resident_id, row.kind)
                latest[key] = max(latest.get(key, row.arrived_at), row.arrived_at)
        for resident in await amendments.fetch_claimants(
            self._connection, [row.id for row in inserted]
        ):
            latest[resident, "amendment"] = self._at
        await residents.insert_stubs(
            self._connection, sorted({resident for resident, _ in latest}), at=self._at
        )
        await due_marks.mark(self._connection, latest)


def _partition_time(id_: UUID, fallback: datetime) -> datetime:
    try:
        return partition_time_of(id_)
    except ValueError:
        return fallback  # Not version 7: it can be in quarantine only, which has no partition.
