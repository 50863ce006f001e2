"""SQL for ``registry_entry`` and ``registry_change``: versions of what the contract system writes.

Whoever writes locks the entries first, in order of id, so that of two writers the second sees
what the first has done; then compares, and appends a version only where something differs.
Nothing is rewritten: a version says who, when, and what it was then. Of residents and contracts
the feed is told, of places, packages and staff it is not: they are nobody's. Never commits.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from ingest.db import outbox
from ingest.db.connections import Connection
from ingest.db.entities import Content
from ingest.db.errors import BeyondReachError, UnstorableError
from ingest.db.outbox import Event

Kind: TypeAlias = Literal["centre", "team", "staff", "package", "resident", "contract"]
Permits: TypeAlias = Callable[[str, int, bool], bool]
"""Whether an id may be written at this version; told whether that would change nothing."""


class Refusal(NamedTuple):
    """Why one of several is not written. ``value`` is never personal."""

    reason: Literal[
        "unknown_reference",
        "precondition",
        "unusable",
        "erased",
        "no_key",
        "not_visible",
    ]
    field: str
    value: str
    remedy: str


class Outcome(NamedTuple):
    """What became of one of several; ``version`` is the one that stands now."""

    id: str
    status: Literal["created", "changed", "unchanged", "refused"]
    version: int
    refusal: Refusal | None = None


class Stored(NamedTuple):
    """A locked entry: version 0 and no content, if nothing was written yet."""

    version: int
    content: Content | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorship:
    """Who writes, when, and under what condition."""

    author: str
    at: datetime
    permits: Permits | None = None  # None: always.


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an entry shall be."""

    content: Content
    resident_id: str | None = None


_ENTER: Final = """
INSERT INTO registry_entry (kind, id, version)
SELECT %s, id, 0 FROM unnest(%b::text[]) AS id ORDER BY id
ON CONFLICT DO NOTHING"""
_LOCK: Final = """
SELECT id, version FROM registry_entry WHERE kind = %s AND id = ANY(%b::text[])
ORDER BY id FOR NO KEY UPDATE"""
_CONTENT: Final = """
SELECT id, content FROM registry_change
WHERE kind = %s AND (id, version) IN (SELECT * FROM unnest(%b::text[], %b::int[]))"""


async def hold(connection: Connection, kind: Kind, ids: Collection[str]) -> dict[str, int]:
    """Hold these entries until the transaction ends; their versions, 0: nothing was written yet."""
    wanted = sorted(ids)
    await connection.execute(_ENTER, (kind, wanted))
    cursor = await connection.execute(_LOCK, (kind, wanted))
    versions = {row[0]: row[1] for row in await cursor.fetchall()}
    if len(versions) < len(set(wanted)):
        msg = f"a {kind} of this id is somebody else's"
        raise BeyondReachError(msg)
    return versions


async def lock(connection: Connection, kind: Kind, ids: Collection[str]) -> dict[str, Stored]:
    """Hold these entries until the transaction ends, and read how they stand."""
    versions = await hold(connection, kind, ids)
    # Asked for after the lock: the statement that waited for it still sees what was before.
    written = {id_: version for id_, version in versions.items() if version}
    contents: dict[str, Content] = {}
    if written:
        cursor = await connection.execute(_CONTENT, (kind, list(written), list(written.values())))
        contents = {row[0]: row[1] for row in await cursor.fetchall()}
    return {id_: Stored(version, contents.get(id_)) for id_, version in versions.items()}


def decide(
    stored: Mapping[str, Stored], wanted: Mapping[str, Wanted], permits: Permits | None
) -> dict[str, Outcome]:
    """What will become of each, aligned with ``wanted``. Pure."""
    return {id_: _decide(id_, stored[id_], want, permits) for id_, want in wanted.items()}


def _decide(id_: str, stored: Stored, want: Wanted, permits: Permits | None) -> Outcome:
    if stored.version and stored.content is None:
        # Row-level security shows the entry's number, but not what it says.
        remedy = "it belongs to somebody whom you may not see or change"
        return Outcome(id_, "refused", 0, Refusal("not_visible", "id", id_, remedy))
    same = stored.content == want.content
    if permits is not None and not permits(id_, stored.version, same):
        refusal = Refusal(
            "precondition",
            "version",
            str(stored.version),
            "it has changed meanwhile, or is not there: read it again, then decide",
        )
        return Outcome(id_, "refused", stored.version, refusal)
    if same:
        return Outcome(id_, "unchanged", stored.version)
    status: Literal["created", "changed"] = "changed" if stored.version else "created"
    return Outcome(id_, status, stored.version + 1)


