"""SQL for ``quarantine`` as people ask of it: lists, counts, one item; and what its id became.

Lists carry no payload and nothing of a resident; only ``fetch`` does. Paged by ``number``,
which never changes and is never given twice.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from gateway.wire.errors import Reason
from gateway.wire.ids import PARTITION_MIN, partition_time_of
from ingest.db import readings, retention
from ingest.db.connections import Connection
from ingest.db.quarantine import Item
from ingest.db.readings import Known

Scope: TypeAlias = Literal["open", "unreplayed", "all"]
"""Open; open or dropped; or also what was replayed."""

_SCOPES: Final[dict[Scope, str]] = {
    "open": "resolution IS NULL",
    "unreplayed": "resolution IS DISTINCT FROM 'replayed'",
    "all": "true",
}
_VALUE_OF_A_PERSON: Final = " (got "  # What the wire's errors put before what they were given.


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which items are meant; what is None or empty excludes none."""

    scope: Scope = "open"
    numbers: Sequence[int] = ()
    reasons: Sequence[str] = ()
    gateway: str | None = None
    centre: str | None = None
    device: str | None = None
    since: datetime | None = None  # Received then or later.
    until: datetime | None = None  # Received before.
    settles: bool | None = None

    @property
    def names_something(self) -> bool:
        """Whether it is narrower than its scope."""
        return bool(self.condition()[1])

    def condition(self) -> tuple[str, dict[str, Any]]:
        """As SQL with its parameters."""
        device = _device_pattern(self.device) if self.device else None
        asked = {
            "number = ANY(%(numbers)s)": ("numbers", list(self.numbers) or None),
            "reason = ANY(%(reasons)s)": ("reasons", list(self.reasons) or None),
            "gateway_id = %(gateway)s": ("gateway", self.gateway),
            "centre_id = %(centre)s": ("centre", self.centre),
            "encode(payload, 'escape') ~ %(device)s": ("device", device),
            "received_at >= %(since)s": ("since", self.since),
            "received_at < %(until)s": ("until", self.until),
            "settles = %(settles)s": ("settles", self.settles),
        }
        wanted = {text: named for text, named in asked.items() if named[1] is not None}
        return " AND ".join([_SCOPES[self.scope], *wanted]), dict(wanted.values())


