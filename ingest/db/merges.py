"""SQL for ``resident_merge``: two pseudonyms that are one person.

Nothing is moved: readings and records stay with the pseudonym they came for, and whoever reads a
history reads that of the merged ones, too. So a merge is taken back by not looking any more. Who
was ever merged is judged together, for an alert may have to go from one to the other. One merge is
one step: who is merged into somebody has nobody merged into them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from ingest.db import due_marks, outbox, storing
from ingest.db.connections import Connection
from ingest.db.errors import SettledError, TakenError
from ingest.db.outbox import Event
from ingest.db.records import STANDS
from ingest.db.registry import Authorship

_MERGING: Final = 0x5F1FA604  # Key of an advisory lock: of merges one at a time.
_GROUP: Final = """
WITH RECURSIVE known (id) AS (
    SELECT unnest(%b::text[])
    UNION
    SELECT n.id FROM known k CROSS JOIN LATERAL (
        SELECT m.into_id AS id FROM resident_merge m WHERE m.resident_id = k.id
        UNION ALL
        SELECT m.resident_id FROM resident_merge m WHERE m.into_id = k.id) AS n)
SELECT id FROM known ORDER BY 1"""
_ANY: Final = "SELECT EXISTS (SELECT FROM resident_merge)"
_PAIRS: Final = """
SELECT resident_id, into_id, unmerged_at IS NULL FROM resident_merge
WHERE resident_id = ANY(%(ids)s) OR into_id = ANY(%(ids)s)"""


@dataclass(frozen=True, slots=True)
class Kin:
    """Who of some residents is, or was once, merged with whom."""

    into: Mapping[str, str] = field(default_factory=dict)  # Merged now: into whom.
    ever: Mapping[str, frozenset[str]] = field(default_factory=dict)  # Both ways.


async def expand(connection: Connection, ids: Sequence[str]) -> list[str]:
    """These residents and all who were ever merged with them. Cost: one look if nobody was."""
    row = await (await connection.execute(_ANY)).fetchone()
    if not ids or not (row and row[0]):
        return list(ids)
    cursor = await connection.execute(_GROUP, (list(ids),))
    found = [each[0] for each in await cursor.fetchall()]
    return [*ids, *sorted(set(found) - set(ids))]


async def fetch_kin(connection: Connection, ids: Sequence[str]) -> Kin:
    """The merges that these residents have a part in."""
    cursor = await connection.execute(_PAIRS, {"ids": list(ids)}, binary=True)
    into: dict[str, str] = {}
    ever: dict[str, set[str]] = {}
    for gone, survivor, holds in await cursor.fetchall():
        ever.setdefault(gone, set()).add(survivor)
        ever.setdefault(survivor, set()).add(gone)
        if holds:
            into[gone] = survivor
    return Kin(into, {id_: frozenset(others) for id_, others in ever.items()})


async def keep_whole(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of these residents who are here with all who were ever merged with them."""
    kin = await fetch_kin(connection, ids)
    kept = set(ids)
    while lonely := {id_ for id_ in kept if not kin.ever.get(id_, frozenset()) <= kept}:
        kept -= lonely
    return [id_ for id_ in ids if id_ in kept]


_PERSON: Final = """
WITH survivor AS (
    SELECT coalesce((SELECT into_id FROM resident_merge
                     WHERE resident_id = %(id)s AND unmerged_at IS NULL), %(id)s) AS id)
SELECT id FROM survivor
UNION ALL
SELECT m.resident_id FROM resident_merge m JOIN survivor s ON s.id = m.into_id
WHERE m.unmerged_at IS NULL"""


async def find_person(connection: Connection, resident: str) -> list[str]:
    """Who this resident is, first, and then all who are merged into that one."""
    cursor = await connection.execute(_PERSON, {"id": resident})
    return [row[0] for row in await cursor.fetchall()]


async def find_survivor(connection: Connection, resident: str) -> str:
    """Under whose pseudonym this resident's readings are judged and seen now."""
    return next(iter(await find_person(connection, resident)), resident)


