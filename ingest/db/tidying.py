"""SQL of tidying: a past month's chunk is rewritten in the order it is read in, once.

Readings lie in the order of their arrival, so a resident's year is some two hundred pages of disk;
in the order of ``reading_by_resident`` it is about thirty. PostgreSQL remembers of each index
whether its table was clustered by it: that is all the state there is, and a killed run changes
nothing. Never touches a chunk that is still written to day by day.
"""

from datetime import datetime
from typing import Final, NamedTuple

from ingest.db.connections import Connection

_UNTIDY: Final = """
SELECT c.chunk_schema, c.chunk_name, i.indexrelid::regclass::text, c.range_start,
       pg_total_relation_size(i.indrelid)
FROM timescaledb_information.chunks c
JOIN pg_index i ON i.indrelid = format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass
WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'reading' AND c.range_end <= %s
  AND NOT i.indisclustered
  AND ARRAY['resident_id', 'effective_at'] = (
      SELECT array_agg(a.attname::text ORDER BY k.place)
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attribute, place)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attribute)
ORDER BY c.range_start"""

_TIDY: Final = "SELECT tidy_readings(%s, %s, %s)"


class UntidyChunk(NamedTuple):
    """A past month whose readings still lie in the order of their arrival."""

    schema: str
    name: str
    order: str  # The chunk's index of that order.
    begins_at: datetime
    size_bytes: int  # With its indexes; as much room again is needed while it is rewritten.


async def list_untidy(connection: Connection, before: datetime) -> list[UntidyChunk]:
    """Chunks that end at ``before`` or earlier and were never rewritten, oldest first."""
    cursor = await connection.execute(_UNTIDY, (before,))
    return [UntidyChunk(*row) for row in await cursor.fetchall()]


async def tidy(connection: Connection, chunk: UntidyChunk) -> None:
    """Rewrite one chunk and its indexes. Outside a transaction; whole or not at all.

    Whoever reads or writes that chunk waits meanwhile. Getting the lock waits no longer than the
    connection's ``lock_timeout``: those behind in the line would wait as long.
    """
    index = chunk.order.rpartition(".")[2].strip('"')
    await connection.execute(_TIDY, (chunk.schema, chunk.name, index))
