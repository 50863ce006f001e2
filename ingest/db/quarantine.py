"""SQL for ``quarantine``: what cannot be judged, with its raw bytes and a reason.

No row is ever deleted: bytes that are not even JSON get one, and what was replayed or dropped
keeps it. Redelivered bytes meet their row by hash and make no second one. This is the side of
those who write; what people ask of the table is in ``quarantine_items``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from ingest.db.connections import Connection


class QuarantineRow(NamedTuple):
    """One item, in the order of the statement below."""

    item_hash: bytes
    reading_id: UUID | None
    content_hash: int
    settles: bool  # False: the id has another disposition already.
    topic: str
    centre_id: str | None
    gateway_id: str | None
    batch_id: UUID | None
    reason: str
    field: str
    detail: str
    payload: bytes
    payload_bytes: int
    received_at: datetime


_INSERT: Final = f"""
INSERT INTO quarantine ({", ".join(QuarantineRow._fields)})
SELECT * FROM unnest(%s::bytea[], %s::uuid[], %s::bigint[], %s::bool[], %s::text[], %s::text[],
    %s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::int[],
    %s::timestamptz[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING item_hash"""  # noqa: S608 - column names of our own class


async def insert_new(connection: Connection, rows: Sequence[QuarantineRow]) -> set[bytes]:
    """Store items not stored before; return the hashes of the new ones. Never commits."""
    if not rows:
        return set()
    columns = [list(column) for column in zip(*rows, strict=True)]
    cursor = await connection.execute(_INSERT, columns, binary=True)
    return {row[0] for row in await cursor.fetchall()}


_SETTLE: Final = """
WITH asked AS (
    SELECT * FROM unnest(%(hashes)s::bytea[], %(ids)s::uuid[], %(reasons)s::text[],
                         %(fields)s::text[], %(details)s::text[])
         AS a (item_hash, reading_id, reason, field, detail)),
held AS (
    SELECT item_hash FROM quarantine JOIN asked USING (item_hash)
    WHERE NOT settles AND resolution IS DISTINCT FROM 'replayed'
    ORDER BY item_hash FOR UPDATE OF quarantine)
UPDATE quarantine AS q
SET settles = true, reading_id = asked.reading_id, reason = asked.reason, field = asked.field,
    detail = asked.detail
FROM asked JOIN held USING (item_hash)
WHERE q.item_hash = asked.item_hash
RETURNING q.item_hash"""


async def settle_filed(connection: Connection, rows: Sequence[QuarantineRow]) -> set[bytes]:
    """Let rows filed before settle their ids from now on; return those that do.

    A stranger's reading settles nothing (the gateway keeps it). Once the gateway is enrolled,
    the same bytes may be refused for good; their row is there already, and has to become the
    id's disposition, for the receipt says so. A replay that is refused comes back this way too.
    What was replayed with success never does: its id is settled elsewhere.
    """
    if not rows:
        return set()
    asked = {
        "hashes": [row.item_hash for row in rows],
        "ids": [row.reading_id for row in rows],
        "reasons": [row.reason for row in rows],
        "fields": [row.field for row in rows],
        "details": [row.detail for row in rows],
    }
    cursor = await connection.execute(_SETTLE, asked, binary=True)
    return {row[0] for row in await cursor.fetchall()}


class Item(NamedTuple):
    """One row, whole."""

    number: int
    item_hash: bytes
    reading_id: UUID | None
    content_hash: int
    settles: bool
    topic: str
    centre_id: str | None
    gateway_id: str | None
    batch_id: UUID | None  # None: a whole message that could not be split.
    reason: str
    field: str
    detail: str
    payload: bytes
    payload_bytes: int
    received_at: datetime
    replayed_at: datetime | None
    resolution: str | None  # None: open.
    resolved_at: datetime | None
    dropped_by: str | None
    dropped_because: str | None


_COLUMNS: Final = ", ".join(Item._fields)
_CLAIM: Final = f"""
SELECT {_COLUMNS} FROM quarantine
WHERE number = ANY(%(numbers)s) AND resolution IS DISTINCT FROM 'replayed'
  AND (%(dropped)s OR resolution IS NULL)
ORDER BY number FOR UPDATE SKIP LOCKED"""  # noqa: S608 - column names of our own class


async def claim(
    connection: Connection, numbers: Sequence[int], *, dropped: bool = False
) -> list[Item]:
    """Lock those of these items that are open and that nobody else holds, until the COMMIT.

    Args:
        connection: Inside a transaction.
        numbers: Of the items.
        dropped: Also those that somebody dropped.
    """
    asked = {"numbers": list(numbers), "dropped": dropped}
    cursor = await connection.execute(_CLAIM, asked, binary=True)
    return [Item(*row) for row in await cursor.fetchall()]


_UNSETTLE: Final = "UPDATE quarantine SET settles = false WHERE number = ANY(%s)"


async def unsettle(connection: Connection, numbers: Sequence[int]) -> None:
    """Take these ids' disposition away. In this very transaction they must get one. Never commits.

    The caller has claimed them.
    """
    await connection.execute(_UNSETTLE, (list(numbers),))


_RESOLVE: Final = """
UPDATE quarantine SET resolution = 'replayed', resolved_at = %(at)s, replayed_at = %(at)s
WHERE number = ANY(%(numbers)s)"""


async def resolve(connection: Connection, numbers: Sequence[int], *, at: datetime) -> None:
    """Say that these items took the normal path at last. Never commits."""
    await connection.execute(_RESOLVE, {"numbers": list(numbers), "at": at})


class Refusal(NamedTuple):
    """Why one item was refused again."""

    number: int
    reason: str
    field: str
    detail: str


_NOTE: Final = """
UPDATE quarantine AS q
SET replayed_at = %(at)s, reason = n.reason, field = n.field, detail = n.detail
FROM unnest(%(numbers)s::bigint[], %(reasons)s::text[], %(fields)s::text[], %(details)s::text[])
     AS n (number, reason, field, detail)
WHERE q.number = n.number"""


async def note_refused(
    connection: Connection, refusals: Sequence[Refusal], *, at: datetime
) -> None:
    """Keep why these items were refused again; they stay as they are. Never commits."""
    numbers, reasons, fields, details = (
        [refusal[column] for refusal in refusals] for column in range(4)
    )
    asked = {"numbers": numbers, "reasons": reasons, "fields": fields, "details": details}
    await connection.execute(_NOTE, {**asked, "at": at})


_DROP: Final = """
UPDATE quarantine
SET resolution = 'dropped', resolved_at = %(at)s, dropped_by = %(author)s,
    dropped_because = %(because)s
WHERE number = ANY(%(numbers)s) AND resolution IS NULL"""


async def drop(
    connection: Connection, numbers: Sequence[int], *, author: str, because: str, at: datetime
) -> int:
    """Say that nobody will replay these items; return how many were open. Never commits.

    What they settle they go on settling: the law counts them, and their bytes stay.
    """
    asked = {"numbers": sorted(numbers), "author": author, "because": because, "at": at}
    return (await connection.execute(_DROP, asked)).rowcount