_TURNS: Final = "SELECT record_id FROM contract_turn WHERE resident_id = ANY(%s)"


async def fetch_turns(connection: Connection, merged: Iterable[str]) -> set[bytes]:
    """Ids of closures and returns that follow from contracts of these: they are not folded."""
    cursor = await connection.execute(_TURNS, (list(merged),), binary=True)
    ids: list[UUID] = [row[0] for row in await cursor.fetchall()]
    return {id_.bytes for id_ in ids}


class MergeRow(NamedTuple):
    """One merge."""

    resident_id: str
    into_id: str
    reason: str
    author: str
    merged_at: datetime


_HOLDING: Final = """
SELECT resident_id, into_id, reason, author, merged_at FROM resident_merge
WHERE unmerged_at IS NULL AND (resident_id = ANY(%(ids)s) OR into_id = %(gone)s)"""
_HOLD_FOLDS: Final = "SELECT hold_folds(%b::text[])"
_IS_SETTLED: Final = "SELECT is_merge_settled(%s, %s)"
_CONTRACT: Final = """
SELECT EXISTS (SELECT FROM contract WHERE resident_id = %s AND ended_on IS NULL
                 AND (until IS NULL OR until >= %s))"""
_INSERT: Final = """
INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)
VALUES (%s, %s, %s, %s, %s)"""


async def merge(
    connection: Connection, gone: str, into: str, reason: str, by: Authorship, *, today: date
) -> MergeRow:
    """Fold the history of ``gone`` into that of ``into`` from now on. Never commits.

    Args:
        connection: Inside a transaction, READ COMMITTED, of somebody who sees both.
        gone: Who is no person of their own any more.
        into: Who they are.
        reason: For whoever asks later.
        by: Who says so, when.
        today: Local: a contract that runs stands against it.

    Raises:
        TakenError: What stands contradicts it; the message says what and what to do.
        SettledError: A part of either past is folded already.
    """
    await storing.let_amenders_wait(connection)  # Retention's edge stands still.
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MERGING,))
    cursor = await connection.execute(_HOLDING, {"ids": [gone, into], "gone": gone})
    for row in (MergeRow(*each) for each in await cursor.fetchall()):
        if (row.resident_id, row.into_id) == (gone, into):
            return row
        _refuse_chain(row, gone, into)
    cursor = await connection.execute(_CONTRACT, (gone, today))
    if (await cursor.fetchone() or (False,))[0]:
        msg = "a contract of the merged resident runs: PUT it with the survivor's resident_id first"
        raise TakenError(msg)
    await connection.execute(_HOLD_FOLDS, ([gone, into],))
    cursor = await connection.execute(_IS_SETTLED, (gone, into))
    if (await cursor.fetchone() or (False,))[0]:
        msg = "a part of their histories is folded into a checkpoint already"
        raise SettledError(msg)
    row = MergeRow(gone, into, reason, by.author, by.at)
    await connection.execute(_INSERT, row)  # Whoever writes a record of either is done, or waits.
    await _refuse_words(connection, gone, into)
    await _tell(connection, "resident.merged", row, by)
    return row


_WORDS: Final = f"""
WITH word AS (
    SELECT resident_id, id, kind, reason, at FROM record
    WHERE resident_id = ANY(%(people)s) AND {STANDS}
      AND kind IN ('closure', 'return', 'override', 'reschedule')
      AND NOT EXISTS (SELECT FROM contract_turn t
                      WHERE t.record_id = record.id AND t.resident_id <> %(into)s)),
turn AS (
    SELECT DISTINCT ON (resident_id = %(gone)s) * FROM word WHERE kind IN ('closure', 'return')
    ORDER BY resident_id = %(gone)s, at DESC, id DESC)
SELECT t.kind, t.id, t.reason FROM turn t
WHERE t.resident_id = %(gone)s AND (t.kind = 'closure' OR EXISTS (
    SELECT FROM turn s WHERE s.resident_id <> t.resident_id AND s.kind = 'closure'
                         AND (s.at, s.id) < (t.at, t.id)))
UNION ALL
SELECT w.kind, w.id, NULL FROM word w
WHERE w.resident_id = %(gone)s AND w.kind IN ('override', 'reschedule')
  AND (is_word_unjudged(%(gone)s) OR EXISTS (
       SELECT FROM resident_case c WHERE c.resident_id = w.resident_id AND c.anchor_id = w.id))
LIMIT 1"""  # noqa: S608 - our own condition


