"""SQL for ``package`` and ``contract``: what somebody has agreed to, and from when to when.

The profile of a resident's package judges while the contract runs; else the centre's does,
else the deployment's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from ingest.db import due_work
from ingest.db.connections import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What a contract buys."""

    id: str
    name: str
    profile: str | None = None  # None: the centre's, else the deployment's.


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One resident's package, with local dates; ``until`` is inclusive, None means open."""

    id: str
    resident_id: str
    package_id: str
    since: date
    until: date | None = None


_PACKAGE: Final = """
INSERT INTO package (id, name, profile) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, profile = EXCLUDED.profile"""
_CONTRACT: Final = """
INSERT INTO contract (id, resident_id, package_id, since, until) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE
SET resident_id = EXCLUDED.resident_id, package_id = EXCLUDED.package_id,
    since = EXCLUDED.since, until = EXCLUDED.until"""

_HOLDERS: Final = "SELECT resident_id FROM contract WHERE id = ANY(%s)"


async def save_packages(connection: Connection, packages: Iterable[Package]) -> None:
    """Insert or update packages. Never commits. Marks nobody: a changed profile is a re-judge."""
    async with connection.cursor() as cursor:
        await cursor.executemany(_PACKAGE, [(p.id, p.name, p.profile) for p in packages])


async def save_contracts(
    connection: Connection, contracts: Iterable[Contract], *, at: datetime
) -> None:
    """Insert or update contracts; mark who has one of them, or had it. Never commits."""
    rows = [(c.id, c.resident_id, c.package_id, c.since, c.until) for c in contracts]
    async with connection.cursor() as cursor:
        await cursor.execute(_HOLDERS, ([row[0] for row in rows],))
        holders = {row[0] for row in await cursor.fetchall()} | {row[1] for row in rows}
        await cursor.executemany(_CONTRACT, rows)
    await due_work.mark(connection, {(resident, "contract"): at for resident in sorted(holders)})


class Chosen(NamedTuple):
    """The profile that a contract chooses for a time."""

    resident_id: str
    since: date
    until: date | None
    profile: str


_CHOSEN: Final = """
SELECT c.resident_id, c.since, c.until, p.profile
FROM contract c JOIN package p ON p.id = c.package_id
WHERE c.resident_id = ANY(%s) AND p.profile IS NOT NULL"""


async def fetch_profiles(connection: Connection, residents: Sequence[str]) -> list[Chosen]:
    """Profiles that contracts of these residents choose, past ones too."""
    cursor = await connection.execute(_CHOSEN, (list(residents),), binary=True)
    return [Chosen(*row) for row in await cursor.fetchall()]
