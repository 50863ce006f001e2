"""The lock between those who store readings and those who must not miss one.

Apart from ``readings``, which needs numpy: the API amends without it.
"""

from typing import Final

from ingest.db.connections import Connection

_STORING: Final = 0x5F1FA600  # Key of the advisory lock; any number that nothing else uses.


async def let_amenders_wait(connection: Connection) -> None:
    """Say that readings are being stored, until the transaction ends. Shared: never a queue."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_STORING,))


async def keep_out_writers(connection: Connection) -> None:
    """Wait for whoever is storing readings, and let nobody begin, until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_STORING,))