async def _refuse_words(connection: Connection, gone: str, into: str) -> None:
    """Raise ``TakenError`` where somebody's word on the one would decide on the other's case.

    Who closed, opened, overrode or put off the case of the one did not know of the other's. Once
    something later has moved that case the word is history as a visit is.
    """
    people = [*await find_person(connection, into), gone]
    values = {"people": people, "gone": gone, "into": into}
    row = await (await connection.execute(_WORDS, values)).fetchone()
    if row is None:
        return
    kind, id_, reason = row
    if reason == "death":
        msg = (
            f"the merged resident is recorded as dead (closure {id_}): withdraw it, and if the"
            " person has died record it for the survivor, who would else be closed unseen"
        )
    elif kind == "closure":
        msg = (
            f"closure {id_} of the merged resident would close the survivor's case: withdraw it,"
            " or record a return if they were gone"
        )
    elif kind == "return":
        msg = (
            f"return {id_} of the merged resident would open the survivor's closed case: withdraw"
            " it, or record a return of the survivor if they are back"
        )
    else:
        msg = (
            f"{kind} {id_} of the merged resident would decide on the survivor's case: withdraw it,"
            " and record it for the survivor if it holds for both; if something later has moved"
            " the case, ask again once it is judged"
        )
    raise TakenError(msg)


def _refuse_chain(row: MergeRow, gone: str, into: str) -> None:
    if row.resident_id == gone:
        msg = "this resident is merged into another one: unmerge them first"
    elif row.resident_id == into:
        msg = "into is merged itself: name the resident whom it was merged into"
    elif row.into_id == gone:
        msg = "somebody is merged into this resident: unmerge them, and merge both into one"
    else:
        return
    raise TakenError(msg)


_IS_FOLDED: Final = "SELECT is_folded_since(%b::text[], %s)"
_END: Final = """
UPDATE resident_merge SET unmerged_at = %s, unmerged_by = %s
WHERE resident_id = %s AND unmerged_at IS NULL"""


async def unmerge(connection: Connection, gone: str, by: Authorship) -> bool:
    """Take a merge back: both are judged as if there had been none. Never commits.

    Returns:
        Whether there was one.

    Raises:
        SettledError: Both pasts were folded into one checkpoint since.
    """
    await storing.let_amenders_wait(connection)
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MERGING,))
    cursor = await connection.execute(_HOLDING, {"ids": [gone], "gone": gone})
    rows = [MergeRow(*each) for each in await cursor.fetchall()]
    row = next((each for each in rows if each.resident_id == gone), None)
    if row is None:
        return False
    both = [row.resident_id, row.into_id]
    await connection.execute(_HOLD_FOLDS, (both,))
    cursor = await connection.execute(_IS_FOLDED, (both, row.merged_at))
    if (await cursor.fetchone() or (False,))[0]:
        msg = "both histories were folded into one checkpoint since they were merged"
        raise SettledError(msg)
    await connection.execute(_END, (by.at, by.author, gone))
    await _tell(connection, "resident.unmerged", row, by)
    return True


async def _tell(
    connection: Connection, kind: outbox.EventKind, row: MergeRow, by: Authorship
) -> None:
    await due_marks.mark_all(connection, [row.resident_id, row.into_id], "merge", at=by.at)
    told = {
        "resident_id": row.into_id,
        "merged_resident_id": row.resident_id,
        "author": by.author,
    }
    await outbox.insert(connection, [Event(kind, told)], at=by.at)
