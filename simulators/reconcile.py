"""Proves that nothing was lost or counted twice: ledger, spools and database against each other.

The law, per gateway and over distinct ids, never over sums alone:

    accepted = waiting + stored + duplicate + quarantined + retired

An id that is stored *and* still waits for its receipt counts once, as stored. An id the ledger
does not know is an *echo* when the ledger says that an answer for that very reading (device and
sequence, or device time) was lost with a link; every other one is a difference. Redeliveries of
one id stand beside the law. Retention lets readings go and keeps their number: an id of the
ledger that is nowhere and older than what is kept counts as *retired*, but no more of them than
were let go. Nothing here writes. Where the ledger is a rehearsal's, people are judged once more
(``simulators.judged``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from gateway.wire.ids import partition_time_of
from simulators.balance import (
    DISPOSITIONS,
    UNSETTLING,
    WAITING,
    Difference,
    GatewayBalance,
    Kind,
    Report,
)
from simulators.holdings import (
    Retained,
    Snapshot,
    SpoolState,
    Totals,
    find_deliveries,
    opened,
    read_reasons,
    read_retained,
    read_spool,
    read_totals,
    stream_disposed,
    stream_too_old,
)
from simulators.judged import judge_again, read_held
from simulators.ledger import Delivery, Entry, read_ledger
from simulators.settings import REPORTED_IDS_MAX, STRANGERS_MAX

_Where: TypeAlias = tuple[str, ...]  # Each place an id was found, with repetition.


def reconcile(ledgers: Sequence[Path], spools: Sequence[Path], dsn: str) -> Report:
    """Compare all three. Memory grows with the ledgers, not with the database.

    Args:
        ledgers: Of every run that sent to these gateways.
        spools: Of every gateway; without them, what still waits there counts as lost.
        dsn: The database.

    Raises:
        LedgerError: A ledger cannot be read.
        ReconcileError: A spool or the database cannot be read.
    """
    books = _Books([entry for path in ledgers for entry in read_ledger(path)])
    states = [read_spool(path) for path in spools]
    with opened(dsn) as snapshot:
        for disposition in DISPOSITIONS:
            for reading_id, gateway_id in stream_disposed(snapshot, disposition):
                books.add(reading_id, gateway_id, disposition)
        for state in states:
            books.add_spool(state)
        totals = read_totals(snapshot)
        books.retained = read_retained(snapshot)
        for reading_id in stream_too_old(snapshot):
            books.note_too_old(reading_id)
        books.settle_strangers(snapshot)
        books.note_reasons(snapshot)
        held = read_held(snapshot, books.entries)
    judged, misjudged = judge_again(ledgers, books.entries, books.waiting, held)
    report = books.report(states, totals)
    return replace(report, judged=judged, differences=[*report.differences, *misjudged])


class _Books:
    """Every id with the places it was found in."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._by_id: dict[UUID, Entry] = {}
        self._found: dict[UUID, _Where] = {}
        self._strangers: dict[UUID, _Where] = {}
        self._stranger_gateways: dict[UUID, str] = {}
        self._uncounted_strangers: Counter[str] = Counter()
        self._rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._balances: dict[str, GatewayBalance] = {}
        self._echoed: Counter[Delivery] = Counter()
        self._echoes = 0
        self.retained = Retained(None, {})
        self._spare = 0
        self._too_old: Counter[str] = Counter()
        self._reasons: Mapping[UUID, str] = {}
        self._differences: list[Difference] = []
        repeated: list[UUID] = []
        for entry in entries:
            if entry.reading_id is None:
                continue
            if entry.reading_id in self._by_id:
                repeated.append(entry.reading_id)
            self._by_id[entry.reading_id] = entry
        self._differ(Kind.DOUBLED, "", repeated, "one id was given to two readings")

    def add(self, reading_id: UUID | None, gateway_id: str, where: str) -> None:
        """Note one row of the database or of a spool."""
        balance = self._balance(gateway_id)
        self._rows[gateway_id][UNSETTLING if reading_id is None else where] += 1
        if reading_id is None:
            balance.unsettling += 1
            return
        known = reading_id in self._by_id
        places = self._found if known else self._strangers
        before = places.get(reading_id, ())
        if not before or (before == (WAITING,)):
            setattr(balance, where, getattr(balance, where) + 1)
        if not known and not before and len(self._strangers) >= STRANGERS_MAX:
            self._uncounted_strangers[gateway_id] += 1
            return
        places[reading_id] = (*before, where)
        if not known:
            self._stranger_gateways[reading_id] = gateway_id

    @property
    def waiting(self) -> set[UUID]:
        """Ids of the ledger that are in a spool and nowhere else."""
        return {id_ for id_, where in self._found.items() if where == (WAITING,)}

    def add_spool(self, state: SpoolState) -> None:
        """Note what waits; an id that has a disposition waits for its receipt only."""
        gateway_id = state.counters.gateway
        self._balance(gateway_id).accepted = state.counters.accepted
        for reading_id in state.waiting:
            if reading_id not in self._found and reading_id not in self._strangers:
                self.add(reading_id, gateway_id, WAITING)

    def note_too_old(self, reading_id: UUID) -> None:
        """Note a quarantined id that may have been let go before it came again."""
        entry = self._by_id.get(reading_id)
        if entry is not None:
            self._too_old[entry.gateway_id] += 1

    def note_reasons(self, snapshot: Snapshot) -> None:
        """Find out why those were put aside of which the ledger says why."""
        told = [id_ for id_, entry in self._by_id.items() if entry.reason is not None]
        self._reasons = read_reasons(snapshot, told) if told else {}

    def settle_strangers(self, snapshot: Snapshot) -> None:
        """Tell echoes from ids that nobody sent."""
        lost_answers: Counter[Delivery] = Counter()
        for entry in self.entries:
            lost_answers[entry.delivery] += entry.answers_lost
        deliveries = find_deliveries(snapshot, list(self._strangers)) if self._strangers else {}
        unknown: defaultdict[str, list[UUID]] = defaultdict(list)
        waiting: list[UUID] = []
        for reading_id, places in self._strangers.items():
            delivery = self._delivery_of(reading_id, deliveries)
            if places == (WAITING,):
                waiting.append(reading_id)
            elif delivery is not None and lost_answers[delivery] > 0:
                lost_answers[delivery] -= 1
                self._echoed[delivery] += 1
                self._echoes += 1
            else:
                unknown[self._stranger_gateways[reading_id]].append(reading_id)
        # The content of what waits cannot be seen; at most so many echoes can wait.
        spare = max(sum(lost_answers.values()), 0)
        self._echoes += min(spare, len(waiting))
        self._spare = max(spare - len(waiting), 0)  # Echoes that may have been let go.
        for reading_id in waiting[spare:]:
            unknown[self._stranger_gateways[reading_id]].append(reading_id)
        for gateway_id in unknown.keys() | self._uncounted_strangers.keys():
            self._differ(
                Kind.UNKNOWN,
                gateway_id,
                unknown[gateway_id],
                "held, but in no ledger: name the ledger of every run",
                more=self._uncounted_strangers[gateway_id],
            )

    def report(self, states: Iterable[SpoolState], totals: Mapping[str, Totals]) -> Report:
        """Compare, and sum up."""
        self._find_lost_and_doubled()
        self._compare_counters(states)
        self._compare_totals(totals)
        self._compare_expected()
        return Report(
            sent=len(self.entries),
            taken=sum(entry.reading_id is not None for entry in self.entries),
            refused=sum(entry.refused is not None for entry in self.entries),
            unanswered=sum(
                entry.reading_id is None and entry.refused is None for entry in self.entries
            ),
            echoes=self._echoes,
            gateways=[balance for _, balance in sorted(self._balances.items())],
            differences=self._differences,
        )

    def _find_lost_and_doubled(self) -> None:
        lost: defaultdict[str, list[UUID]] = defaultdict(list)
        doubled: defaultdict[str, list[UUID]] = defaultdict(list)
        old: defaultdict[str, list[UUID]] = defaultdict(list)
        for reading_id, entry in self._by_id.items():
            if not self._found.get(reading_id):
                (old if self._is_old(reading_id) else lost)[entry.gateway_id].append(reading_id)
        self._find_retired(old)
        for places in (self._found, self._strangers):
            for reading_id, where in places.items():
                if len(where) > 1:
                    gateway_id = self._stranger_gateways.get(reading_id, "")
                    known = self._by_id.get(reading_id)
                    doubled[known.gateway_id if known else gateway_id].append(reading_id)
        for gateway_id, ids in sorted(lost.items()):
            self._differ(Kind.LOST, gateway_id, ids, "taken by the gateway, and nowhere now")
        for gateway_id, ids in sorted(doubled.items()):
            self._differ(Kind.DOUBLED, gateway_id, ids, "more than one disposition")

    def _is_old(self, reading_id: UUID) -> bool:
        edge = self.retained.edge
        return edge is not None and partition_time_of(reading_id) < edge

    def _find_retired(self, old: Mapping[str, Sequence[UUID]]) -> None:
        """Ids older than what is kept, against the number of readings that were let go.

        An id that was let go and came again is in quarantine now, and counts there.
        """
        for gateway_id in sorted(old.keys() | self.retained.retired.keys()):
            ids, retired = old.get(gateway_id, ()), self.retained.retired.get(gateway_id, 0)
            self._balance(gateway_id).retired = min(len(ids), retired)
            if len(ids) > retired:
                detail = f"older than what is kept and nowhere, but only {retired} were let go"
                self._differ(Kind.LOST, gateway_id, ids, detail, count=len(ids) - retired)
            beyond = retired - len(ids) - self._too_old[gateway_id] - self._spare
            if beyond > 0:
                detail = f"{retired} were let go, the ledgers know {len(ids)}: name every ledger"
                self._miss(Kind.UNKNOWN, gateway_id, beyond, detail)

    def _compare_counters(self, states: Iterable[SpoolState]) -> None:
        for state in states:
            counters, balance = state.counters, self._balance(state.counters.gateway)
            if counters.accepted != balance.known:
                detail = f"accepted {counters.accepted}, but {balance.known} ids are known"
                self._miss(
                    Kind.COUNTER, counters.gateway, counters.accepted - balance.known, detail
                )
            if not counters.conserved:
                detail = "the gateway's own counters do not add up: accepted, confirmed, waiting"
                self._miss(Kind.COUNTER, counters.gateway, 1, detail)

    def _compare_totals(self, totals: Mapping[str, Totals]) -> None:
        for gateway_id in sorted(totals.keys() | self._rows.keys() | self.retained.retired.keys()):
            kept = totals.get(gateway_id, Totals(0, 0, 0, 0, 0))
            self._balance(gateway_id).redelivered = kept.redelivered
            for name in (*DISPOSITIONS, UNSETTLING):
                total, rows = getattr(kept, name), self._rows[gateway_id][name]
                if name == "stored":
                    rows += self.retained.retired.get(gateway_id, 0)
                if total != rows:
                    detail = f"gateway_day says {total} {name}, counted are {rows}"
                    self._miss(Kind.TOTALS, gateway_id, total - rows, detail)

    def _compare_expected(self) -> None:
        measurements: defaultdict[object, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.expected is not None:
                name = (entry.twins, entry.delivery) if entry.twins else id(entry)
                measurements[name].append(entry)
        wrong: defaultdict[tuple[str, str], list[object]] = defaultdict(list)
        for group in measurements.values():
            for entry, actual in self._unexpected_in(group):
                detail = f"expected {entry.expected}, found {actual}"
                wrong[entry.gateway_id, detail].append(entry.reading_id or entry.delivery)
        for (gateway_id, detail), names in sorted(wrong.items()):
            self._differ(Kind.UNEXPECTED, gateway_id, names, detail)

    def _unexpected_in(self, group: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
        """The entries of one measurement whose dispositions are not those foretold."""
        if any(self._echoed[entry.delivery] for entry in group):
            return  # Which of the echo and the original was stored is chance.
        actual = [self._actual(entry) for entry in group]
        if None in actual:
            return  # Waiting, unanswered or lost: nothing to compare yet.
        if Counter(actual) == Counter(str(entry.expected) for entry in group):
            yield from self._otherwise_reasoned(group)
            return
        for entry, found in zip(group, actual, strict=True):
            if found != entry.expected:
                yield entry, str(found)

    def _otherwise_reasoned(self, group: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
        for entry in group:
            found = self._reasons.get(entry.reading_id) if entry.reading_id else None
            if entry.reason is not None and found is not None and found != entry.reason:
                yield entry, f"quarantined as {found}, not as {entry.reason}"

    def _actual(self, entry: Entry) -> str | None:
        if entry.refused is not None:
            return "refused"
        where = self._found.get(entry.reading_id, ()) if entry.reading_id else ()
        return where[0] if len(where) == 1 and where[0] != WAITING else None

    def _delivery_of(
        self, reading_id: UUID, deliveries: Mapping[UUID, Delivery | UUID]
    ) -> Delivery | None:
        found = deliveries.get(reading_id)
        if isinstance(found, UUID):
            original = self._by_id.get(found)
            found = original.delivery if original else deliveries.get(found)
        return None if isinstance(found, UUID) else found

    def _balance(self, gateway_id: str) -> GatewayBalance:
        return self._balances.setdefault(gateway_id, GatewayBalance(gateway_id=gateway_id))

    def _differ(
        self,
        kind: Kind,
        gateway_id: str,
        ids: Sequence[object],
        detail: str,
        *,
        more: int = 0,
        count: int | None = None,
    ) -> None:
        """Note a difference of these ids and ``more``, or of ``count`` that are among them."""
        if not ids and not more:
            return
        self._differences.append(
            Difference(
                kind=kind,
                gateway_id=gateway_id,
                count=len(ids) + more if count is None else count,
                detail=detail,
                examples=[str(name) for name in ids[:REPORTED_IDS_MAX]],
            )
        )

    def _miss(self, kind: Kind, gateway_id: str, count: int, detail: str) -> None:
        self._differences.append(
            Difference(kind=kind, gateway_id=gateway_id, count=abs(count), detail=detail)
        )
