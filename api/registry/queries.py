"""SQL of what the contract system wrote. Reads only.

Every statement joins the kind's own table, whose row-level security therefore holds here, too: a
row that may not be seen is not there.
"""

from collections.abc import Mapping
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.round_trip import Statement
from ingest.db.registry import Kind

_SEEN: Final[Mapping[Kind, str]] = {
    "centre": "centre d",
    "team": "team d",
    "staff": "staff d",
    "package": "package d",
    "resident": "resident d",
    "contract": "contract d",
}
_FILTERS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "centre": {},
    "team": {"centre": "d.centre_id = %(centre)s"},
    "staff": {
        "centre": "d.centre_id = %(centre)s",
        "team": "d.id IN (SELECT s.staff_id FROM staff_team s WHERE s.team_id = %(team)s)",
    },
    "package": {},
    "resident": {
        "team": "d.team_id = %(team)s",
        "centre": "d.team_id IN (SELECT t.id FROM team t WHERE t.centre_id = %(centre)s)",
    },
    "contract": {
        "resident": "d.resident_id = %(resident)s",
        "package": "d.package_id = %(package)s",
    },
}
_COLUMNS: Final = """
SELECT d.id, e.version, c.at AS changed_at, c.author AS changed_by, c.content
FROM {seen}
JOIN registry_entry e ON e.kind = %(kind)s AND e.id = d.id
JOIN registry_change c ON c.kind = e.kind AND c.id = e.id AND c.version = e.version"""


def fetch(kind: Kind, id_: str) -> Statement:
    """One entry as it stands; no row: nobody wrote it, or it may not be seen."""
    statement = _COLUMNS.format(seen=_SEEN[kind]) + " WHERE d.id = %(id)s"
    return Statement(statement.encode(), {"kind": kind, "id": id_})


async def list_by_id(
    connection: AsyncConnection[DictRow],
    kind: Kind,
    asked: Mapping[str, Any],
    *,
    after: str | None,
    rows: int,
) -> list[DictRow]:
    """Entries in order of id, above ``after``: at most ``rows``."""
    given = [part for name, part in _FILTERS[kind].items() if asked.get(name) is not None]
    if after is not None:
        given.append("d.id > %(after)s")
    where = f" WHERE {' AND '.join(given)}" if given else ""
    statement = _COLUMNS.format(seen=_SEEN[kind]) + where + " ORDER BY d.id LIMIT %(rows)s"
    values = {**asked, "kind": kind, "after": after, "rows": rows}
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()


_HISTORY: Final = """
SELECT c.version, c.at, c.author, c.content
FROM {seen} JOIN registry_change c ON c.kind = %(kind)s AND c.id = d.id
WHERE d.id = %(id)s AND (%(before)s::int IS NULL OR c.version < %(before)s)
ORDER BY c.version DESC LIMIT %(rows)s"""


async def list_versions(
    connection: AsyncConnection[DictRow], kind: Kind, id_: str, *, before: int | None, rows: int
) -> list[DictRow]:
    """Versions of one entry below ``before``, the newest first: at most ``rows``."""
    values = {"kind": kind, "id": id_, "before": before, "rows": rows}
    cursor = await connection.execute(_HISTORY.format(seen=_SEEN[kind]).encode(), values)
    return await cursor.fetchall()
