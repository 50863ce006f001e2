"""SQL of receiving: which sender, whose residents, and what an identifier stands for.

Never commits. Statements on readings are ``ingest``'s; only ``observation_identifier`` is written
here.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from gateway.wire.ids import partition_time_of
from ingest.db.connections import Connection

Name = tuple[str, str]  # System and value.


async def find_seen(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Which of these residents are there, and may be seen."""
    cursor = await connection.execute("SELECT id FROM resident WHERE id = ANY(%s)", (list(ids),))
    return {row[0] for row in await cursor.fetchall()}


async def is_own_team(connection: Connection, team: str | None) -> bool:
    """Whether the principal sees the residents of this team for being of it, or of its centre."""
    cursor = await connection.execute("SELECT %s::text = ANY(seen_teams())", (team,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def find_centre(connection: Connection, gateway: str) -> str | None:
    """The centre of an enrolled gateway."""
    cursor = await connection.execute(
        "SELECT centre_id FROM gateway WHERE id = %s AND revoked_at IS NULL", (gateway,)
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


_CLAIM: Final = """
INSERT INTO observation_identifier (gateway_id, system, value, sent_id, reading_id, received_at)
SELECT %(gateway)s, n.system, n.value, n.id, n.id, %(at)s
FROM unnest(%(systems)s::text[], %(values)s::text[], %(ids)s::uuid[]) AS n (system, value, id)
ORDER BY n.system, n.value
ON CONFLICT DO NOTHING
RETURNING system, value"""
_CLAIMED: Final = """
SELECT i.system, i.value, i.sent_id
FROM observation_identifier i
JOIN unnest(%(systems)s::text[], %(values)s::text[]) AS n (system, value)
  ON n.system = i.system AND n.value = i.value
WHERE i.gateway_id = %(gateway)s"""


async def claim(
    connection: Connection, gateway: str, claims: Mapping[Name, UUID], *, at: datetime
) -> tuple[dict[Name, UUID], set[Name]]:
    """Have these identifiers stand for these readings where they are free.

    Waits for whoever claims the same at this moment.

    Returns:
        What each stands for now, and which of them were free before: see ``release``.
    """
    if not claims:
        return {}, set()
    asked: dict[str, Any] = {
        "gateway": gateway,
        "at": at,
        "systems": [system for system, _ in claims],
        "values": [value for _, value in claims],
        "ids": list(claims.values()),
    }
    cursor = await connection.execute(_CLAIM, asked)
    new = {(row[0], row[1]) for row in await cursor.fetchall()}
    cursor = await connection.execute(_CLAIMED, asked)
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}, new


_RELEASE: Final = """
DELETE FROM observation_identifier i
USING unnest(%s::text[], %s::text[]) AS n (system, value)
WHERE i.gateway_id = %s AND i.system = n.system AND i.value = n.value"""


async def release(connection: Connection, gateway: str, names: Collection[Name]) -> None:
    """Free identifiers that this transaction has claimed, for an entry that is refused after all.

    The same content may be sent under other names: what a name stands for does not tell whose.
    """
    if names:
        systems, values = [name[0] for name in names], [name[1] for name in names]
        await connection.execute(_RELEASE, (systems, values, gateway))


_POINT: Final = """
UPDATE observation_identifier i SET reading_id = n.reading_id
FROM unnest(%s::uuid[], %s::uuid[]) AS n (sent_id, reading_id)
WHERE i.gateway_id = %s AND i.sent_id = n.sent_id AND i.reading_id <> n.reading_id"""
_FREE: Final = """
DELETE FROM observation_identifier WHERE gateway_id = %s AND sent_id = ANY(%s)"""


async def settle_claims(
    connection: Connection, gateway: str, stored: Mapping[UUID, UUID], refused: Sequence[UUID]
) -> None:
    """Point duplicates at what is stored, and free what stands for nothing."""
    await connection.execute(_POINT, (list(stored), list(stored.values()), gateway))
    await connection.execute(_FREE, (gateway, list(refused)))


async def find_known(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these ids have a disposition already."""
    from ingest.db import readings  # noqa: PLC0415 - with numpy; only for who receives

    asked = sorted((id_, partition_time_of(id_)) for id_ in set(ids))
    return set(await readings.fetch_known(connection, asked))


async def note(
    connection: Connection,
    subject: str,
    residents: Sequence[str],
    things: Sequence[str],
    *,
    at: datetime,
) -> None:
    """Write into the audit log who wrote readings of whom."""
    await connection.execute(
        "SELECT audit_write(%s, %s, 'insert', 'reading', %s::text[], %s::text[])",
        (at, subject, list(residents), list(things)),
    )


async def find_named(connection: AsyncConnection[Any], system: str, value: str) -> list[UUID]:
    """The readings that an identifier stands for, of those that may be seen."""
    cursor = await connection.execute(
        "SELECT reading_id FROM observation_identifier WHERE system = %s AND value = %s LIMIT 100",
        (system, value),
    )
    return [row["reading_id"] for row in await cursor.fetchall()]
