"""Promise: what a page replays, as a role that can do little, ends as the command's replay does."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from ingest.db.connections import Connection
from ingest.profiles import Profiles
from ingest.resolving import replay
from tests.builders import AT, a_blood_pressure, a_context, a_glucose, enrol
from tests.fix_db import Database
from tests.integration.quarantine_bench import LATER, QuarantineBench, outcomes

PROFILES = Profiles("wuzhou")


async def test_the_role_of_pages_replays_whatever_a_gateway_sends(
    connection: Connection, database: Database, tmp_path: Path
) -> None:
    await enrol(connection)
    bench = QuarantineBench(connection, database.dsn, tmp_path)
    value = a_glucose("7.4", meal_context="unknown", device_sequence=7)
    severe = a_blood_pressure("191", "121", at=AT, device_sequence=8)
    somebody = a_glucose("6.0", resident_id="r-new", at=AT + timedelta(minutes=1))
    readings = [value, severe, somebody, a_context("fasting", of=value)]
    await bench.refuse(*readings)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE suifang_api_intake")
        tally = await replay(connection, [1, 2, 3, 4, 99], PROFILES, lambda: LATER)

    assert outcomes(tally) == {"stored": 4, "skipped": 1}
    assert bench.counts() == (4, 0, 0, 4)
    assert {row[0] for row in await bench.resolutions()} == {"replayed"}
    assert await bench.rows("SELECT code, page FROM alert") == [("BP_EMERGENCY", True)]


async def test_the_role_of_operators_resolves_and_reads_nothing_of_a_resident(
    connection: Connection,
) -> None:
    await enrol(connection)
    await connection.execute("SET ROLE suifang_api_operations")
    for table in (
        *("resident", "reading", "owned_reading", "alert", "resident_case", "record", "contract"),
        *("api_key", "audit_entry", "outbox", "amendment", "resident_sealed", "staff"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(f"SELECT FROM {table}".encode())
    for statement in (
        "UPDATE gateway SET centre_id = 'x'",
        "DELETE FROM gateway",
        "UPDATE quarantine SET payload = ''",
        "UPDATE quarantine SET settles = false",
        "DELETE FROM quarantine",
        "SELECT secret_hash FROM enrolment_token",
        "UPDATE gateway_day SET stored = 0",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())