def _device_pattern(device: str) -> str:
    """A regular expression for the device inside a payload that PostgreSQL has escaped."""
    text = json.dumps(device, ensure_ascii=False).replace("\\", "\\\\")
    escaped = "".join(
        chr(byte) if chr(byte).isascii() else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"device_id"[[:space:]]*:[[:space:]]*{re.escape(escaped)}'


class Listed(NamedTuple):
    """One line of a list: nothing of a resident, nothing of the payload but its device."""

    number: int
    reason: str
    field: str
    detail: str
    centre_id: str | None
    gateway_id: str | None
    device_id: str | None
    reading_id: UUID | None
    settles: bool
    payload_bytes: int
    received_at: datetime
    replayed_at: datetime | None
    resolution: str | None
    resolved_at: datetime | None


_DEVICE: Final = r'"device_id"[[:space:]]*:[[:space:]]*"([^"\\]{1,64})"'
_LIST: Final = """
SELECT number, reason, field, detail, centre_id, gateway_id,
       CASE WHEN batch_id IS NOT NULL
            THEN substring(encode(substring(payload FOR 4096), 'escape') FROM %(device_of)s) END,
       reading_id, settles, payload_bytes, received_at, replayed_at, resolution, resolved_at
FROM quarantine WHERE number > %(after)s AND {condition}
ORDER BY number LIMIT %(limit)s"""


async def list_after(
    connection: Connection, selection: Selection, *, after: int, limit: int
) -> list[Listed]:
    """Up to ``limit`` items that follow ``after``, in order of their numbers."""
    condition, asked = selection.condition()
    cursor = await connection.execute(
        _LIST.format(condition=condition).encode(),
        {**asked, "device_of": _DEVICE, "after": after, "limit": limit},
    )
    found = [Listed(*row) for row in await cursor.fetchall()]
    return [line._replace(detail=hide_values(line.reason, line.detail)) for line in found]


def hide_values(reason: str, detail: str) -> str:
    """The detail without what the field held, which may be anything a terminal was given."""
    if reason == Reason.UNSTORABLE:  # The database's own words quote the row.
        return "the database refused it"
    return detail.split(_VALUE_OF_A_PERSON, maxsplit=1)[0]


class Handle(NamedTuple):
    """What is needed to cut a selection into portions."""

    number: int
    payload_bytes: int
    is_message: bool


_HANDLES: Final = """
SELECT number, payload_bytes, batch_id IS NULL
FROM quarantine WHERE number > %(after)s AND number <= %(upto)s AND {condition}
ORDER BY number LIMIT %(limit)s"""


async def list_handles(
    connection: Connection, selection: Selection, *, after: int, upto: int, limit: int
) -> list[Handle]:
    """Up to ``limit`` items above ``after`` and not above ``upto``, in order."""
    condition, asked = selection.condition()
    cursor = await connection.execute(
        _HANDLES.format(condition=condition).encode(),
        {**asked, "after": after, "upto": upto, "limit": limit},
    )
    return [Handle(*row) for row in await cursor.fetchall()]


_EXTENT: Final = "SELECT count(*), coalesce(max(number), 0) FROM quarantine WHERE {condition}"


async def measure(connection: Connection, selection: Selection) -> tuple[int, int]:
    """How many items these are, and the highest number among them."""
    condition, asked = selection.condition()
    cursor = await connection.execute(_EXTENT.format(condition=condition).encode(), asked)
    row = await cursor.fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


class Group(NamedTuple):
    """Items of one reason and gateway."""

    reason: str
    gateway_id: str | None
    items: int
    settling: int
    oldest: datetime
    newest: datetime


_GROUPS: Final = """
SELECT reason, gateway_id, count(*), count(*) FILTER (WHERE settles),
       min(received_at), max(received_at)
FROM quarantine WHERE {condition}
GROUP BY reason, gateway_id ORDER BY max(received_at) DESC, reason, gateway_id"""


async def count_by_group(connection: Connection, selection: Selection) -> list[Group]:
    """How many items of each reason and gateway, the latest first."""
    condition, asked = selection.condition()
    cursor = await connection.execute(_GROUPS.format(condition=condition).encode(), asked)
    return [Group(*row) for row in await cursor.fetchall()]


_FETCH: Final = f"SELECT {', '.join(Item._fields)} FROM quarantine WHERE number = %s"  # noqa: S608


async def fetch(connection: Connection, number: int) -> Item | None:
    """One item with its bytes."""
    cursor = await connection.execute(_FETCH, (number,), binary=True)
    row = await cursor.fetchone()
    return None if row is None else Item(*row)


_NUMBERS: Final = "SELECT number FROM quarantine WHERE number = ANY(%s)"


async def find_missing(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Those of these numbers that no item has."""
    cursor = await connection.execute(_NUMBERS, (list(numbers),))
    there = {row[0] for row in await cursor.fetchall()}
    return sorted(set(numbers) - there)


_SETTLING: Final = "SELECT number FROM quarantine WHERE number = ANY(%s) AND settles"


async def list_settling(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Those of these items that are their id's disposition."""
    cursor = await connection.execute(_SETTLING, (list(numbers),))
    return {row[0] for row in await cursor.fetchall()}


async def fetch_dispositions(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Known]:
    """What these ids are now; an id without a disposition is left out."""
    asked = {}
    for id_ in ids:
        try:
            asked[id_] = partition_time_of(id_)
        except ValueError:  # Not version 7: it can be quarantined only.
            asked[id_] = PARTITION_MIN
    known = await readings.fetch_known(connection, sorted(asked.items()))
    return {**known, **await retention.fetch_held(connection, list(asked))}


_ORIGINALS: Final = "SELECT id, duplicate_of FROM duplicate WHERE id = ANY(%s)"


async def fetch_originals(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Of ids that are duplicates: the id of the same measurement that is stored."""
    cursor = await connection.execute(_ORIGINALS, (list(ids),))
    return {row[0]: row[1] for row in await cursor.fetchall()}
