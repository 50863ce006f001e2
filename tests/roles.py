"""Test connections that work as a process does: with its role and no other rights.

The benches drive ingest, the judge, the notifier and retention in this process on the test's own
connection, which is the owner's; what those parts do there is done as their role, so that a grant
that is missing fails the test that needs it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.pq import TransactionStatus

from ingest.db import readings
from ingest.db.connections import Connection, ProcessRole


@asynccontextmanager
async def working_as(connection: Connection, role: ProcessRole) -> AsyncIterator[None]:
    """Inside the block the connection can do what this process can, no more."""
    await connection.execute("SELECT set_config('role', %s, false)", (role.value,))
    try:
        yield
    finally:
        usable = connection.info.transaction_status not in {
            TransactionStatus.INERROR,
            TransactionStatus.UNKNOWN,
        }
        if usable:
            await connection.execute("RESET ROLE")


async def prepare_ingest(connection: Connection) -> None:
    """Make ingest's table of the connection, as ingest makes it."""
    async with working_as(connection, ProcessRole.INGEST):
        await readings.prepare(connection)
