"""SQL of records. Reads only."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

_COLUMNS: Final = """
SELECT r.id, r.number, r.resident_id, r.kind, r.condition, r.at, r.received_at, r.author,
       (SELECT min(s.id) FROM staff s WHERE s.subject = r.author) AS staff_id,
       r.mode, r.findings, r.state, r.due, r.reason, r.outcome, r.note, r.form,
       r.withdraws AS replaces, w.id AS withdrawn_by,
       EXISTS (SELECT FROM contract_turn t WHERE t.record_id = r.id) AS of_contract
FROM record r LEFT JOIN record w ON w.withdraws = r.id
WHERE r.resident_id = %(resident)s"""


async def fetch(connection: AsyncConnection[DictRow], resident: str, id_: UUID) -> DictRow | None:
    """One record of a resident; None: it is not there, or may not be seen."""
    values = {"resident": resident, "id": id_}
    cursor = await connection.execute((_COLUMNS + " AND r.id = %(id)s").encode(), values)
    return await cursor.fetchone()


async def list_newest(
    connection: AsyncConnection[DictRow],
    resident: str,
    asked: dict[str, Any],
    *,
    before: int | None,
    rows: int,
) -> list[DictRow]:
    """Records below the number ``before``, the newest arrival first: at most ``rows``."""
    given = [
        part
        for name, part in (
            ("kind", " AND r.kind = %(kind)s"),
            ("condition", " AND (r.condition = %(condition)s OR r.condition IS NULL)"),
        )
        if asked.get(name) is not None
    ]
    if before is not None:
        given.append(" AND r.number < %(before)s")
    statement = _COLUMNS + "".join(given) + " ORDER BY r.number DESC LIMIT %(rows)s"
    values = {**asked, "resident": resident, "before": before, "rows": rows}
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()


_UNREAD: Final = """
SELECT asked.id FROM unnest(%(ids)s::uuid[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM visible_reading v
                  WHERE v.id = asked.id AND v.resident_id = %(resident)s)"""


async def find_strange_readings(
    connection: AsyncConnection[DictRow], resident: str, ids: Sequence[UUID]
) -> list[UUID]:
    """Which of these are no readings of this resident."""
    cursor = await connection.execute(_UNREAD, {"ids": list(ids), "resident": resident})
    return [row["id"] for row in await cursor.fetchall()]