def is_written(outcome: Outcome) -> bool:
    """Whether something is to be stored."""
    return outcome.status in ("created", "changed")


_ADVANCE: Final = """
UPDATE registry_entry AS e SET version = n.version
FROM unnest(%b::text[], %b::int[]) AS n (id, version) WHERE e.kind = %s AND e.id = n.id"""
_APPEND: Final = """
INSERT INTO registry_change (kind, id, version, resident_id, author, at, content)
SELECT %s, n.id, n.version, n.resident_id, %s, %s, n.content
FROM json_to_recordset(%s::json) AS n (id text, version int, resident_id text, content jsonb)"""


async def append(
    connection: Connection,
    kind: Kind,
    outcomes: Iterable[Outcome],
    wanted: Mapping[str, Wanted],
    authorship: Authorship,
) -> list[str]:
    """Write a version of each that was created or changed, tell the feed; return their ids."""
    rows = [each for each in outcomes if is_written(each)]
    if not rows:
        return []
    ids = [row.id for row in rows]
    await connection.execute(_ADVANCE, (ids, [row.version for row in rows], kind))
    # One text for all: arrays of JSON would take longer to write than to store.
    changes = [
        {
            "id": row.id,
            "version": row.version,
            "resident_id": wanted[row.id].resident_id,
            "content": wanted[row.id].content,
        }
        for row in rows
    ]
    text = msgspec.json.encode(changes).decode()
    await connection.execute(_APPEND, (kind, authorship.author, authorship.at, text))
    told = [_as_event(kind, row, wanted[row.id], authorship.author) for row in rows]
    await outbox.insert(
        connection, [event for event in told if event is not None], at=authorship.at
    )
    return ids


def _as_event(kind: Kind, row: Outcome, want: Wanted, author: str) -> Event | None:
    """The version as the feed tells it: that it is there, not what it says."""
    told = {"resident_id": want.resident_id, "version": row.version, "author": author}
    if kind == "contract":
        return Event("contract.changed", {"contract_id": row.id, **told})
    return Event("resident.changed", told) if kind == "resident" else None


class Written(NamedTuple):
    """What one write did."""

    stored: dict[str, Stored]  # As it was before.
    outcomes: list[Outcome]
    changed: list[str]  # Ids of the created and the changed ones.

    def differs(self, wanted: Mapping[str, Wanted], *fields: str) -> list[str]:
        """Which of the changed differ in one of these fields, or are new."""
        return [id_ for id_ in self.changed if _differs(self.stored[id_], wanted[id_], fields)]


def _differs(stored: Stored, want: Wanted, fields: tuple[str, ...]) -> bool:
    if stored.content is None:
        return True
    return any(stored.content.get(name) != want.content[name] for name in fields)


async def write(
    connection: Connection, kind: Kind, wanted: Mapping[str, Wanted], by: Authorship
) -> Written:
    """Lock, compare and append; the caller then writes the kind's own tables."""
    stored = await lock(connection, kind, wanted.keys())
    outcomes = list(decide(stored, wanted, by.permits).values())
    return Written(stored, outcomes, await append(connection, kind, outcomes, wanted, by))


async def find_unknown(
    connection: Connection, table: Literal["centre", "team", "package", "resident"], ids: set[str]
) -> set[str]:
    """Which of these ids are not there, so that a refusal can name them."""
    if not ids:
        return set()
    statement = f"SELECT id FROM {table} WHERE id = ANY(%b::text[])"  # noqa: S608 - one of four words
    cursor = await connection.execute(statement, (list(ids),))
    return ids - {row[0] for row in await cursor.fetchall()}


def refuse_unknown(id_: str, field: str, value: str) -> Outcome:
    """One that names something that is not there."""
    refusal = Refusal(
        "unknown_reference", field, value, "nothing has this id; send what it names first"
    )
    return Outcome(id_, "refused", 0, refusal)


def require_all(outcomes: Iterable[Outcome]) -> None:
    """Raise ``UnstorableError`` for the first that was refused: all or nothing."""
    for each in outcomes:
        if each.refusal is not None:
            wrong = each.refusal
            shown = f" ({wrong.value})" if wrong.value else ""
            msg = f"{each.id}: {wrong.field}{shown}: {wrong.remedy}"
            raise UnstorableError(msg)
