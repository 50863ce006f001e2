"""SQL for ``resident_checkpoint``: the folded past of residents whose old readings may be gone.

Written and read under the resident's fold row. What the bytes mean is known to
``ingest.checkpoints`` alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from ingest.db.connections import Connection


class CheckpointRow(NamedTuple):
    """One resident's past, in the order of the statement below."""

    resident_id: str
    edge: datetime  # Rows of ``reading`` with an id before it are in it.
    until: datetime  # By effective time: what is earlier is folded.
    state: bytes
    facts: Any  # JSON.
    made_at: datetime


_COLUMNS: Final = ", ".join(CheckpointRow._fields)
_FETCH: Final = f"SELECT {_COLUMNS} FROM resident_checkpoint WHERE resident_id = ANY(%s)"  # noqa: S608 - column names of our own class


async def fetch(connection: Connection, residents: Sequence[str]) -> dict[str, CheckpointRow]:
    """The checkpoints of those of these residents who have one."""
    cursor = await connection.execute(_FETCH, (list(residents),), binary=True)
    return {row[0]: CheckpointRow(*row) for row in await cursor.fetchall()}


_UPSERT: Final = f"""
INSERT INTO resident_checkpoint ({_COLUMNS})
SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::bytea[],
    %b::jsonb[], %s::timestamptz[])
ORDER BY 1
ON CONFLICT (resident_id) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in CheckpointRow._fields[1:])}"""  # noqa: S608 - likewise


async def save(connection: Connection, rows: Sequence[CheckpointRow]) -> None:
    """Write the checkpoints of residents whose fold rows the caller holds. Never commits."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[4] = [Jsonb(facts) for facts in columns[4]]
        await connection.execute(_UPSERT, columns)
