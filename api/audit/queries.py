"""SQL of the audit log. Entries are written, sealed once, let go whole after half a year."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.audit.chain import Entry, Seal
from api.audit.handles import KnownHandles
from api.round_trip import Statement

_COLUMNS: Final = ", ".join(Entry._fields)
_SEAL_COLUMNS: Final = ", ".join(Seal._fields)
_WRITE: Final = b"""
SELECT audit_write(at, subject, action, object, residents, things)
FROM jsonb_to_recordset(%(notes)s::jsonb) AS note (
    at timestamptz, subject text, action text, object text, residents text[], things text[])"""
_WRITE_KNOWN: Final = b"""
SELECT as_of, NULL AS handles FROM audit_write_known(%(as_of)s::text, %(notes)s::jsonb, NULL)"""
_WRITE_LEARNING: Final = b"""
SELECT as_of, to_jsonb(handles) AS handles
FROM audit_write_known(%(as_of)s::text, %(notes)s::jsonb,
                       ARRAY(SELECT jsonb_array_elements_text(%(unknown)s::jsonb)))"""
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s) AS mine"
_SEALING: Final = int.from_bytes(b"audit", "big")
_UNSEALED: Final = f"""
SELECT {_COLUMNS} FROM audit_entry WHERE seal IS NULL ORDER BY id LIMIT %s"""  # noqa: S608 - our own names
_LAST: Final = f"SELECT {_SEAL_COLUMNS} FROM audit_seal ORDER BY number DESC LIMIT 1"  # noqa: S608 - likewise
_SEALS: Final = f"""
SELECT {_SEAL_COLUMNS} FROM audit_seal WHERE number > %s ORDER BY number LIMIT %s"""  # noqa: S608 - likewise
_OF_SEAL: Final = f"SELECT {_COLUMNS} FROM audit_entry WHERE seal = %s ORDER BY id"  # noqa: S608 - likewise
_INSERT_SEAL: Final = f"""
INSERT INTO audit_seal ({_SEAL_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""  # noqa: S608 - likewise
_MARK: Final = "UPDATE audit_entry SET seal = %s WHERE id = ANY(%s)"
_LIST: Final = """
SELECT e.id, e.at, e.subject, e.action, e.object, e.things, e.seal,
       cardinality(e.handles) AS residents_count,
       ARRAY(SELECT h.resident_id FROM audit_handle h WHERE h.handle = ANY(e.handles)
             ORDER BY 1) AS residents
FROM audit_entry e
WHERE (%(before)s::bigint IS NULL OR e.id < %(before)s)
  AND (%(subject)s::text IS NULL OR e.subject = %(subject)s)
  AND (%(since)s::timestamptz IS NULL OR e.at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR e.at < %(until)s)
  AND (%(resident)s::text IS NULL
       OR e.handles @> ARRAY(SELECT handle FROM audit_handle WHERE resident_id = %(resident)s)
          AND EXISTS (SELECT FROM audit_handle WHERE resident_id = %(resident)s))
ORDER BY e.id DESC
LIMIT %(rows)s"""
_WAITING: Final = "SELECT count(*) AS count, min(at) AS oldest FROM audit_entry WHERE seal IS NULL"
_PRUNE: Final = """
DELETE FROM audit_entry e USING audit_seal s WHERE s.number = e.seal AND s.until < %s"""
_MAY_PRUNE: Final = "SELECT set_config('suifang.audit_retention', 'on', true)"


class Note(NamedTuple):
    """One entry to be written."""

    at: datetime
    subject: str
    action: str
    object: str
    residents: list[str]
    things: list[str]


def write(notes: Sequence[Note]) -> Statement:
    """Append entries in this order. Cost: one statement for all."""
    text = msgspec.json.encode([note._asdict() for note in notes]).decode()
    return Statement(_WRITE, {"notes": text})


def write_known(notes: Sequence[Note], known: KnownHandles) -> tuple[Statement, list[str]]:
    """The same with the handles that are known, and whose handles it will say.

    It writes nothing, and says another ``as_of``, where what is known may be wrong by now.
    """
    places: dict[str, int] = {}  # Of those whose handle is not known, from 1.
    told = []
    for note in notes:
        handles, strangers = known.find(note.residents)
        of_strangers = [places.setdefault(each, len(places) + 1) for each in strangers]
        told.append(
            {
                "at": note.at,
                "subject": note.subject,
                "action": note.action,
                "object": note.object,
                "handles": _as_array(handles),
                "places": _as_array(of_strangers),
                "things": note.things,
            }
        )
    unknown = list(places)
    text = msgspec.json.encode(told).decode()
    values = {"as_of": known.as_of, "notes": text}
    if not unknown:
        return Statement(_WRITE_KNOWN, values), []
    # As JSON: an array costs psycopg two microseconds an element.
    values["unknown"] = msgspec.json.encode(unknown).decode()
    return Statement(_WRITE_LEARNING, values), unknown


def _as_array(numbers: Sequence[int]) -> str:
    """PostgreSQL's own text, which it reads in a third of the time that a list in JSON takes."""
    return f"{{{','.join(map(str, numbers))}}}"


async def lock_sealing(connection: AsyncConnection[DictRow]) -> bool:
    """Whether this transaction is the one that seals now."""
    row = await (await connection.execute(_LOCK, (_SEALING,))).fetchone()
    return row is not None and bool(row["mine"])


async def fetch_unsealed(connection: AsyncConnection[DictRow], limit: int) -> list[Entry]:
    """Committed entries without a seal, oldest first."""
    return _entries(await (await connection.execute(_UNSEALED, (limit,))).fetchall())


async def fetch_last_seal(connection: AsyncConnection[DictRow]) -> Seal | None:
    """The newest seal."""
    row = await (await connection.execute(_LAST)).fetchone()
    return None if row is None else Seal(**row)


async def insert_seal(
    connection: AsyncConnection[DictRow], seal: Seal, entries: Sequence[Entry]
) -> None:
    """Write a seal and mark its entries. Never commits."""
    await connection.execute(_INSERT_SEAL, seal)
    await connection.execute(_MARK, (seal.number, [entry.id for entry in entries]))


async def fetch_seals(
    connection: AsyncConnection[DictRow], *, after: int, limit: int
) -> list[Seal]:
    """Seals above a number, in order."""
    cursor = await connection.execute(_SEALS, (after, limit))
    return [Seal(**row) for row in await cursor.fetchall()]


async def fetch_entries(connection: AsyncConnection[DictRow], seal: int) -> list[Entry]:
    """The entries of one seal, in order of id."""
    return _entries(await (await connection.execute(_OF_SEAL, (seal,))).fetchall())


async def list_newest(
    connection: AsyncConnection[DictRow], asked: dict[str, Any], *, before: int | None, rows: int
) -> list[DictRow]:
    """Entries, newest first; residents that were erased are counted and not named."""
    cursor = await connection.execute(_LIST, {**asked, "before": before, "rows": rows})
    return await cursor.fetchall()


async def count_waiting(connection: AsyncConnection[DictRow]) -> tuple[int, datetime | None]:
    """How many entries have no seal, and the time of the oldest."""
    row = await (await connection.execute(_WAITING)).fetchone()
    return (0, None) if row is None else (int(row["count"]), row["oldest"])


async def prune(connection: AsyncConnection[DictRow], *, before: datetime) -> int:
    """Let the entries of seals go that ended before; the seals stay. Never commits."""
    await connection.execute(_MAY_PRUNE)
    return (await connection.execute(_PRUNE, (before,))).rowcount


def _entries(rows: Sequence[DictRow]) -> list[Entry]:
    return [Entry(**row) for row in rows]
