"""One person's word about one stored reading, written under row-level security.

``amendments.insert_new`` takes any number from a trusted hand and keeps every writer out; here
somebody is asked for, who says something of a reading that they see, while ingest goes on. The
reading is committed already, so all it concerns is known: nobody has to be kept out but whoever
else amends it, who judges its residents, and retention. Never commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from ingest.db import amendments, due_marks, outbox, storing
from ingest.db.amendments import Amendment
from ingest.db.connections import Connection
from ingest.db.errors import SettledError, TakenError, UnstorableError
from ingest.db.outbox import Event, EventKind

_AMENDING: Final = 0x5F1FA603  # Key of advisory locks, with one of the reading; see readings.py.
_LOCK: Final = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
_SEEN: Final = """
SELECT id, kind, centre_id, reported_for, resident_id, effective_at FROM visible_reading
WHERE id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A reading that nobody else amends until the transaction ends."""

    id: UUID
    kind: str
    centre_id: str
    reported_for: str | None  # None: it came without a resident.
    resident_id: str | None  # Whose it is now.
    effective_at: datetime


async def hold(connection: Connection, reading: UUID) -> Held | None:
    """Keep others from amending this reading; None: there is none, or it is not seen.

    Retention moves no edge meanwhile, so that what is written now is not forgotten by it.
    """
    await storing.let_amenders_wait(connection)
    await connection.execute(_LOCK, (_AMENDING, str(reading)))
    row = await (await connection.execute(_SEEN, (reading,))).fetchone()
    if row is None:
        return None
    id_, kind, centre_id, reported_for, resident_id, effective_at = row
    return Held(
        id=id_,
        kind=kind,
        centre_id=centre_id,
        reported_for=reported_for,
        resident_id=resident_id,
        effective_at=effective_at,
    )


_CLAIMANTS: Final = """
SELECT DISTINCT changes ->> 'resident_id' FROM amendment
WHERE reading_id = %s AND changes ? 'resident_id'"""
_OWNER_WITHOUT: Final = """
SELECT changes ->> 'resident_id' FROM amendment
WHERE reading_id = %s AND changes ? 'resident_id' AND NOT undone AND id <> %s
ORDER BY received_at DESC, id DESC LIMIT 1"""
_HOLD_FOLDS: Final = "SELECT hold_folds(%b::text[])"
_IS_SETTLED: Final = "SELECT is_settled(%s, %b::text[], %s)"


async def amend(connection: Connection, held: Held, amendment: Amendment, *, at: datetime) -> bool:
    """Store one word about a reading, and mark whose cases it concerns.

    Args:
        connection: Inside a transaction, READ COMMITTED.
        held: From ``hold``, in the same transaction.
        amendment: Of that reading.
        at: The clock: received now.

    Returns:
        Whether it is new; the same under the same id again changes nothing.

    Raises:
        TakenError: The id is that of something else.
        SettledError: It is folded into a checkpoint, out of which nothing is taken. What was
            written must be rolled back, as the transaction is by any error.
    """
    concerned = {held.reported_for, held.resident_id, amendment.changes.resident_id} - {None}
    cursor = await connection.execute(_CLAIMANTS, (held.id,))
    concerned |= {row[0] for row in await cursor.fetchall()}
    residents = sorted(id_ for id_ in concerned if id_ is not None)
    await connection.execute(_HOLD_FOLDS, (residents,))
    moments = [held.effective_at, amendment.changes.measured_at or held.effective_at]
    owner = await _find_owner(connection, held, amendment)
    if await _is_stored(connection, amendment, at):
        return False
    if await _is_settled(connection, held.id, residents, min(moments)):
        msg = "the reading, or what it would count for, is folded into a checkpoint"
        raise SettledError(msg)
    await due_marks.mark_all(connection, residents, "amendment", at=at)
    await outbox.insert(connection, _tell(held, amendment, owner), at=at)
    return True


async def _find_owner(connection: Connection, held: Held, amendment: Amendment) -> str | None:
    """Whose the reading is once this is said; seen from before, for it may be a stranger's then."""
    if amendment.changes.resident_id is not None:
        return amendment.changes.resident_id
    if amendment.undoes is None:
        return held.resident_id
    cursor = await connection.execute(_OWNER_WITHOUT, (held.id, amendment.undoes))
    row = await cursor.fetchone()
    return held.reported_for if row is None else row[0]


def _tell(held: Held, amendment: Amendment, owner: str | None) -> list[Event]:
    """To those whose it was and whose it is; to each of them nothing of the other."""
    kind: EventKind = "reading.retracted" if amendment.kind == "retraction" else "reading.corrected"
    told = {
        "reading_id": str(held.id),
        "reading_kind": held.kind,
        "amendment_id": str(amendment.id),
        "amendment_kind": amendment.kind,
        "fields": sorted(amendment.changes.as_json()),
        "author": amendment.author,
        "centre_id": held.centre_id,
    }
    audience = dict.fromkeys((held.resident_id, owner))
    return [Event(kind, {**told, "resident_id": resident}) for resident in audience]


async def _is_settled(
    connection: Connection, reading: UUID, residents: Sequence[str], at: datetime
) -> bool:
    cursor = await connection.execute(_IS_SETTLED, (reading, list(residents), at))
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _is_stored(connection: Connection, amendment: Amendment, at: datetime) -> bool:
    """Store it, unless it was stored before."""
    try:
        new = await amendments.store(connection, [amendment], at=at)
    except UnstorableError as error:
        raise TakenError(str(error)) from error
    return not new
