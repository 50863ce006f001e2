"""``/healthz``: the process lives. ``/readyz``: it can answer, and the feed moves.

Liveness never asks the database: a restart of the API does not heal a database.
"""

from datetime import datetime
from typing import Final, Literal

from fastapi import APIRouter
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import BaseModel

from api.errors import NotReadyError, UnavailableError
from api.services import Running, Services
from ingest.db import revisions

router = APIRouter()

_REVISION_TABLE: Final = "SELECT to_regclass('alembic_version') IS NOT NULL AS there"
_REVISION: Final = "SELECT version_num FROM alembic_version"
_WAITING: Final = """
SELECT created_at FROM outbox WHERE number IS NULL ORDER BY id LIMIT 1"""
_TELLING: Final = "SELECT waiting_since, nobody FROM notify_lag(%s)"


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """All that reading needs is there."""

    status: Literal["ready"] = "ready"
    schema_revision: str
    feed: Literal["connected"] = "connected"
    dispatcher_lag_s: float  # Age of the oldest event that has no number yet; 0 when none.
    notify_lag_s: float  # For how long an alert has waited to be told; grows without a notifier.
    nobody_reachable: int  # Alerts that ask for somebody, and nobody could be told.


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process is alive."""
    return Alive()


@router.get("/readyz")
async def readyz(running: Running) -> Ready:
    """Whether requests can be answered: database, schema, feed and dispatcher."""
    try:
        async with running.database.reading_as_process() as connection:
            revision = await _read_revision(connection)
            schema = _judge_schema(revision)
            lag_s, telling = 0.0, (0.0, 0)
            if not schema:
                lag_s = await read_lag_s(connection, running.clock())
                telling = await read_telling(connection, running.clock())
    except UnavailableError as error:
        checks = {"database": error.msg}
        raise _not_ready(running, checks) from error
    checks = {
        "schema": schema,
        "feed": "" if running.feed.is_connected else "not connected yet",
        "dispatcher": ""
        if lag_s <= running.settings.dispatcher_lag_s_max
        else f"an event has waited {lag_s:.0f} s for its number; is `suifang dispatcher` running?",
    }
    failed = {name: problem for name, problem in checks.items() if problem}
    if revision is None or failed:
        raise _not_ready(running, failed)
    return Ready(
        schema_revision=revision,
        dispatcher_lag_s=lag_s,
        notify_lag_s=telling[0],
        nobody_reachable=telling[1],
    )


def _judge_schema(revision: str | None) -> str:
    """What is wrong with it. A newer one is not: it is migrated before programs are exchanged."""
    if revision is None:
        return "there is none; run `suifang migrate up`"
    if revision < revisions.newest():
        return f"at {revision}, this program wants {revisions.newest()}; run `suifang migrate up`"
    return ""


def _not_ready(running: Services, failed: dict[str, str]) -> NotReadyError:
    return NotReadyError(
        "; ".join(f"{name}: {problem}" for name, problem in failed.items()),
        checks=failed,
        retry_after_s=running.settings.retry_after_s,
    )


async def _read_revision(connection: AsyncConnection[DictRow]) -> str | None:
    found = await (await connection.execute(_REVISION_TABLE)).fetchone()
    if found is None or not found["there"]:
        return None
    row = await (await connection.execute(_REVISION)).fetchone()
    return None if row is None else str(row["version_num"])


async def read_lag_s(connection: AsyncConnection[DictRow], at: datetime) -> float:
    """Age of the oldest event that has no number yet, s; 0 when none."""
    row = await (await connection.execute(_WAITING)).fetchone()
    return 0.0 if row is None else max(0.0, (at - row["created_at"]).total_seconds())


async def read_telling(connection: AsyncConnection[DictRow], at: datetime) -> tuple[float, int]:
    """For how long an alert has waited for the notifier, and of how many nobody could be told."""
    row = await (await connection.execute(_TELLING, (at,))).fetchone()
    if row is None:
        return 0.0, 0
    since = row["waiting_since"] or at
    return max(0.0, (at - since).total_seconds()), int(row["nobody"])
