"""Promise: what was answered has its entry in the audit log, whoever dies or gives up meanwhile."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from api.audit.log import AuditLog
from api.audit.settings import AuditSettings
from api.database import Database
from api.errors import UnavailableError
from api.settings import ApiSettings
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh
from tests.integration.api_processes import an_api
from tests.integration.security_world import SEEN, build_world

DOCTOR = SEEN["doctor of n1"][0]
ENOUGH = 100
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'suifang-api'"""
ENTRIES = """
SELECT e.object, h.resident_id
FROM audit_entry e JOIN audit_handle h ON h.handle = ANY(e.handles)"""


@pytest.fixture
async def owner(connection: Connection) -> Connection:
    """The owner's connection, in a database with a world."""
    await build_world(connection)
    return connection


@pytest.fixture
async def log(database: Fresh) -> AsyncIterator[AuditLog]:
    """One that writes."""
    settings = ApiSettings(db_dsn=SecretStr(database.dsn))
    async with Database(settings) as opened:
        found = AuditLog(settings, opened, utc_now)
        writer = asyncio.create_task(found._run_writer())
        yield found
        writer.cancel()
        await asyncio.wait([writer])


async def entries(owner: Connection) -> list[tuple[str, str]]:
    """What was read, and whom it showed."""
    return [(what, whom) for what, whom in await (await owner.execute(ENTRIES)).fetchall()]


async def test_who_gives_up_costs_the_others_nothing(log: AuditLog, owner: Connection) -> None:
    asked = [asyncio.create_task(log.saw(DOCTOR, f"page {n}", ["anna"])) for n in range(60)]
    await asyncio.sleep(0)
    for task in asked[::3]:
        task.cancel()
    answered = await asyncio.gather(*asked, return_exceptions=True)

    written = {what for what, _ in await entries(owner)}
    assert {f"page {n}" for n, error in enumerate(answered) if error is None} <= written
    assert [n for n, error in enumerate(answered) if error is not None] == [*range(0, 60, 3)]


async def test_connections_that_died_cost_nobody_an_entry(log: AuditLog, owner: Connection) -> None:
    await log.saw(DOCTOR, "before", ["anna"])
    killed = await (await owner.execute(KILL)).fetchall()
    await log.saw(DOCTOR, "after", ["anna"])

    assert killed
    assert {what for what, _ in await entries(owner)} == {"before", "after"}


async def test_whatever_was_answered_before_the_process_was_killed_has_its_entry(
    database: Fresh, owner: Connection
) -> None:
    answered: list[str] = []
    enough = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                for resident in ("anna", "ben", "carl"):
                    (await client.get(f"/v1/residents/{resident}")).raise_for_status()
                    answered.append(resident)
                    if len(answered) >= ENOUGH:
                        enough.set()

    async with an_api(database) as api:
        asking = [asyncio.create_task(ask(api.client)) for _ in range(8)]
        async with asyncio.timeout(120):
            await enough.wait()
        api.process.kill()
        await asyncio.gather(*asking)

    written = Counter(whom for _, whom in await entries(owner))
    for resident, times in Counter(answered).items():
        assert written[resident] >= times


async def test_a_group_that_is_held_up_refuses_all_in_time_and_holds_up_nobody_afterwards(
    database: Fresh, owner: Connection
) -> None:
    settings = ApiSettings(db_dsn=SecretStr(database.dsn), audit=AuditSettings(write_ms_max=300))
    async with Database(settings) as opened:
        log = AuditLog(settings, opened, utc_now)
        writer = asyncio.create_task(log._run_writer())
        async with owner.transaction():
            await owner.execute("LOCK TABLE audit_entry IN ACCESS EXCLUSIVE MODE")
            held = [log.saw(DOCTOR, f"held {n}", ["anna"]) for n in range(5)]
            answers = await asyncio.gather(*held, return_exceptions=True)
        settings = settings.model_copy(update={"audit": AuditSettings(write_ms_max=120_000)})
        patient = AuditLog(settings, opened, utc_now)
        patient._queue = log._queue  # The same writer, asked by somebody who can wait.
        await patient.saw(DOCTOR, "afterwards", ["anna"])
        writer.cancel()
        await asyncio.wait([writer])

    assert [type(answer) for answer in answers] == [UnavailableError] * 5
    assert "afterwards" in {what for what, _ in await entries(owner)}
