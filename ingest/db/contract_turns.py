"""A contract that ends closes its resident's cases, and one that runs again opens them.

The end becomes a ``closure`` record with its reason, the new beginning a ``return`` record: the
case machine knows both, explains them, and nothing else needs to know of contracts. What is told
in advance waits in ``contract_due`` until the judge finds it on the day. Invariants: a resident
has at most one turn more closures than returns here; a closure that a person recorded is never
answered by a contract; validity that merely runs out (``until``) closes nothing, since renewals
are often entered late and silence would be the dangerous side (ADR 0025). Never commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from ingest.db import records, registry
from ingest.db.connections import Connection
from ingest.db.records import Record

_LOCAL: Final = ZoneInfo("Asia/Shanghai")
_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-636f6e747261")
_TICK: Final = timedelta(microseconds=1)
REASONS: Final[Mapping[str, Literal["death", "moved", "contract_ended"]]] = {
    "death": "death",
    "moved": "moved",
}
"""What the case machine calls the end of a contract; any other is ``contract_ended``."""
DUE_MAX: Final = 500  # Residents settled in one transaction of the judge.


class _Held(NamedTuple):
    """A contract, as far as its beginning and end go."""

    id: str
    since: date
    until: date | None
    ended_on: date | None
    end_reason: str | None
    author: str


class _Last(NamedTuple):
    """The last turn of a resident."""

    number: int
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A record to be written because of a contract."""

    number: int
    contract_id: str
    record: Record


def midnight(day: date) -> datetime:
    """When a local day begins. Daylight saving ended in 1991, long before any contract here."""
    return datetime(day.year, day.month, day.day, tzinfo=_LOCAL)


def _runs(contract: _Held, today: date) -> bool:
    return (
        contract.since <= today
        and (contract.until is None or contract.until >= today)
        and (contract.ended_on is None or contract.ended_on > today)
    )


def _find_turn(
    resident: str, contracts: Sequence[_Held], last: _Last | None, now: datetime
) -> Turn | None:
    """The closure or return that is missing, if one is. Pure."""
    today = now.astimezone(_LOCAL).date()
    running = [each for each in contracts if _runs(each, today)]
    closed = last is not None and last.kind == "closure"
    if running and closed:
        first = min(running, key=lambda each: (each.since, each.id))
        return _turn(resident, first, last, now, begins=first.since, kind="return")
    ended = [each for each in contracts if each.ended_on is not None and each.ended_on <= today]
    if running or closed or not ended:
        return None
    final = max(ended, key=lambda each: (each.ended_on or date.min, each.id))
    return _turn(resident, final, last, now, begins=final.ended_on or today, kind="closure")


def _turn(
    resident: str,
    contract: _Held,
    last: _Last | None,
    now: datetime,
    *,
    begins: date,
    kind: Literal["closure", "return"],
) -> Turn:
    """One record. What is told on the day itself takes effect at once, not from its midnight."""
    at = now if begins >= now.astimezone(_LOCAL).date() else midnight(begins)
    if last is not None:
        at = min(now, max(at, last.at + _TICK))
    number = 1 if last is None else last.number + 1
    ended = kind == "closure"
    word = f"ended: {contract.end_reason}" if ended else "runs"
    return Turn(
        number=number,
        contract_id=contract.id,
        record=Record(
            id=uuid5(_NAMESPACE, f"{resident}|{number}"),
            resident_id=resident,
            kind=kind,
            at=at,
            author=contract.author,
            reason=REASONS.get(contract.end_reason or "", "contract_ended") if ended else None,
            note=f"contract {contract.id} {word}",
        ),
    )


_CONTRACTS: Final = """
SELECT c.resident_id, c.id, c.since, c.until, c.ended_on, c.end_reason,
       coalesce(h.author, 'contract') AS author
FROM contract c
LEFT JOIN registry_entry e ON e.kind = 'contract' AND e.id = c.id
LEFT JOIN registry_change h ON h.kind = e.kind AND h.id = e.id AND h.version = e.version
WHERE c.resident_id = ANY(%s) ORDER BY c.id"""
_LAST: Final = """
SELECT DISTINCT ON (resident_id) resident_id, number, kind, at FROM contract_turn
WHERE resident_id = ANY(%s) ORDER BY resident_id, number DESC"""
_INSERT: Final = """
INSERT INTO contract_turn (record_id, number, resident_id, contract_id, kind, at)
VALUES (%s, %s, %s, %s, %s, %s)"""


async def settle(connection: Connection, residents: Sequence[str], *, at: datetime) -> int:
    """Write the closures and returns that follow from the contracts of these residents.

    Args:
        connection: Inside a transaction, after the contracts were written.
        residents: Pseudonyms.
        at: The clock.

    Returns:
        How many records were written.
    """
    if not residents:
        return 0
    await registry.hold(connection, "resident", residents)  # Rows of ``resident`` the judge shares.
    held: dict[str, list[_Held]] = {}
    cursor = await connection.execute(_CONTRACTS, (list(residents),))
    for resident, *contract in await cursor.fetchall():
        held.setdefault(resident, []).append(_Held(*contract))
    cursor = await connection.execute(_LAST, (list(residents),))
    last = {row[0]: _Last(*row[1:]) for row in await cursor.fetchall()}
    found = (_find_turn(id_, held[id_], last.get(id_), at) for id_ in sorted(held))
    turns = [turn for turn in found if turn is not None]
    await records.insert_new(connection, [turn.record for turn in turns], at=at)
    rows = [
        (t.record.id, t.number, t.record.resident_id, t.contract_id, t.record.kind, t.record.at)
        for t in turns
    ]
    async with connection.cursor() as writer:
        await writer.executemany(_INSERT, rows)
    await _await_days(connection, residents, held, at)
    return len(turns)


_FORGET: Final = "DELETE FROM contract_due WHERE resident_id = ANY(%s)"
_AWAIT: Final = """
INSERT INTO contract_due (resident_id, due_at) SELECT * FROM unnest(%s::text[], %s::timestamptz[])
ON CONFLICT (resident_id) DO UPDATE SET due_at = EXCLUDED.due_at"""


async def _await_days(
    connection: Connection,
    residents: Sequence[str],
    held: Mapping[str, Sequence[_Held]],
    at: datetime,
) -> None:
    """Remember when the next contract of each begins or ends."""
    today = at.astimezone(_LOCAL).date()
    coming: dict[str, date] = {}
    for resident, contracts in held.items():
        days = [day for each in contracts for day in (each.since, each.ended_on) if day is not None]
        ahead = [day for day in days if day > today]
        if ahead:
            coming[resident] = min(ahead)
    await connection.execute(_FORGET, (list(residents),))
    if coming:
        instants = [midnight(day) for day in coming.values()]
        await connection.execute(_AWAIT, (list(coming), instants))


_DUE: Final = """
SELECT resident_id FROM contract_due WHERE due_at <= %s ORDER BY due_at LIMIT %s
FOR UPDATE SKIP LOCKED"""


async def settle_due(connection: Connection, *, now: datetime) -> int:
    """Settle whose contracts begin or end today as told before; how many were looked at.

    Outside a transaction: commits. At most ``DUE_MAX`` at a time; what is left comes next time.
    """
    async with connection.transaction():
        cursor = await connection.execute(_DUE, (now, DUE_MAX))
        due = sorted(row[0] for row in await cursor.fetchall())
        await settle(connection, due, at=now)
    return len(due)
